"""The files that have a blob's bytes, by the names that people know: one question for a database and its copies."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Select, select
from sqlalchemy.dialects import sqlite

from updater.database.engine import Database
from updater.database.tables import build, file, release

# Fewer than SQLite allows in one statement.
_AT_ONCE = 500


class FileUse(NamedTuple):
    """A file of a build that has the bytes of `digest`."""

    digest: str
    application: str
    version: str
    platform: str
    architecture: str
    name: str


async def find_uses(database: Database, digests: Collection[str]) -> list[FileUse]:
    """Return the files that have these bytes, by application, version and target. Raises Unavailable."""
    found: list[FileUse] = []
    async with database.read() as connection:
        for some in _slices(digests):
            found += [FileUse(*row) for row in await connection.execute(_statement(some))]
    return found


def read_uses(path: Path, digests: Collection[str]) -> list[FileUse]:
    """Return the same from a copy of an embedded database; nothing when its schema is older than files. Blocks."""
    found: list[FileUse] = []
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as copy:
        for some in _slices(digests):
            text = str(_statement(some).compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}))
            try:
                found += [FileUse(*row) for row in copy.execute(text)]
            except sqlite3.DatabaseError:
                return found
    return found


def _slices(digests: Collection[str]) -> Iterator[Sequence[str]]:
    wanted = sorted(digests)
    for start in range(0, len(wanted), _AT_ONCE):
        yield wanted[start : start + _AT_ONCE]


def _statement(digests: Sequence[str]) -> Select[Any]:
    return (
        select(
            file.c.digest,
            release.c.application_id,
            release.c.version,
            build.c.platform,
            build.c.architecture,
            file.c.name,
        )
        .join(build, build.c.id == file.c.build_id)
        .join(release, release.c.id == build.c.release_id)
        .where(file.c.digest.in_(digests))
        .order_by(release.c.application_id, release.c.sort_key, build.c.platform, build.c.architecture, file.c.name)
    )
