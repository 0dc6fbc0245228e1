"""Downloads, counted in memory: a response pays for one dictionary, and what counts alike is one event.

Where somebody else sends the bytes a process answers thousands of downloads a second, and an event for each cost as
much as answering it. A fifth of a second of counts is lost when the process is killed; nothing else is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from updater.clock import Clock
from updater.telemetry.model import Download

# Between the first count and its way to the recorder.
GATHER_S = 0.2


class DownloadCounter:
    """Gathers counts for `GATHER_S` seconds, then hands them to `note`."""

    def __init__(self, note: Callable[[Download], None], clock: Clock) -> None:
        self._note = note
        self._clock = clock
        self._counts: dict[tuple[int, bool, bool, int | None], int] = {}

    def count(self, build_id: int, started: bool, finished: bool, rate: int | None) -> None:
        """Count one response. `rate` is the bucket of its throughput, if it tells one. Call it in the event loop."""
        counts = self._counts
        if not counts:
            asyncio.get_running_loop().call_later(GATHER_S, self.flush)
        alike = build_id, started, finished, rate
        counts[alike] = counts.get(alike, 0) + 1

    def flush(self) -> None:
        """Hand over what was gathered."""
        counts, self._counts = self._counts, {}
        now = self._clock()
        for (build_id, started, finished, rate), amount in counts.items():
            self._note(Download(build_id, started, finished, now, rate, amount))
