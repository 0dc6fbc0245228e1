"""Open the database that the settings name."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext, suppress
from pathlib import Path

from updater.database.embedded import FILE_NAME
from updater.database.engine import Database
from updater.database.sqlite import sqlite_database
from updater.permissions import create_file


def _make_private(path: Path) -> None:
    """Make the file of a new database before SQLite does: what SQLite lays beside it takes over its mode."""
    # What cannot be made, SQLite will not make either, and says so where errors are translated.
    with suppress(OSError):
        os.close(create_file(path))


@asynccontextmanager
async def open_database(url: str | None, root: Path) -> AsyncIterator[Database]:
    """Open PostgreSQL at `url`, or without one the SQLite file in `root`, migrated to the present schema.

    Raises:
        ConfigurationError: it was written by a newer version of this program, refuses us, or the extra is missing.
        StorageFull, Unavailable: it cannot be opened or migrated now.
    """
    explaining: AbstractContextManager[None] = nullcontext()
    if url is None:
        _make_private(root / FILE_NAME)
        database = sqlite_database(root / FILE_NAME)
    else:
        # Imported here, since the driver is an extra.
        from updater.database.postgres import explained, postgres_database

        database, explaining = postgres_database(url), explained(url)
    try:
        with explaining:
            await database.migrate()
        yield database
    finally:
        await database.close()
