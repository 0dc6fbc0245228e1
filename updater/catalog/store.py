"""The SQL of the catalog: applications, releases and builds."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Select, case, delete, func, insert, select, update

from updater.catalog.model import (
    Application,
    ApplicationStats,
    Build,
    BuildQuery,
    Page,
    Release,
    ReleaseFamily,
    ReleaseQuery,
    ReleaseStatus,
    gather_releases,
)
from updater.catalog.platforms import Target
from updater.catalog.release_store import KnownRelease, known_release_of
from updater.catalog.rows_store import (
    BUILD,
    application_of,
    application_values,
    build_of,
    in_family,
)
from updater.catalog.versions import Version
from updater.database.asynchronous import AsyncConnection
from updater.database.engine import Database
from updater.database.tables import application, build, release
from updater.database.tuf_tables import tuf_metadata
from updater.errors import NotFound

# Drafts are in no list but that of builds.
_SHOWN = release.c.status != ReleaseStatus.DRAFT.value
_SORT_COLUMNS = {
    "version": release.c.sort_key,
    "release_date": build.c.created_at,
    "created_at": build.c.created_at,
    "platform": build.c.platform,
    "architecture": build.c.architecture,
}


class CatalogStore:
    """Reads and writes the catalog.

    Methods that take a connection run in the caller's transaction. Those that change something rely on it that the
    application is held (`hold_application`).
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    # -- applications

    async def insert_application(self, connection: AsyncConnection, each: Application) -> None:
        """Add an application."""
        await connection.execute(insert(application).values(id=each.id, **application_values(each)))

    async def update_application(self, connection: AsyncConnection, each: Application) -> None:
        """Replace what is known of an application."""
        statement = update(application).where(application.c.id == each.id)
        await connection.execute(statement.values(**application_values(each)))

    async def delete_application(self, connection: AsyncConnection, application_id: str) -> None:
        """Remove an application with its releases, builds and reports."""
        await connection.execute(delete(application).where(application.c.id == application_id))

    async def hold_application(self, connection: AsyncConnection, application_id: str) -> Application | None:
        """Return one application, locked: other changes of it, or of what belongs to it, wait for the transaction.

        Reports and counts, which only refer to it, do not wait (`FOR NO KEY UPDATE`).
        """
        wanted = select(application).where(application.c.id == application_id).with_for_update(key_share=True)
        row = (await connection.execute(wanted)).first()
        return None if row is None else application_of(row._mapping)

    async def find_application(self, application_id: str) -> Application | None:
        """Return one application."""
        async with self._database.read() as connection:
            return await self.find_application_in(connection, application_id)

    async def find_application_in(self, connection: AsyncConnection, application_id: str) -> Application | None:
        """Return one application, as the caller's transaction sees it."""
        row = (await connection.execute(select(application).where(application.c.id == application_id))).first()
        return None if row is None else application_of(row._mapping)

    async def list_applications(self, page: Page, only: str | None = None) -> tuple[list[Application], int]:
        """Return one page by id, and how many there are in all; `only` leaves just that one."""
        wanted = select(application).order_by(application.c.id)
        if only is not None:
            wanted = wanted.where(application.c.id == only)
        return await self._page(wanted, page, application_of)

    async def list_tuf_channels(self, connection: AsyncConnection, application_id: str) -> set[str]:
        """Return the channels of an application for which TUF metadata is published."""
        wanted = select(tuf_metadata.c.channel).where(tuf_metadata.c.application_id == application_id).distinct()
        return set(await connection.scalars(wanted))

    async def stats(self, application_id: str) -> ApplicationStats:
        """Count over the builds of an application but for drafts; the latest version is the highest active one."""
        mine = release.c.application_id == application_id
        counts = (
            select(
                func.count(),
                func.count(build.c.platform.distinct()),
                func.count(case((build.c.required.is_(True), 1))),
            )
            .select_from(build.join(release, release.c.id == build.c.release_id))
            .where(mine, _SHOWN)
        )
        newest = (
            select(release.c.version, build.c.created_at)
            .join(build, build.c.release_id == release.c.id)
            .where(mine, release.c.status == ReleaseStatus.ACTIVE)
            .order_by(release.c.prerelease, release.c.sort_key.desc(), build.c.created_at.desc())
            .limit(1)
        )
        async with self._database.read() as connection:
            total, platforms, required = (await connection.execute(counts)).one()
            version, released_at = (await connection.execute(newest)).first() or (None, None)
        return ApplicationStats(total, version, released_at, platforms, required)

    # -- builds

    async def list_builds(
        self, application_id: str, query: BuildQuery, version_key: str | None
    ) -> tuple[list[Build], int]:
        """Return one page of builds, and how many fit in all; `version_key` is the sort key of `query.version`."""
        wanted = BUILD.where(release.c.application_id == application_id)
        filters = {
            build.c.platform: query.platform,
            build.c.architecture: query.architecture,
            release.c.sort_key: version_key,
            build.c.required: query.required,
            release.c.channel: query.channel,
            release.c.status: query.status,
        }
        for column, value in filters.items():
            if value is not None:
                wanted = wanted.where(column == value)
        column = _SORT_COLUMNS[query.sort_by]
        # The id settles ties, so that pages never overlap.
        order = (column.desc(), build.c.id.desc()) if query.descending else (column, build.c.id)
        return await self._page(wanted.order_by(*order), query.page, build_of)

    async def list_known_releases(self, application_id: str, query: ReleaseQuery) -> tuple[list[KnownRelease], int]:
        """Return one page of releases in any status, the newest first, and how many fit in all."""
        wanted = select(release).where(release.c.application_id == application_id)
        for column, value in ((release.c.channel, query.channel), (release.c.status, query.status)):
            if value is not None:
                wanted = wanted.where(column == value)
        if query.platform is not None:
            there = select(build.c.id).where(build.c.release_id == release.c.id, build.c.platform == query.platform)
            wanted = wanted.where(there.exists())
        newest = func.coalesce(release.c.published_at, release.c.created_at)
        return await self._page(wanted.order_by(newest.desc(), release.c.id.desc()), query.page, known_release_of)

    async def list_builds_of(self, release_ids: Collection[int]) -> list[Build]:
        """Return the builds of releases, by release in the order in which they were published."""
        wanted = BUILD.where(release.c.id.in_(list(release_ids))).order_by(build.c.release_id, build.c.id)
        async with self._database.read() as connection:
            return [build_of(row._mapping) for row in await connection.execute(wanted)]

    async def list_newest_builds(self, application_id: str, target: Target, limit: int) -> list[Build]:
        """Return the builds for a target, whatever their status, highest version first."""
        wanted = BUILD.where(
            release.c.application_id == application_id,
            build.c.platform == target.platform,
            build.c.architecture == target.architecture,
        ).order_by(release.c.sort_key.desc(), build.c.id.desc())
        async with self._database.read() as connection:
            return [build_of(row._mapping) for row in await connection.execute(wanted.limit(limit))]

    async def find_build(self, application_id: str, version: Version, target: Target) -> Build | None:
        """Return one build, whatever its state."""
        async with self._database.read() as connection:
            return await self.find_build_in(connection, application_id, version, target)

    async def find_build_in(
        self, connection: AsyncConnection, application_id: str, version: Version, target: Target
    ) -> Build | None:
        """Return one build, as the caller's transaction sees it; its version may be spelt otherwise.

        Where an older server made builds of equal versions, that of the same text counts.
        """
        wanted = (
            BUILD.where(
                release.c.application_id == application_id,
                release.c.sort_key == version.sort_key,
                build.c.platform == target.platform,
                build.c.architecture == target.architecture,
            )
            .order_by(case((release.c.version == version.text, 0), else_=1), build.c.id)
            .limit(1)
        )
        row = (await connection.execute(wanted)).first()
        return None if row is None else build_of(row._mapping)

    async def get_build_in(
        self, connection: AsyncConnection, application_id: str, version: Version, target: Target
    ) -> Build:
        """Return one build, as the caller's transaction sees it. Raises NotFound."""
        found = await self.find_build_in(connection, application_id, version, target)
        if found is None:
            raise NotFound("release", f"Release not found: {version.text} for {target.platform}/{target.architecture}")
        return found

    async def list_releases(self, application_id: str, family: ReleaseFamily, page: Page) -> tuple[list[Release], int]:
        """Return one page of a family's releases, active or withdrawn, highest first; and how many in all."""
        mine = in_family(family)
        known = select(build.c.id).where(build.c.release_id == release.c.id, mine).exists()
        wanted = select(release.c.id).where(release.c.application_id == application_id, known, _SHOWN)
        ids, total = await self._page(wanted.order_by(release.c.sort_key.desc()), page, lambda row: row["id"])
        builds = BUILD.where(release.c.id.in_(ids), mine).order_by(release.c.sort_key.desc(), build.c.id)
        async with self._database.read() as connection:
            return gather_releases([build_of(row._mapping) for row in await connection.execute(builds)]), total

    async def _page(self, wanted: Select[Any], page: Page, make: Any) -> tuple[list[Any], int]:
        total = select(func.count()).select_from(wanted.order_by(None).subquery())
        async with self._database.read() as connection:
            rows = await connection.execute(wanted.limit(page.limit).offset(page.offset))
            found = [make(row._mapping) for row in rows]
            return found, int(await connection.scalar(total) or 0)
