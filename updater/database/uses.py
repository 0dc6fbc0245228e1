"""The files that have a blob's bytes, by the names that people know: one question for a database and its copies."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, Table, literal, select
from sqlalchemy.dialects import sqlite

from updater.database.engine import Database
from updater.database.tables import build, file, release
from updater.database.tuf_tables import tuf_metadata, tuf_target

# Fewer than SQLite allows in one statement.
_AT_ONCE = 500


class FileUse(NamedTuple):
    """A file that has the bytes of `digest`: of a build, or of a TUF repository, which has no version and no target."""

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
            for statement in _statements(some):
                found += [FileUse(*row) for row in await connection.execute(statement)]
    return found


def read_uses(path: Path, digests: Collection[str]) -> list[FileUse]:
    """Return the same from a copy of an embedded database, as far as its schema has such files. Blocks."""
    found: list[FileUse] = []
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as copy:
        for some in _slices(digests):
            for statement in _statements(some):
                text = str(statement.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}))
                with suppress(sqlite3.DatabaseError):
                    found += [FileUse(*row) for row in copy.execute(text)]
    return found


def _slices(digests: Collection[str]) -> Iterator[Sequence[str]]:
    wanted = sorted(digests)
    for start in range(0, len(wanted), _AT_ONCE):
        yield wanted[start : start + _AT_ONCE]


def _statements(digests: Sequence[str]) -> Iterator[Select[Any]]:
    yield _of_builds(digests)
    yield _of_repositories(digests, tuf_metadata, tuf_metadata.c.channel + "/tuf/metadata/" + tuf_metadata.c.name)
    yield _of_repositories(digests, tuf_target, tuf_target.c.channel + "/tuf/targets/" + tuf_target.c.path)


def _of_repositories(digests: Sequence[str], files: Table, name: ColumnElement[str]) -> Select[Any]:
    nothing = (literal("").label(each) for each in ("version", "platform", "architecture"))
    return (
        select(files.c.digest, files.c.application_id, *nothing, name.label("name"))
        .where(files.c.digest.in_(digests))
        .order_by(files.c.application_id, name)
    )


def _of_builds(digests: Sequence[str]) -> Select[Any]:
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
