"""A TCP proxy between a client and a real server that spoils chosen connections."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class CutAnswer:
    """Reset the connection after so many bytes of the answer."""

    after_bytes: int


@dataclass(frozen=True)
class CutRequest:
    """Reset the connection after so many bytes of the request."""

    after_bytes: int


@dataclass(frozen=True)
class LoseAnswer:
    """Hand the whole request over, wait for the answer, and reset instead of passing it on."""


@dataclass(frozen=True)
class Refuse:
    """Answer in the server's place, as a proxy does."""

    status: int
    headers: tuple[str, ...] = ()


@dataclass(frozen=True)
class EndAnswer:
    """Close the connection in good order after so many bytes of the answer: a truncated body."""

    after_bytes: int


@dataclass(frozen=True)
class Swallow:
    """Take whatever comes and never answer."""


@dataclass(frozen=True)
class Delay:
    """Pass everything on, late."""

    seconds: float


@dataclass(frozen=True)
class Throttle:
    """Pass everything on, but the request at no more than this rate."""

    bytes_per_s: int


Fault = CutAnswer | CutRequest | LoseAnswer | Refuse | EndAnswer | Swallow | Delay | Throttle


class FaultProxy:
    """Each new connection takes the next fault; with none left the `standing` one, and without it none."""

    def __init__(self, port: int, faults: Iterable[Fault] = ()) -> None:
        self._upstream = port
        self.faults: deque[Fault] = deque(faults)
        self.standing: Fault | None = None
        self.connections = 0
        self._tasks: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def __aenter__(self) -> FaultProxy:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        # Source: asyncio.selector_events, what was accepted becomes a connection within two turns of the loop.
        for _ in range(3):
            await asyncio.sleep(0)
        self.drop_all()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def drop_all(self) -> None:
        """End the connections that are open, such as those that wait in a pool for their next request."""
        for task in list(self._tasks):
            task.cancel()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection, and end it also when it is dropped before serving began."""
        self.connections += 1
        fault = self.faults.popleft() if self.faults else self.standing
        task = asyncio.create_task(self._serve_quietly(reader, writer, fault))
        self._tasks[task] = writer
        task.add_done_callback(lambda ended: self._tasks.pop(ended).transport.abort())

    async def _serve_quietly(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, fault: Fault | None
    ) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await self._serve(reader, writer, fault)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, fault: Fault | None) -> None:
        if isinstance(fault, Refuse):
            await reader.readuntil(b"\r\n\r\n")
            lines = [f"HTTP/1.1 {fault.status} No", "Content-Length: 0", "Connection: close", *fault.headers]
            writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
            await writer.drain()
            writer.write_eof()
            await asyncio.sleep(0.2)
            return
        if isinstance(fault, Swallow):
            while await reader.read(65536):
                pass
            return
        if isinstance(fault, Delay):
            await asyncio.sleep(fault.seconds)
        back, forth = await asyncio.open_connection("127.0.0.1", self._upstream)
        try:
            await self._pass_on((reader, forth), (back, writer), fault)
        finally:
            forth.transport.abort()
        if isinstance(fault, EndAnswer):
            writer.close()
            await writer.wait_closed()
        elif fault is not None and not isinstance(fault, Delay | Throttle):
            _reset(writer)

    async def _pass_on(
        self,
        up: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        down: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        fault: Fault | None,
    ) -> None:
        if isinstance(fault, LoseAnswer):
            upload = asyncio.create_task(_copy(*up))
            await down[0].readuntil(b"\r\n\r\n")
            upload.cancel()
            return
        limits = {CutRequest: (0, None), CutAnswer: (None, 0), EndAnswer: (None, 0)}.get(type(fault), (None, None))
        after = getattr(fault, "after_bytes", 0)
        rate = fault.bytes_per_s if isinstance(fault, Throttle) else None
        copies = [
            asyncio.create_task(_copy(*pair, None if limit is None else after, rate if pair is up else None))
            for pair, limit in zip((up, down), limits, strict=True)
        ]
        try:
            await asyncio.wait(copies, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for copy in copies:
                copy.cancel()
            await asyncio.gather(*copies, return_exceptions=True)


async def _copy(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    limit_bytes: int | None = None,
    bytes_per_s: int | None = None,
) -> None:
    passed = 0
    while limit_bytes is None or passed < limit_bytes:
        wanted = 65536 if limit_bytes is None else min(65536, limit_bytes - passed)
        block = await reader.read(wanted)
        if not block:
            return
        writer.write(block)
        await writer.drain()
        passed += len(block)
        if bytes_per_s is not None:
            await asyncio.sleep(len(block) / bytes_per_s)


def _reset(writer: asyncio.StreamWriter) -> None:
    """Leave with RST instead of FIN."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
