"""What a test process leaves out that a service does, so that thousands of services start and end in it.

Each test has a service of its own, with new engines. What one of them compiled the next one knows: that took as long as
all the rest of a start. Nothing waits for the disk, which a test process outlives. Services in processes of their own,
which tests kill and whose syncs they watch, are as ever.
"""

from __future__ import annotations

import gc
import os
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.aiosqlite import SQLiteDialect_aiosqlite
from sqlalchemy.util import LRUCache

from updater.database import sqlite

_as_ever = sqlite._set_up
_compiled: LRUCache[Any, Any] = LRUCache(4_000)


class QuickDialect(SQLiteDialect_aiosqlite):
    """The dialect of all SQLite engines: they are equal, since what is compiled is kept by dialect and statement."""

    supports_statement_cache = True

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self)

    def __hash__(self) -> int:
        return hash(type(self))

    @classmethod
    def engine_created(cls, engine: Engine) -> None:
        """Have an engine take what others compiled, and share what it compiles."""
        super().engine_created(engine)
        engine.update_execution_options(compiled_cache=_compiled)


def _set_up(connection: Any, **given: Any) -> None:
    _as_ever(connection, **given)
    cursor = connection.cursor()
    cursor.execute("PRAGMA synchronous=OFF")
    cursor.close()


def _no_sync(file: Any) -> None:
    """Fail as a sync fails where there is no such file."""
    os.fstat(file if isinstance(file, int) else file.fileno())


def be_quick() -> None:
    """Make this process quick."""
    registry.register("sqlite.aiosqlite", __name__, "QuickDialect")
    sqlite._set_up = _set_up
    os.fsync = os.fdatasync = _no_sync  # type: ignore[assignment]


def pytest_collection_finish(session: pytest.Session) -> None:
    """Look for circles as rarely as a service does, and not among what lives as long as the process."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
