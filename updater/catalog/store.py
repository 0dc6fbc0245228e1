"""The SQL of the catalog: applications, releases and builds."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select, case, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from updater.catalog.files import kind_of, name_key
from updater.catalog.model import (
    Application,
    ApplicationStats,
    Build,
    BuildDetails,
    BuildQuery,
    Page,
    Release,
    ReleaseFamily,
    ReleaseStatus,
    gather_releases,
)
from updater.catalog.platforms import Target
from updater.catalog.retention import Candidate
from updater.catalog.rows_store import (
    BUILD,
    application_of,
    application_values,
    build_of,
    in_family,
)
from updater.catalog.versions import Version
from updater.database.engine import Database
from updater.database.tables import application, build, file, pinned_digest, release
from updater.errors import NotFound

_DELETED_AT_ONCE = 500

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
        """Return one application; who else changes it or what belongs to it waits until the transaction ends.

        Reports and counts, which only refer to it, do not wait (`FOR NO KEY UPDATE`).
        """
        wanted = select(application).where(application.c.id == application_id).with_for_update(key_share=True)
        row = (await connection.execute(wanted)).first()
        return None if row is None else application_of(row._mapping)

    async def find_application(self, application_id: str) -> Application | None:
        """Return one application."""
        async with self._database.read() as connection:
            row = (await connection.execute(select(application).where(application.c.id == application_id))).first()
            return None if row is None else application_of(row._mapping)

    async def list_applications(self, page: Page, only: str | None = None) -> tuple[list[Application], int]:
        """Return one page by id, and how many there are in all; `only` leaves just that one."""
        wanted = select(application).order_by(application.c.id)
        if only is not None:
            wanted = wanted.where(application.c.id == only)
        return await self._page(wanted, page, application_of)

    async def stats(self, application_id: str) -> ApplicationStats:
        """Count over the builds of an application; the latest version is the highest active one."""
        mine = release.c.application_id == application_id
        counts = (
            select(
                func.count(),
                func.count(build.c.platform.distinct()),
                func.count(case((build.c.required.is_(True), 1))),
            )
            .select_from(build.join(release, release.c.id == build.c.release_id))
            .where(mine)
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

    async def list_builds(self, application_id: str, query: BuildQuery) -> tuple[list[Build], int]:
        """Return one page of builds, and how many fit in all."""
        wanted = BUILD.where(release.c.application_id == application_id)
        filters = {
            build.c.platform: query.platform,
            build.c.architecture: query.architecture,
            release.c.version: query.version,
            build.c.required: query.required,
        }
        for column, value in filters.items():
            if value is not None:
                wanted = wanted.where(column == value)
        column = _SORT_COLUMNS[query.sort_by]
        # The id settles ties, so that pages never overlap.
        order = (column.desc(), build.c.id.desc()) if query.descending else (column, build.c.id)
        return await self._page(wanted.order_by(*order), query.page, build_of)

    async def find_build(self, application_id: str, version: str, target: Target) -> Build | None:
        """Return one build, whatever its state."""
        async with self._database.read() as connection:
            return await self.find_build_in(connection, application_id, version, target)

    async def find_build_in(
        self, connection: AsyncConnection, application_id: str, version: str, target: Target
    ) -> Build | None:
        """Return one build, as the caller's transaction sees it."""
        wanted = BUILD.where(
            release.c.application_id == application_id,
            release.c.version == version,
            build.c.platform == target.platform,
            build.c.architecture == target.architecture,
        )
        row = (await connection.execute(wanted)).first()
        return None if row is None else build_of(row._mapping)

    async def get_build_in(
        self, connection: AsyncConnection, application_id: str, version: str, target: Target
    ) -> Build:
        """Return one build, as the caller's transaction sees it. Raises NotFound."""
        found = await self.find_build_in(connection, application_id, version, target)
        if found is None:
            raise NotFound("release", f"Release not found: {version} for {target.platform}/{target.architecture}")
        return found

    async def find_first_build(self, connection: AsyncConnection, release_id: int) -> Build | None:
        """Return the oldest build of a release."""
        wanted = BUILD.where(release.c.id == release_id).order_by(build.c.id).limit(1)
        row = (await connection.execute(wanted)).first()
        return None if row is None else build_of(row._mapping)

    async def list_releases(self, application_id: str, family: ReleaseFamily, page: Page) -> tuple[list[Release], int]:
        """Return one page of a family's releases, whatever their status, highest first; and how many in all."""
        mine = in_family(family)
        known = select(build.c.id).where(build.c.release_id == release.c.id, mine).exists()
        wanted = select(release.c.id).where(release.c.application_id == application_id, known)
        ids, total = await self._page(wanted.order_by(release.c.sort_key.desc()), page, lambda row: row["id"])
        builds = BUILD.where(release.c.id.in_(ids), mine).order_by(release.c.sort_key.desc(), build.c.id)
        async with self._database.read() as connection:
            return gather_releases([build_of(row._mapping) for row in await connection.execute(builds)]), total

    async def find_status(self, connection: AsyncConnection, application_id: str, version: str) -> ReleaseStatus | None:
        """Return the status of a release; None when there is no such release."""
        wanted = select(release.c.status).where(
            release.c.application_id == application_id, release.c.version == version
        )
        found = await connection.scalar(wanted)
        return None if found is None else ReleaseStatus(found)

    async def set_status(
        self, connection: AsyncConnection, application_id: str, version: str, status: ReleaseStatus
    ) -> None:
        """Change the status of a release."""
        mine = (release.c.application_id == application_id, release.c.version == version)
        await connection.execute(update(release).where(*mine).values(status=status.value))

    async def ensure_release(
        self, connection: AsyncConnection, application_id: str, version: Version, now: datetime
    ) -> tuple[int, ReleaseStatus, bool]:
        """Return id and status of a release, made active when it is new, and whether it is."""
        values = {
            "application_id": application_id,
            "version": version.text,
            "sort_key": version.sort_key,
            "prerelease": version.prerelease,
            "numbers": version.numbers,
            "status": ReleaseStatus.ACTIVE.value,
            "complete": True,
            "created_at": now,
        }
        known = select(release.c.id, release.c.status).where(
            release.c.application_id == application_id, release.c.version == version.text
        )
        made = await connection.execute(self._database.upsert(release).values(values).on_conflict_do_nothing())
        row = (await connection.execute(known)).one()
        return int(row.id), ReleaseStatus(row.status), made.rowcount > 0

    async def insert_build(
        self, connection: AsyncConnection, release_id: int, details: BuildDetails, now: datetime, **external: Any
    ) -> int:
        """Add a build; return its id. `external` are the columns of an external file (`external_values`)."""
        values = {
            "release_id": release_id,
            "platform": details.target.platform,
            "architecture": details.target.architecture,
            "notes": details.notes,
            "required": details.required,
            "minimum_version": details.minimum.text if details.minimum else None,
            "minimum_key": details.minimum.sort_key if details.minimum else None,
            "metadata": dict(details.metadata),
            "created_at": now,
            **external,
        }
        new_id = await connection.scalar(insert(build).values(values).returning(build.c.id))
        return int(new_id)

    async def insert_primary_file(
        self, connection: AsyncConnection, build_id: int, name: str, digest: str, now: datetime
    ) -> None:
        """Give a build its primary file, whose blob is claimed."""
        values = {
            "build_id": build_id,
            "name": name,
            "name_key": name_key(name),
            "kind": kind_of(name).value,
            "is_primary": True,
            "digest": digest,
            "made_by": "developer",
            "created_at": now,
        }
        await connection.execute(insert(file).values(values))

    async def delete_build(self, connection: AsyncConnection, each: Build) -> bool:
        """Remove a build, and its release when that was the last one; return whether the release went too."""
        await connection.execute(delete(build).where(build.c.id == each.id))
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

    async def pin(
        self, connection: AsyncConnection, application_id: str, version: Version, target: Target, digest: str
    ) -> str:
        """Bind the coordinate to its bytes for ever; return the digest it is bound to."""
        coordinate = {
            "application_id": application_id,
            "version": version.text,
            "platform": target.platform,
            "architecture": target.architecture,
        }
        statement = self._database.upsert(pinned_digest).values(digest=digest, **coordinate)
        await connection.execute(statement.on_conflict_do_nothing())
        bound = select(pinned_digest.c.digest).where(
            *(pinned_digest.c[name] == value for name, value in coordinate.items())
        )
        return str(await connection.scalar(bound))

    async def _page(self, wanted: Select[Any], page: Page, make: Any) -> tuple[list[Any], int]:
        total = select(func.count()).select_from(wanted.order_by(None).subquery())
        async with self._database.read() as connection:
            rows = await connection.execute(wanted.limit(page.limit).offset(page.offset))
            found = [make(row._mapping) for row in rows]
            return found, int(await connection.scalar(total) or 0)
