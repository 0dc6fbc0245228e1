"""An empty SQLite database of the present schema, migrated once for each process of the tests.

Migrating takes half of a service's start. What is about migrations, first starts and crashes begins without one.
"""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from updater.database.opening import FILE_NAME, open_database


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the file of an empty database, to be copied."""
    folder = tmp_path_factory.mktemp("empty-database")

    async def migrate() -> None:
        async with open_database(None, folder):
            pass

    asyncio.run(migrate())
    (file,) = folder.iterdir()  # closed, it is one file, without a log beside it
    return file


def place_database(empty_database: Path, root: Path) -> None:
    """Copy an empty database into a data folder that has none."""
    if not (root / FILE_NAME).exists():
        shutil.copy(empty_database, root / FILE_NAME)
