"""Small bodies on their way in: how large, how slow, and which of them give way when too much is under way.

Uploads are not small, and have their own bounds (`updater.web.transfer.uploads`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from updater.errors import TooLarge
from updater.web.messages.pace import Arrival


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """What a body may be: its bytes, and the seconds from its first to its last one (None: it only has to keep pace).

    `gives_way`: anybody may send it, so the oldest one under way goes when there is no room for others.
    """

    max_bytes: int
    deadline_s: float | None
    gives_way: bool


ANYBODY: Final = BodyLimits(64 << 10, 10.0, gives_way=True)
"""Of routes that ask for no credential."""
FORM: Final = BodyLimits(16 << 10, 10.0, gives_way=True)
"""Of the forms of our pages: room for a name and for the longest password, in characters that are percent-encoded."""
KNOWN: Final = BodyLimits(1 << 20, None, gives_way=False)
"""Of all other routes."""


class PendingBodies:
    """The bodies of strangers that have not come whole, the oldest first, and their bytes so far.

    Together they take at most `most_bytes`: whoever comes after that ends the oldest. Most bodies come with their head,
    and are never here.
    """

    def __init__(self, most_bytes: int = 2 << 20) -> None:
        self._most_bytes = most_bytes
        self._bodies: dict[RequestHandler, _Pending] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._bodies)

    def __contains__(self, connection: RequestHandler) -> bool:
        return connection in self._bodies

    def __iter__(self) -> Iterator[RequestHandler]:
        return iter(self._bodies)

    @property
    def size_bytes(self) -> int:
        """Return the bytes that have come of all of them."""
        return self._bytes

    @contextlib.contextmanager
    def holding(self, connection: RequestHandler, timeout: asyncio.Timeout) -> Iterator[None]:
        """Count a body of this connection for the block; its `timeout` is made to run out when it has to go."""
        self._bodies[connection] = _Pending(timeout)
        try:
            yield
        finally:
            self._bytes -= self._bodies.pop(connection).size_bytes

    def grow(self, connection: RequestHandler, piece_bytes: int) -> None:
        """Count bytes that came, and make room for them."""
        self._bodies[connection].size_bytes += piece_bytes
        self._bytes += piece_bytes
        over_bytes = self._bytes - self._most_bytes
        for oldest in self._bodies.values():
            if over_bytes <= 0:
                break
            if not oldest.timeout.expired():
                # Its bytes go when its task has noticed, in the next turn of the loop.
                oldest.timeout.reschedule(asyncio.get_running_loop().time())
            over_bytes -= oldest.size_bytes


@dataclass(slots=True)
class _Pending:
    timeout: asyncio.Timeout
    size_bytes: int = 0


PENDING_BODIES: Final = web.AppKey("pending_bodies", PendingBodies)


async def read_body(request: web.Request, limits: BodyLimits) -> bytes:
    """Return a body within the limits.

    Raises:
        TooLarge: by its Content-Length, before a byte is read; or by what came. TimeoutError: it comes too slowly, or
        gave way. Whatever aiohttp raises for a body that breaks off.
    """
    if (request.content_length or 0) > limits.max_bytes:
        raise _too_large(limits)
    content, pieces, size_bytes = request.content, [], 0
    if content.is_eof():  # most bodies come with their head, and then there is nothing to wait for
        pieces.append(content.read_nowait())
        size_bytes = len(pieces[0])
    else:
        arrival, pending = Arrival(request), request.app.get(PENDING_BODIES) if limits.gives_way else None
        async with asyncio.timeout(limits.deadline_s) as timeout:
            with contextlib.nullcontext() if pending is None else pending.holding(request.protocol, timeout):
                while size_bytes <= limits.max_bytes and (piece := await arrival.wait(content.readany)):
                    pieces.append(piece)
                    size_bytes += len(piece)
                    if pending is not None:
                        pending.grow(request.protocol, len(piece))
    if size_bytes > limits.max_bytes:
        raise _too_large(limits)
    return b"".join(pieces)


def _too_large(limits: BodyLimits) -> TooLarge:
    return TooLarge(f"The request body is larger than {limits.max_bytes} bytes")
