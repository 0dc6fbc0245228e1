"""The SQL of the in-memory index: the database finds what somebody could be offered."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, case, func, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from updater.catalog.index import ApplicationIndex, Rung, build_index, gather_releases
from updater.catalog.model import Build, Release
from updater.catalog.rows_store import ACTIVE, BUILD, FOR_DESKTOP, THREE_NUMBERS, application_of, build_of
from updater.database.engine import Database
from updater.database.tables import application, blob, build, release


class IndexStore:
    """Reads snapshots for the index. Methods that take a connection run in the caller's transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self, application_id: str | None = None) -> dict[str, ApplicationIndex]:
        """Build the index of one application, or of all.

        The database reduces the builds to those on a ladder, so 100,000 releases cost one scan in C and a
        handful of rows in Python.
        """
        applications = select(application)
        if application_id is not None:
            applications = applications.where(application.c.id == application_id)
        async with self._database.read() as connection:
            found = [application_of(row._mapping) for row in await connection.execute(applications)]
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
            BUILD.add_columns(ladder.c.required_key)
            .join(ladder, ladder.c.id == build.c.id)
            .where(or_(ladder.c.newer_minimum.is_(None), ladder.c.own_minimum < ladder.c.newer_minimum))
        )
        rungs: dict[str, list[Rung]] = {}
        for row in await connection.execute(wanted):
            rungs.setdefault(row.application_id, []).append(Rung(build_of(row._mapping), row.required_key))
        return rungs

    async def _offered_releases(
        self, connection: AsyncConnection, application_id: str | None
    ) -> dict[str, list[Release]]:
        offered = _offered(application_id)
        wanted = BUILD.where(
            build.c.release_id.in_(
                select(offered.c.release_id).where(
                    or_(offered.c.newer_minimum.is_(None), offered.c.own_minimum < offered.c.newer_minimum)
                )
            ),
            FOR_DESKTOP,
            blob.c.quarantined_at.is_(None),
        )
        builds: dict[str, list[Build]] = {}
        for row in await connection.execute(wanted):
            builds.setdefault(row.application_id, []).append(build_of(row._mapping))
        return {id_: gather_releases(each) for id_, each in builds.items()}

    async def offered_release_ids(self, connection: AsyncConnection, application_id: str) -> set[int]:
        """Return the releases with a build that somebody is offered, as the caller's transaction sees it."""
        found: set[int] = set()
        for prereleases in (False, True):
            rungs = await self._rungs(connection, application_id, prereleases=prereleases)
            found |= {rung.build.release_id for rung in rungs.get(application_id, ())}
        releases = await self._offered_releases(connection, application_id)
        return found | {each.id for each in releases.get(application_id, ())}


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
        .where(*_offerable(application_id), FOR_DESKTOP, *THREE_NUMBERS)
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
