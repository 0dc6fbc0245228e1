"""The SQL of the snapshots: the database finds what some client could be offered."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, literal, or_, select

from updater.catalog.model import Build, Release, ReleaseFamily, ReleaseStatus, gather_releases
from updater.catalog.platforms import Target
from updater.catalog.rows_store import BUILD, application_of, build_of, in_family
from updater.database.asynchronous import AsyncConnection
from updater.database.engine import Database
from updater.database.tables import application, blob, build, file, release
from updater.offers.ladders import Candidates
from updater.offers.snapshot import Snapshot, build_snapshot
from updater.rollouts.store import RolloutStore

_ACTIVE = release.c.status == ReleaseStatus.ACTIVE.value

Ids = Collection[str] | None
"""Ids of applications; None: all of them."""

# Builds whose primary file must not be served; there are hardly ever any, so this costs less than looking at each.
_QUARANTINED = build.c.id.in_(
    select(file.c.build_id)
    .join(blob, blob.c.digest == file.c.digest)
    .where(blob.c.quarantined_at.is_not(None), file.c.is_primary)
)


class OfferStore:
    """Reads snapshots. `families` names the applications that have clients of a release family, by id."""

    def __init__(self, database: Database, families: Mapping[str, ReleaseFamily] | None = None) -> None:
        self._database = database
        self._families = dict(families or {})
        self._rollouts = RolloutStore(database)

    async def load(self, ids: Ids = None) -> dict[str, Snapshot]:
        """Build the snapshots of the given applications, or of all; one that is gone is left out.

        The database reduces the builds to those that could be on a ladder, so 100,000 releases cost one scan in C
        and a handful of rows in Python.
        """
        applications = select(application)
        if ids is not None:
            applications = applications.where(application.c.id.in_(list(ids)))
        async with self._database.read_to_follow() as connection:
            found = [application_of(row._mapping) for row in await connection.execute(applications)]
            candidates = await self._candidates(connection, ids)
            releases = await self._offered_releases(connection, ids)
            rollouts = await self._rollouts.list_open(connection, ids)
        return {
            each.id: build_snapshot(
                each,
                candidates.get(each.id, Candidates()),
                releases.get(each.id, ()),
                [rollout for rollout in rollouts if rollout.application_id == each.id],
            )
            for each in found
        }

    async def list_offered_releases(self, connection: AsyncConnection, application_id: str) -> set[int]:
        """Return the releases, by id, with a build that some client is offered, in the caller's transaction."""
        ids = (application_id,)
        candidates = await self._candidates(connection, ids)
        found: set[int] = set()
        if application_id in candidates:
            stable, by_position = candidates[application_id].all_ladders()
            for ladders in (stable, *by_position.values()):
                found |= {rung.build.release_id for ladder in ladders.values() for rung in ladder}
        releases = await self._offered_releases(connection, ids)
        return found | {each.id for each in releases.get(application_id, ())}

    async def _candidates(self, connection: AsyncConnection, ids: Ids) -> dict[str, Candidates]:
        """Return by application what could be on its ladders."""
        builds: dict[str, list[Build]] = {}
        for wanted in (_newest_complete(ids), _limited(ids)):
            for row in await connection.execute(wanted):
                builds.setdefault(row.application_id, []).append(build_of(row._mapping))
        candidates = {id_: Candidates(each) for id_, each in builds.items()}
        # There may be as many as builds, so they pass by one at a time.
        async with connection.stream(_required(ids)) as rows:
            async for application_id, platform, architecture, position, prerelease, sort_key in rows:
                if application_id in candidates:
                    target = Target(platform, architecture)
                    candidates[application_id].require(target, (position, prerelease), sort_key)
        return candidates

    async def _offered_releases(self, connection: AsyncConnection, ids: Ids) -> dict[str, list[Release]]:
        builds: dict[str, list[Build]] = {}
        by_family: dict[ReleaseFamily, list[str]] = {}
        for application_id, family in self._families.items():
            if ids is None or application_id in ids:
                by_family.setdefault(family, []).append(application_id)
        for family, members in by_family.items():
            offered = _offered(members, family)
            wanted = BUILD.where(
                build.c.release_id.in_(select(offered.c.release_id).where(_kept(offered))),
                in_family(family),
                release.c.channel_position == 0,
                ~_QUARANTINED,
            )
            for row in await connection.execute(wanted):
                builds.setdefault(row.application_id, []).append(build_of(row._mapping))
        return {id_: gather_releases(each) for id_, each in builds.items()}


