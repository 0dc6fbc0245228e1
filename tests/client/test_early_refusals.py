"""An upload that is refused while its body is still being sent: the words arrive, and no connection stays."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import LINUX
from updater_client import NewBuild, RetryPolicy, UpdateClient, UpdateError
from updater_client.upload import _FilePart

REFUSAL = b'{"message": "too large", "code": "BAD_REQUEST"}'


@pytest.mark.parametrize("connection", [b"close", b"keep-alive"])
async def test_the_words_of_an_early_refusal_arrive_and_the_connection_ends(
    tmp_path: Path, connection: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "app.bin"
    path.write_bytes(b"x" * 12_000_000)

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = b"HTTP/1.1 413 X\r\nContent-Type: application/json\r\nConnection: %s\r\nContent-Length: %d\r\n\r\n"
        writer.write(head % (connection, len(REFUSAL)) + REFUSAL)
        await writer.drain()
        await left.wait()
        writer.transport.abort()

    left = asyncio.Event()
    used: list[asyncio.BaseTransport] = []
    write = _FilePart.write

    async def seen(self: _FilePart, writer: Any) -> None:
        used.append(writer.transport)
        await write(self, writer)

    monkeypatch.setattr(_FilePart, "write", seen)
    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        async with UpdateClient(f"http://127.0.0.1:{port}", "key", retry=RetryPolicy(attempts=1)) as client:
            with pytest.raises(UpdateError, match="too large") as caught:
                await client.publish("a", NewBuild(path, "1.0.0", LINUX))
        await asyncio.sleep(0.1)
        assert caught.value.status == 413
        assert [each.get_extra_info("socket").fileno() for each in used] == [-1]
        left.set()
