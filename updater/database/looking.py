"""Look at a database without changing it: which schema it has, and whether it is whole."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from updater.database.embedded import FILE_NAME

_LOOK_S: Final = 20.0
_STEPS: Final = 100_000


@dataclass(frozen=True, slots=True)
class Looked:
    """What was seen.

    `revision` None: it has no tables. `damage` is what SQLite says is wrong. `is_whole`: all was read, and is well.
    """

    engine: str
    revision: str | None
    damage: str | None = None
    is_whole: bool = False


def look_at_embedded(root: Path, within_s: float = _LOOK_S) -> Looked | None:
    """Look at the embedded database, for at most `within_s` seconds; None when there is none.

    Source: SQLite, PRAGMA quick_check.
    """
    path = root / FILE_NAME
    if not path.exists():
        return None
    engine, until, was_cut = f"SQLite {sqlite3.sqlite_version}", time.monotonic() + within_s, False

    def is_late() -> bool:
        nonlocal was_cut
        was_cut = was_cut or time.monotonic() > until
        return was_cut

    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)) as connection:
            rows = connection.execute("SELECT version_num FROM alembic_version").fetchall()
            connection.set_progress_handler(is_late, _STEPS)
            said = [] if is_late() else connection.execute("PRAGMA quick_check(1)").fetchall()
    except sqlite3.Error as error:
        if was_cut:
            return Looked(engine, rows[0][0] if rows else None)
        if "no such table" in str(error):
            return Looked(engine, None)
        return Looked(engine, None, damage=str(error))
    revision = rows[0][0] if rows else None
    damage = None if not said or said[0][0] == "ok" else str(said[0][0])
    return Looked(engine, revision, damage, is_whole=bool(said) and damage is None)


async def look_at_postgres(url: str) -> Looked:
    """Look at a PostgreSQL database.

    Raises:
        ConfigurationError: the server refuses what the address says, or the extra is missing. Unavailable: it does not
        answer.
    """
    # Imported here, since the driver is an extra.
    from sqlalchemy import text

    from updater.database.postgres import explained, postgres_engine

    engine = postgres_engine(url, connections=1)
    try:
        with explained(url):
            async with engine.connect() as connection:
                version = await connection.scalar(text("SHOW server_version"))
                there = await connection.scalar(text("SELECT to_regclass('alembic_version')::text"))
                revision = await connection.scalar(text("SELECT version_num FROM alembic_version")) if there else None
    finally:
        await engine.dispose()
    return Looked(f"PostgreSQL {str(version).split()[0]}", revision)