def _kept(ladder: Any) -> ColumnElement[bool]:
    """Return the condition that no newer complete release takes all that this one takes.

    Releases that are not for all clients are always kept: there are few of them, and `newer_minimum` is NULL for them.
    """
    return or_(ladder.c.newer_minimum.is_(None), ladder.c.newer_minimum > ladder.c.own_minimum)


# Builds that the same clients may see: all of one application for one target, on one channel, pre-releases or not.
_PART = (
    release.c.application_id,
    build.c.platform,
    build.c.architecture,
    release.c.channel_position,
    release.c.prerelease,
)
_OWN_MINIMUM = func.coalesce(build.c.minimum_key, literal(""))


def _newest_complete(ids: Ids) -> Any:
    """Select the builds of complete releases that no newer one of their part takes all clients from.

    For each minimum that is the newest build alone. So the one scan groups, which costs a small part of a window
    over all builds, and the window that compares the minimums sees a handful of rows.
    """
    minimum = _OWN_MINIMUM.label("own_minimum")
    newest = (
        _joined(*_PART, minimum, func.max(release.c.sort_key).label("sort_key"))
        .where(*_offerable(ids), release.c.complete)
        .group_by(*_PART, minimum)
        .subquery("newest")
    )
    # Of equal versions the lower minimum comes last, so none of them hides another: that is for the exact rule.
    newer_minimum = func.min(newest.c.own_minimum).over(
        partition_by=[newest.c[each.name] for each in _PART],
        order_by=(newest.c.sort_key.desc(), newest.c.own_minimum.desc()),
        rows=(None, -1),
    )
    open_ = select(newest, newer_minimum.label("newer_minimum")).subquery("open")
    same = [each == open_.c[each.name] for each in (*_PART, release.c.sort_key)]
    return BUILD.join(open_, and_(*same, open_.c.own_minimum == _OWN_MINIMUM)).where(
        _kept(open_), _ACTIVE, release.c.complete, ~_QUARANTINED
    )


def _limited(ids: Ids) -> Any:
    """Select the builds of releases that are not for all clients; there are few of them."""
    wanted = BUILD.join(application, application.c.id == release.c.application_id)
    return wanted.where(*_offerable(ids), release.c.complete.is_(False))


def _required(ids: Ids) -> Any:
    """Select the part and the sort key of each required build of a complete release."""
    return _joined(*_PART, release.c.sort_key).where(*_offerable(ids), release.c.complete, build.c.required)


def _joined(*columns: Any) -> Any:
    return (
        select(*columns)
        .select_from(build)
        .join(release, release.c.id == build.c.release_id)
        .join(application, application.c.id == release.c.application_id)
    )


def _offered(ids: Collection[str], family: ReleaseFamily) -> Any:
    """For each build of a family: its release's minimum, and the lowest among newer complete releases.

    Releases count as a whole: the minimum is the highest of a release's builds. A release
    whose every build stands behind a newer release that takes the same clients is never offered.
    """
    minimum = func.max(func.coalesce(build.c.minimum_key, literal(""))).over(partition_by=release.c.id)
    each = (
        select(
            build.c.release_id,
            build.c.platform,
            build.c.architecture,
            release.c.application_id,
            release.c.sort_key,
            release.c.complete,
            minimum.label("own_minimum"),
        )
        .join(release, release.c.id == build.c.release_id)
        .join(application, application.c.id == release.c.application_id)
        .where(*_offerable(ids), in_family(family), release.c.channel_position == 0)
        .subquery("each")
    )
    newer_minimum = func.min(case((each.c.complete, each.c.own_minimum))).over(
        partition_by=(each.c.application_id, each.c.platform, each.c.architecture),
        order_by=each.c.sort_key.desc(),
        rows=(None, -1),
    )
    return select(
        each.c.release_id, each.c.own_minimum, case((each.c.complete, newer_minimum)).label("newer_minimum")
    ).subquery("offered")


def _offerable(ids: Ids) -> list[ColumnElement[bool]]:
    """What holds for every build that is offered."""
    conditions = [
        _ACTIVE,
        ~_QUARANTINED,
        or_(application.c.ceiling_key.is_(None), release.c.sort_key <= application.c.ceiling_key),
    ]
    if ids is not None:
        conditions.append(release.c.application_id.in_(list(ids)))
    return conditions
