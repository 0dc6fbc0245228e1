"""The SQL of rollouts."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, bindparam, func, insert, select, update

from updater.catalog.model import ReleaseStatus
from updater.catalog.versions import Scheme
from updater.database.asynchronous import AsyncConnection
from updater.database.engine import Database
from updater.database.rollout_tables import rollout, rollout_platform
from updater.database.tables import application, build, release
from updater.rollouts.evidence import Arm, Series
from updater.rollouts.model import Halt, PlatformArm, Progress, Rollout, RolloutState
from updater.rollouts.plan import canonical, plan_of

# Whether a release still has a build for a platform.
_HAS_BUILD = (
    select(build.c.id)
    .where(build.c.release_id == rollout_platform.c.release_id, build.c.platform == rollout_platform.c.platform)
    .exists()
)
_WITH_RELEASE = (
    select(
        rollout,
        release.c.version,
        release.c.sort_key,
        release.c.channel,
        release.c.status,
        application.c.channels,
        application.c.scheme,
        *(each for each in rollout_platform.c if each.name != "release_id"),
    )
    .join(release, release.c.id == rollout.c.release_id)
    .join(application, application.c.id == rollout.c.application_id)
    .outerjoin(rollout_platform, and_(rollout_platform.c.release_id == rollout.c.release_id, _HAS_BUILD))
)
_FIELDS = tuple(each.name for each in dataclasses.fields(Series))
_ARMS = ("rollout", "control", "baseline")
_OPEN = rollout.c.state != RolloutState.COMPLETE.value
_ACTIVE = release.c.status == ReleaseStatus.ACTIVE.value

_MAY_COUNT = (
    rollout.c.application_id.in_(bindparam("application_ids", expanding=True)),
    rollout.c.state.in_((RolloutState.ACTIVE.value, RolloutState.PAUSED.value)),
)
# Made once, since each batch of reports runs them.
_COUNTING = _WITH_RELEASE.where(*_MAY_COUNT, _ACTIVE).order_by(rollout.c.release_id)
_ADD_STAGE_REPORTS = (
    update(rollout)
    .where(rollout.c.release_id == bindparam("counted_in"))
    .values(stage_reports=rollout.c.stage_reports + bindparam("more"))
)


class RolloutStore:
    """Reads and writes rollouts. Methods that take a connection run in the caller's transaction.

    Those that change a rollout rely on it that its row is locked (`lock`), after the application is.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        statement = database.upsert(rollout_platform)
        key = list(rollout_platform.primary_key)
        fresh = {each.name: statement.excluded[each.name] for each in rollout_platform.c if each not in set(key)}
        self._write_platforms = statement.on_conflict_do_update(index_elements=key, set_=fresh)

    # -- reading

    async def find(self, connection: AsyncConnection, release_id: int) -> Rollout | None:
        """Return the rollout of a release, with its platforms."""
        found = await self._list(connection, _WITH_RELEASE.where(rollout.c.release_id == release_id))
        return found[0] if found else None

    async def lock(self, connection: AsyncConnection, release_id: int) -> Rollout | None:
        """Return the rollout of a release, locked against counting and stages until the transaction ends."""
        mine = rollout.c.release_id == release_id
        await self._hold(connection, mine)
        found = await self._list(connection, _WITH_RELEASE.where(mine))
        return found[0] if found else None

    async def lock_counting(self, connection: AsyncConnection, application_ids: Collection[str]) -> list[Rollout]:
        """Return, locked, the rollouts of active releases that reports of these applications may count in."""
        asked = {"application_ids": sorted(application_ids)}
        if not self._database.shared:
            return await self._list(connection, _COUNTING, asked)
        held = await self._hold(connection, *_MAY_COUNT, asked=asked)
        if not held:
            return []
        # No others: what began in between is not locked.
        return await self._list(connection, _COUNTING.where(rollout.c.release_id.in_(held)), asked)

    async def list_open(self, connection: AsyncConnection, application_ids: Collection[str] | None) -> list[Rollout]:
        """Return the rollouts of active releases that are not complete, highest version first; None: of all."""
        wanted = _WITH_RELEASE.where(_OPEN, _ACTIVE).order_by(rollout.c.application_id, release.c.sort_key.desc())
        if application_ids is not None:
            wanted = wanted.where(rollout.c.application_id.in_(list(application_ids)))
        return await self._list(connection, wanted)

    async def list_moving(self, connection: AsyncConnection) -> list[Rollout]:
        """Return all rollouts that the clock may move."""
        moving = (RolloutState.SCHEDULED.value, RolloutState.ACTIVE.value)
        return await self._list(connection, _WITH_RELEASE.where(rollout.c.state.in_(moving), _ACTIVE))

    async def count_open(self, connection: AsyncConnection, application_id: str) -> int:
        """Return how many active releases of an application are under a rollout that is not complete."""
        wanted = (
            select(func.count())
            .select_from(rollout.join(release, release.c.id == rollout.c.release_id))
            .where(rollout.c.application_id == application_id, _OPEN, _ACTIVE)
        )
        return int(await connection.scalar(wanted) or 0)

    async def list_by_release(self, connection: AsyncConnection, release_ids: Collection[int]) -> dict[int, Rollout]:
        """Return the rollouts of releases, by release; those that have none are absent."""
        found = await self._list(connection, _WITH_RELEASE.where(rollout.c.release_id.in_(list(release_ids))))
        return {each.release_id: each for each in found}

    async def list_platforms(self, connection: AsyncConnection, release_id: int) -> list[str]:
        """Return the platforms that a release has builds for."""
        wanted = select(build.c.platform).where(build.c.release_id == release_id).distinct()
        return sorted(await connection.scalars(wanted))

    # -- writing

    async def insert(self, connection: AsyncConnection, each: Rollout) -> None:
        """Add a rollout with its platforms."""
        values = {
            "release_id": each.release_id,
            "application_id": each.application_id,
            "salt": each.salt,
            "created_at": each.created_at,
            **_values(each),
        }
        await connection.execute(insert(rollout).values(values))
        await self._set_complete(connection, each)
        await self.save_platforms(connection, [(each.release_id, arm) for arm in each.platforms])

    async def save(self, connection: AsyncConnection, each: Rollout) -> None:
        """Replace the plan and the progress of a rollout, and whether its release is for everybody."""
        mine = rollout.c.release_id == each.release_id
        await connection.execute(update(rollout).where(mine).values(_values(each)))
        await self._set_complete(connection, each)

    async def save_platforms(self, connection: AsyncConnection, arms: Sequence[tuple[int, PlatformArm]]) -> None:
        """Write platforms of rollouts, by release, new or known."""
        if arms:
            await connection.execute(self._write_platforms, [_platform_values(id_, arm) for id_, arm in arms])

    async def touch(self, connection: AsyncConnection, release_ids: Collection[int], now: datetime) -> None:
        """Note that rollouts changed."""
        mine = rollout.c.release_id.in_(list(release_ids))
        await connection.execute(update(rollout).where(mine).values(updated_at=now))

    async def add_stage_reports(self, connection: AsyncConnection, amounts: Mapping[int, int]) -> None:
        """Add to the counted reports of present stages, by release."""
        added = [{"counted_in": release_id, "more": amounts[release_id]} for release_id in sorted(amounts)]
        if added:
            await connection.execute(_ADD_STAGE_REPORTS, added)

    # -- rows

    async def _set_complete(self, connection: AsyncConnection, each: Rollout) -> None:
        is_complete = each.progress.state is RolloutState.COMPLETE
        mine = release.c.id == each.release_id
        await connection.execute(update(release).where(mine).values(complete=is_complete))

    async def _hold(
        self, connection: AsyncConnection, *conditions: ColumnElement[bool], asked: Mapping[str, Any] | None = None
    ) -> list[int] | None:
        """Lock rollouts in the order of their releases; return these, or None when all are locked anyway.

        What is read must be read by a later statement. The one that waits for a lock sees the locked rows as they are
        then, but those of other tables as they were before: platforms without what the other transaction counted.
        """
        if not self._database.shared:
            return None  # a write transaction has the database for itself
        wanted = select(rollout.c.release_id).where(*conditions).order_by(rollout.c.release_id).with_for_update()
        return list(await connection.scalars(wanted, asked))

    async def _list(
        self, connection: AsyncConnection, wanted: Select[Any], asked: Mapping[str, Any] | None = None
    ) -> list[Rollout]:
        # One statement, since each report is counted after it: a row for each platform, or one with none.
        rows = (await connection.execute(wanted, asked)).all()
        arms: dict[int, list[PlatformArm]] = {}
        for row in rows:
            mine = arms.setdefault(row.release_id, [])
            if row.platform is not None:
                mine.append(_platform_of(row))
        first = {row.release_id: row for row in reversed(rows)}
        return [
            _rollout_of(first[release_id], sorted(found, key=lambda each: each.platform))
            for release_id, found in arms.items()
        ]


