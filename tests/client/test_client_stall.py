"""A server that goes silent ends an attempt instead of holding the application for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import updater_client.releases as releases
from tests.conftest import LINUX
from updater_client import Build, NewBuild, RetryPolicy, Unreachable, UpdateClient, upload

ONCE = RetryPolicy(attempts=1)


@pytest.fixture
async def silent() -> AsyncIterator[str]:
    """Take connections, read nothing, say nothing."""

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        held.append(writer)

    held: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    for writer in held:
        writer.transport.abort()
    server.close()


async def test_an_upload_that_nobody_reads_ends(silent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "STALL_S", 0.3)
    monkeypatch.setattr(releases, "RESUMES_FROM_BYTES", 1 << 40)  # as one body
    path = tmp_path / "large.bin"
    path.write_bytes(bytes(64 * 1024 * 1024))
    async with UpdateClient(silent, "key", retry=ONCE) as client:
        with pytest.raises(Unreachable, match="timed out"):
            await asyncio.wait_for(client.publish("my-app", NewBuild(path, "1.0.0", LINUX)), 10)


async def test_an_answer_that_never_comes_ends(silent: str, tmp_path: Path) -> None:
    async with UpdateClient(silent, retry=ONCE, timeout_s=0.3) as client:
        with pytest.raises(Unreachable, match="timed out"):
            await asyncio.wait_for(client.check("my-app", "1.0.0", LINUX), 10)
        release = Build("1.0.0", LINUX, f"{silent}/file", "00" * 32, "sha256")
        with pytest.raises(Unreachable, match="timed out"):
            await asyncio.wait_for(client.fetch(release, tmp_path / "got"), 10)
