"""The SQL of timekeeping: the last time that was believed, and the newest time in any table that has times."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import func, select

from updater.database.deployment_tables import deployment_log
from updater.database.engine import Connection, Database
from updater.database.tables import api_key, audit, clock_mark, release, report, rollup

_TIMES = (
    report.c.received_at,
    rollup.c.starts_at,
    audit.c.at,
    release.c.created_at,
    api_key.c.last_used_at,
    deployment_log.c.at,
)


class Mark(NamedTuple):
    """The last time that was believed, and when an operator confirmed the clock last, both in UTC."""

    at: datetime
    confirmed_at: datetime | None


class TimekeepingStore:
    """Reads and writes the one row. Every method raises Unavailable when the database does not answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find_mark(self) -> Mark | None:
        """Return the row; None in a database that has none yet."""
        async with self._database.read() as connection:
            row = (await connection.execute(select(clock_mark.c.at, clock_mark.c.confirmed_at))).first()
        return None if row is None else Mark(row.at, row.confirmed_at)

    async def find_newest(self) -> datetime | None:
        """Return the newest time that any report, count, change, release, key or deployment has."""
        async with self._database.read() as connection:
            found = [await connection.scalar(select(func.max(column))) for column in _TIMES]
        return max((each for each in found if each is not None), default=None)

    async def advance(self, at: datetime) -> None:
        """Keep a believed time; it never goes back."""
        row = self._database.upsert(clock_mark).values(id=1, at=at)
        later = row.on_conflict_do_update(
            index_elements=[clock_mark.c.id], set_={"at": row.excluded.at}, where=clock_mark.c.at < row.excluded.at
        )
        async with self._database.write() as connection:
            await connection.execute(later)

    async def confirm(self, connection: Connection, at: datetime) -> None:
        """Believe a time that an operator confirms, also one that lies before the last."""
        row = self._database.upsert(clock_mark).values(id=1, at=at, confirmed_at=at)
        given = {"at": row.excluded.at, "confirmed_at": row.excluded.confirmed_at}
        await connection.execute(row.on_conflict_do_update(index_elements=[clock_mark.c.id], set_=given))
