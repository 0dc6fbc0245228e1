"""Update checks, counted in memory: a check costs two dictionary updates and no write.

When the process is killed, the counts of a few seconds are lost; nothing else is.
"""

from __future__ import annotations

from updater.telemetry.model import ClientFacts
from updater.telemetry.rollups import OTHER

# Different clients between two flushes; any further ones are counted as `OTHER`.
MAX_WAITING = 20_000
# Longer than any address or country; a client may send anything.
_PLACE_CHARACTERS = 45


class CheckCounter:
    """Counts that wait for the next flush: by what clients say of themselves, and by country or address."""

    def __init__(self) -> None:
        self.asked: dict[ClientFacts, int] = {}
        self.places: dict[tuple[str, str], int] = {}

    def __bool__(self) -> bool:
        return bool(self.asked or self.places)

    def count(self, facts: ClientFacts, place: str | None = None) -> None:
        """Count one check.

        Args:
            facts: what the client says of itself.
            place: a country's two letters or an address, looked up later, off the check path; None: not counted.
        """
        counts = self.asked
        held = counts.get(facts)
        if held is not None:
            counts[facts] = held + 1
        else:
            self._begin(facts)
        if place is not None:
            self._count_place(facts.application_id, place[:_PLACE_CHARACTERS])

    def take(self) -> CheckCounter:
        """Return what waits, and start from zero."""
        taken = CheckCounter()
        taken.asked, self.asked = self.asked, {}
        taken.places, self.places = self.places, {}
        return taken

    def put_back(self, taken: CheckCounter) -> None:
        """Add counts that could not be written to those that wait."""
        for facts, amount in taken.asked.items():
            self._begin(facts, amount)
        for (application_id, place), amount in taken.places.items():
            self._count_place(application_id, place, amount)

    def _begin(self, facts: ClientFacts, amount: int = 1) -> None:
        if len(self.asked) >= MAX_WAITING and facts not in self.asked:
            facts = ClientFacts(facts.application_id, OTHER, facts.target)
        self.asked[facts] = self.asked.get(facts, 0) + amount

    def _count_place(self, application_id: str, place: str, amount: int = 1) -> None:
        key = (application_id, place)
        held = self.places.get(key, 0)
        if not held and len(self.places) >= MAX_WAITING:
            key = (application_id, "")
            held = self.places.get(key, 0)
        self.places[key] = held + amount
