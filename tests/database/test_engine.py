"""The database under pressure: locked, busy, cancelled."""

from __future__ import annotations

import asyncio
import gc
import os
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, closing
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import text

import updater.database.postgres as postgres
import updater.database.sqlite as sqlite
from tests.conftest import Service, StartService
from updater.database.copies import copy_database, find_damage
from updater.database.engine import Database
from updater.database.opening import open_database
from updater.database.uses import read_uses
from updater.errors import StorageFull, Unavailable

REPORT = {
    "current_version": "1.0.0",
    "target_version": "1.1.0",
    "platform": "linux",
    "architecture": "amd64",
    "status": "completed",
}


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_MS", 200)
    monkeypatch.setattr(postgres, "LOCK_TIMEOUT_MS", 200)
    for engine in (sqlite, postgres):
        monkeypatch.setattr(engine, "POOL_TIMEOUT_S", 0.5)


@asynccontextmanager
async def notes(url: str | None, folder: Path) -> AsyncIterator[Database]:
    async with open_database(url, folder) as opened:
        async with opened.write() as connection:
            await connection.execute(text("CREATE TABLE note (number INTEGER)"))
        yield opened


@pytest.fixture
async def database(database_url: str | None, tmp_path: Path) -> AsyncIterator[Database]:
    async with notes(database_url, tmp_path) as opened:
        yield opened


@pytest.fixture
async def impatient_database(impatient: None, database_url: str | None, tmp_path: Path) -> AsyncIterator[Database]:
    async with notes(database_url, tmp_path) as opened:
        yield opened


Locked = Callable[..., AbstractAsyncContextManager[None]]


@pytest.fixture
def locked(database_url: str | None, tmp_path: Path) -> Locked:
    """Return a block in which no other connection can write, as if another process held the lock for ever."""

    @asynccontextmanager
    async def lock(folder: Path = tmp_path) -> AsyncIterator[None]:
        if database_url is None:
            with closing(sqlite3.connect(folder / "updater.db", isolation_level=None)) as holder:
                holder.execute("BEGIN EXCLUSIVE")
                yield
            return
        connection = await asyncpg.connect(database_url)
        try:
            tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
            async with connection.transaction():
                await connection.execute(f"LOCK TABLE {', '.join(row[0] for row in tables)} IN EXCLUSIVE MODE")
                yield
        finally:
            await connection.close()

    return lock


async def note(database: Database, number: int = 1) -> None:
    async with database.write() as connection:
        await connection.execute(text("INSERT INTO note VALUES (:number)"), {"number": number})


async def count(database: Database) -> int:
    async with database.read() as connection:
        return int(await connection.scalar(text("SELECT count(*) FROM note")) or 0)


async def test_a_lock_makes_writers_fail_in_time_and_readers_go_on(
    impatient_database: Database, locked: Locked
) -> None:
    database = impatient_database
    async with locked():
        began_s = time.monotonic()
        outcomes = await asyncio.gather(*(note(database) for _ in range(60)), return_exceptions=True)
        assert {type(each) for each in outcomes} == {Unavailable}
        assert time.monotonic() - began_s < 6, "their waits do not add up: that would be 12 s"
        assert await count(database) == 0
    await note(database)
    assert await count(database) == 1


async def test_a_lock_that_ends_in_time_is_waited_for(database: Database, locked: Locked) -> None:
    async with locked():
        writing = asyncio.create_task(note(database))
        await asyncio.sleep(0.05)
    await writing
    assert await count(database) == 1


async def test_a_lock_does_not_stop_the_event_loop(impatient_database: Database, locked: Locked) -> None:
    async with locked():
        writing = asyncio.gather(*(note(impatient_database) for _ in range(3)), return_exceptions=True)
        turns = 0
        while not writing.done():
            await asyncio.sleep(0.005)
            turns += 1
    assert turns > 10, "the loop went on while the writers waited"


@pytest.mark.sqlite("one writer at a time, whatever it reads; PostgreSQL: tests/database/races")
async def test_no_write_is_lost_between_writers(database: Database) -> None:
    async def add_one() -> None:
        async with database.write() as connection:
            highest = await connection.scalar(text("SELECT coalesce(max(number), 0) FROM note"))
            await asyncio.sleep(0)
            await connection.execute(text("INSERT INTO note VALUES (:number)"), {"number": int(highest or 0) + 1})

    await asyncio.gather(*(add_one() for _ in range(40)))
    async with database.read() as connection:
        assert await connection.scalar(text("SELECT max(number) FROM note")) == 40


async def test_cancelled_writers_leave_the_writer_usable(database: Database) -> None:
    """Cancelled at any await: before the lock, in a statement, in the commit."""
    for turns in range(60):
        task = asyncio.create_task(note(database))
        for _ in range(turns):
            await asyncio.sleep(0)
        await asyncio.sleep(turns / 20_000)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    before = await count(database)
    await note(database)
    assert await count(database) == before + 1


async def cancel_during(database: Database, statement: str, *, writing: bool) -> None:
    """Cancel a transaction while the database is in this statement, in which `pause()` takes its time."""
    entered, leave = threading.Event(), threading.Event()

    def pause() -> int:
        entered.set()
        leave.wait(20)
        return 1

    async def work() -> None:
        async with database.write() if writing else database.read() as connection:
            driver = (await connection.get_raw_connection()).driver_connection
            assert driver is not None
            await driver.create_function("pause", 0, pause)
            if writing:
                await connection.execute(text("INSERT INTO note VALUES (7)"))
            await connection.execute(text(statement))

    task = asyncio.create_task(work())
    assert await asyncio.to_thread(entered.wait, 20)
    task.cancel()
    leave.set()
    with pytest.raises(asyncio.CancelledError):
        await task


