"""The SQL of the catalog: applications, releases, builds, and the ladders of the index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, delete, func, insert, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from updater.catalog.index import ApplicationIndex, Rung, build_index, gather_releases
from updater.catalog.model import (
    CONFIG_DEFAULTS,
    Application,
    ApplicationStats,
    Build,
    BuildQuery,
    Checksum,
    Draft,
    ExternalFile,
    HostedFile,
    Page,
    Release,
)
from updater.catalog.platforms import DESKTOP_WORDS, Target
from updater.catalog.retention import Candidate
from updater.catalog.versions import Scheme, Version, parse_version
from updater.database.engine import Database
from updater.database.tables import application, blob, build, pinned_digest, release

ACTIVE, INACTIVE = "active", "inactive"
_DELETED_AT_ONCE = 500

_BUILD = (
    select(
        build,
        release.c.application_id,
        release.c.version,
        release.c.sort_key,
        release.c.prerelease,
        release.c.status,
        blob.c.quarantined_at,
    )
    .join(release, release.c.id == build.c.release_id)
    .outerjoin(blob, blob.c.digest == build.c.digest)
)
_FOR_DESKTOP = or_(
    *(
        and_(build.c.platform == target.platform, build.c.architecture == target.architecture)
        for target in DESKTOP_WORDS
    )
)
# As `is_three_numbers`: a normalised version that is no pre-release differs from three numbers by its count of
# dots, an epoch (!), a post-release (p) or build metadata (+).
_THREE_NUMBERS = (
    release.c.prerelease.is_(False),
    release.c.version.like("%.%.%"),
    *(release.c.version.not_like(f"%{mark}%") for mark in (".%.%.", "!", "p", "+")),
)
_SORT_COLUMNS = {
    "version": release.c.sort_key,
    "release_date": build.c.created_at,
    "created_at": build.c.created_at,
    "platform": build.c.platform,
    "architecture": build.c.architecture,
}


class CatalogStore:
    """Reads and writes the catalog. Methods that take a connection run in the caller's transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # -- applications

    async def insert_application(self, connection: AsyncConnection, each: Application) -> None:
        """Add an application."""
        await connection.execute(insert(application).values(id=each.id, **_application_values(each)))

    async def update_application(self, connection: AsyncConnection, each: Application) -> None:
        """Replace what is known of an application."""
        statement = update(application).where(application.c.id == each.id)
        await connection.execute(statement.values(**_application_values(each)))

    async def delete_application(self, connection: AsyncConnection, application_id: str) -> bool:
        """Remove an application with its releases, builds and reports; return whether it was there."""
        gone = await connection.execute(delete(application).where(application.c.id == application_id))
        return gone.rowcount > 0

    async def find_application(self, connection: AsyncConnection, application_id: str) -> Application | None:
        """Return one application; its row is the caller's until the transaction ends."""
        wanted = select(application).where(application.c.id == application_id).with_for_update()
        row = (await connection.execute(wanted)).first()
        return None if row is None else _application(row._mapping)

    async def list_applications(self, page: Page, only: str | None = None) -> tuple[list[Application], int]:
        """Return one page by id, and how many there are in all; `only` leaves just that one."""
        wanted = select(application).order_by(application.c.id)
        if only is not None:
            wanted = wanted.where(application.c.id == only)
        return await self._page(wanted, page, _application)

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
            .where(mine, release.c.status == ACTIVE)
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
        wanted = _BUILD.where(release.c.application_id == application_id)
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
        return await self._page(wanted.order_by(*order), query.page, _build)

    async def find_build(self, application_id: str, version: str, target: Target) -> Build | None:
        """Return one build, whatever its state."""
        async with self._database.read() as connection:
            return await self.find_build_in(connection, application_id, version, target)

    async def find_build_in(
        self, connection: AsyncConnection, application_id: str, version: str, target: Target
    ) -> Build | None:
        """Return one build, as the caller's transaction sees it."""
        wanted = _BUILD.where(
            release.c.application_id == application_id,
            release.c.version == version,
            build.c.platform == target.platform,
            build.c.architecture == target.architecture,
        )
        row = (await connection.execute(wanted)).first()
        return None if row is None else _build(row._mapping)

    async def find_first_build(self, connection: AsyncConnection, release_id: int) -> Build | None:
        """Return the oldest build of a release."""
        wanted = _BUILD.where(release.c.id == release_id).order_by(build.c.id).limit(1)
        row = (await connection.execute(wanted)).first()
        return None if row is None else _build(row._mapping)

    async def list_releases(self, application_id: str, page: Page) -> tuple[list[Release], int]:
        """Return one page of the releases desktop clients know, active or not, highest first; and how many in all."""
        known = select(build.c.id).where(build.c.release_id == release.c.id, _FOR_DESKTOP).exists()
        wanted = select(release.c.id).where(release.c.application_id == application_id, known, *_THREE_NUMBERS)
        ids, total = await self._page(wanted.order_by(release.c.sort_key.desc()), page, lambda row: row["id"])
        builds = _BUILD.where(release.c.id.in_(ids), _FOR_DESKTOP).order_by(release.c.sort_key.desc(), build.c.id)
        async with self._database.read() as connection:
            return gather_releases([_build(row._mapping) for row in await connection.execute(builds)]), total

    async def deactivate_release(self, connection: AsyncConnection, application_id: str, version: str) -> bool:
        """Switch a release off; return whether it was there."""
        mine = (release.c.application_id == application_id, release.c.version == version)
        return (await connection.execute(update(release).where(*mine).values(status=INACTIVE))).rowcount > 0

    async def ensure_release(
        self, connection: AsyncConnection, application_id: str, version: Version, now: datetime
    ) -> tuple[int, str]:
        """Return id and status of a release, made active when it is new."""
        values = {
            "application_id": application_id,
            "version": version.text,
            "sort_key": version.sort_key,
            "prerelease": version.prerelease,
            "status": ACTIVE,
            "created_at": now,
        }
        # Locked, because another process may be publishing its sibling or deleting its last build: then it is
        # gone when the lock is ours, and is made again.
        known = (
            select(release.c.id, release.c.status)
            .where(release.c.application_id == application_id, release.c.version == version.text)
            .with_for_update()
        )
        while True:
            await connection.execute(self._database.upsert(release).values(values).on_conflict_do_nothing())
            row = (await connection.execute(known)).first()
            if row is not None:
                return int(row.id), str(row.status)

    async def insert_build(
        self,
        connection: AsyncConnection,
        release_id: int,
        draft: Draft,
        file: ExternalFile | HostedFile,
        now: datetime,
    ) -> int:
        """Add a build; return its id."""
        values = {
            "release_id": release_id,
            "platform": draft.target.platform,
            "architecture": draft.target.architecture,
            "notes": draft.notes,
            "required": draft.required,
            "minimum_version": draft.minimum.text if draft.minimum else None,
            "minimum_key": draft.minimum.sort_key if draft.minimum else None,
            "metadata": dict(draft.metadata),
            "created_at": now,
            **_file_values(file),
        }
        new_id = await connection.scalar(insert(build).values(values).returning(build.c.id))
        return int(new_id)

    async def delete_build(self, connection: AsyncConnection, each: Build) -> None:
        """Remove a build, and its release when that was the last one."""
        # The lock first: a sibling that another process publishes now must be seen by the statement after it.
        await connection.execute(select(release.c.id).where(release.c.id == each.release_id).with_for_update())
        await connection.execute(delete(build).where(build.c.id == each.id))
        left = select(build.c.id).where(build.c.release_id == each.release_id).exists()
        await connection.execute(delete(release).where(release.c.id == each.release_id, ~left))

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
                active=row.status == ACTIVE,
                created_at=row.created_at,
                minimum_keys=tuple(minimum_keys),
            )
            for row, minimum_keys in found.values()
        ]

    async def offered_release_ids(self, connection: AsyncConnection, application_id: str) -> set[int]:
        """Return the releases with a build that somebody is offered, as the caller's transaction sees it."""
        found: set[int] = set()
        for prereleases in (False, True):
            rungs = await self._rungs(connection, application_id, prereleases=prereleases)
            found |= {rung.build.release_id for rung in rungs.get(application_id, ())}
        releases = await self._offered_releases(connection, application_id)
        return found | {each.id for each in releases.get(application_id, ())}

    async def delete_releases(self, connection: AsyncConnection, release_ids: Sequence[int]) -> None:
        """Remove releases with their builds."""
        for first in range(0, len(release_ids), _DELETED_AT_ONCE):
            some = release_ids[first : first + _DELETED_AT_ONCE]
            await connection.execute(delete(release).where(release.c.id.in_(some)))

    async def pin(self, connection: AsyncConnection, application_id: str, draft: Draft, digest: str) -> str:
        """Bind the coordinate to its bytes for ever; return the digest it is bound to."""
        coordinate = {
            "application_id": application_id,
            "version": draft.version.text,
            "platform": draft.target.platform,
            "architecture": draft.target.architecture,
        }
        statement = self._database.upsert(pinned_digest).values(digest=digest, **coordinate)
        await connection.execute(statement.on_conflict_do_nothing())
        bound = select(pinned_digest.c.digest).where(
            *(pinned_digest.c[name] == value for name, value in coordinate.items())
        )
        return str(await connection.scalar(bound))

    # -- the index

    async def load_index(self, application_id: str | None = None) -> dict[str, ApplicationIndex]:
        """Build the index of one application, or of all.

        The database reduces the builds to those on a ladder, so 100,000 releases cost one scan in C and a
        handful of rows in Python.
        """
        applications = select(application)
        if application_id is not None:
            applications = applications.where(application.c.id == application_id)
        async with self._database.read() as connection:
            found = [_application(row._mapping) for row in await connection.execute(applications)]
            stable = await self._rungs(connection, application_id, prereleases=False)
            with_prereleases = await self._rungs(connection, application_id, prereleases=True)
            releases = await self._offered_releases(connection, application_id)
        return {
            each.id: build_index(
                each, stable.get(each.id, ()), with_prereleases.get(each.id, ()), releases.get(each.id, ())
            )
            for each in found
        }

    async def _rungs(
        self, connection: AsyncConnection, application_id: str | None, *, prereleases: bool
    ) -> dict[str, list[Rung]]:
        ladder = _ladder(application_id, prereleases=prereleases)
        wanted = (
            _BUILD.add_columns(ladder.c.required_key)
            .join(ladder, ladder.c.id == build.c.id)
            .where(or_(ladder.c.newer_minimum.is_(None), ladder.c.own_minimum < ladder.c.newer_minimum))
        )
        rungs: dict[str, list[Rung]] = {}
        for row in await connection.execute(wanted):
            rungs.setdefault(row.application_id, []).append(Rung(_build(row._mapping), row.required_key))
        return rungs

    async def _offered_releases(
        self, connection: AsyncConnection, application_id: str | None
    ) -> dict[str, list[Release]]:
        offered = _offered(application_id)
        wanted = _BUILD.where(
            build.c.release_id.in_(
                select(offered.c.release_id).where(
                    or_(offered.c.newer_minimum.is_(None), offered.c.own_minimum < offered.c.newer_minimum)
                )
            ),
            _FOR_DESKTOP,
            blob.c.quarantined_at.is_(None),
        )
        builds: dict[str, list[Build]] = {}
        for row in await connection.execute(wanted):
            builds.setdefault(row.application_id, []).append(_build(row._mapping))
        return {id_: gather_releases(each) for id_, each in builds.items()}

    async def _page(self, wanted: Select[Any], page: Page, make: Any) -> tuple[list[Any], int]:
        total = select(func.count()).select_from(wanted.order_by(None).subquery())
        async with self._database.read() as connection:
            rows = await connection.execute(wanted.limit(page.limit).offset(page.offset))
            found = [make(row._mapping) for row in rows]
            return found, int(await connection.scalar(total) or 0)


