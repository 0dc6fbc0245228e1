"""Connections that break, and what is kept then."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import pytest

from tests.conftest import KEYS, Service
from tests.web.tus.talking import PIECE, begin, offset_of


async def cut_off(service: Service, url: str, offset: int, announced: int, *pieces: bytes, pause_s: float = 0) -> None:
    """Send a part of a piece, and close the connection."""
    parts = urlsplit(service.url)
    _, writer = await asyncio.open_connection(parts.hostname, parts.port)
    head = (
        f"PATCH {url} HTTP/1.1",
        f"Host: {parts.netloc}",
        f"Authorization: Bearer {KEYS['write']}",
        "Tus-Resumable: 1.0.0",
        f"Content-Type: {PIECE}",
        f"Upload-Offset: {offset}",
        f"Content-Length: {announced}",
    )
    writer.write("\r\n".join(head).encode() + b"\r\n\r\n")
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(pause_s)
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("size", [1, 1000, 100_000, 3_000_000])
@pytest.mark.parametrize("pause_s", [0, 0.05])
async def test_what_came_before_a_cut_is_kept(service: Service, size: int, pause_s: float) -> None:
    url = await begin(service, 10_000_000)
    await cut_off(service, url, 0, 10_000_000, b"x" * (size // 2), b"y" * (size - size // 2), pause_s=pause_s)
    assert await offset_of(service, url) == size
