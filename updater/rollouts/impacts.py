"""The use case before an action: how many installs would it touch?"""

from __future__ import annotations

from updater.rollouts.changes import RolloutChanges
from updater.rollouts.impact import Action, Impact, Seen, percent_now, percent_then, split, touched
from updater.rollouts.plan import plan_of
from updater.telemetry.rollups import Measure
from updater.telemetry.service import TelemetryService

INSTALLS_DAYS, CHECKS_DAYS = 30, 1


class ImpactService:
    """Says what actions on releases touch. It changes nothing."""

    def __init__(self, changes: RolloutChanges, telemetry: TelemetryService) -> None:
        self._changes = changes
        self._telemetry = telemetry

    async def count_installs(self, application_id: str) -> int | None:
        """Return the completed installs of all versions that were reported in 30 days; None without any figures.

        Raises Unavailable.
        """
        _, counts = await self._telemetry.totals(application_id, Measure.INSTALL, days=INSTALLS_DAYS)
        return sum(counts.values()) or None

    async def measure(self, application_id: str, version: str, action: Action) -> Impact:
        """Return what an action touches, by the reports of 30 days and the checks of the last one.

        Raises:
            NotFound: no such application or release. Invalid: not a version. Unavailable.
        """
        async with self._changes.looking(application_id, version) as held:
            application, release, rollout = held.application, held.release, held.rollout
        month, installs = await self._telemetry.totals(application_id, Measure.INSTALL, days=INSTALLS_DAYS)
        day, checks = await self._telemetry.totals(application_id, Measure.CHECK_VERSION, days=CHECKS_DAYS)
        pairs = zip(
            split(installs, release, application.scheme), split(checks, release, application.scheme), strict=True
        )
        this, older, others = (Seen(*pair) for pair in pairs)
        plan = None if application.default_rollout is None else plan_of(application.default_rollout)
        now, then = percent_now(release, rollout), percent_then(action, release, rollout, plan)
        return Impact(
            action=action,
            application_id=application.id,
            version=release.version,
            installs_since=month.starts_at,
            checks_since=day.starts_at,
            until=month.ends_at,
            installs=touched(action, (this, older), now, then) if installs or checks else None,
            percent_now=now,
            percent_then=then,
            this=this,
            older=older,
            others=others,
        )
