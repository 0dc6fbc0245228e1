"""An empty SQLite database of the present schema, migrated once for each process of the tests and then copied.

Migrating takes half of a service's start. What is about migrations, first starts and crashes begins without one.
"""

from __future__ import annotations

import asyncio
import atexit
import functools
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

from updater.database.opening import FILE_NAME, open_database


def place_database(root: Path) -> None:
    """Put an empty database into a data folder that has none."""
    if not (root / FILE_NAME).exists():
        shutil.copy(_migrated() / FILE_NAME, root / FILE_NAME)


def place_folder(root: Path) -> Path:
    """Make a data folder as a first start leaves it that was ended before it made a key; return it."""
    root.mkdir(parents=True)
    place_database(root)
    return root


@functools.cache
def _migrated() -> Path:
    """Return a folder with a migrated database; it goes with the process."""
    made = TemporaryDirectory(prefix="empty-database-")
    atexit.register(made.cleanup)
    folder = Path(made.name)
    migrate(None, folder)
    assert [each.name for each in folder.iterdir()] == [FILE_NAME], "closed, it is one file"
    return folder


def migrate(url: str | None, root: Path) -> None:
    """Bring a database to the present schema, whether the caller is in an event loop or not."""

    async def open_and_close() -> None:
        async with open_database(url, root):
            pass

    with ThreadPoolExecutor(1) as beside:
        beside.submit(asyncio.run, open_and_close()).result()
