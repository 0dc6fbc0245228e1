"""Sockets that systemd opened outlive a service, so that its restart refuses no connection."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.workers.load import Load, download
from tests.workers.processes import serving

CHECK = "/api/v1/updates/my-app/check?current_version=0.9.0&platform=linux&architecture=amd64"


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as opened:
        yield opened


@pytest.mark.timeout(300)
async def test_a_service_alone_is_restarted_and_refuses_nobody(
    tmp_path: Path, listening: socket.socket, database_url: str | None
) -> None:
    root, descriptor = tmp_path / "data", listening.fileno()
    storage = {"root": str(root), "database_url": database_url}
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    with serving(root, listening=descriptor, storage=storage) as first:
        assert first.url == url
        path = await asyncio.to_thread(first.publish, b"bytes")
        load = Load(url, CHECK)
        async with load:
            await load.until(300)
            assert await asyncio.to_thread(first.stop) == 0
            early = asyncio.create_task(download(url, path, "", took_s=0.1))
            await asyncio.sleep(0.5)
            assert not early.done(), "it waits for the next service instead of being refused"
            with serving(root, listening=descriptor, storage=storage):
                await load.until(load.answered + 300)
                assert "status 200" in str(await early)
                await load.__aexit__()
            assert load.failures == {}


def test_sockets_for_another_process_are_left_alone(tmp_path: Path, listening: socket.socket) -> None:
    with serving(tmp_path / "data", words=()) as started:
        assert started.url != f"http://127.0.0.1:{listening.getsockname()[1]}"
