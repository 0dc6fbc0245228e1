"""The use cases of rollouts: show, set the plan, pause, resume, complete; and what the clock moves."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import updater.rollouts.moves as moves
from updater.audit.model import SYSTEM, Actor
from updater.catalog.model import ReleaseStatus
from updater.catalog.store import CatalogStore
from updater.clock import Clock, utc_now
from updater.database.engine import Database
from updater.errors import Conflict, Invalid, NotFound
from updater.rollouts.changes import Held, RolloutChanges, require_rollout, without_halts
from updater.rollouts.describe import describe_halt, describe_rollout
from updater.rollouts.model import Progress, Rollout, RolloutState
from updater.rollouts.plan import canonical, make_plan, read_plan
from updater.rollouts.store import RolloutStore


class RolloutService:
    """Rollouts, as publishers steer them and as the clock moves them."""

    def __init__(
        self,
        store: RolloutStore,
        catalog: CatalogStore,
        changes: RolloutChanges,
        database: Database,
        *,
        clock: Clock = utc_now,
    ) -> None:
        self._store = store
        self._catalog = catalog
        self._changes = changes
        self._database = database
        self._clock = clock

    # -- plans in other requests

    def read_plan(self, asked: Mapping[str, Any] | float | None, field: str) -> dict[str, Any] | None:
        """Return the canonical JSON object of a plan that a request names as `field`; None for None.

        Raises:
            Invalid: it contradicts itself; names `field.percent` and the like.
        """
        return None if asked is None else canonical(read_plan(asked, self._clock(), field))

    # -- what publishers see and ask

    async def get_rollout(self, application_id: str, version: str) -> dict[str, Any]:
        """Return the rollout of a release as the interface shows it.

        Raises:
            NotFound: no such application or release, or it has no rollout. Invalid: not a version.
        """
        async with self._changes.looking(application_id, version) as held:
            return await self._changes.answer(held)

    async def list_rollouts(self, application_id: str) -> list[dict[str, Any]]:
        """Return the rollouts of active releases that are not complete, highest version first. Raises NotFound."""
        async with self._database.read() as connection:
            if await self._catalog.find_application_in(connection, application_id) is None:
                raise NotFound("application", "Application not found")
            found = await self._store.list_open(connection, (application_id,))
        now = self._clock()
        return [describe_rollout(each, now) for each in found]

    async def list_by_release(self, release_ids: Collection[int]) -> dict[int, Rollout]:
        """Return the rollouts of releases, by release; those that have none are absent."""
        async with self._database.read() as connection:
            return await self._store.list_by_release(connection, release_ids)

    async def list_shares(self, release_ids: Collection[int]) -> dict[int, float]:
        """Return the percent of now of the releases that have a rollout, by release; the others are for everybody."""
        found = await self.list_by_release(release_ids)
        return {release_id: each.hundredths / 100 for release_id, each in found.items()}

    async def set_plan(
        self, application_id: str, version: str, asked: Mapping[str, Any], *, actor: Actor, reason: str | None = None
    ) -> dict[str, Any]:
        """Set the plan of a release, whole; return its rollout. `asked` is as `make_plan` takes it.

        Raises:
            NotFound: no such application or release. Invalid: not a version, or a plan that contradicts itself.
            Conflict: the release is withdrawn, too many others are under rollouts, or a halted one would be complete.
        """
        async with self._changes.holding(application_id, version) as held:
            plan = make_plan(asked, self._clock())
            require_active(held)
            await self._changes.put_plan(held, plan, actor, reason)
            return await self._changes.answer(held)

    async def pause(
        self, application_id: str, version: str, *, actor: Actor, reason: str | None = None
    ) -> dict[str, Any]:
        """Stop offers and stages; one that is paused stays as it is. Returns the rollout.

        Raises:
            NotFound: no such application, release, or rollout. Conflict: it is complete, or the release withdrawn.
        """
        async with self._changes.holding(application_id, version) as held:
            rollout = _movable(held)
            await self._changes.move(held, moves.pause(rollout, self._clock()), "rollout.paused", actor, reason)
            return await self._changes.answer(held)

    async def resume(
        self,
        application_id: str,
        version: str,
        *,
        accept: bool = False,
        platforms: Collection[str] | None = None,
        actor: Actor,
        reason: str | None = None,
    ) -> dict[str, Any]:
        """End a pause; with `accept` also lift the halts of `platforms` (None: all), which begin a new series.

        Raises:
            NotFound: no such application, release, or rollout. Invalid: one of `platforms` is not halted.
            Conflict: neither paused nor anything to accept, or the release is withdrawn.
        """
        async with self._changes.holding(application_id, version) as held:
            rollout = _movable(held)
            lifted = _to_lift(rollout, platforms) if accept else ()
            if rollout.state is RolloutState.COMPLETE or (rollout.state is not RolloutState.PAUSED and not lifted):
                details = {"halted": list(rollout.halted)} if rollout.halted else {}
                raise Conflict("The rollout is not paused", details=details)
            opened = await self._changes.lift(held, rollout, lifted)
            progress = moves.resume(opened, self._clock())
            extra = _lifted_facts(rollout, lifted)
            await self._changes.move(
                replace(held, rollout=opened), progress, "rollout.resumed", actor, reason, extra=extra, before=rollout
            )
            return await self._changes.answer(held)

    async def complete(
        self,
        application_id: str,
        version: str,
        *,
        accept: bool = False,
        actor: Actor,
        reason: str | None = None,
    ) -> dict[str, Any]:
        """Give the release to everybody; with `accept` halted platforms too. Returns the rollout.

        Raises:
            NotFound: no such application, release, or rollout.
            Conflict: a platform is halted and `accept` is not given, or the release is withdrawn.
        """
        async with self._changes.holding(application_id, version) as held:
            rollout = _movable(held)
            opened = without_halts(rollout, rollout.halted if accept else ())
            progress = moves.complete(opened)
            await self._changes.move(replace(held, rollout=opened), progress, "rollout.completed", actor, reason)
            return await self._changes.answer(held)

    async def begin_next_stage(
        self,
        application_id: str,
        version: str,
        *,
        stage: int | None = None,
        actor: Actor,
        reason: str | None = None,
    ) -> dict[str, Any]:
        """Begin the next stage before its time; a scheduled rollout begins, the last stage completes it.

        `stage` is the number of the one that is meant; one that has begun stays as it is.

        Returns: the rollout.

        Raises:
            NotFound: no such application, release, or rollout.
            Conflict: another stage is next, it is paused or complete, a platform is halted, nothing follows, or the
                release is withdrawn.
        """
        async with self._changes.holding(application_id, version) as held:
            rollout = _movable(held)
            progress = moves.advance(rollout, self._clock(), stage)
            await self._changes.move(held, progress, _action(rollout, progress), actor, reason)
            return await self._changes.answer(held)

    # -- the clock

    async def advance(self) -> int:
        """Move all rollouts that the clock moves; return how many moved. Raises Unavailable."""
        async with self._database.read() as connection:
            moving = await self._store.list_moving(connection)
        now = self._clock()
        moved = 0
        for each in moving:
            if moves.step(each, now) is not None:
                moved += await self._advance(each)
        return moved

    async def _advance(self, seen: Rollout) -> bool:
        """Move one rollout, if that is still due now that it is held."""
        try:
            async with self._changes.holding(seen.application_id, seen.version) as held:
                rollout = held.rollout
                progress = None if rollout is None else moves.step(rollout, self._clock())
                if rollout is None or progress is None:
                    return False
                await self._changes.move(held, progress, _action(rollout, progress), SYSTEM, None)
        except NotFound:
            return False  # it was deleted meanwhile
        return True


def require_active(held: Held) -> None:
    """Refuse to change a release that is not active. Raises Conflict."""
    if held.release.status is not ReleaseStatus.ACTIVE:
        raise Conflict(
            f"Version {held.release.version} is {held.release.status.value}",
            details={"status": held.release.status.value},
        )


def _movable(held: Held) -> Rollout:
    """Return the rollout of an active release. Raises NotFound, Conflict."""
    rollout = require_rollout(held.rollout, held.release.version)
    require_active(held)
    return rollout


def _action(rollout: Rollout, progress: Progress) -> str:
    """Name what a step to the next stage does."""
    if progress.state is RolloutState.COMPLETE:
        return "rollout.completed"
    return "rollout.started" if rollout.state is RolloutState.SCHEDULED else "rollout.advanced"


def _to_lift(rollout: Rollout, platforms: Collection[str] | None) -> tuple[str, ...]:
    if platforms is None:
        return rollout.halted
    strange = sorted(set(platforms) - set(rollout.halted))
    if strange:
        raise Invalid({"platforms": f"not halted: {', '.join(strange)}"})
    return tuple(each for each in rollout.halted if each in platforms)


def _lifted_facts(rollout: Rollout, lifted: Collection[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what the history adds when halts are accepted: to the state before, and to the one after."""
    if not lifted:
        return {}, {}
    halts = {each.platform: describe_halt(each) for each in rollout.platforms if each.platform in lifted}
    return {"halts": halts}, {"accepted": sorted(lifted)}
