"""How slow a client may be while it sends a body or takes one.

Silence is ended where it is waited for; here is the minimum rate, which ends clients that move one byte now and then.
Only time in which it was the client's turn counts: what a disk, the database or an object store takes is ours.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from aiohttp import web

SILENCE_S: Final = 30.0
"""How long a client may send nothing in the middle of a body."""
WINDOW_S: Final = 60.0
"""Over how long the rate is averaged: a pause of `SILENCE_S` passes when the rest of it is twice as fast."""

RECEIVE_BYTES: Final = 8 << 10
"""How much is read of a connection at once, and may wait to be read by a handler; uploads read in larger pieces.

Asyncio's and aiohttp's own 256 KiB hold a quarter of a megabyte for each client that stops in a body.
"""

MIN_BYTES_PER_S: Final = web.AppKey("min_bytes_per_s", int)

T = TypeVar("T")


def receive_at_most(transport: asyncio.Transport | None, size_bytes: int) -> None:
    """Read at most so much of a connection at once. A transport that does not know this reads as it does.

    Source: `asyncio.selector_events`, which allocates as much for each read.
    """
    if transport is not None and hasattr(transport, "max_size"):
        transport.max_size = size_bytes


class Pace:
    """Whether a client keeps the minimum rate, over one window after the other. PURE.

    Without a minimum (0) every client does.
    """

    __slots__ = ("_minimum", "_moved_bytes", "_waited_s")

    def __init__(self, min_bytes_per_s: int) -> None:
        self._minimum = min_bytes_per_s
        self._moved_bytes = 0
        self._waited_s = 0.0

    def keeps(self, waited_s: float, moved_bytes: int) -> bool:
        """Count bytes, and the seconds in which it was the client's turn; False when the client was too slow.

        The rate is judged at the end of each window of `WINDOW_S` seconds, and True until then.
        """
        self._moved_bytes += moved_bytes
        self._waited_s += waited_s
        if self._waited_s < WINDOW_S:
            return True
        kept = self._moved_bytes >= self._minimum * self._waited_s
        self._moved_bytes, self._waited_s = 0, 0.0
        return kept


class Acceptance:
    """How a client takes what is on its way to it, from look to look. PURE.

    A look is the time, and two positions in all that the connection ever carried: up to where the client has
    acknowledged it, and up to where it was offered.
    """

    __slots__ = ("_acked", "_looked_s", "_moved_s", "_offered", "_pace")

    def __init__(self, pace: Pace, now_s: float, acked: int, offered: int) -> None:
        self._pace = pace
        self._looked_s = self._moved_s = now_s
        self._acked = acked
        self._offered = offered

    def keeps(self, now_s: float, acked: int, offered: int) -> bool:
        """Tell whether the client keeps the pace since the last look.

        That is its time only when it has still not acknowledged what was offered then: a client that has, waits for us.
        """
        moved_bytes = acked - self._acked
        waited_s = now_s - self._looked_s if acked < self._offered else 0.0
        self._looked_s, self._acked, self._offered = now_s, acked, offered
        if moved_bytes:
            self._moved_s = now_s
        return self._pace.keeps(waited_s, moved_bytes)

    @property
    def stalled_s(self) -> float:
        """The seconds for which the client had taken nothing at the last look."""
        return self._looked_s - self._moved_s


class Arrival:
    """The body of a request on its way in."""

    def __init__(self, request: web.Request) -> None:
        self._content = request.content
        self._pace = Pace(request.app.get(MIN_BYTES_PER_S, 0))
        self._arrived_bytes = 0
        self._time = asyncio.get_running_loop().time

    async def wait(self, read: Callable[[], Awaitable[T]]) -> T:
        """Return what `read` reads. Raises TimeoutError when the client is silent, or below the minimum rate."""
        began_s = self._time()
        async with asyncio.timeout(SILENCE_S):
            found = await read()
        # Not what was read: the reader of forms hands a piece out when it has the next one.
        before_bytes, self._arrived_bytes = self._arrived_bytes, self._content.total_bytes
        if not self._pace.keeps(self._time() - began_s, self._arrived_bytes - before_bytes):
            raise TimeoutError
        return found
