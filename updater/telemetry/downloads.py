"""Downloads, counted in memory: a response costs one dictionary update, and equal counts become one event.

When a proxy or an object store sends the bytes, a process answers thousands of downloads a second, and an event for
each cost as much as its answer. When the process is killed, a fifth of a second of counts is lost; nothing else is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from updater.clock import Clock
from updater.telemetry.model import Download

# Between the first count and its way to the recorder.
GATHER_S = 0.2


# Of clients in the middle of a download, for one process: edges of what left, in all, and of one client. The client
# that was heard of least recently is forgotten; a download in so many pieces at once is not followed.
MAX_EDGES: Final = 40_000
_MOST_EDGES_OF_ONE: Final = 512


class PartialDownloads:
    """Knows when a download in several requests is finished: when each byte of the file has left.

    A resumed or parallel download counts once, and bytes that left twice stand for no others. What left twice belongs
    to another client behind the same address. Memory: `MAX_EDGES`, and none for a download in one request.
    """

    def __init__(self) -> None:
        # How often bytes left: at each edge, by how much more or less often than before it.
        self._held: dict[tuple[int, str], dict[int, int]] = {}
        self._edges = 0

    def __len__(self) -> int:
        return len(self._held)

    def add(self, whose: tuple[int, str], spans: Sequence[tuple[int, int]], size_bytes: int) -> bool:
        """Note what left with an answer; return whether it finishes a download.

        Args:
            whose: the build, and the client as far as it is known: its address.
            spans: of the file, each from its first byte to the one behind its last.
            size_bytes: how many bytes the file has.
        """
        if (0, size_bytes) in spans:
            return True
        edges = self._held.pop(whose, {})
        self._edges -= len(edges)
        for start, stop in spans:
            _shift(edges, start, 1)
            _shift(edges, stop, -1)
        finished = _is_covered(edges, size_bytes)
        if finished:
            _shift(edges, 0, -1)
            _shift(edges, size_bytes, 1)
        if edges and len(edges) <= _MOST_EDGES_OF_ONE:
            self._held[whose] = edges
            self._edges += len(edges)
            while self._edges > MAX_EDGES:
                self._edges -= len(self._held.pop(next(iter(self._held))))
        return finished


def _shift(edges: dict[int, int], at: int, by: int) -> None:
    depth = edges.get(at, 0) + by
    if depth:
        edges[at] = depth
    else:
        edges.pop(at, None)


def _is_covered(edges: dict[int, int], size_bytes: int) -> bool:
    depth = edges.get(0, 0)
    if depth < 1:
        return False
    for at in sorted(edges):
        if 0 < at < size_bytes:
            depth += edges[at]
            if depth < 1:
                return False
    return edges.get(size_bytes, 0) < 0


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
