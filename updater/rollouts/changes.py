"""What changes a rollout, in a transaction that holds its release: the steps that all use cases share.

Order of locks: the application, the rollout's row, then the audit. A change leaves an audit row and announces the
application, so what is answered is obeyed.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import updater.rollouts.moves as moves
from updater.audit.model import Actor, Entry
from updater.audit.service import AuditService
from updater.catalog.changes import named
from updater.catalog.model import Application
from updater.catalog.publishing import OpenedRollout
from updater.catalog.release_store import KnownRelease, ReleaseStore
from updater.catalog.store import CatalogStore
from updater.catalog.versions import parse_field
from updater.clock import Clock, utc_now
from updater.database.engine import Connection, Database
from updater.errors import Conflict, NotFound
from updater.logs.loggers import get_logger
from updater.rollouts.counting_store import CountingStore
from updater.rollouts.describe import describe_progress, describe_rollout
from updater.rollouts.evidence import Series
from updater.rollouts.model import MAX_OPEN_ROLLOUTS, PlatformArm, Progress, Rollout, RolloutState
from updater.rollouts.plan import Plan, canonical, plan_of
from updater.rollouts.store import RolloutStore

_BASELINE = timedelta(days=30)
_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Held:
    """An application and one of its releases, held in a transaction until it ends."""

    connection: Connection
    application: Application
    release: KnownRelease
    rollout: Rollout | None


class RolloutChanges:
    """The steps of changes. All but `holding` run in the transaction of a `Held`."""

    def __init__(
        self,
        store: RolloutStore,
        counting: CountingStore,
        catalog: CatalogStore,
        releases: ReleaseStore,
        audit: AuditService,
        database: Database,
        *,
        clock: Clock = utc_now,
    ) -> None:
        self._store = store
        self._counting = counting
        self._catalog = catalog
        self._releases = releases
        self._audit = audit
        self._database = database
        self._clock = clock

    @asynccontextmanager
    async def holding(self, application_id: str, version: str) -> AsyncIterator[Held]:
        """Give a release and its rollout, held in a write transaction; a change is announced at the end.

        Raises:
            NotFound: no such application or release. Invalid: not a version.
        """
        async with self._database.write() as connection:
            application = await self._catalog.hold_application(connection, application_id)
            application, release = await self._get_release(connection, application, version)
            yield Held(connection, application, release, await self._store.lock(connection, release.id))
            await self._database.announce(connection, application_id)

    @asynccontextmanager
    async def looking(self, application_id: str, version: str) -> AsyncIterator[Held]:
        """Give a release and its rollout as a read transaction sees them. Raises NotFound, Invalid as `holding`."""
        async with self._database.read() as connection:
            application = await self._catalog.find_application_in(connection, application_id)
            application, release = await self._get_release(connection, application, version)
            yield Held(connection, application, release, await self._store.find(connection, release.id))

    async def find_in(self, held: Held) -> Rollout | None:
        """Return the rollout of a held release as it is now."""
        return await self._store.find(held.connection, held.release.id)

    async def open_rollout(
        self,
        connection: Connection,
        application: Application,
        release: KnownRelease,
        platform: str,
        plan: Mapping[str, Any] | None,
        *,
        is_new: bool,
    ) -> OpenedRollout:
        """Begin the rollout of a new release, or hold a further build to it.

        Args:
            connection: the transaction that publishes; it holds the application.
            application: the application; a new release without a plan gets its default.
            release: the release.
            platform: the platform of the build that is being published.
            plan: the canonical plan that the publisher gave, None for none.
            is_new: whether the release was made in this transaction.

        Raises:
            Conflict: a further build with another plan, or too many releases under rollouts.
        """
        now = self._clock()
        if is_new:
            wanted = plan or application.default_rollout
            if wanted is None:
                return OpenedRollout(100.0, None)
            held = Held(connection, application, release, None)
            made = await self._insert(held, plan_of(wanted), (platform,), now)
            return OpenedRollout(made.hundredths / 100, canonical(made.plan))
        found = await self._store.lock(connection, release.id)
        if plan is not None and (found is None or canonical(found.plan) != dict(plan)):
            raise Conflict("The release is there with another rollout; leave the field out, or change the rollout")
        if found is None:
            return OpenedRollout(100.0, None)
        if platform not in {each.platform for each in found.platforms}:
            arm = await self._begin_series(connection, found, platform, 1, now)
            await self._store.save_platforms(connection, [(found.release_id, arm)])
        return OpenedRollout(found.hundredths / 100, canonical(found.plan))

    async def put_plan(self, held: Held, plan: Plan, actor: Actor, reason: str | None) -> None:
        """Give a held release a plan, and record it.

        Raises:
            Conflict: too many others are under rollouts, or a halted one would be complete.
        """
        now = self._clock()
        rollout, connection = held.rollout, held.connection
        if rollout is None:
            platforms = await self._store.list_platforms(connection, held.release.id)
            await self._insert(held, plan, platforms, now)
            before = None
        else:
            before = canonical(rollout.plan)
            progress = moves.set_plan(rollout, plan, now)
            changed = replace(rollout, plan=plan)
            if rollout.state is RolloutState.COMPLETE:
                if progress.state is not RolloutState.COMPLETE:
                    await self._require_room(connection, rollout.application_id)
                changed = await self._begin_all_anew(connection, without_halts(changed, rollout.halted), now)
            await self.save(connection, changed, progress, now)
        await self.record(held, "rollout.set", actor, reason, before, canonical(plan))

    async def move(
        self,
        held: Held,
        progress: Progress,
        action: str,
        actor: Actor,
        reason: str | None,
        *,
        extra: tuple[Mapping[str, Any], Mapping[str, Any]] = ({}, {}),
        before: Rollout | None = None,
    ) -> None:
        """Save and record one move; one that changes nothing leaves no entry."""
        rollout = held.rollout
        if rollout is None or (progress == rollout.progress and not extra[0]):
            return
        now = self._clock()
        moved = await self.save(held.connection, rollout, progress, now)
        was, after = describe_progress(before or rollout), describe_progress(moved)
        await self.record(held, action, actor, reason, {**was, **extra[0]}, {**after, **extra[1]})
        if action in ("rollout.started", "rollout.advanced", "rollout.completed"):
            _log.info(action, application=moved.application_id, version=moved.version, percent=after["percent"])

    async def save(self, connection: Connection, rollout: Rollout, progress: Progress, now: datetime) -> Rollout:
        """Write a rollout with new progress; one that is complete has no halts and forgets its sources."""
        is_complete = progress.state is RolloutState.COMPLETE
        was_complete = rollout.state is RolloutState.COMPLETE
        completed_at = (rollout.completed_at if was_complete else now) if is_complete else None
        saved = replace(rollout, progress=progress, updated_at=now, completed_at=completed_at)
        await self._store.save(connection, saved)
        if is_complete:
            await self._counting.forget_sources(connection, rollout.release_id)
            for arm in without_halts(saved, saved.halted).platforms:
                await self._store.save_platforms(connection, [(saved.release_id, arm)])
        return saved

    async def lift(self, held: Held, rollout: Rollout, lifted: Collection[str]) -> Rollout:
        """Begin a new series on the platforms whose halt is accepted."""
        now = self._clock()
        arms = []
        for each in rollout.platforms:
            arm = each
            if each.platform in lifted:
                arm = await self._begin_series(held.connection, rollout, each.platform, each.number + 1, now)
                await self._store.save_platforms(held.connection, [(rollout.release_id, arm)])
            arms.append(arm)
        return replace(rollout, platforms=tuple(arms))

    async def require_room(self, held: Held) -> None:
        """Hold a release that becomes active again to the bound of open rollouts. Raises Conflict."""
        if held.rollout is not None and held.rollout.state is not RolloutState.COMPLETE:
            await self._require_room(held.connection, held.application.id)

    async def stand_still(self, held: Held) -> None:
        """Stop the clock of a release that is withdrawn."""
        if held.rollout is not None:
            now = self._clock()
            await self.save(held.connection, held.rollout, moves.stand_still(held.rollout.progress, now), now)

    async def restart_stage(self, held: Held) -> None:
        """Let the present stage of a release that is active again begin anew."""
        if held.rollout is not None:
            now = self._clock()
            await self.save(held.connection, held.rollout, moves.restart_stage(held.rollout, now), now)

    async def record(
        self,
        held: Held,
        action: str,
        actor: Actor,
        reason: str | None,
        before: Mapping[str, Any] | None,
        after: Mapping[str, Any],
    ) -> None:
        """Record a change of a held release."""
        application_id, version = held.application.id, held.release.version
        entry = Entry(action, named(application_id, version), before, after, application_id, version, reason)
        await self._audit.record(held.connection, actor, entry)

    async def answer(self, held: Held) -> dict[str, Any]:
        """Return the rollout of a held release as the interface shows it. Raises NotFound when it has none."""
        found = await self._store.find(held.connection, held.release.id)
        return describe_rollout(require_rollout(found, held.release.version), self._clock())

    async def _insert(self, held: Held, plan: Plan, platforms: Collection[str], now: datetime) -> Rollout:
        """Add the rollout of a release that has none."""
        release, application = held.release, held.application
        progress = moves.begin(plan, now)
        is_complete = progress.state is RolloutState.COMPLETE
        if not is_complete:
            await self._require_room(held.connection, application.id)
        made = Rollout(
            release_id=release.id,
            application_id=application.id,
            version=release.version,
            sort_key=release.sort_key,
            channel=release.channel,
            channels=application.channels,
            scheme=application.scheme,
            salt=secrets.token_hex(16),
            plan=plan,
            progress=progress,
            created_at=now,
            updated_at=now,
            completed_at=now if is_complete else None,
        )
        arms = [await self._begin_series(held.connection, made, each, 1, now) for each in sorted(platforms)]
        made = replace(made, platforms=tuple(arms))
        await self._store.insert(held.connection, made)
        return made

    async def _begin_series(
        self, connection: Connection, rollout: Rollout, platform: str, number: int, now: datetime
    ) -> PlatformArm:
        """Begin a series with all numbers at zero, beside the control of the 30 days before."""
        await self._counting.forget_sources(connection, rollout.release_id, platform)
        baseline = await self._counting.read_baseline(
            connection,
            rollout.application_id,
            platform,
            rollout.channels_of_control,
            now - _BASELINE,
            but_for=rollout.release_id,
        )
        return PlatformArm(platform, number, now, Series(baseline=baseline))

    async def _begin_all_anew(self, connection: Connection, rollout: Rollout, now: datetime) -> Rollout:
        arms = []
        for each in rollout.platforms:
            arm = await self._begin_series(connection, rollout, each.platform, each.number + 1, now)
            await self._store.save_platforms(connection, [(rollout.release_id, arm)])
            arms.append(arm)
        return replace(rollout, platforms=tuple(arms))

    async def _require_room(self, connection: Connection, application_id: str) -> None:
        if await self._store.count_open(connection, application_id) >= MAX_OPEN_ROLLOUTS:
            raise Conflict(
                f"At most {MAX_OPEN_ROLLOUTS} releases of an application are under a rollout at once; "
                "complete or withdraw one of them",
                details={"most": MAX_OPEN_ROLLOUTS},
            )

    async def _get_release(
        self, connection: Connection, application: Application | None, version: str
    ) -> tuple[Application, KnownRelease]:
        if application is None:
            raise NotFound("application", "Application not found")
        wanted = parse_field(version, application.scheme, "version")
        release = await self._releases.find_release(connection, application.id, wanted)
        if release is None:
            raise NotFound("release", f"Release not found: {wanted.text}")
        return application, release


def without_halts(rollout: Rollout, lifted: Collection[str]) -> Rollout:
    """Return a rollout without the halts of some platforms."""
    arms = (replace(each, halt=None) if each.platform in lifted else each for each in rollout.platforms)
    return replace(rollout, platforms=tuple(arms))


def require_rollout(rollout: Rollout | None, version: str) -> Rollout:
    """Return the rollout of a release. Raises NotFound when it has none."""
    if rollout is None:
        raise NotFound("rollout", f"Version {version} has no rollout")
    return rollout
