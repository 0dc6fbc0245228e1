"""The moves of a release: show it, promote it to a more stable channel, withdraw it, and restore it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from updater.audit.model import Actor, Entry
from updater.audit.service import AuditService
from updater.catalog.changes import named
from updater.catalog.model import Build, ReleaseStatus
from updater.catalog.release_store import KnownRelease, ReleaseStore
from updater.clock import Clock, utc_now
from updater.errors import Conflict, Invalid
from updater.rollouts.changes import Held, RolloutChanges
from updater.rollouts.describe import describe_rollout
from updater.rollouts.plan import Plan, make_plan
from updater.rollouts.service import require_active


@dataclass(frozen=True, slots=True)
class ReleaseDetails:
    """A release with its builds in the order of their publication, and its rollout as the interface shows it."""

    application_id: str
    release: KnownRelease
    builds: tuple[Build, ...]
    rollout: Mapping[str, Any] | None


class ReleaseMoves:
    """Moves releases between channels, and in and out of service."""

    def __init__(
        self, changes: RolloutChanges, releases: ReleaseStore, audit: AuditService, *, clock: Clock = utc_now
    ) -> None:
        self._changes = changes
        self._releases = releases
        self._audit = audit
        self._clock = clock

    async def get_details(self, application_id: str, version: str) -> ReleaseDetails:
        """Return a release, whatever its status.

        Raises:
            NotFound: no such application or release. Invalid: not a version.
        """
        async with self._changes.looking(application_id, version) as held:
            return await self._details(held)

    async def promote(
        self,
        application_id: str,
        version: str,
        channel: str,
        *,
        plan: Mapping[str, Any] | None = None,
        actor: Actor,
        reason: str | None = None,
    ) -> ReleaseDetails:
        """Move a release to a more stable channel; with `plan` (see `make_plan`) it has that rollout from then on.

        On its own channel already, it stays as it is.

        Raises:
            NotFound: no such application or release. Invalid: not a version, no such channel, or a plan that
                contradicts itself.
            Conflict: withdrawn, a less stable channel, its own one with a plan, or what `put_plan` refuses.
        """
        async with self._changes.holding(application_id, version) as held:
            release, channels = held.release, held.application.channels
            if channel not in channels:
                raise Invalid({"channel": f"must be one of: {', '.join(channels)}"})
            wanted = self._plan(plan)
            require_active(held)
            if channel == release.channel:
                if wanted is not None:
                    raise Conflict(f"Version {release.version} is on {channel} already; set its rollout instead")
                return await self._details(held)
            if channels.index(channel) > release.channel_position:
                raise Conflict(
                    f"{channel} is less stable than {release.channel}; a release only moves to a more stable channel",
                    details={"channel": release.channel},
                )
            moved = replace(release, channel=channel, channel_position=channels.index(channel))
            await self._releases.set_channel(held.connection, moved.id, channel, moved.channel_position)
            rollout = None if held.rollout is None else replace(held.rollout, channel=channel)
            held = replace(held, release=moved, rollout=rollout)
            await self._record(
                held, "release.promoted", actor, reason, {"channel": release.channel}, {"channel": channel}
            )
            await self._set_plan(held, wanted, actor, reason)
            return await self._details(held)

    async def withdraw(
        self, application_id: str, version: str, *, actor: Actor, reason: str | None = None
    ) -> ReleaseDetails:
        """Take a release back: from now on it is neither offered nor downloaded; its bytes stay.

        One that is withdrawn already stays as it is. The clock of its rollout stands still.

        Raises:
            NotFound: no such application or release. Invalid: not a version. Conflict: it is a draft.
        """
        async with self._changes.holding(application_id, version) as held:
            _refuse_draft(held)
            if held.release.status is not ReleaseStatus.WITHDRAWN:
                held = await self._set_status(held, ReleaseStatus.WITHDRAWN, "release.withdrawn", actor, reason)
                await self._changes.stand_still(held)
            return await self._details(held)

    async def restore(
        self,
        application_id: str,
        version: str,
        *,
        plan: Mapping[str, Any] | None = None,
        actor: Actor,
        reason: str | None = None,
    ) -> ReleaseDetails:
        """Offer a withdrawn release again: with `plan`, or with the rollout that it had, its present stage anew.

        One that is active already stays as it is.

        Raises:
            NotFound: no such application or release. Invalid: not a version, or a plan that contradicts itself.
            Conflict: a draft, or active already and a plan is given, or too many others are under rollouts.
        """
        async with self._changes.holding(application_id, version) as held:
            wanted = self._plan(plan)
            _refuse_draft(held)
            if held.release.status is ReleaseStatus.ACTIVE:
                if wanted is not None:
                    raise Conflict(f"Version {held.release.version} is active; set its rollout instead")
                return await self._details(held)
            if wanted is None or not wanted.completes_at(1):
                await self._changes.require_room(held)
            held = await self._set_status(held, ReleaseStatus.ACTIVE, "release.restored", actor, reason)
            if wanted is None:
                await self._changes.restart_stage(held)
            else:
                await self._set_plan(held, wanted, actor, reason)
            return await self._details(held)

    def _plan(self, given: Mapping[str, Any] | None) -> Plan | None:
        """Make the plan in a body's `rollout`. Raises Invalid, which names `rollout.percent` and the like."""
        if given is None:
            return None
        try:
            return make_plan(given, self._clock())
        except Invalid as error:
            raise Invalid({f"rollout.{name}": text for name, text in error.fields.items()}) from None

    async def _set_plan(self, held: Held, plan: Plan | None, actor: Actor, reason: str | None) -> None:
        if plan is not None:
            await self._changes.put_plan(held, plan, actor, reason)

    async def _set_status(
        self, held: Held, status: ReleaseStatus, action: str, actor: Actor, reason: str | None
    ) -> Held:
        await self._releases.set_status(held.connection, held.release.id, status)
        before, after = {"status": held.release.status.value}, {"status": status.value}
        await self._record(held, action, actor, reason, before, after)
        return replace(held, release=replace(held.release, status=status))

    async def _details(self, held: Held) -> ReleaseDetails:
        builds = await self._releases.list_builds_of(held.connection, held.release.id)
        rollout = await self._changes.find_in(held)
        shown = None if rollout is None else describe_rollout(rollout, self._clock())
        return ReleaseDetails(held.application.id, held.release, tuple(builds), shown)

    async def _record(
        self,
        held: Held,
        action: str,
        actor: Actor,
        reason: str | None,
        before: Mapping[str, Any],
        after: Mapping[str, Any],
    ) -> None:
        application_id, version = held.application.id, held.release.version
        entry = Entry(action, named(application_id, version), before, after, application_id, version, reason)
        await self._audit.record(held.connection, actor, entry)


def _refuse_draft(held: Held) -> None:
    if held.release.status is ReleaseStatus.DRAFT:
        raise Conflict(f"Version {held.release.version} is a draft: publish or delete it", details={"status": "draft"})
