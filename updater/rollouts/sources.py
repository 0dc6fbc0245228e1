"""Where counted reports came from, as one batch of reports sees it. PURE.

On the embedded database the sources of a batch lie in one row of their own until many have gathered; then they move
to their table together. Each source is a random place in that table, so a batch that wrote there itself would
change, log and later copy a page for each of its sources: a dozen kilobytes for a report.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

SourceKey = tuple[int, str, str, str]
"""Release, platform, arm, source."""
Seen = tuple[int, bool]
"""How many reports of a source counted, and whether one of them failed."""
Place = tuple[int, str]
"""Release, platform."""
Packed = dict[str, dict[str, list[int]]]
"""The sources of one place as a row keeps them: arm -> source -> [reports, failed]."""

# So many sources gather: about 3 MB in memory, and 65 KB are read and written for a thousand reports.
GATHERED = 8_192


@dataclass
class Gathered:
    """The sources of one place that are not in their table yet. `number` is that of the last row; 0: no row."""

    number: int = 0
    sources: dict[SourceKey, Seen] = field(default_factory=dict)


class Sources:
    """What is known of sources: what this batch changed, what has gathered, and what the table has."""

    def __init__(self, stored: Mapping[SourceKey, Seen], gathered: Mapping[Place, Gathered]) -> None:
        self.changed: dict[SourceKey, Seen] = {}
        self._stored = stored
        self._gathered = gathered

    def find(self, key: SourceKey) -> Seen | None:
        """Return what is known of a source; None when no report of it counted."""
        found = self.changed.get(key)
        if found is None and (gathered := self._gathered.get(key[:2])) is not None:
            found = gathered.sources.get(key)
        return self._stored.get(key) if found is None else found

    def remember(self, key: SourceKey, reports: int, failed: bool) -> None:
        """Replace what is known of a source."""
        self.changed[key] = reports, failed


def pack(sources: Mapping[SourceKey, Seen]) -> dict[Place, Packed]:
    """Return sources by place, as their rows keep them."""
    packed: dict[Place, Packed] = {}
    for (release_id, platform, arm, source), (reports, failed) in sources.items():
        arms = packed.setdefault((release_id, platform), {})
        arms.setdefault(arm, {})[source] = [reports, int(failed)]
    return packed


def unpack(place: Place, rows: Iterable[Packed]) -> dict[SourceKey, Seen]:
    """Return the sources of a place from its rows in their order; what a later row says of a source holds."""
    return {
        (*place, arm, source): (reports, bool(failed))
        for row in rows
        for arm, sources in row.items()
        for source, (reports, failed) in sources.items()
    }
