"""The SQL of the snapshots: the database finds what some client could be offered."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from updater.catalog.model import Build, Release, ReleaseFamily, ReleaseStatus, gather_releases
from updater.catalog.rows_store import BUILD, application_of, build_of, in_family
from updater.database.engine import Database
from updater.database.tables import application, blob, build, file, release
from updater.offers.snapshot import Rung, Snapshot, build_snapshot
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

        The database reduces the builds to those on a ladder, so 100,000 releases cost one scan in C and a
        handful of rows in Python.
        """
        applications = select(application)
        if ids is not None:
            applications = applications.where(application.c.id.in_(list(ids)))
        async with self._database.read_to_follow() as connection:
            found = [application_of(row._mapping) for row in await connection.execute(applications)]
            stable = await self._rungs(connection, ids, (0,), prereleases=False)
            positions = await self._positions(connection, ids)
            with_prereleases = await self._rungs(connection, ids, positions, prereleases=True)
            releases = await self._offered_releases(connection, ids)
            rollouts = await self._rollouts.list_open(connection, ids)
        return {
            each.id: build_snapshot(
                each,
                stable.get(each.id, {}).get(0, ()),
                with_prereleases.get(each.id, {}),
                releases.get(each.id, ()),
                [rollout for rollout in rollouts if rollout.application_id == each.id],
            )
            for each in found
        }

    async def list_offered_releases(self, connection: AsyncConnection, application_id: str) -> set[int]:
        """Return the releases, by id, with a build that some client is offered, in the caller's transaction."""
        found: set[int] = set()
        ids = (application_id,)
        positions = await self._positions(connection, ids)
        for prereleases, asked in ((False, (0,)), (True, positions)):
            rungs = await self._rungs(connection, ids, asked, prereleases=prereleases)
            ladders = rungs.get(application_id, {}).values()
            found |= {rung.build.release_id for ladder in ladders for rung in ladder}
        releases = await self._offered_releases(connection, ids)
        return found | {each.id for each in releases.get(application_id, ())}

    async def _positions(self, connection: AsyncConnection, ids: Ids) -> tuple[int, ...]:
        """Return the positions of channels that hold active releases: 0, and further ones where there are any."""
        wanted = select(release.c.channel_position).where(release.c.channel_position > 0, _ACTIVE).distinct()
        if ids is not None:
            wanted = wanted.where(release.c.application_id.in_(list(ids)))
        return (0, *sorted(await connection.scalars(wanted)))

    async def _rungs(
        self, connection: AsyncConnection, ids: Ids, positions: Sequence[int], *, prereleases: bool
    ) -> dict[str, dict[int, list[Rung]]]:
        """Return the rungs by application and by the position of the client's channel."""
        ladder = _ladder(ids, positions, prereleases=prereleases)
        facts = [ladder.c[_label(name, each)] for each in positions for name in ("kept", "required")]
        kept = or_(*(ladder.c[_label("kept", each)] for each in positions))
        wanted = BUILD.add_columns(*facts).join(ladder, ladder.c.id == build.c.id).where(kept)
        rungs: dict[str, dict[int, list[Rung]]] = {}
        for row in await connection.execute(wanted):
            made, mapping = build_of(row._mapping), row._mapping
            mine = rungs.setdefault(row.application_id, {})
            for each in positions:
                if mapping[_label("kept", each)]:
                    mine.setdefault(each, []).append(Rung(made, mapping[_label("required", each)]))
        return rungs

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


def _label(name: str, position: int) -> str:
    return f"{name}_{position}"


def _kept(ladder: Any) -> ColumnElement[bool]:
    """Return the condition that no newer complete release takes all that this one takes.

    Releases that are not for all clients are always kept: there are few of them, and `newer_minimum` is NULL for them.
    """
    return or_(ladder.c.newer_minimum.is_(None), ladder.c.newer_minimum > ladder.c.own_minimum)


def _ladder(ids: Ids, positions: Sequence[int], *, prereleases: bool) -> Any:
    """For each offerable build, and each position of a client's channel: is it a rung there?

    It is when no newer complete release that such a client sees takes all that this one takes; those that are not for
    all clients always are. With it the highest required key among complete releases up to this one.
    """
    slot = (release.c.application_id, build.c.platform, build.c.architecture)
    own_minimum = func.coalesce(build.c.minimum_key, literal(""))
    columns: list[ColumnElement[Any]] = [build.c.id]
    for position in positions:
        seen = release.c.channel_position <= position
        newer_minimum = func.min(case((and_(release.c.complete, seen), own_minimum))).over(
            partition_by=slot, order_by=(release.c.sort_key.desc(), build.c.id.desc()), rows=(None, -1)
        )
        required_key = case((and_(build.c.required, release.c.complete, seen), release.c.sort_key))
        highest = func.max(required_key).over(
            partition_by=slot, order_by=(release.c.sort_key, build.c.id), rows=(None, 0)
        )
        is_open = or_(release.c.complete.is_(False), newer_minimum.is_(None), newer_minimum > own_minimum)
        columns += [
            and_(seen, is_open).label(_label("kept", position)),
            highest.label(_label("required", position)),
        ]
    ladder = (
        select(*columns)
        .join(release, release.c.id == build.c.release_id)
        .join(application, application.c.id == release.c.application_id)
        .where(*_offerable(ids))
    )
    if not prereleases:
        ladder = ladder.where(release.c.prerelease.is_(False), release.c.channel_position == 0)
    return ladder.subquery("ladder")


def _offered(ids: Collection[str], family: ReleaseFamily) -> Any:
    """For each build of a family: its release's minimum, and the lowest among newer complete releases.

    As in `_ladder`, but releases count as a whole: the minimum is the highest of a release's builds. A release
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
