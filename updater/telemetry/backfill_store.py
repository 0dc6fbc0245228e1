"""Figures of reports that were stored before there were roll-ups: counted once, an hour a transaction, newest first.

What was counted so far begins with an application's first hour, so older reports are those that are not. Going back in
time, that hour moves along with the work: where it stopped, it goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from updater.database.asynchronous import AsyncConnection
from updater.database.engine import Database
from updater.database.tables import application, report, rollup
from updater.telemetry.model import Report
from updater.telemetry.rollup_store import RollupStore
from updater.telemetry.rollups import Key, Measure, Tally
from updater.telemetry.spans import Span, floor, following

_COLUMNS = (
    *("application_id", "current_version", "target_version", "platform", "architecture", "status", "received_at"),
    *("error_message", "install_time_seconds"),
)


class BackfillStore:
    """Counts old reports. Every method raises Unavailable when the database does not answer."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rollups = RollupStore(database)

    async def roll_up_old(self) -> int:
        """Count all reports that are not counted yet; return how many there were.

        Raises:
            StorageFull, Unavailable: what is counted stays, and the next call goes on.
        """
        async with self._database.read() as connection:
            owners = list(await connection.scalars(select(application.c.id).order_by(application.c.id)))
        done = 0
        for owner in owners:
            while (counted := await self._count_hour(owner)) is not None:
                done += counted
        return done

    async def _count_hour(self, owner: str) -> int | None:
        """Count what is missing of the newest hour that misses something; None when none does."""
        async with self._database.write() as connection:
            # Whoever stores a report of this application waits, so that no count is made between the two questions.
            held = select(application.c.id).where(application.c.id == owner).with_for_update()
            if await connection.scalar(held) is None:
                return None
            missing = await _missing(connection, owner)
            if not missing:
                return None
            counts = await asyncio.to_thread(_counts, missing)
            await self._rollups.add(connection, counts)
        await self._rollups.bound(counts)
        return len(missing)


async def _missing(connection: AsyncConnection, owner: str) -> list[Report]:
    """Return the uncounted reports of one hour: what the first counted hour has beyond its count, or the one before."""
    measure, span = Measure.REPORT.value, Span.HOUR.value
    reports = (rollup.c.application_id == owner, rollup.c.measure == measure, rollup.c.span == span)
    first: datetime | None = await connection.scalar(select(func.min(rollup.c.starts_at)).where(*reports))
    if first is not None:
        wanted = select(func.sum(rollup.c.amount)).where(*reports, rollup.c.starts_at == first)
        counted = int(await connection.scalar(wanted) or 0)
        there = await _of_hour(connection, owner, first)
        if len(there) > counted:
            return there[: len(there) - counted]
    newest = select(func.max(report.c.received_at)).where(report.c.application_id == owner)
    if first is not None:
        newest = newest.where(report.c.received_at < first)
    last: datetime | None = await connection.scalar(newest)
    return [] if last is None else await _of_hour(connection, owner, floor(last, Span.HOUR))


async def _of_hour(connection: AsyncConnection, owner: str, hour: datetime) -> list[Report]:
    """Return the reports of an hour, in the order in which they were stored."""
    wanted = (
        select(*(report.c[name] for name in _COLUMNS))
        .where(
            report.c.application_id == owner,
            report.c.received_at >= hour,
            report.c.received_at < following(hour, Span.HOUR),
        )
        .order_by(report.c.id)
    )
    return [_report(row) for row in await connection.execute(wanted)]


def _report(row: Any) -> Report:
    return Report(**row._mapping)


def _counts(reports: Sequence[Report]) -> dict[Key, int]:
    tally = Tally()
    for each in reports:
        tally.add_report(each)
    return tally.counts()
