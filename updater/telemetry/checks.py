"""Update checks, counted in memory: the check path pays for two dictionaries, never for a write.

A few seconds of counts are lost when the process is killed; nothing else is.
"""

from __future__ import annotations

from updater.telemetry.model import ClientFacts
from updater.telemetry.rollups import OTHER

# Between two flushes. More than this many different clients are counted as `OTHER`.
MAX_WAITING = 20_000
# Longer than any address or country; a client may send anything.
_PLACE_CHARACTERS = 45


class CheckCounter:
    """Counts that wait for the next flush: by what clients say of themselves, and by where they are."""

    def __init__(self) -> None:
        self.asked: dict[ClientFacts, int] = {}
        self.places: dict[tuple[str, str], int] = {}

    def __bool__(self) -> bool:
        return bool(self.asked or self.places)

    def count(self, asked: ClientFacts, place: str | None = None) -> None:
        """Count one check. `place` is a country or an address; it is looked up later, off the check path."""
        counts = self.asked
        held = counts.get(asked)
        if held is not None:
            counts[asked] = held + 1
        else:
            self._begin(asked)
        if place is not None:
            self._count_place(asked.application_id, place[:_PLACE_CHARACTERS])

    def take(self) -> CheckCounter:
        """Return what waits, and begin anew."""
        taken = CheckCounter()
        taken.asked, self.asked = self.asked, {}
        taken.places, self.places = self.places, {}
        return taken

    def put_back(self, taken: CheckCounter) -> None:
        """Add what could not be written to what waits."""
        for asked, amount in taken.asked.items():
            self._begin(asked, amount)
        for (application_id, place), amount in taken.places.items():
            self._count_place(application_id, place, amount)

    def _begin(self, asked: ClientFacts, amount: int = 1) -> None:
        if len(self.asked) >= MAX_WAITING and asked not in self.asked:
            asked = ClientFacts(asked.application_id, OTHER, asked.target)
        self.asked[asked] = self.asked.get(asked, 0) + amount

    def _count_place(self, application_id: str, place: str, amount: int = 1) -> None:
        key = (application_id, place)
        held = self.places.get(key, 0)
        if not held and len(self.places) >= MAX_WAITING:
            key = (application_id, "")
            held = self.places.get(key, 0)
        self.places[key] = held + amount
