"""Downloads, counted in memory: a response costs one dictionary update, and equal counts become one event.

When a proxy or an object store sends the bytes, a process answers thousands of downloads a second, and an event for
each cost as much as its answer. When the process is killed, a fifth of a second of counts is lost; nothing else is.
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
        """Count one response. Call it in the event loop.

        Args:
            build_id: the build that was downloaded.
            started: whether the response held the first byte.
            finished: whether the last byte left.
            rate: the bucket of its throughput in bytes per second (`rollups.rate_of`), or None.
        """
        counts = self._counts
        if not counts:
            asyncio.get_running_loop().call_later(GATHER_S, self.flush)
        alike = build_id, started, finished, rate
        counts[alike] = counts.get(alike, 0) + 1

    def flush(self) -> None:
        """Hand what was gathered to `note`: one event for equal counts, all with the present time."""
        counts, self._counts = self._counts, {}
        now = self._clock()
        for (build_id, started, finished, rate), amount in counts.items():
            self._note(Download(build_id, started, finished, now, rate, amount))