def _platform_values(release_id: int, arm: PlatformArm) -> dict[str, Any]:
    return {
        "release_id": release_id,
        "platform": arm.platform,
        "series": arm.number,
        "since": arm.since,
        "numbers": _numbers(arm.series),
        "halted_at": arm.halt.at if arm.halt else None,
        "halt": dict(arm.halt.facts) if arm.halt else None,
    }


def _values(each: Rollout) -> dict[str, Any]:
    progress = each.progress
    return {
        "plan": canonical(each.plan),
        "state": progress.state.value,
        "stage": progress.number,
        "stage_started_at": progress.started_at,
        "stage_ends_at": progress.ends_at,
        "stage_left_s": progress.left_s,
        "stage_reports": progress.reports,
        "updated_at": each.updated_at,
        "completed_at": each.completed_at,
    }


def _rollout_of(row: Any, platforms: Sequence[PlatformArm]) -> Rollout:
    progress = Progress(
        RolloutState(row.state),
        row.stage,
        row.stage_started_at,
        row.stage_ends_at,
        row.stage_left_s,
        row.stage_reports,
    )
    return Rollout(
        release_id=row.release_id,
        application_id=row.application_id,
        version=row.version,
        sort_key=row.sort_key,
        channel=row.channel,
        channels=tuple(row.channels),
        scheme=Scheme(row.scheme),
        salt=row.salt,
        plan=plan_of(row.plan),
        progress=progress,
        created_at=row.created_at,
        updated_at=row.updated_at,
        completed_at=row.completed_at,
        withdrawn=row.status != ReleaseStatus.ACTIVE.value,
        platforms=tuple(platforms),
    )


def _numbers(series: Series) -> dict[str, Any]:
    """Return the fields of a series; `dataclasses.asdict` would copy each number."""
    numbers = {name: getattr(series, name) for name in _FIELDS}
    return numbers | {name: dataclasses.asdict(numbers[name]) for name in _ARMS}


def _platform_of(row: Any) -> PlatformArm:
    numbers = dict(row.numbers)
    arms = {name: Arm(**numbers.pop(name)) for name in _ARMS}
    logs = numbers.pop("log_bets")
    series = Series(
        rollout=arms["rollout"],
        control=arms["control"],
        baseline=arms["baseline"],
        log_bets=(logs[0], logs[1], logs[2]),
        **numbers,
    )
    halt = None if row.halted_at is None else Halt(row.halted_at, row.halt)
    return PlatformArm(row.platform, row.series, row.since, series, halt)
