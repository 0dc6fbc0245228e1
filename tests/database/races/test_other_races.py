"""What else two processes do at once: start, sign in, take leases, announce; each test is red without its lock."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import text

import updater.database.postgres as postgres
from tests.actors import TESTER
from tests.database.races.conftest import (
    NOW,
    PASSWORD,
    SECRET,
    Processes,
)
from tests.database.races.interleaving import Interleaving
from updater.access.keys import load_secret
from updater.access.service import AccessService
from updater.catalog.service import CatalogService
from updater.database.changes import ChangeWatcher
from updater.database.engine import Database
from updater.database.leases import Leases
from updater.database.opening import open_database
from updater.database.schema import _MIGRATION_LOCK
from updater.deployments.model import Transition, Update, UpdateStatus
from updater.errors import Conflict, Unauthenticated
from updater.settings import AccessSettings


async def test_a_change_that_was_late_is_not_missed(
    processes: Processes, meet: Interleaving, url: str, tmp_path: Path
) -> None:
    """One process announces and has not committed; another one announces, commits, and is heard of."""
    one, two = (each.catalog for each in processes)
    await one.create_application("late", name="", platforms=("linux",), extra={}, actor=TESTER)
    heard: set[str] = set()

    async def hear(topics: set[str]) -> None:
        heard.update(topics)

    async with open_database(url, tmp_path) as database:
        database.subscribe(hear)
        await _watch_both(database, url, meet, one, two, heard)


async def _watch_both(
    database: Database, url: str, meet: Interleaving, one: CatalogService, two: CatalogService, heard: set[str]
) -> None:
    watcher = ChangeWatcher(database, url)
    await watcher.start()
    watching = asyncio.create_task(watcher.run())

    async def other() -> None:
        await two.update_application("my-app", {"name": "new"}, actor=TESTER)
        async with asyncio.timeout(5):
            while not heard:
                await asyncio.sleep(0.01)

    await meet.run(
        one.update_application("late", {"name": "new"}, actor=TESTER), before="SELECT pg_notify", second=other()
    )
    async with asyncio.timeout(5):
        while heard != {"late", "my-app"}:
            await asyncio.sleep(0.01)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


async def test_a_lease_is_taken_by_one_of_two(processes: Processes, meet: Interleaving) -> None:
    leases = [Leases(each.database, name) for each, name in zip(processes, "ab", strict=True)]

    async def take() -> bool:
        async with processes[0].database.write() as connection:
            await connection.execute(text("SELECT 'before'"))
        return await leases[0].take("work", for_s=60)

    taken = await meet.run(take(), before="SELECT 'before'", second=leases[1].take("work", for_s=60))
    assert taken == [False, True]


async def test_an_update_of_a_deployment_is_begun_once(processes: Processes, meet: Interleaving) -> None:
    one, two = (each.deployments for each in processes)
    made = await one.insert(Update(0, "web", "1", "One", "", UpdateStatus.PENDING, True, NOW, NOW), TESTER)
    outcomes = await meet.run(
        one.transition(made.id, Transition.APPLY, NOW, TESTER, run="first"),
        before="UPDATE deployment_update",
        second=two.transition(made.id, Transition.APPLY, NOW, TESTER, run="second"),
    )
    assert [type(each) for each in outcomes] == [Update, Conflict]
    assert (await one.get(made.id)).run == "first"


@pytest.mark.parametrize("how", ["password", "disable"])
@pytest.mark.parametrize("order", ["sign in first", "end sessions first"])
async def test_nobody_slips_in_while_all_sessions_are_ended(
    processes: Processes, meet: Interleaving, how: str, order: str
) -> None:
    one, two = (each.people for each in processes)
    await one.create_user("anna", "user", PASSWORD, actor=TESTER)
    change: dict[str, Any] = {"password": {"password": "another long password"}, "disable": {"disabled": True}}[how]
    ends = processes[1].accounts.change_user("anna", **change, actor=TESTER)
    if order == "sign in first":
        opened, _ = await meet.run(one.sign_in("anna", PASSWORD), before="INSERT INTO session", second=ends)
        assert await two.find_session(opened[0]) is None
    else:
        _, refused = await meet.run(ends, before="DELETE FROM session", second=one.sign_in("anna", PASSWORD))
        assert isinstance(refused, Unauthenticated)


async def test_a_first_key_is_made_once(processes: Processes, meet: Interleaving) -> None:
    one, two = (
        AccessService(each.keys, AccessSettings(), each.database, each.audit, secret=SECRET) for each in processes
    )
    texts = await meet.run(one.create_first_key(), before="INSERT INTO api_key", second=two.create_first_key())
    assert [type(each) for each in texts] == [str, type(None)]
    assert len(await one.list_keys()) == 1


async def test_many_processes_start_at_once_on_an_empty_database(empty_url: str, tmp_path: Path) -> None:
    async def start() -> None:
        async with open_database(empty_url, tmp_path) as database:
            await database.ping()

    await asyncio.gather(*(start() for _ in range(4)))


async def test_a_start_waits_for_a_migration_however_long_it_takes(
    empty_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not only as long as a request waits for a lock, or for an answer."""
    monkeypatch.setattr(postgres, "LOCK_TIMEOUT_MS", 100)
    migrating = await asyncpg.connect(empty_url)
    await migrating.execute("SELECT pg_advisory_lock($1)", _MIGRATION_LOCK)

    async def start() -> None:
        async with open_database(empty_url, tmp_path) as database:
            await database.ping()

    starting = asyncio.create_task(start())
    await asyncio.sleep(1)
    assert not starting.done()
    await migrating.close()
    await starting


def test_a_secret_is_made_once(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        for number in range(40):
            path, together = tmp_path / str(number) / "secret", threading.Barrier(8)
            path.parent.mkdir()

            def load(path: Path = path, together: threading.Barrier = together) -> bytes:
                together.wait()
                return load_secret(path)

            assert len(set(threads.map(lambda _, load=load: load(), range(8)))) == 1
            assert [each.name for each in path.parent.iterdir()] == ["secret"]
