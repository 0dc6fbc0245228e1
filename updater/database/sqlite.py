"""SQLite in one file, through aiosqlite: the embedded default, with one writing process.

WAL with `synchronous=FULL`: NORMAL lost every acknowledged row in a power cut. Writers take their lock at BEGIN,
since a read that later becomes a write silently loses updates.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any
from weakref import WeakSet

from sqlalchemy import URL, event
from sqlalchemy.dialects import sqlite

from updater.database.asynchronous import AsyncEngine, create_async_engine
from updater.database.engine import POOL_TIMEOUT_S, Database
from updater.database.place import DatabasePlace
from updater.database.sqlite_driver import connect

BUSY_TIMEOUT_MS = 5_000
_READERS = 4
# One for each memory that follows changes.
_FOLLOWERS = 2
# What a connection keeps of the file. Those that read pass over much, once; the system keeps the file as well.
_WRITER_KIB, _READER_KIB = 4_096, 256


def sqlite_database(path: Path) -> Database:
    """Return the database in the file, which is made when missing; connections open with their first use."""
    sizes = (1, _READERS, _FOLLOWERS, 1)
    writer, reader, follower, migrator = (_engine(path, connections=count) for count in sizes)
    place = DatabasePlace(path)
    _prepare(writer, "BEGIN IMMEDIATE", place)
    _prepare(reader, "BEGIN", place, cache_kib=_READER_KIB)
    _prepare(follower, "BEGIN", place, cache_kib=_READER_KIB)
    # A migration that builds a table anew drops the old one, which would cascade into all that refers to it.
    # Source: sqlite.org, "Making Other Kinds Of Table Schema Changes".
    _prepare(migrator, "BEGIN IMMEDIATE", place, foreign_keys=False)
    return Database(
        reader, writer, insert=sqlite.insert, shared=False, migrator=migrator, follower=follower, place=place
    )


class _Connection(sqlite3.Connection):
    """A connection that ends when it is closed, also while one of its cursors is still referred to.

    SQLite ends a closed connection with its last statement, and keeps its locks and its transaction until then. The
    cursor of a cancelled statement stays in the traceback of the cancellation, until the garbage collector comes by.
    """

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._cursors: WeakSet[sqlite3.Cursor] = WeakSet()

    def cursor(self, *given: Any, **named: Any) -> Any:
        """Return a cursor that is closed with the connection."""
        cursor = super().cursor(*given, **named)
        self._cursors.add(cursor)
        return cursor

    def close(self) -> None:
        """Take back what was not committed, and let the file go."""
        for cursor in tuple(self._cursors):
            cursor.close()
        super().close()


def _engine(path: Path, *, connections: int) -> AsyncEngine:
    return create_async_engine(
        # Not a URL's text: the name of a folder may hold `?`, `%` or `#`.
        URL.create("sqlite+aiosqlite", database=str(path.absolute())),
        pool_size=connections,
        max_overflow=0,
        pool_timeout=POOL_TIMEOUT_S,
        connect_args={"factory": _Connection, "async_creator_fn": connect},
    )


def _prepare(
    engine: AsyncEngine, begin: str, place: DatabasePlace, *, foreign_keys: bool = True, cache_kib: int = _WRITER_KIB
) -> None:
    """Set the pragmas on each connection, and begin transactions ourselves instead of the driver."""

    @event.listens_for(engine.sync_engine, "connect")
    def on_connect(connection: Any, record: Any) -> None:
        try:
            _set_up(connection, foreign_keys=foreign_keys, cache_kib=cache_kib)
            place.opened(record.info)
        except BaseException:
            connection.close()  # the pool would leave it, with its thread, to the garbage collector
            raise

    @event.listens_for(engine.sync_engine, "begin")
    def on_begin(connection: Any) -> None:
        connection.exec_driver_sql(begin)


def _set_up(connection: Any, *, foreign_keys: bool, cache_kib: int) -> None:
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        f"foreign_keys={'ON' if foreign_keys else 'OFF'}",
        f"busy_timeout={BUSY_TIMEOUT_MS}",
        f"cache_size=-{cache_kib}",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.execute("PRAGMA user_version")  # a read: from here on the write-ahead log is open
    cursor.close()
