"""The SQL that changes releases and builds, and the reads that such changes stand on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, case, delete, insert, or_, select, update

from updater.catalog.model import Build, BuildDetails, ReleaseStatus
from updater.catalog.platforms import Target
from updater.catalog.retention import Candidate
from updater.catalog.rows_store import BUILD, build_of
from updater.catalog.versions import Version
from updater.database.asynchronous import AsyncConnection
from updater.database.engine import Database
from updater.database.rollout_tables import rollout
from updater.database.tables import build, file, release

_DELETED_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class KnownRelease:
    """A release as it stands in its row. `channel_position` is 0 for the most stable channel."""

    id: int
    version: str
    sort_key: str
    prerelease: bool
    status: ReleaseStatus
    complete: bool
    channel: str
    channel_position: int
    created_at: datetime
    published_at: datetime | None = None


class ReleaseStore:
    """Writes releases, builds and their files.

    Every method runs in the caller's transaction, which holds the application (`CatalogStore.hold_application`).
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find_first_build(self, connection: AsyncConnection, release_id: int) -> Build | None:
        """Return the oldest build of a release."""
        wanted = BUILD.where(release.c.id == release_id).order_by(build.c.id).limit(1)
        row = (await connection.execute(wanted)).first()
        return None if row is None else build_of(row._mapping)

    async def find_release(
        self, connection: AsyncConnection, application_id: str, version: Version
    ) -> KnownRelease | None:
        """Return the release of an equal version, whatever its status."""
        row = (await connection.execute(_equal_release(application_id, version))).first()
        return None if row is None else known_release_of(row._mapping)

    async def list_builds_of(self, connection: AsyncConnection, release_id: int) -> list[Build]:
        """Return the builds of a release in the order in which they were published."""
        wanted = BUILD.where(release.c.id == release_id).order_by(build.c.id)
        return [build_of(row._mapping) for row in await connection.execute(wanted)]

    async def set_status(self, connection: AsyncConnection, release_id: int, status: ReleaseStatus) -> None:
        """Change the status of a release."""
        await connection.execute(update(release).where(release.c.id == release_id).values(status=status.value))

    async def set_channel(self, connection: AsyncConnection, release_id: int, channel: str, position: int) -> None:
        """Put a release on another channel, which stands at `position` in the application's list."""
        values = {"channel": channel, "channel_position": position}
        await connection.execute(update(release).where(release.c.id == release_id).values(values))

    async def list_channels_in_use(self, connection: AsyncConnection, application_id: str) -> set[str]:
        """Return the channels that releases of an application are on, whatever their status."""
        wanted = select(release.c.channel).where(release.c.application_id == application_id).distinct()
        return set(await connection.scalars(wanted))

    async def number_channels(self, connection: AsyncConnection, application_id: str, channels: Sequence[str]) -> None:
        """Note where the channels of releases stand in an application's new list."""
        for position, channel in enumerate(channels):
            mine = (release.c.application_id == application_id, release.c.channel == channel)
            other = release.c.channel_position != position
            await connection.execute(update(release).where(*mine, other).values(channel_position=position))

    async def ensure_release(
        self,
        connection: AsyncConnection,
        application_id: str,
        version: Version,
        channel: tuple[str, int],
        now: datetime,
        *,
        draft: bool = False,
    ) -> tuple[KnownRelease, bool]:
        """Return a release, made on a channel when it is new, and whether it is.

        `channel` is a name and its position in the application's list. A new one is active, or a draft. The version is
        spelt as that of the first build was: an equal one of another spelling is the same release.
        """
        known = _equal_release(application_id, version)
        row = (await connection.execute(known)).first()
        if row is not None:
            return known_release_of(row._mapping), False
        values = {
            "application_id": application_id,
            "version": version.text,
            "sort_key": version.sort_key,
            "prerelease": version.prerelease,
            "numbers": version.numbers,
            "status": (ReleaseStatus.DRAFT if draft else ReleaseStatus.ACTIVE).value,
            "complete": True,
            "channel": channel[0],
            "channel_position": channel[1],
            "created_at": now,
            "published_at": None if draft else now,
        }
        await connection.execute(insert(release).values(values))
        return known_release_of((await connection.execute(known)).one()._mapping), True

    async def insert_build(
        self, connection: AsyncConnection, release_id: int, details: BuildDetails, now: datetime, **external: Any
    ) -> int:
        """Add a build; return its id. `external` are the columns of an external file (`external_values`)."""
        values = {
            "release_id": release_id,
            "platform": details.target.platform,
            "architecture": details.target.architecture,
            "created_at": now,
            **_said(details),
            **external,
        }
        return int(await connection.scalar(insert(build).values(values).returning(build.c.id)))

    async def update_build(
        self, connection: AsyncConnection, build_id: int, details: BuildDetails, now: datetime, **external: Any
    ) -> None:
        """Replace what is said of a build of a draft; its time is that of its latest upload."""
        values = {"created_at": now, **_said(details), **external}
        await connection.execute(update(build).where(build.c.id == build_id).values(values))

    async def set_published(self, connection: AsyncConnection, release_id: int, now: datetime) -> None:
        """Make a draft active, as of now."""
        values = {"status": ReleaseStatus.ACTIVE.value, "published_at": now}
        await connection.execute(update(release).where(release.c.id == release_id).values(values))

    async def list_idle_drafts(self, connection: AsyncConnection, before: datetime) -> list[tuple[str, str]]:
        """Return drafts that nothing was uploaded to since a time (UTC), as application and version."""
        used = (
            select(build.c.release_id)
            .outerjoin(file, file.c.build_id == build.c.id)
            .where(or_(build.c.created_at >= before, file.c.created_at >= before))
        )
        idle = (
            release.c.status == ReleaseStatus.DRAFT.value,
            release.c.created_at < before,
            release.c.id.not_in(used),
        )
        wanted = select(release.c.application_id, release.c.version).where(*idle).order_by(release.c.id)
        return [(row.application_id, row.version) for row in await connection.execute(wanted)]

    async def delete_build(self, connection: AsyncConnection, each: Build) -> bool:
        """Remove a build, and its release when that was the last one; return whether the release went too."""
        await connection.execute(delete(build).where(build.c.id == each.id))
        # After the build and before the release, as reports do that are being counted: else both wait for each other.
        await connection.execute(
            select(rollout.c.release_id).where(rollout.c.release_id == each.release_id).with_for_update()
        )
        left = select(build.c.id).where(build.c.release_id == each.release_id).exists()
        gone = await connection.execute(delete(release).where(release.c.id == each.release_id, ~left))
        return gone.rowcount > 0

    async def list_candidates(self, connection: AsyncConnection, application_id: str) -> list[Candidate]:
        """Return every release of an application, as retention looks at it."""
        rows = await connection.execute(
            select(release, build.c.platform, build.c.architecture, build.c.minimum_key)
            .outerjoin(build, build.c.release_id == release.c.id)
            .where(release.c.application_id == application_id)
        )
        found: dict[int, tuple[Any, list[tuple[Target, str]]]] = {}
        for row in rows:
            _, minimum_keys = found.setdefault(row.id, (row, []))
            if row.platform is not None:
                minimum_keys.append((Target(row.platform, row.architecture), row.minimum_key or ""))
        return [
            Candidate(
                release_id=row.id,
                version=Version(row.version, row.sort_key, row.prerelease),
                status=ReleaseStatus(row.status),
                complete=row.complete,
                channel=row.channel,
                channel_position=row.channel_position,
                created_at=row.created_at,
                minimum_keys=tuple(minimum_keys),
            )
            for row, minimum_keys in found.values()
        ]

    async def delete_releases(self, connection: AsyncConnection, release_ids: Sequence[int]) -> None:
        """Remove releases with their builds."""
        for first in range(0, len(release_ids), _DELETED_AT_ONCE):
            some = release_ids[first : first + _DELETED_AT_ONCE]
            await connection.execute(delete(release).where(release.c.id.in_(some)))


def _equal_release(application_id: str, version: Version) -> Select[Any]:
    """Select the release of an equal version; where an older server made several, that of the same text first."""
    return (
        select(release)
        .where(release.c.application_id == application_id, release.c.sort_key == version.sort_key)
        .order_by(case((release.c.version == version.text, 0), else_=1), release.c.id)
        .limit(1)
    )


def _said(details: BuildDetails) -> dict[str, Any]:
    return {
        "notes": details.notes,
        "required": details.required,
        "minimum_version": details.minimum.text if details.minimum else None,
        "minimum_key": details.minimum.sort_key if details.minimum else None,
        "metadata": dict(details.metadata),
    }


def known_release_of(row: Mapping[Any, Any]) -> KnownRelease:
    """Return the release of a row."""
    return KnownRelease(
        row["id"],
        row["version"],
        row["sort_key"],
        row["prerelease"],
        ReleaseStatus(row["status"]),
        row["complete"],
        row["channel"],
        row["channel_position"],
        row["created_at"],
        row["published_at"],
    )
