"""The SQL of telemetry: write a batch of events and its counts in one transaction; read sums of counts."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, delete, func, select, union_all

from updater.database.asynchronous import AsyncConnection
from updater.database.engine import Database
from updater.database.tables import application, build, download_count, release, report, rollup
from updater.telemetry.backfill_store import BackfillStore
from updater.telemetry.figures import SUMMED, Series
from updater.telemetry.model import Download, Event, Kept, Report
from updater.telemetry.rollup_store import RollupStore
from updater.telemetry.rollups import Measure, Tally
from updater.telemetry.spans import Window, pieces, starts

# Bounds how long other writers wait for the lock while old reports are deleted.
_REPORTS_A_TRANSACTION = 5_000
_NEVER_STORED = frozenset({"client_id", "address", "kept"})
_STORED = tuple(each.name for each in dataclasses.fields(Report) if each.name not in _NEVER_STORED)


_HELD = (
    select(application.c.id)
    .where(application.c.id.in_(bindparam("ids", expanding=True)))
    .with_for_update(read=True, key_share=True)
)

CountReports = Callable[[AsyncConnection, Sequence[Report]], Awaitable[None]]
"""Counts reports elsewhere, in the transaction that stored them, in the order of arrival."""


class TelemetryStore:
    """Writes events and their counts; reads sums. Every method raises Unavailable when the database does not answer."""

    def __init__(self, database: Database, count_in_rollouts: CountReports | None = None) -> None:
        self._database = database
        self._rollups = RollupStore(database)
        self.roll_up_old = BackfillStore(database).roll_up_old
        self._count_in_rollouts = count_in_rollouts
        # Made once: making a statement costs as much as its rows.
        self._insert = database.upsert(report).on_conflict_do_nothing()
        self._insert_named = self._insert.returning(report.c.application_id, report.c.report_id)

    async def write(self, events: Sequence[Event]) -> None:
        """Write a batch and its counts in one transaction; it is durable when this returns.

        A report with an id that was stored before is neither written nor counted again. Events of deleted applications
        and builds are left out.

        Raises:
            StorageFull, Unavailable: nothing of the batch was written.
        """
        reports = [each for each in events if isinstance(each, Report)]
        downloads = [each for each in events if isinstance(each, Download)]
        tally = Tally()
        async with self._database.write() as connection:
            fresh = await self._write_reports(connection, reports, tally) if reports else []
            if downloads:
                await self._write_downloads(connection, downloads, tally)
            counts = tally.counts()
            await self._rollups.add(connection, counts)
            if fresh and self._count_in_rollouts is not None:
                await self._count_in_rollouts(connection, fresh)
        await self._rollups.bound(counts)

    async def add_counts(self, tally: Tally) -> None:
        """Write counts without an event; those of deleted applications are left out.

        Raises:
            StorageFull, Unavailable: none was written.
        """
        counts = tally.counts()
        async with self._database.write() as connection:
            there = await self._hold(connection, {key.application_id for key in counts})
            counts = {key: amount for key, amount in counts.items() if key.application_id in there}
            await self._rollups.add(connection, counts)
        await self._rollups.bound(counts)

    async def download_counts(self, build_id: int) -> tuple[int, int]:
        """Return the started and the finished downloads of a build, in this order; 0 and 0 for an unknown build."""
        wanted = select(download_count.c.started, download_count.c.finished).where(
            download_count.c.build_id == build_id
        )
        async with self._database.read() as connection:
            row = (await connection.execute(wanted)).first()
            return (0, 0) if row is None else (row.started, row.finished)

    async def finished_downloads(self, build_ids: Iterable[int]) -> dict[int, int]:
        """Return the finished downloads by build id. A build without counts is absent. Raises Unavailable."""
        wanted = select(download_count.c.build_id, download_count.c.finished).where(
            download_count.c.build_id.in_(list(build_ids))
        )
        async with self._database.read() as connection:
            return {row.build_id: row.finished for row in await connection.execute(wanted)}

    async def totals(
        self, application_id: str, window: Window, measures: Collection[Measure] = tuple(Measure)
    ) -> dict[Measure, dict[str, int]]:
        """Return the counts of measures over a window: measure -> label -> count. Those without a count are absent.

        Raises Unavailable.
        """
        parts = [
            select(rollup.c.measure, rollup.c.label, rollup.c.amount).where(
                rollup.c.application_id == application_id,
                rollup.c.span == span.value,
                rollup.c.measure.in_([measure.value for measure in measures]),
                rollup.c.starts_at >= begin,
                rollup.c.starts_at < end,
            )
            for span, begin, end in pieces(window)
        ]
        counts = union_all(*parts).subquery()
        wanted = select(counts.c.measure, counts.c.label, func.sum(counts.c.amount)).group_by(
            counts.c.measure, counts.c.label
        )
        found: dict[Measure, dict[str, int]] = {}
        async with self._database.read() as connection:
            for measure, label, amount in await connection.execute(wanted):
                found.setdefault(Measure(measure), {})[label] = int(amount)
        return found

    async def series(self, application_id: str, window: Window, labels: Mapping[Measure, Sequence[str]]) -> Series:
        """Return the counts by bucket: sums of `figures.SUMMED`, and counts of the given labels.

        Args:
            application_id: the application.
            window: the window; counts are read in its `bucket`.
            labels: for each measure the labels that get counts of their own.
        """
        mine = rollup.c.application_id == application_id, rollup.c.span == window.bucket.value
        within = (*mine, rollup.c.starts_at >= window.starts_at, rollup.c.starts_at < window.ends_at)
        # In the order of the primary key: the database adds up as it reads, without sorting.
        sums = (
            select(rollup.c.measure, rollup.c.starts_at, func.sum(rollup.c.amount))
            .where(*within, rollup.c.measure.in_([measure.value for measure in SUMMED]))
            .group_by(rollup.c.measure, rollup.c.starts_at)
        )
        begins = list(starts(window))
        summed: dict[tuple[Measure, datetime], int] = {}
        named: dict[tuple[Measure, datetime], dict[str, int]] = {}
        async with self._database.read() as connection:
            for measure, at, amount in await connection.execute(sums):
                summed[Measure(measure), at] = int(amount)
            for measure, chosen in labels.items():
                # Whole keys: the counts of other labels, which are many, are not walked along.
                wanted = select(rollup.c.starts_at, rollup.c.label, rollup.c.amount).where(
                    *mine, rollup.c.measure == measure.value, rollup.c.starts_at.in_(begins), rollup.c.label.in_(chosen)
                )
                for at, label, amount in await connection.execute(wanted):
                    named.setdefault((measure, at), {})[label] = amount
        return Series(summed, named)

    async def forget_reports(self, before: datetime) -> int:
        """Delete reports received before a time (UTC); return their number. Counts stay.

        At most `_REPORTS_A_TRANSACTION` go in one transaction, so an interruption keeps what was deleted before.
        """
        async with self._database.read() as connection:
            owners = list(await connection.scalars(select(application.c.id)))
        gone = 0
        for owner in owners:
            old = (
                select(report.c.id)
                .where(report.c.application_id == owner, report.c.received_at < before)
                .limit(_REPORTS_A_TRANSACTION)
            )
            deleted = _REPORTS_A_TRANSACTION
            while deleted == _REPORTS_A_TRANSACTION:
                async with self._database.write() as connection:
                    deleted = (await connection.execute(delete(report).where(report.c.id.in_(old)))).rowcount
                gone += deleted
        return gone

    async def _write_reports(
        self, connection: AsyncConnection, reports: Sequence[Report], tally: Tally
    ) -> list[Report]:
        """Write reports and tally those that are new; return these, in the order of arrival."""
        # An application may have been deleted since its report was queued; that must not fail the batch.
        there = await self._hold(connection, {each.application_id for each in reports})
        mine = [each for each in reports if each.application_id in there]
        anonymous = [each for each in mine if each.report_id is None and each.kept is not Kept.NOTHING]
        unkept = [each for each in mine if each.kept is Kept.NOTHING]
        # The first of those with one id counts; the database says which ids it had not seen before.
        named = {(each.application_id, each.report_id): each for each in reversed(mine) if _is_named(each)}
        if anonymous:
            await connection.execute(self._insert, [row_of(each) for each in anonymous])
        fresh: Iterable[Report] = ()
        if named:
            # Always in the same order, so that two writers of the same reports cannot deadlock.
            rows = [row_of(named[key]) for key in sorted(named)]
            written = await connection.execute(self._insert_named, rows)
            fresh = [named[row.application_id, row.report_id] for row in written]
        counted = {id(each) for each in (*anonymous, *fresh, *await self._new_among(connection, unkept))}
        new = [each for each in mine if id(each) in counted]
        for each in new:
            tally.add_report(each)
        return new

    async def _new_among(self, connection: AsyncConnection, unkept: Sequence[Report]) -> list[Report]:
        """Leave out those that are repeated and have a row."""
        ids = {each.report_id for each in unkept if each.report_id is not None}
        if not ids:
            return list(unkept)
        wanted = select(report.c.application_id, report.c.report_id).where(
            report.c.application_id.in_({each.application_id for each in unkept}), report.c.report_id.in_(ids)
        )
        there = {tuple(row) for row in await connection.execute(wanted)}
        return [each for each in unkept if (each.application_id, each.report_id) not in there]

    async def _write_downloads(self, connection: AsyncConnection, downloads: Sequence[Download], tally: Tally) -> None:
        ids = {each.build_id for each in downloads}
        known = (
            select(build.c.id, release.c.application_id, release.c.version)
            .join(release, release.c.id == build.c.release_id)
            .where(build.c.id.in_(ids))
        )
        await self._hold(connection, {row.application_id for row in await connection.execute(known)})
        known = known.with_for_update(read=True, key_share=True, of=build)
        owners = {row.id: (row.application_id, row.version) for row in await connection.execute(known)}
        sums: dict[int, list[int]] = {}
        for each in downloads:
            if each.build_id in owners:
                both = sums.setdefault(each.build_id, [0, 0])
                both[0] += each.started * each.amount
                both[1] += each.finished * each.amount
                tally.add_download(each, *owners[each.build_id])
        rows = [{"build_id": id_, "started": sums[id_][0], "finished": sums[id_][1]} for id_ in sorted(sums)]
        statement = self._database.upsert(download_count)
        added = {name: download_count.c[name] + statement.excluded[name] for name in ("started", "finished")}
        if rows:
            await connection.execute(
                statement.on_conflict_do_update(index_elements=[download_count.c.build_id], set_=added), rows
            )

    async def _hold(self, connection: AsyncConnection, application_ids: Iterable[str]) -> set[str]:
        """Return which of the applications exist; a concurrent deletion of one waits until the transaction ends.

        Call this before touching any of their rows. A deletion locks its application first, too; one that began in the
        middle would fail the batch.
        """
        return set(await connection.scalars(_HELD, {"ids": list(application_ids)}))


def row_of(each: Report) -> dict[str, Any]:
    """Return the columns of a report; who sent it is not among them."""
    values = {name: getattr(each, name) for name in _STORED}
    if each.kept is Kept.ROW:
        values["error_message"] = None
    return values


def _is_named(each: Report) -> bool:
    return each.report_id is not None and each.kept is not Kept.NOTHING
