"""Rows of the embedded database, read by the standard library alone: SQLAlchemy costs a command a quarter of a second.

Only for short commands that hold the data folder. All that writes, and all that a service reads, goes through
`updater.database.engine`.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from updater.database.revisions import head_revision
from updater.errors import Unavailable

FILE_NAME = "updater.db"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class EmbeddedReader:
    """Reads an embedded database whose schema is the present one. Build with `find_embedded`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def rows(self, statement: str) -> list[sqlite3.Row]:
        """Return all rows of a SELECT, by name and by position.

        Raises:
            Unavailable: the database cannot be read.
        """
        # Not read-only: the first connection after a crash has to bring the write-ahead log in.
        try:
            with closing(sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=rw", uri=True)) as connection:
                connection.row_factory = sqlite3.Row
                return connection.execute(statement).fetchall()
        except sqlite3.Error as error:
            raise Unavailable("The database does not answer at the moment") from error


def find_embedded(root: Path) -> EmbeddedReader | None:
    """Return a reader of a data folder's database; None when it is missing, damaged, or not at the present schema."""
    reader = EmbeddedReader(root / FILE_NAME)
    try:
        present = [row[0] for row in reader.rows("SELECT version_num FROM alembic_version")]
    except Unavailable:
        return None
    return reader if present == [head_revision()] else None


def read_time(microseconds: int) -> datetime:
    """Return a stored time, microseconds since 1970, as an aware datetime in UTC."""
    return _EPOCH + timedelta(microseconds=microseconds)
