"""Services as processes of their own on one PostgreSQL that treats them badly."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from aiohttp import ClientSession, TCPConnector

from tests.conftest import KEYS
from tests.servers.postgres import Postgres, name_of
from tests.stored import stored_id
from tests.workers.processes import Started, serving
from updater.cli.exits import Exit

CHECK = "/api/v1/updates/my-app/check?current_version=0.9.0&platform=linux&architecture=amd64"
REPORT = {
    "current_version": "1.0.0",
    "target_version": "1.1.0",
    "platform": "linux",
    "architecture": "amd64",
    "status": "completed",
}
TERMINATIONS = 20


@pytest.fixture
def url(postgres: Postgres) -> str:
    return postgres.create_migrated()


@pytest.fixture
def storage(url: str, tmp_path: Path) -> dict[str, Any]:
    return {"root": str(tmp_path / "data"), "database_url": url}


class Clients:
    """Clients that check and report without pause, and keep what they were told."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._numbers = itertools.count()
        self.checks: Counter[int] = Counter()
        self.reports: Counter[int] = Counter()
        self.acknowledged: set[str] = set()
        self.refused: set[str] = set()

    async def __aenter__(self) -> Clients:
        self._session = ClientSession(self._url)
        self._tasks = [asyncio.create_task(each()) for each in (self._check, self._check, *(self._report,) * 8)]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        outcomes = await asyncio.gather(*self._tasks, return_exceptions=True)
        assert all(isinstance(each, asyncio.CancelledError) for each in outcomes), outcomes
        # What was refused, or not answered before the end, is sent again, as a client would.
        for name in list(self.refused):
            await self.send(name)
        await self._session.close()

    async def send(self, name: str) -> None:
        self.refused.add(name)
        async with self._session.post("/api/v1/updates/my-app/status", json={**REPORT, "report_id": name}) as response:
            self.reports[response.status] += 1
            if response.status == 200:
                self.acknowledged.add(name)
                self.refused.discard(name)
            elif response.status == 503:
                assert int(response.headers["Retry-After"]) > 0

    async def _report(self) -> None:
        while True:
            await self.send(f"report-{next(self._numbers)}")
            await asyncio.sleep(0.005)

    async def _check(self) -> None:
        while True:
            async with self._session.get(CHECK) as response:
                self.checks[response.status] += 1
            await asyncio.sleep(0.002)


@pytest.mark.parametrize("workers", [1, 2])
async def test_terminated_connections_lose_nothing(
    storage: dict[str, Any], url: str, postgres: Postgres, tmp_path: Path, workers: int
) -> None:
    """A failover, or an administrator, ends all connections again and again."""
    with serving(tmp_path / "data", storage=storage, server={"workers": workers}) as started:
        await asyncio.to_thread(started.publish, b"bytes")
        async with Clients(started.url) as clients:
            ended = 0
            for _ in range(TERMINATIONS):
                await asyncio.sleep(0.25)
                ended += await asyncio.to_thread(postgres.end_connections, url)
            await asyncio.sleep(1)
        print(f"{ended} connections ended; checks {dict(clients.checks)}, reports {dict(clients.reports)}")
        assert ended >= TERMINATIONS
        assert set(clients.checks) == {200}
        assert set(clients.reports) <= {200, 503}
        assert clients.refused == set()
        assert len(clients.acknowledged) > 100
        assert started.stop() == 0
        assert not started.events("request.failed")
    kept = [row[0] for row in postgres.ask(name_of(url), "SELECT report_id FROM report")]
    assert Counter(kept) == Counter(map(stored_id, clients.acknowledged))
    ((counted,),) = postgres.ask(
        name_of(url), "SELECT sum(amount) FROM rollup WHERE measure = 'report' AND span = 'month'"
    )
    assert int(counted) == len(kept)


async def test_services_that_start_at_once_all_come_up(
    storage: dict[str, Any], postgres: Postgres, tmp_path: Path
) -> None:
    """On an empty database and an empty folder: one migrates, one makes the secret and the first key."""
    storage = {**storage, "database_url": postgres.create_database()}
    with ExitStack() as stack:
        starts = [serving(tmp_path / "data", storage=storage, access={"api_keys": []}) for _ in range(3)]
        services = await asyncio.gather(*(asyncio.to_thread(stack.enter_context, each) for each in starts))
        assert [each.process.poll() for each in services] == [None] * 3
        said = "".join(each.said() for each in services)
        (key,) = re.findall(r"admin key \(shown only now\): (\S+)", said)
        async with ClientSession(headers={"Authorization": f"Bearer {key}"}) as session:
            for each in services:
                async with asyncio.timeout(5):  # they hear of it within a second
                    while (await session.get(f"{each.url}/api/v1/applications")).status != 200:
                        await asyncio.sleep(0.05)


BEYOND_THE_POOL = 120


async def test_writes_beyond_the_connections_wait_their_turn(storage: dict[str, Any], tmp_path: Path) -> None:
    with serving(tmp_path / "data", storage=storage) as started:
        statuses = await write_at_once(started)
        assert statuses == {201: BEYOND_THE_POOL}


async def test_writes_that_wait_for_too_long_are_503(storage: dict[str, Any], url: str, tmp_path: Path) -> None:
    """Another connection holds all rows: requests that wait for a lock or a connection get an error in words."""
    with serving(tmp_path / "data", storage=storage) as started:
        await asyncio.to_thread(started.publish, b"bytes")
        connection = await asyncpg.connect(url)
        try:
            async with connection.transaction():
                await connection.execute("LOCK TABLE application, release, build, report, rollup IN EXCLUSIVE MODE")
                writing = asyncio.create_task(write_at_once(started))
                while not writing.done():
                    assert b'"update_available":true' in await asyncio.to_thread(started.call, "GET", CHECK)
                    await asyncio.sleep(0.1)
                assert await writing == {503: BEYOND_THE_POOL}
        finally:
            await connection.close()
        assert await write_at_once(started) == {201: BEYOND_THE_POOL}
        assert not started.events("request.failed")


async def write_at_once(started: Started) -> Counter[int]:
    """Make many applications at the same moment; return the answers."""
    headers = {"Authorization": f"Bearer {KEYS['write']}"}
    async with ClientSession(started.url, headers=headers, connector=TCPConnector(limit=0)) as session:

        async def make(number: int) -> int:
            given = {"id": f"app-{number}", "name": "App", "platforms": ["linux"]}
            async with session.post("/api/v1/applications", json=given) as response:
                assert response.status != 503 or int(response.headers["Retry-After"]) > 0
                return response.status

        return Counter(await asyncio.gather(*(make(number) for number in range(BEYOND_THE_POOL))))


@pytest.mark.parametrize("running", [True, False])
async def test_a_backup_is_left_to_postgresql(storage: dict[str, Any], tmp_path: Path, running: bool) -> None:
    with serving(tmp_path / "data", storage=storage) as started:
        if not running:
            assert await asyncio.to_thread(started.stop) == 0
        folder = tmp_path / "backup"
        made = await asyncio.to_thread(started.command, "backup", str(folder))
        assert (made.returncode, made.stdout) == (Exit.CONFLICT, "")
        assert made.stderr == (
            "Error: Only the embedded database is backed up; use pg_dump for PostgreSQL, and copy the stored files\n"
        )
        assert not folder.exists()
        folder.mkdir()
        restored = await asyncio.to_thread(started.command, "restore", str(folder))
        assert (restored.returncode, restored.stdout) == (Exit.CONFLICT, "")
        assert restored.stderr.count("\n") == 1
        assert "storage.database_url is set" in restored.stderr
