"""The SQL of roll-ups: add to counts, and bound the number of their labels."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Select, delete, func, select

from updater.database.asynchronous import AsyncConnection
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
        # Made once: making it costs as much as its rows.
        adding = database.upsert(rollup)
        self._add = adding.on_conflict_do_update(
            index_elements=list(rollup.primary_key), set_={"amount": rollup.c.amount + adding.excluded.amount}
        )
        # Labels that this process has written before, by series: their rows exist.
        self._seen: dict[RollupSeries, set[str]] = {}
        self._seen_labels = 0

    async def add(self, connection: AsyncConnection, counts: Mapping[Key, int]) -> None:
        """Add to the counts, in the caller's transaction.

        The caller holds the rows of their applications before, and calls `bound` after its commit, in this order.
        """
        if not counts:
            return
        # Always in the same order, so that two writers cannot deadlock.
        rows = [{**key._asdict(), "amount": counts[key]} for key in sorted(counts)]
        await connection.execute(self._add, rows)

    async def bound(self, counts: Mapping[Key, int]) -> None:
        """Cut series that hold too many labels back to their largest ones, after the commit of `counts`.

        Raises nothing.

        Each series is cut in a transaction of its own. A transaction that still held counts could wait for a writer
        that waits for those counts. A series that fails is cut when it next gets a new label.
        """
        grown = self._remember(counts)
        with contextlib.suppress(Failure):
            for series in await self._crowded(grown):
                async with self._database.write() as connection:
                    await self._cut_back(connection, series)
                self._seen_labels -= len(self._seen.pop(series, ()))

    async def _crowded(self, grown: Iterable[RollupSeries]) -> list[RollupSeries]:
        by_value = {tuple(series): series for series in grown}
        if not by_value:
            return []
        async with self._database.read() as connection:
            rows = await connection.execute(crowded_series(by_value.values()))
            return [by_value[tuple(row)] for row in rows if tuple(row) in by_value]

    async def _cut_back(self, connection: AsyncConnection, series: RollupSeries) -> None:
        in_series = [rollup.c[name] == value for name, value in series._asdict().items()]
        # Lock `other` first, so that concurrent trimmers queue without holding locks.
        await self._add_to_rest(connection, series, 0)
        # Skip rows that a writer is adding to: such a count is growing, and waiting for it could deadlock.
        rows = select(rollup.c.label, rollup.c.amount).where(*in_series).with_for_update(skip_locked=True)
        labels = {row.label: row.amount for row in await connection.execute(rows)}
        known: set[str] = set()
        if series.measure in LABELLED_BY_VERSION:
            published = select(release.c.version).where(
                release.c.application_id == series.application_id, release.c.version.in_(list(labels))
            )
            known = set(await connection.scalars(published))
        surplus = overflowing(series, labels, known)
        await connection.execute(delete(rollup).where(*in_series, rollup.c.label.in_(surplus)))
        await self._add_to_rest(connection, series, sum(labels[label] for label in surplus))
        await connection.execute(delete(rollup).where(*in_series, rollup.c.label == OTHER, rollup.c.amount == 0))

    async def _add_to_rest(self, connection: AsyncConnection, series: RollupSeries, amount: int) -> None:
        await connection.execute(self._add, [{**series._asdict(), "label": OTHER, "amount": amount}])

    def _remember(self, counts: Mapping[Key, int]) -> set[RollupSeries]:
        """Remember the labels of all series; return those that got a new one and keep few."""
        if self._seen_labels > _MAX_SEEN:
            self._seen, self._seen_labels = {}, 0
        grown: set[RollupSeries] = set()
        for key in counts:
            series = key.series
            labels = self._seen.setdefault(series, set())
            if key.label not in labels:
                labels.add(key.label)
                self._seen_labels += 1
                if key.measure in KEPT_LABELS:
                    grown.add(series)
        return grown


def crowded_series(series: Iterable[RollupSeries]) -> Select[Any]:
    """Select those of the series, and possibly others, that hold more labels than any series may keep.

    Columns are in the order of `RollupSeries`, each compared by itself: SQLite scans the whole table for a list of
    tuples, but uses the primary key for one list a column.
    """
    columns = [rollup.c[name] for name in RollupSeries._fields]
    wanted = [sorted(set(values)) for values in zip(*series, strict=True)]
    return (
        select(*columns)
        .where(*(column.in_(values) for column, values in zip(columns, wanted, strict=True)))
        .group_by(*columns)
        .having(func.count() > min(KEPT_LABELS.values()) + SLACK_LABELS)
    )
