"""The SQL of telemetry: a batch of events in one transaction."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from updater.database.engine import Database
from updater.database.tables import application, build, download_count, report
from updater.telemetry.model import Download, Event, Report


class TelemetryStore:
    """Writes events; reads counts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def write(self, events: Sequence[Event]) -> None:
        """Write a batch; it is durable when this returns. A report sent twice is written once."""
        reports = [each for each in events if isinstance(each, Report)]
        downloads = [each for each in events if isinstance(each, Download)]
        async with self._database.write() as connection:
            if reports:
                await self._write_reports(connection, reports)
            if downloads:
                await self._write_downloads(connection, downloads)

    async def download_counts(self, build_id: int) -> tuple[int, int]:
        """Return how often a build's download was started and finished."""
        wanted = select(download_count.c.started, download_count.c.finished).where(
            download_count.c.build_id == build_id
        )
        async with self._database.read() as connection:
            row = (await connection.execute(wanted)).first()
            return (0, 0) if row is None else (row.started, row.finished)

    async def finished_downloads(self, build_ids: Iterable[int]) -> dict[int, int]:
        """Return how often builds were downloaded to the end, for those that have a count."""
        wanted = select(download_count.c.build_id, download_count.c.finished).where(
            download_count.c.build_id.in_(list(build_ids))
        )
        async with self._database.read() as connection:
            return {row.build_id: row.finished for row in await connection.execute(wanted)}

    async def _write_reports(self, connection: AsyncConnection, reports: Sequence[Report]) -> None:
        # An application may have been deleted since its report was queued; that must not fail the batch.
        named = {each.application_id for each in reports}
        there = set(await connection.scalars(select(application.c.id).where(application.c.id.in_(named))))
        rows = [dataclasses.asdict(each) for each in reports if each.application_id in there]
        if rows:
            await connection.execute(self._database.upsert(report).on_conflict_do_nothing(), rows)

    async def _write_downloads(self, connection: AsyncConnection, downloads: Sequence[Download]) -> None:
        sums: dict[int, list[int]] = {}
        for each in downloads:
            both = sums.setdefault(each.build_id, [0, 0])
            both[0] += each.started
            both[1] += each.finished
        there = set(await connection.scalars(select(build.c.id).where(build.c.id.in_(sums))))
        rows = [{"build_id": id_, "started": sums[id_][0], "finished": sums[id_][1]} for id_ in sorted(there)]
        statement = self._database.upsert(download_count)
        added = {name: download_count.c[name] + statement.excluded[name] for name in ("started", "finished")}
        if rows:
            await connection.execute(
                statement.on_conflict_do_update(index_elements=[download_count.c.build_id], set_=added), rows
            )
