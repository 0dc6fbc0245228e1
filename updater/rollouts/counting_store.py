"""The SQL of counting: what the control arm is taken from, and where counted reports came from."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from updater.catalog.model import ReleaseStatus
from updater.database.engine import Database
from updater.database.rollout_tables import rollout_source
from updater.database.tables import release, report
from updater.rollouts.evidence import Arm

_ACTIVE = release.c.status == ReleaseStatus.ACTIVE.value


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

    async def find_complete(
        self, connection: AsyncConnection, application_id: str, sort_keys: Collection[str]
    ) -> set[str]:
        """Return which versions of an application, by sort key, are complete releases at this moment."""
        wanted = select(release.c.sort_key).where(
            release.c.application_id == application_id,
            release.c.sort_key.in_(list(sort_keys)),
            _ACTIVE,
            release.c.complete,
        )
        return set(await connection.scalars(wanted))

    async def read_sources(
        self, connection: AsyncConnection, release_ids: Collection[int], sources: Iterable[str]
    ) -> dict[tuple[int, str, str, str], tuple[int, bool]]:
        """Return what is known of sources.

        Returns: (release, platform, arm, source) -> (counted reports, whether one of them failed).
        """
        wanted = select(rollout_source).where(
            rollout_source.c.release_id.in_(list(release_ids)), rollout_source.c.source.in_(sorted(set(sources)))
        )
        return {
            (row.release_id, row.platform, row.arm, row.source): (row.reports, row.failed)
            for row in await connection.execute(wanted)
        }

    async def save_sources(
        self, connection: AsyncConnection, counts: Mapping[tuple[int, str, str, str], tuple[int, bool]]
    ) -> None:
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
        gone = delete(rollout_source).where(rollout_source.c.release_id == release_id)
        if platform is not None:
            gone = gone.where(rollout_source.c.platform == platform)
        await connection.execute(gone)
