"""Requests as bytes, for what no client library would send."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import orjson


@dataclass(frozen=True)
class RawAnswer:
    """One answer, split but not interpreted."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


def request(
    method: str, path: str | bytes, *lines: str | bytes, body: bytes = b"", host: bytes = b"localhost"
) -> bytes:
    """Return one request that closes its connection; a body gets a Content-Length unless a line frames it."""
    head = [method.encode() + b" " + (path if isinstance(path, bytes) else path.encode()) + b" HTTP/1.1"]
    head += [b"Host: " + host, b"Connection: close"]
    head += [line if isinstance(line, bytes) else line.encode() for line in lines]
    framed = any(line.lower().startswith((b"content-length", b"transfer-encoding")) for line in head)
    if body and not framed:
        head.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(head) + b"\r\n\r\n" + body


async def send(url: str, pieces: bytes | Iterable[bytes], *, timeout_s: float = 20.0) -> RawAnswer:
    """Send the pieces and return the last answer (what is behind a 100 Continue)."""
    port = int(url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(timeout_s):
            try:
                for piece in [pieces] if isinstance(pieces, bytes) else pieces:
                    writer.write(piece)
                    await writer.drain()
            except ConnectionError:
                pass
            data = b""
            try:
                while not _complete(data) and (block := await reader.read(65536)):
                    data += block
            except ConnectionError:
                pass
    finally:
        writer.transport.abort()
    return parse(data)


def _complete(data: bytes) -> bool:
    answer = parse(data) if b"\r\n\r\n" in data else RawAnswer(0)
    return answer.status != 0 and len(answer.body) >= int(answer.headers.get("content-length", 1 << 62))


def parse(data: bytes) -> RawAnswer:
    """Split an answer; status 0 when there was none."""
    if b"\r\n\r\n" not in data:
        return RawAnswer(0)
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    status = int(first.split(" ")[1])
    if status == 100:
        return parse(body)
    headers = dict(line.split(": ", 1) for line in lines if ": " in line)
    return RawAnswer(status, {name.lower(): value for name, value in headers.items()}, body)
