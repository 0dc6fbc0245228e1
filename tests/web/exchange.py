"""One HTTP exchange over a raw socket, so that a test sees every byte of the answer."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from ssl import SSLContext

from multidict import CIMultiDict


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: CIMultiDict[str]
    body: bytes


def request_bytes(method: str = "GET", path: str = "/file", headers: dict[str, str] | None = None) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: test"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8")


async def read_head(reader: asyncio.StreamReader) -> tuple[int, CIMultiDict[str]]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("utf-8")
    status_line, *lines = head[:-4].split("\r\n")
    return int(status_line.split()[1]), CIMultiDict(line.split(": ", 1) for line in lines)


async def read_answer(reader: asyncio.StreamReader, method: str = "GET") -> Answer:
    """Read exactly one answer: the next one on the connection begins right behind it."""
    status, headers = await read_head(reader)
    has_body = method != "HEAD" and status not in (204, 304)
    body = await reader.readexactly(int(headers["Content-Length"])) if has_body else b""
    return Answer(status, headers, body)


async def exchange(
    port: int,
    method: str = "GET",
    headers: dict[str, str] | None = None,
    *,
    ssl: SSLContext | None = None,
    probe: bool = True,
) -> Answer:
    """Send one request, and a probe behind it: its answer proves that the first had the right length."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=ssl)
    try:
        writer.write(request_bytes(method, headers=headers) + (request_bytes("HEAD") if probe else b""))
        answer = await read_answer(reader, method)
        if probe:
            await read_answer(reader, "HEAD")
    finally:
        writer.close()
    return answer


def multipart_parts(answer: Answer) -> list[tuple[str, bytes]]:
    """Take a multipart/byteranges body apart, strictly: its Content-Range values and contents."""
    kind, _, boundary = answer.headers["Content-Type"].partition("; boundary=")
    assert kind == "multipart/byteranges", kind
    delimiter = b"\r\n--" + boundary.encode("ascii")
    body, position, parts = answer.body, 0, []
    while not body.startswith(delimiter + b"--\r\n", position):
        content_at = body.index(b"\r\n\r\n", position) + 4
        opening, *lines = body[position + 2 : content_at - 4].split(b"\r\n")
        assert b"\r\n" + opening == delimiter, opening
        fields = CIMultiDict(line.decode("ascii").split(": ", 1) for line in lines)
        first, _, last = fields["Content-Range"].removeprefix("bytes ").partition("/")[0].partition("-")
        position = content_at + int(last) - int(first) + 1
        parts.append((fields["Content-Range"], body[content_at:position]))
    assert body[position:] == delimiter + b"--\r\n"
    return parts
