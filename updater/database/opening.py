"""Open the database that the settings name."""

from __future__ import annotations

import functools
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, suppress
from pathlib import Path

from updater.database.belonging import require_belonging, require_nothing_old
from updater.database.embedded import FILE_NAME
from updater.database.engine import Database
from updater.database.sqlite import sqlite_database
from updater.errors import ConfigurationError, StorageFull, Unavailable
from updater.permissions import create_file

_LEAST_BYTES = 128 << 10


def _make_private(path: Path) -> None:
    """Make the file of a new database before SQLite does: what SQLite lays beside it takes over its mode."""
    # What cannot be made, SQLite will not make either, and says so where errors are translated.
    with suppress(OSError):
        os.close(create_file(path))


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Say why the file cannot be opened, where the engine only knows that it does not answer.

    Raises:
        ConfigurationError: it is no file. StorageFull: no room left beside it.
    """
    try:
        yield
    except Unavailable as error:
        if path.exists() and not path.is_file():
            raise ConfigurationError(f"storage.root: {path.absolute()} is no file") from error
        # What SQLite lays beside the file needs room first, and its errors do not say that there was none.
        with suppress(OSError):
            if shutil.disk_usage(path.parent).free < _LEAST_BYTES:
                raise StorageFull(f"storage.root: no room left in {path.parent.absolute()}") from error
        raise


def _nothing() -> None:
    return None


@asynccontextmanager
async def open_database(url: str | None, root: Path, *, belonging: bool = False) -> AsyncIterator[Database]:
    """Open PostgreSQL at `url`, or without one the SQLite file in `root`, migrated to the present schema.

    With `belonging` it must be that of the secret and the files in `root`, as a service's is.

    Raises:
        ConfigurationError: it was written by a newer version of this program, refuses us, or the extra is missing; or
        it does not belong to what is in `root`.
        StorageFull, Unavailable: it cannot be opened or migrated now.
    """
    explaining: AbstractContextManager[None]
    before_new = functools.partial(require_nothing_old, root, shared=url is not None) if belonging else _nothing
    if url is None:
        if not (root / FILE_NAME).exists():
            before_new()
        _make_private(root / FILE_NAME)
        database, explaining = sqlite_database(root / FILE_NAME), _explained(root / FILE_NAME)
    else:
        # Imported here, since the driver is an extra.
        from updater.database.postgres import explained, postgres_database

        database, explaining = postgres_database(url), explained(url)
    try:
        with explaining:
            await database.migrate(before_new)
        if belonging:
            await require_belonging(database, root)
        yield database
    finally:
        await database.close()