def _ladder(application_id: str | None, *, prereleases: bool) -> Any:
    """For each offerable build: the lowest minimum among newer ones, and the highest required key up to it.

    A build whose own minimum is not below every newer build's minimum is never offered to anybody.
    """
    slot = (release.c.application_id, build.c.platform, build.c.architecture)
    own_minimum = func.coalesce(build.c.minimum_key, literal(""))
    required_key = case((build.c.required.is_(True), release.c.sort_key))
    ladder = (
        select(
            build.c.id,
            own_minimum.label("own_minimum"),
            func.min(own_minimum)
            .over(
                partition_by=slot,
                order_by=(release.c.sort_key.desc(), build.c.id.desc()),
                rows=(None, -1),
            )
            .label("newer_minimum"),
            func.max(required_key)
            .over(partition_by=slot, order_by=(release.c.sort_key, build.c.id), rows=(None, 0))
            .label("required_key"),
        )
        .join(release, release.c.id == build.c.release_id)
        .join(application, application.c.id == release.c.application_id)
        .outerjoin(blob, blob.c.digest == build.c.digest)
        .where(*_offerable(application_id))
    )
    if not prereleases:
        ladder = ladder.where(release.c.prerelease.is_(False))
    return ladder.subquery("ladder")


def _offered(application_id: str | None) -> Any:
    """For each build a desktop client may have: its release's minimum, and the lowest among newer releases.

    As in `_ladder`, but releases count as a whole: the minimum is the highest of a release's builds. A release
    whose every build stands behind a newer release that takes the same clients is never offered to anybody.
    """
    minimum = func.max(func.coalesce(build.c.minimum_key, literal(""))).over(partition_by=release.c.id)
    each = (
        select(
            build.c.release_id,
            build.c.platform,
            build.c.architecture,
            release.c.application_id,
            release.c.sort_key,
            minimum.label("own_minimum"),
        )
        .join(release, release.c.id == build.c.release_id)
        .join(application, application.c.id == release.c.application_id)
        .outerjoin(blob, blob.c.digest == build.c.digest)
        .where(*_offerable(application_id), _FOR_DESKTOP, *_THREE_NUMBERS)
        .subquery("each")
    )
    newer_minimum = func.min(each.c.own_minimum).over(
        partition_by=(each.c.application_id, each.c.platform, each.c.architecture),
        order_by=each.c.sort_key.desc(),
        rows=(None, -1),
    )
    return select(each.c.release_id, each.c.own_minimum, newer_minimum.label("newer_minimum")).subquery("offered")


