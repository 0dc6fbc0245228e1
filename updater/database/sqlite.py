"""SQLite in one file, through aiosqlite: the embedded default, with one writing process.

WAL with `synchronous=FULL`: NORMAL lost every acknowledged row in a power cut. Writers take their lock at BEGIN,
since a read that later becomes a write silently loses updates.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.dialects import sqlite
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from updater.database.engine import POOL_TIMEOUT_S, Database

BUSY_TIMEOUT_MS = 5_000
_READERS = 4


def sqlite_database(path: Path) -> Database:
    """Return the database in the file, which is made when missing; connections open with their first use."""
    url = f"sqlite+aiosqlite:///{path}"
    writer = create_async_engine(url, pool_size=1, max_overflow=0, pool_timeout=POOL_TIMEOUT_S)
    reader = create_async_engine(url, pool_size=_READERS, max_overflow=0, pool_timeout=POOL_TIMEOUT_S)
    _prepare(writer, "BEGIN IMMEDIATE")
    _prepare(reader, "BEGIN")
    return Database(reader, writer, insert=sqlite.insert, shared=False)


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
