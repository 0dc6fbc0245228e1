"""A relay between a client and the service, which writes down each request and counts the bytes of its answer.

It hands on the bytes as they are. Since it keeps the client's `Host`, the addresses in answers lead back to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

_LONGEST_HEAD_BYTES = 128 * 1024
_PIECE_BYTES = 256 * 1024


@dataclass
class Asked:
    """One request, and what came back. Names of headers are in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    status: int = 0
    answer: dict[str, str] = field(default_factory=dict)
    sent_bytes: int = 0

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]


@dataclass
class Relay:
    """Where the relay listens (`http://127.0.0.1:port`), and what went through it, in order."""

    url: str
    asked: list[Asked] = field(default_factory=list)

    def of(self, part: str) -> list[Asked]:
        """Return the requests whose path holds this text."""
        return [each for each in self.asked if part in each.path]

    def sent_bytes(self, part: str = "") -> int:
        """Return how many bytes of bodies went out for paths that hold this text."""
        return sum(each.sent_bytes for each in self.of(part))


@asynccontextmanager
async def running_relay(upstream: str) -> AsyncIterator[Relay]:
    """Relay to the service at `upstream` for the block."""
    host, port = urlsplit(upstream).hostname or "", urlsplit(upstream).port or 80
    relay = Relay("")
    connections: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        away = await asyncio.open_connection(host, port, limit=_LONGEST_HEAD_BYTES)
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                while await _exchange(relay, (reader, writer), away):
                    pass
        finally:
            connections.discard(task)
            for each in (writer, away[1]):
                each.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=_LONGEST_HEAD_BYTES)
    relay.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield relay
        left = tuple(connections)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)


Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _exchange(relay: Relay, here: Stream, away: Stream) -> bool:
    """Hand on one request and its answer; tell whether the connection lives on."""
    head = await here[0].readuntil(b"\r\n\r\n")
    first, headers = _parse(head)
    method, target, protocol = first.split(" ")
    asked = Asked(method, target, headers)
    relay.asked.append(asked)
    away[1].write(head)
    answer = await away[0].readuntil(b"\r\n\r\n")
    first, asked.answer = _parse(answer)
    asked.status = int(first.split(" ")[1])
    here[1].write(answer)
    bodiless = method == "HEAD" or asked.status in (204, 304)
    left = 0 if bodiless else int(asked.answer["content-length"])
    while left:
        piece = await away[0].read(min(left, _PIECE_BYTES))
        if not piece:
            raise ConnectionError("the service ended early")
        left -= len(piece)
        asked.sent_bytes += len(piece)
        here[1].write(piece)
        await here[1].drain()
    said = asked.answer.get("connection", "").lower()
    return said == "keep-alive" if protocol == "HTTP/1.0" else said != "close"


def _parse(head: bytes) -> tuple[str, dict[str, str]]:
    first, *lines = head.decode("latin-1").rstrip().split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return first, {name.lower(): value.strip() for name, _, value in pairs}