def _offerable(application_id: str | None) -> list[ColumnElement[bool]]:
    """What holds for every build that is offered to anybody."""
    conditions = [
        release.c.status == ACTIVE,
        blob.c.quarantined_at.is_(None),
        or_(application.c.ceiling_key.is_(None), release.c.sort_key <= application.c.ceiling_key),
    ]
    if application_id is not None:
        conditions.append(release.c.application_id == application_id)
    return conditions


def _application_values(each: Application) -> dict[str, Any]:
    ceiling = each.config["max_version"]
    return {
        "name": each.name,
        "description": each.description,
        "platforms": list(each.platforms),
        "config": dict(each.config),
        "scheme": each.scheme.value,
        "ceiling_key": parse_version(ceiling, each.scheme).sort_key if ceiling else None,
        "created_at": each.created_at,
        "updated_at": each.updated_at,
    }


def _application(row: Mapping[Any, Any]) -> Application:
    return Application(
        id=row["id"],
        name=row["name"],
        description=row["description"],
        platforms=tuple(row["platforms"]),
        config={**CONFIG_DEFAULTS, **row["config"]},
        scheme=Scheme(row["scheme"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def _file_values(file: ExternalFile | HostedFile) -> dict[str, Any]:
    if isinstance(file, HostedFile):
        return {
            "digest": file.digest,
            "checksum_type": "sha256",
            "checksum": file.digest,
            "size_bytes": file.size_bytes,
            "suffix": file.suffix,
        }
    return {
        "url": file.url,
        "checksum_type": file.checksum.kind,
        "checksum": file.checksum.value,
        "size_bytes": file.size_bytes,
        "suffix": "",
    }


def _build(row: Mapping[Any, Any]) -> Build:
    minimum_text, minimum_key = row["minimum_version"], row["minimum_key"]
    return Build(
        id=row["id"],
        release_id=row["release_id"],
        application_id=row["application_id"],
        version=Version(row["version"], row["sort_key"], row["prerelease"]),
        target=Target(row["platform"], row["architecture"]),
        digest=row["digest"],
        url=row["url"],
        checksum=Checksum(row["checksum_type"], row["checksum"]),
        size_bytes=row["size_bytes"],
        suffix=row["suffix"],
        notes=row["notes"],
        required=row["required"],
        # Whether a minimum is a pre-release is never asked: only its key is compared.
        minimum=None if minimum_text is None else Version(minimum_text, minimum_key, prerelease=False),
        metadata=row["metadata"],
        created_at=row["created_at"],
        active=row["status"] == ACTIVE,
        quarantined=row["quarantined_at"] is not None,
    )
