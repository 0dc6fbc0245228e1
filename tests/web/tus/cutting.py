"""A relay that cuts connections after so many bytes of bodies, and counts what was sent of each upload.

It reads heads, and hands on bytes as they are; a cut ends both connections, in the middle of a body or before the
answer. The client is reset. The service gets what was on its way: after a reset its system would drop it.
"""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

_PIECE_BYTES = 64 * 1024
_OFFSET = re.compile(rb"^upload-offset: *([0-9]+)\r?$", re.IGNORECASE | re.MULTILINE)
_LENGTH = re.compile(rb"^content-length: *([0-9]+)\r?$", re.IGNORECASE | re.MULTILINE)


@dataclass
class CuttingRelay:
    """Where it listens; `next_cut` says after how many further bytes of bodies it cuts, None: never again."""

    url: str
    upstream: str
    next_cut: Callable[[], int | None]
    cuts: int = 0
    # Of each PATCH: where it began, and how many bytes of its body were handed on.
    sent: list[tuple[int, int]] = field(default_factory=list)
    _left: int | None = None

    def arm(self) -> None:
        """Choose the next cut."""
        self._left = self.next_cut()

    @property
    def sent_bytes(self) -> int:
        """Return how many bytes of pieces went through."""
        return sum(size for _, size in self.sent)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, port = urlsplit(self.upstream).hostname or "", urlsplit(self.upstream).port or 80
        try:
            away = await asyncio.open_connection(host, port)
        except OSError:
            _reset(writer)
            return
        back = asyncio.ensure_future(_pump(away[0], writer))
        try:
            while await self._hand_on(reader, away[1]):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            away[1].close()
            _reset(writer)
            back.cancel()
            await asyncio.gather(back, return_exceptions=True)

    async def _hand_on(self, reader: asyncio.StreamReader, away: asyncio.StreamWriter) -> bool:
        """Hand on one request; tell whether the connection lives on."""
        head = await reader.readuntil(b"\r\n\r\n")
        away.write(head)
        found, announced = _OFFSET.search(head), _LENGTH.search(head)
        is_piece = head.startswith(b"PATCH") and found is not None
        place = len(self.sent)
        if is_piece and found is not None:
            self.sent.append((int(found[1]), 0))
        left = int(announced[1]) if announced else 0
        while left:
            wanted = min(left, _PIECE_BYTES)
            if is_piece and self._left is not None:
                if self._left == 0:
                    await away.drain()
                    self.cuts += 1
                    self.arm()
                    return False
                wanted = min(wanted, self._left)
            piece = await reader.read(wanted)
            if not piece:
                return False
            away.write(piece)
            await away.drain()
            left -= len(piece)
            if is_piece:
                self.sent[place] = (self.sent[place][0], self.sent[place][1] + len(piece))
                if self._left is not None:
                    self._left -= len(piece)
        if is_piece and self._left == 0:  # all of it went through: its answer is lost
            self.cuts += 1
            self.arm()
            await asyncio.sleep(0.02)
            return False
        return True


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while piece := await reader.read(_PIECE_BYTES):
            writer.write(piece)
            await writer.drain()
    writer.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    if sock is not None and sock.fileno() >= 0:
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@asynccontextmanager
async def cutting(upstream: str, next_cut: Callable[[], int | None]) -> AsyncIterator[CuttingRelay]:
    """Relay to the service at `upstream` for the block; `relay.upstream` may change meanwhile."""
    relay = CuttingRelay("", upstream, next_cut)
    relay.arm()
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            with suppress(asyncio.CancelledError):  # at the end of the block; the server's callback asks how it ended
                await relay.serve(reader, writer)
        finally:
            tasks.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=128 * 1024)
    relay.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield relay
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
