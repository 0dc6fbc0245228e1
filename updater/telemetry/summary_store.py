"""The SQL of summaries: a few sums of many applications, each read along the primary key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import func, select, union_all

from updater.database.engine import Database
from updater.database.tables import application, rollup
from updater.telemetry.rollups import Measure
from updater.telemetry.spans import Span
from updater.telemetry.summaries import SummaryCounts

# Terms of one compound statement: fewer than SQLite allows.
_TERMS_AT_ONCE = 100


class SummaryStore:
    """Reads sums of many applications. Raises Unavailable when the database does not answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, newest: Mapping[str, str | None], since: datetime, days: Sequence[datetime]) -> SummaryCounts:
        """Return the counts of summaries.

        Args:
            newest: the newest version of each application; None for one without.
            since: the start of the hour (UTC) from which reports count.
            days: the starts of the days (UTC) of which checks are read.
        """
        ids = list(newest)
        reports = (
            select(rollup.c.application_id, rollup.c.label, func.sum(rollup.c.amount))
            .where(
                rollup.c.application_id.in_(ids),
                rollup.c.span == Span.HOUR.value,
                rollup.c.measure == Measure.REPORT.value,
                rollup.c.starts_at >= since,
            )
            .group_by(rollup.c.application_id, rollup.c.label)
        )
        # Each check counts one target: they are few, versions are many.
        checks = (
            select(rollup.c.application_id, rollup.c.starts_at, func.sum(rollup.c.amount))
            .where(
                rollup.c.application_id.in_(ids),
                rollup.c.span == Span.DAY.value,
                rollup.c.measure == Measure.CHECK_TARGET.value,
                rollup.c.starts_at >= days[0],
            )
            .group_by(rollup.c.application_id, rollup.c.starts_at)
        )
        # Whole keys, so that the counts of other versions are not walked along.
        named = [
            select(rollup.c.application_id, rollup.c.starts_at, rollup.c.amount).where(
                rollup.c.application_id == application_id,
                rollup.c.span == Span.DAY.value,
                rollup.c.measure == Measure.CHECK_VERSION.value,
                rollup.c.starts_at.in_(days),
                rollup.c.label == version,
            )
            for application_id, version in newest.items()
            if version is not None
        ]
        found: dict[tuple[str, datetime], int] = {}
        async with self._database.read() as connection:
            by_status = {(row[0], row[1]): int(row[2]) for row in await connection.execute(reports)}
            by_day = {(row[0], row[1]): int(row[2]) for row in await connection.execute(checks)}
            for start in range(0, len(named), _TERMS_AT_ONCE):
                rows = await connection.execute(union_all(*named[start : start + _TERMS_AT_ONCE]))
                found |= {(row[0], row[1]): int(row[2]) for row in rows}
        return SummaryCounts(by_status, by_day, found)

    async def outcomes_by_version(self, since: datetime) -> dict[str, dict[str, tuple[int, int]]]:
        """Return completed and failed installs since the start of a day (UTC), by application and version."""
        measures = (Measure.INSTALL.value, Measure.FAILURE.value)
        wanted = (
            select(rollup.c.application_id, rollup.c.label, rollup.c.measure, func.sum(rollup.c.amount))
            .where(
                rollup.c.span == Span.DAY.value,
                rollup.c.measure.in_(measures),
                rollup.c.starts_at >= since,
                rollup.c.application_id.in_(select(application.c.id)),
            )
            .group_by(rollup.c.application_id, rollup.c.label, rollup.c.measure)
        )
        counts: dict[str, dict[str, list[int]]] = {}
        async with self._database.read() as connection:
            for application_id, version, measure, amount in await connection.execute(wanted):
                both = counts.setdefault(application_id, {}).setdefault(version, [0, 0])
                both[measures.index(measure)] = int(amount)
        return {
            owner: {version: (both[0], both[1]) for version, both in versions.items()}
            for owner, versions in counts.items()
        }
