"""Cursors that cost one hand-over answer as those of the driver do, however many rows there are."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest
from sqlalchemy import text

from updater.database.sqlite import sqlite_database
from updater.database.sqlite_driver import SwiftConnection, connect
from updater.errors import Unavailable

pytestmark = pytest.mark.sqlite("is about its driver")
_ROWS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :last) SELECT i FROM n"


@pytest.mark.parametrize("last", [1, 255, 256, 257, 1_000])
async def test_all_rows_come_in_order(tmp_path: Path, last: int) -> None:
    database = sqlite_database(tmp_path / "x.db")
    try:
        async with database.read() as connection:
            assert list(await connection.scalars(text(_ROWS), {"last": last})) == list(range(1, last + 1))
            async with connection.stream(text(_ROWS), {"last": last}) as rows:
                assert [row.i async for row in rows] == list(range(1, last + 1))
            async with connection.stream(text(_ROWS), {"last": last}) as rows:
                assert (await rows.fetchone()) == (1,)  # and is left before its end
    finally:
        await database.close()


async def test_counts_and_what_is_returned(tmp_path: Path) -> None:
    database = sqlite_database(tmp_path / "x.db")
    try:
        async with database.write() as connection:
            await connection.execute(text("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)"))
            many = [{"b": str(number)} for number in range(300)]
            await connection.execute(text("INSERT INTO t (b) VALUES (:b)"), many)
            assert (await connection.execute(text("UPDATE t SET b = 'x' WHERE a > 100"))).rowcount == 200
            gone = await connection.execute(text("DELETE FROM t WHERE a > 10 RETURNING a"))
            assert len(gone.all()) == 290
            assert (await connection.execute(text("INSERT INTO t (b) VALUES ('y')"))).lastrowid == 11  # type: ignore[attr-defined]
    finally:
        await database.close()


async def test_a_cursor_runs_one_statement_after_another(tmp_path: Path) -> None:
    connection = await connect(str(tmp_path / "x.db"))
    assert isinstance(connection, SwiftConnection)
    try:
        cursor = connection.cursor()
        await cursor.execute(_ROWS.replace(":last", "600"))
        assert await cursor.fetchmany(2) == [(1,), (2,)]
        assert await cursor.fetchone() == (3,)
        with pytest.raises(sqlite3.OperationalError):
            await cursor.execute("no statement")
        await cursor.execute(_ROWS.replace(":last", "600"))
        assert [row async for row in cursor] == [(number,) for number in range(1, 601)]
        assert await cursor.fetchall() == []
        await cursor.close()
    finally:
        await connection.close()


async def test_a_database_that_cannot_be_set_up_leaves_no_thread(tmp_path: Path) -> None:
    """The file can be opened, but not what SQLite lays beside it."""
    (tmp_path / "x.db-wal").mkdir()
    database = sqlite_database(tmp_path / "x.db")
    with pytest.raises(Unavailable) as caught:  # it holds the frames, and they hold the connection
        async with database.read():
            pass
    assert caught.tb is not None
    assert not [each for each in threading.enumerate() if "connection_worker" in each.name]
    await database.close()


async def test_a_file_that_cannot_be_opened_leaves_no_thread(tmp_path: Path) -> None:
    """One that stays would speak to the loop when it is closed."""
    for _ in range(20):
        with pytest.raises(sqlite3.OperationalError):
            await connect(str(tmp_path))
    assert not [each for each in threading.enumerate() if "connection_worker" in each.name]
