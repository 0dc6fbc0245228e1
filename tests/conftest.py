from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp.test_utils import TestServer

from tests.standin import KEY, StandIn
from updater.client import Machine, NewApplication, NewBuild, RetryPolicy, UpdateClient

LINUX = Machine("linux", "amd64")
QUICK = RetryPolicy(attempts=4, first_delay_s=0.01, longest_delay_s=0.02)


@dataclass(frozen=True)
class Running:
    url: str
    port: int
    key: str


@pytest.fixture
async def server() -> AsyncIterator[Running]:
    async with TestServer(StandIn().build()) as running:
        assert running.port
        yield Running(f"http://127.0.0.1:{running.port}", running.port, KEY)


@pytest.fixture
async def client(server: Running) -> AsyncIterator[UpdateClient]:
    async with UpdateClient(server.url, server.key, retry=QUICK) as client:
        await client.create_application(NewApplication("my-app", "My App"))
        yield client


@pytest.fixture
def build(tmp_path: Path) -> NewBuild:
    """Five MB without a period, so that bytes put in the wrong place are noticed."""
    path = tmp_path / "my-app.bin"
    path.write_bytes(b"".join(n.to_bytes(4) for n in range(1_250_000)))
    return NewBuild(path, "1.1.0", LINUX, release_notes="Schneller.\n" * 3000, metadata={"commit": "ab12"})