CANCELLED = {
    "read": ("SELECT pause() UNION ALL SELECT 2", False),
    "read to write": ("SELECT pause() UNION ALL SELECT 2", True),
    "write": ("INSERT INTO note SELECT pause()", True),
    "write and return": ("INSERT INTO note SELECT pause() UNION ALL SELECT 2 RETURNING number", True),
}


@pytest.mark.sqlite("about its file, and statements that stay open; PostgreSQL: test_shared_database.py")
@pytest.mark.parametrize("statement", CANCELLED)
async def test_a_cancelled_transaction_holds_nothing(impatient: None, tmp_path: Path, statement: str) -> None:
    """Neither the lock that other writers need, nor the file at the end; with no help of the garbage collector."""
    words, writing = CANCELLED[statement]
    gc.disable()
    try:
        async with notes(None, tmp_path) as database:
            await cancel_during(database, words, writing=writing)
            await note(database)
            assert await count(database) == 1
        assert [path.name for path in tmp_path.iterdir()] == ["updater.db"], "closed, it is one whole file"
    finally:
        gc.enable()


async def test_a_failed_block_writes_nothing(database: Database) -> None:
    with pytest.raises(ZeroDivisionError):
        async with database.write() as connection:
            await connection.execute(text("INSERT INTO note VALUES (1)"))
            raise ZeroDivisionError
    assert await count(database) == 0


@pytest.mark.sqlite("its bound on pages makes a database full")
async def test_a_full_database_is_storage_full(database: Database) -> None:
    async with database.write() as connection:
        await connection.execute(text("PRAGMA max_page_count = 1"))
    with pytest.raises(StorageFull):
        async with database.write() as connection:
            await connection.execute(text("INSERT INTO note VALUES (zeroblob(10000000))"))


@pytest.fixture
async def impatient_service(impatient: None, start_service: StartService) -> Service:
    started = await start_service(telemetry={"queue_size": 8})
    await started.application()
    return started


async def test_a_locked_database_answers_503_not_500(impatient_service: Service, locked: Locked) -> None:
    service = impatient_service
    await service.publish(b"bytes")
    path = "/api/v1/updates/my-app"
    async with locked(Path(service.services.settings.storage.root)):
        calls = [service.exchange("POST", f"{path}/status", json={**REPORT, "report_id": str(n)}) for n in range(30)]
        calls += [
            service.exchange("PUT", f"{path}/builds/2.0.{n}/linux/amd64", key="write", data=b"x") for n in range(8)
        ]
        calls += [service.exchange("DELETE", f"{path}/releases/1.0.0/linux/amd64", key="admin")]
        answers = await asyncio.gather(*calls)
        assert {response.status for response, _ in answers} == {503}
        assert all(int(response.headers["Retry-After"]) > 0 for response, _ in answers)
        question = {"current_version": "0.1.0", "platform": "linux", "architecture": "amd64"}
        offer = await service.call("GET", f"{path}/check", params=question, status=200)
        assert offer["latest_version"] == "1.0.0"
        await service.exchange("GET", f"{path}/download/1.0.0/linux/amd64", status=200)
        await service.call("GET", f"{path}/releases", key="read", status=200)
    await service.publish(b"x", "2.0.0")
    await service.call("POST", f"{path}/status", json={**REPORT, "report_id": "after"}, status=200)


@pytest.mark.parametrize("name", ["a?b", "100%", "a%41b", "~x", "a#b", "ü", "with space", b"lat\xe9"])
async def test_a_folder_of_any_name_holds_the_whole_database(tmp_path: Path, name: str | bytes) -> None:
    folder = tmp_path / os.fsdecode(name)
    folder.mkdir()
    async with notes(None, folder) as opened:
        async with opened.write() as connection:
            await connection.execute(text("INSERT INTO note VALUES (7)"))
        await asyncio.to_thread(copy_database, folder / "updater.db", tmp_path / "copy")
    assert sorted(each.name for each in tmp_path.iterdir()) == sorted([folder.name, "copy"])
    assert find_damage(tmp_path / "copy") is None
    assert read_uses(folder / "updater.db", ["0" * 64]) == []
    with closing(sqlite3.connect(tmp_path / "copy")) as copy:
        assert copy.execute("SELECT number FROM note").fetchall() == [(7,)]


async def test_memory_that_follows_waits_behind_no_request(database: Database) -> None:
    async with AsyncExitStack() as held:
        for _ in range(postgres._CONNECTIONS if database.shared else sqlite._READERS):
            await (await held.enter_async_context(database.read())).execute(text("SELECT 1"))
        async with asyncio.timeout(2), database.read_to_follow() as connection:
            assert await connection.scalar(text("SELECT 1")) == 1


@pytest.mark.sqlite("asks a pragma")
async def test_connections_that_read_keep_little_of_the_file(database: Database) -> None:
    """There are six of them, and each passes over the whole catalog at times."""
    kept = {}
    for name, begin in (("read", database.read), ("follow", database.read_to_follow), ("write", database.write)):
        async with begin() as connection:
            kept[name] = await connection.scalar(text("PRAGMA cache_size"))
    assert kept == {"read": -256, "follow": -256, "write": -4_096}
