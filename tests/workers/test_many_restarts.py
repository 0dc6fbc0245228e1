"""Rolling restarts one after the other while clients check, report, upload and download: none is refused or cut.

The short form is `test_workers`: one restart, with checks and downloads.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientError, ClientSession, TCPConnector

from tests.conftest import KEYS
from tests.servers.postgres import Postgres
from tests.workers.load import Load, download
from tests.workers.processes import Started, serving, wait_until

pytestmark = pytest.mark.long
CHECKING = 2  # few clients: a worker that starts needs the processor, too
RESTARTS = int(os.environ.get("RESTARTS", "100"))
PATIENCE_S = 600
UPDATES = "/api/v1/updates/my-app"
CHECK = f"{UPDATES}/check?current_version=0.9.0&platform=linux&architecture=amd64"
Start = Callable[..., AbstractContextManager[Started]]


@pytest.fixture
def start(tmp_path: Path, postgres: Postgres) -> Start:
    url = postgres.create_migrated()

    def workers(**server: Any) -> AbstractContextManager[Started]:
        storage = {"root": str(tmp_path / "data"), "database_url": url}
        return serving(tmp_path / "data", storage=storage, server={"workers": 2, **server})

    return workers


@dataclass
class Writers:
    """Clients that publish and report, each on a new connection, and forgive nothing."""

    url: str
    uploaded: dict[str, str] = field(default_factory=dict)  # acknowledged: digest by version
    reported: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    _asked: int = 0

    async def __aenter__(self) -> Writers:
        self._stopping = False
        # A kept connection that the other side has closed would be tried again unasked.
        self._session = ClientSession(
            self.url,
            connector=TCPConnector(force_close=True),
            headers={"Authorization": f"Bearer {KEYS['write']}"},
        )
        self._tasks = [asyncio.create_task(self._repeat(each)) for each in (self.upload, self.upload, self.report)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stopping = True
        await asyncio.gather(*self._tasks)
        await self._session.close()

    async def _repeat(self, move: Callable[[int], Any]) -> None:
        while not self._stopping:
            self._asked += 1
            try:
                await move(self._asked)
            except (ClientError, OSError, TimeoutError) as error:
                self.failures[f"{move.__name__}: {type(error).__name__}: {error}"] += 1
            await asyncio.sleep(0.2)

    async def upload(self, number: int) -> None:
        """Publish a build whose bytes come slowly, so that a restart finds it half way."""
        content, version = random.Random(number).randbytes(100_000), f"1.0.{number}"

        async def body() -> AsyncIterator[bytes]:
            for begin in range(0, len(content), 10_000):
                yield content[begin : begin + 10_000]
                await asyncio.sleep(0.03)

        path = f"{UPDATES}/builds/{version}/linux/amd64"
        async with self._session.put(path, data=body()) as response:
            if response.status == 201:
                self.uploaded[version] = hashlib.sha256(content).hexdigest()
            else:
                self.failures[f"upload: {response.status} {await response.text()}"] += 1

    async def report(self, number: int) -> None:
        body = {"current_version": "0.9.0", "target_version": "1.0.0", "platform": "linux", "architecture": "amd64"}
        body |= {"status": "completed", "report_id": f"r-{number}"}
        async with self._session.post(f"{UPDATES}/status", json=body) as response:
            if response.status == 200:
                self.reported += 1
            else:
                self.failures[f"report: {response.status} {await response.text()}"] += 1


async def restart_once(parent: Started, load: Load, writers: Writers, path: str, digest: str) -> None:
    """Restart while a download goes on; it and the clients go on after it."""
    before, answered, uploaded, hurry = (
        len(parent.events("worker.replaced")),
        load.answered,
        len(writers.uploaded),
        asyncio.Event(),
    )
    slow = asyncio.create_task(download(parent.url, path, digest, took_s=1_000, hurry=hurry))
    parent.process.send_signal(signal.SIGHUP)
    replaced = lambda: len(parent.events("worker.replaced")) == before + 2  # noqa: E731
    await asyncio.to_thread(wait_until, replaced, "the restart", PATIENCE_S)
    await load.until(answered + 50)
    assert not slow.done()
    hurry.set()
    assert await slow is None
    await asyncio.to_thread(wait_until, lambda: len(writers.uploaded) > uploaded, "an upload", PATIENCE_S)


@pytest.mark.timeout(7_200)
async def test_restarts_one_after_the_other(start: Start) -> None:
    content = random.Random(1).randbytes(5 << 20)
    digest = hashlib.sha256(content).hexdigest()
    with start(drain_s=60) as parent:
        path = await asyncio.to_thread(parent.publish, content)
        async with Load(parent.url, CHECK, clients=CHECKING) as load, Writers(parent.url) as writers:
            for number in range(1, RESTARTS + 1):
                await restart_once(parent, load, writers, path, digest)
                assert (load.failures, writers.failures) == ({}, {}), f"restart {number}"
        assert (load.failures, writers.failures) == ({}, {})
        for version, sent in writers.uploaded.items():
            assert await download(parent.url, f"{UPDATES}/download/{version}/linux/amd64", sent, took_s=0) is None
        print(
            f"{RESTARTS} restarts of 2 workers: {load.answered} checks, {writers.reported} reports, "
            f"{len(writers.uploaded)} uploads and {RESTARTS} downloads, none failed"
        )


async def test_without_draining_uploads_are_lost(start: Start) -> None:
    """The control: workers that are killed take uploads with them."""
    with start() as parent:
        await asyncio.to_thread(parent.publish, b"bytes")
        async with Writers(parent.url) as writers:
            await asyncio.to_thread(wait_until, lambda: len(writers.uploaded) >= 3, "uploads")
            for pid in parent.workers().values():
                os.kill(pid, signal.SIGKILL)
            await asyncio.to_thread(wait_until, lambda: writers.failures, "a failure")
        print(writers.failures)
        assert any(each.startswith("upload") for each in writers.failures)
