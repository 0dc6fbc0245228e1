"""The SQL of roll-ups: add to counts, and keep their labels few."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Select, delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from updater.database.engine import Database
from updater.database.tables import release, rollup
from updater.errors import Failure
from updater.telemetry.rollups import (
    KEPT_LABELS,
    LABELLED_BY_VERSION,
    OTHER,
    SLACK_LABELS,
    Key,
    RollupSeries,
    overflowing,
)

_MAX_SEEN = 50_000


class RollupStore:
    """Writes counts. One for each process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        # Counts this process has written before: their labels are known to have a row.
        self._seen: set[Key] = set()

    async def add(self, connection: AsyncConnection, counts: Mapping[Key, int]) -> None:
        """Add to the counts. The caller holds their applications, and calls `bound` when it has committed."""
        if not counts:
            return
        # In one order everywhere, so that two writers never wait for each other.
        rows = [{**key._asdict(), "amount": counts[key]} for key in sorted(counts)]
        statement = self._database.upsert(rollup)
        added = {"amount": rollup.c.amount + statement.excluded.amount}
        await connection.execute(
            statement.on_conflict_do_update(index_elements=list(rollup.primary_key), set_=added), rows
        )

    async def bound(self, counts: Mapping[Key, int]) -> None:
        """Cut back where clients have sent too many labels, now that the counts are on disk.

        Each series in a transaction of its own: one that still held counts would wait for the writer that waits for
        those. What fails here is done with the next new label.
        """
        grown = {key.series for key in counts.keys() - self._seen if key.measure in KEPT_LABELS}
        self._remember(counts)
        with contextlib.suppress(Failure):
            for series in await self._crowded(grown):
                async with self._database.write() as connection:
                    await self._cut_back(connection, series)
                self._seen = {key for key in self._seen if key.series != series}

    async def _crowded(self, places: Iterable[RollupSeries]) -> list[RollupSeries]:
        by_value = {tuple(series): series for series in places}
        if not by_value:
            return []
        async with self._database.read() as connection:
            rows = await connection.execute(crowded_places(by_value.values()))
            return [by_value[tuple(row)] for row in rows if tuple(row) in by_value]

    async def _cut_back(self, connection: AsyncConnection, series: RollupSeries) -> None:
        lies_here = [rollup.c[name] == value for name, value in series._asdict().items()]
        # The sum of the rest first: who cuts back here at the same moment waits with nothing in its hands.
        await self._add_to_rest(connection, series, 0)
        # A count that somebody is adding to is no small one; it is left alone, and waited for by nobody.
        here = select(rollup.c.label, rollup.c.amount).where(*lies_here).with_for_update(skip_locked=True)
        labels = {row.label: row.amount for row in await connection.execute(here)}
        known: set[str] = set()
        if series.measure in LABELLED_BY_VERSION:
            published = select(release.c.version).where(
                release.c.application_id == series.application_id, release.c.version.in_(list(labels))
            )
            known = set(await connection.scalars(published))
        surplus = overflowing(series, labels, known)
        await connection.execute(delete(rollup).where(*lies_here, rollup.c.label.in_(surplus)))
        await self._add_to_rest(connection, series, sum(labels[label] for label in surplus))
        await connection.execute(delete(rollup).where(*lies_here, rollup.c.label == OTHER, rollup.c.amount == 0))

    async def _add_to_rest(self, connection: AsyncConnection, series: RollupSeries, amount: int) -> None:
        statement = self._database.upsert(rollup).values(**series._asdict(), label=OTHER, amount=amount)
        added = {"amount": rollup.c.amount + statement.excluded.amount}
        await connection.execute(statement.on_conflict_do_update(index_elements=list(rollup.primary_key), set_=added))

    def _remember(self, counts: Mapping[Key, int]) -> None:
        if len(self._seen) > _MAX_SEEN:
            self._seen = set()
        self._seen.update(counts)


def crowded_places(places: Iterable[RollupSeries]) -> Select[Any]:
    """Select the places, and maybe others, that hold more labels than any may keep.

    Column by column: SQLite reads the whole table for a list of tuples, but by the key for several lists.
    """
    columns = [rollup.c[name] for name in RollupSeries._fields]
    wanted = [sorted(set(values)) for values in zip(*places, strict=True)]
    return (
        select(*columns)
        .where(*(column.in_(values) for column, values in zip(columns, wanted, strict=True)))
        .group_by(*columns)
        .having(func.count() > min(KEPT_LABELS.values()) + SLACK_LABELS)
    )
