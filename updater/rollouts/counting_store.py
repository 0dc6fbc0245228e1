"""The SQL of counting: what the control arm is taken from, and where counted reports came from.

What each batch of reports runs is made once: SQLAlchemy takes longer to make a statement than SQLite to run it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Delete,
    Integer,
    String,
    Table,
    bindparam,
    delete,
    false,
    func,
    insert,
    literal,
    select,
    union_all,
)
from sqlalchemy.sql.elements import BindParameter

from updater.catalog.model import ReleaseStatus
from updater.database.asynchronous import AsyncConnection
from updater.database.engine import Database
from updater.database.rollout_tables import rollout_gathered, rollout_source
from updater.database.tables import release, report
from updater.rollouts.evidence import Arm
from updater.rollouts.sources import Packed, Place, Seen, SourceKey, unpack

_ACTIVE = release.c.status == ReleaseStatus.ACTIVE.value
_ARMS = ("rollout", "control")


def _among(name: str) -> BindParameter[Any]:
    return bindparam(name, expanding=True)


_NO_TEXT, _NO_NUMBER = literal("", String), literal(0, Integer)
_COMPLETE, _SOURCE, _GATHERED = 1, 2, 3
# All that a batch asks, in one statement. The columns say what the first part has in them.
_KNOWN = union_all(
    select(
        literal(_COMPLETE, Integer).label("kind"),
        release.c.application_id.label("application_id"),
        release.c.sort_key.label("name"),
        _NO_NUMBER.label("release_id"),
        _NO_TEXT.label("platform"),
        _NO_TEXT.label("arm"),
        _NO_NUMBER.label("amount"),
        false().label("failed"),
    ).where(
        release.c.application_id.in_(_among("application_ids")),
        release.c.sort_key.in_(_among("sort_keys")),
        _ACTIVE,
        release.c.complete,
    ),
    # Each column of the key is named, so that its index finds every source by itself.
    select(
        literal(_SOURCE, Integer),
        _NO_TEXT,
        rollout_source.c.source,
        rollout_source.c.release_id,
        rollout_source.c.platform,
        rollout_source.c.arm,
        rollout_source.c.reports,
        rollout_source.c.failed,
    ).where(
        rollout_source.c.release_id.in_(_among("release_ids")),
        rollout_source.c.platform.in_(_among("platforms")),
        rollout_source.c.arm.in_(_ARMS),
        rollout_source.c.source.in_(_among("sources")),
    ),
    select(
        literal(_GATHERED, Integer),
        _NO_TEXT,
        _NO_TEXT,
        rollout_gathered.c.release_id,
        rollout_gathered.c.platform,
        _NO_TEXT,
        func.max(rollout_gathered.c.number),
        false(),
    )
    .where(rollout_gathered.c.release_id.in_(_among("release_ids")))
    .group_by(rollout_gathered.c.release_id, rollout_gathered.c.platform),
)
_KEEP_GATHERED = insert(rollout_gathered)


@dataclass
class Known:
    """What the database knows about a batch of reports.

    `complete` has complete releases as (application, sort key), `stored` what the table of sources has, and `numbers`
    the last number of gathered sources by place; places without any are absent.
    """

    complete: set[tuple[str, str]] = field(default_factory=set)
    stored: dict[SourceKey, Seen] = field(default_factory=dict)
    numbers: dict[Place, int] = field(default_factory=dict)


class CountingStore:
    """Reads controls, and keeps sources. All methods run in the caller's transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read_baseline(
        self,
        connection: AsyncConnection,
        application_id: str,
        platform: str,
        channels: Collection[str],
        since: datetime,
        *,
        but_for: int,
    ) -> Arm:
        """Count the reports since a time that the control arm would take, by their outcome.

        Those about the release `but_for` are none, though it may be complete still. `channels` limits them to those
        that say they are on one of these; empty: no limit.
        """
        complete = (
            select(release.c.id)
            .where(
                release.c.application_id == application_id,
                release.c.version == report.c.target_version,
                _ACTIVE,
                release.c.complete,
                release.c.id != but_for,
            )
            .exists()
        )
        wanted = select(report.c.status, func.count()).where(
            report.c.application_id == application_id,
            report.c.platform == platform,
            report.c.status.in_(("completed", "failed")),
            report.c.received_at >= since,
            complete,
        )
        if channels:
            wanted = wanted.where(report.c.channel.in_(list(channels)))
        counts = {status: int(amount) for status, amount in await connection.execute(wanted.group_by(report.c.status))}
        return Arm(counts.get("completed", 0), counts.get("failed", 0))

    async def read_known(
        self,
        connection: AsyncConnection,
        *,
        versions: Collection[tuple[str, str]],
        places: Collection[Place],
        sources: Collection[str],
    ) -> Known:
        """Return what is known: which versions (application, sort key) are complete releases at this moment, and so on.

        `places` and `sources` are what sources are looked up for.
        """
        asked = {
            "application_ids": sorted({application_id for application_id, _ in versions}),
            "sort_keys": sorted({sort_key for _, sort_key in versions}),
            "release_ids": sorted({release_id for release_id, _ in places}),
            "platforms": sorted({platform for _, platform in places}),
            "sources": sorted(sources),
        }
        known = Known()
        for kind, application_id, name, release_id, platform, arm, amount, failed in await connection.execute(
            _KNOWN, asked
        ):
            if kind == _COMPLETE:
                known.complete.add((application_id, name))
            elif kind == _SOURCE:
                known.stored[release_id, platform, arm, name] = amount, failed
            else:
                known.numbers[release_id, platform] = amount
        return known

    async def read_gathered(self, connection: AsyncConnection, place: Place) -> dict[SourceKey, Seen]:
        """Return the gathered sources of a place."""
        wanted = (
            select(rollout_gathered.c.sources)
            .where(rollout_gathered.c.release_id == place[0], rollout_gathered.c.platform == place[1])
            .order_by(rollout_gathered.c.number)
        )
        return unpack(place, await connection.scalars(wanted))

    async def gather(self, connection: AsyncConnection, rows: Mapping[Place, tuple[int, Packed]]) -> None:
        """Keep sources beside their table, by place: the number of the row, and the sources."""
        values = [
            {"release_id": release_id, "platform": platform, "number": number, "sources": sources}
            for (release_id, platform), (number, sources) in sorted(rows.items())
        ]
        if values:
            await connection.execute(_KEEP_GATHERED, values)

    async def forget_gathered(self, connection: AsyncConnection, places: Collection[Place]) -> None:
        """Remove the gathered sources of places, which are in their table now."""
        for release_id, platform in sorted(places):
            await connection.execute(_of_place(rollout_gathered, release_id, platform))

    async def save_sources(self, connection: AsyncConnection, counts: Mapping[SourceKey, Seen]) -> None:
        """Replace what is known of sources."""
        if not counts:
            return
        key = ("release_id", "platform", "arm", "source")
        # In order, so that two writers cannot deadlock.
        rows = [
            {
                "release_id": id_,
                "platform": platform,
                "arm": arm,
                "source": source,
                "reports": reports,
                "failed": failed,
            }
            for (id_, platform, arm, source), (reports, failed) in sorted(counts.items())
        ]
        statement = self._database.upsert(rollout_source)
        fresh = {name: statement.excluded[name] for name in ("reports", "failed")}
        columns = [rollout_source.c[name] for name in key]
        await connection.execute(statement.on_conflict_do_update(index_elements=columns, set_=fresh), rows)

    async def forget_sources(self, connection: AsyncConnection, release_id: int, platform: str | None = None) -> None:
        """Remove what is known of sources, of one platform or of all."""
        for table in (rollout_source, rollout_gathered):
            await connection.execute(_of_place(table, release_id, platform))


def _of_place(table: Table, release_id: int, platform: str | None) -> Delete:
    gone = delete(table).where(table.c.release_id == release_id)
    return gone if platform is None else gone.where(table.c.platform == platform)
