"""Downloads, counted in memory: a response costs one dictionary update, and equal counts become one event.

When a proxy or an object store sends the bytes, a process answers thousands of downloads a second, and an event for
each cost as much as its answer. When the process is killed, a fifth of a second of counts is lost; nothing else is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from updater.clock import Clock
from updater.telemetry.model import Download

# Between the first count and its way to the recorder.
GATHER_S = 0.2


# Clients in the middle of a download, for one process; the one that was heard of least recently is forgotten.
MAX_PARTIAL: Final = 20_000


class PartialDownloads:
    """Knows when a download in several requests is finished: its last byte and as many bytes as it has have left.

    A resumed or parallel download counts once. Ranges without the bytes between them never count. Memory: at most
    `MAX_PARTIAL` builds and clients, and none for a download in one request.
    """

    def __init__(self) -> None:
        self._held: dict[tuple[int, str], tuple[int, int]] = {}

    def add(self, whose: tuple[int, str], sent_bytes: int, size_bytes: int, *, reached_end: bool) -> bool:
        """Note an answer; return whether it finishes a download.

        Args:
            whose: the build, and the client as far as it is known: its address.
            sent_bytes: the bytes of the file that left with the answer.
            size_bytes: how many the file has.
            reached_end: whether the last one was among them.
        """
        if reached_end and sent_bytes >= size_bytes:
            return True
        held, ends = self._held.pop(whose, (0, 0))
        held, ends = held + sent_bytes, ends + reached_end
        if held >= size_bytes and ends:
            # What is left belongs to another client behind the same address.
            held, ends = held - size_bytes, ends - 1
            if held or ends:
                self._held[whose] = held, ends
            return True
        if held or ends:
            if len(self._held) >= MAX_PARTIAL:
                del self._held[next(iter(self._held))]
            self._held[whose] = held, ends
        return False


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
