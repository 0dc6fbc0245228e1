"""The SQL that changes releases and builds, and the reads that such changes stand on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from updater.catalog.files import kind_of, name_key
from updater.catalog.model import Build, BuildDetails, ReleaseStatus
from updater.catalog.platforms import Target
from updater.catalog.retention import Candidate
from updater.catalog.rows_store import BUILD, build_of
from updater.catalog.versions import Version
from updater.database.engine import Database
from updater.database.tables import build, file, pinned_digest, release

_DELETED_AT_ONCE = 500


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
        self, connection: AsyncConnection, application_id: str, version: Version, target: Target, digest: str | None
    ) -> str | None:
        """Bind the coordinate to its bytes for ever; return the digest it is bound to.

        Without a digest nothing is bound, and None is what an unbound coordinate returns.
        """
        coordinate = {
            "application_id": application_id,
            "version": version.text,
            "platform": target.platform,
            "architecture": target.architecture,
        }
        if digest is not None:
            statement = self._database.upsert(pinned_digest).values(digest=digest, **coordinate)
            await connection.execute(statement.on_conflict_do_nothing())
        bound = select(pinned_digest.c.digest).where(
            *(pinned_digest.c[name] == value for name, value in coordinate.items())
        )
        found: str | None = await connection.scalar(bound)
        return found
