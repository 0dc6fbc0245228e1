"""The database as the stores see it: `read()` and `write()` give a connection in a transaction.

Embedded default: SQLite through aiosqlite, one writing process. A write is durable when its block ends:
WAL with `synchronous=FULL` (NORMAL lost every acknowledged row in a power cut). Writers take their lock at
BEGIN, since a read that later becomes a write silently loses updates.
"""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Table, event, text
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from updater.database.schema import bring_up_to_date
from updater.errors import Conflict, StorageFull, Unavailable

BUSY_TIMEOUT_MS = 5_000
# How long a request waits for a connection: while another process holds the lock, those behind the first one
# would otherwise add up their waits.
POOL_TIMEOUT_S = 10
_READERS = 4
_NO_ANSWER = (
    *("locked", "busy", "unable to open", "disk i/o", "closed", "readonly"),
    *("malformed", "not a database", "out of memory"),
)


class Database:
    """Two engines on one file: several readers, one writer. Build with `open_database`."""

    def __init__(self, reader: AsyncEngine, writer: AsyncEngine) -> None:
        self._reader = reader
        self._writer = writer

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Give a connection in a read transaction.

        Raises:
            Unavailable: the database does not answer.
        """
        with _translated():
            async with self._reader.begin() as connection:
                yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """Give a connection in a write transaction; what it did is on disk when the block has ended.

        Raises:
            Conflict: a row that must be unique exists already.
            Unavailable: the database does not answer, or is locked for too long.
            StorageFull: no room left.
        """
        with _translated():
            async with self._writer.begin() as connection:
                yield connection

    async def ping(self) -> None:
        """Ask the database for a sign of life. Raises Unavailable."""
        async with self.read() as connection:
            await connection.execute(text("SELECT 1"))

    def upsert(self, table: Table) -> sqlite.Insert:
        """Return an INSERT that takes `on_conflict_do_nothing` and `on_conflict_do_update`."""
        return sqlite.insert(table)

    async def close(self) -> None:
        """Close all connections."""
        await self._reader.dispose()
        await self._writer.dispose()


@asynccontextmanager
async def open_database(path: Path) -> AsyncIterator[Database]:
    """Open the SQLite file (created when missing), migrated to the present schema.

    Raises:
        ConfigurationError: the file was written by a newer version of this program.
        StorageFull, Unavailable: it cannot be opened or migrated now.
    """
    url = f"sqlite+aiosqlite:///{path}"
    writer = create_async_engine(url, pool_size=1, max_overflow=0, pool_timeout=POOL_TIMEOUT_S)
    reader = create_async_engine(url, pool_size=_READERS, max_overflow=0, pool_timeout=POOL_TIMEOUT_S)
    _prepare(writer, "BEGIN IMMEDIATE")
    _prepare(reader, "BEGIN")
    database = Database(reader, writer)
    try:
        with _translated():
            await bring_up_to_date(writer)
        yield database
    finally:
        await database.close()


def _prepare(engine: AsyncEngine, begin: str) -> None:
    """Set the pragmas on each connection, and begin transactions ourselves instead of the driver."""

    @event.listens_for(engine.sync_engine, "connect")
    def on_connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            f"busy_timeout={BUSY_TIMEOUT_MS}",
            "cache_size=-4096",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def on_begin(connection: Any) -> None:
        connection.exec_driver_sql(begin)


class _translated:
    """Turn the driver's errors into ours, so that no SQL text ever reaches a client."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, IntegrityError):
            raise Conflict("This exists already, or what it refers to is gone") from error
        if isinstance(error, PoolTimeoutError):
            raise Unavailable("The database is too busy at the moment") from error
        if isinstance(error, DBAPIError):
            said = str(error.orig).lower()
            if "disk is full" in said or _errno(error) == errno.ENOSPC:
                raise StorageFull("No room left on the server to store this") from error
            if any(words in said for words in _NO_ANSWER):
                raise Unavailable("The database does not answer at the moment") from error


def _errno(error: DBAPIError) -> int | None:
    return getattr(error.orig, "errno", None)
