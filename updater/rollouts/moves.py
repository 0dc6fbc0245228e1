"""How a rollout moves from one state to the next. PURE: the time comes from outside.

Every move returns the progress after it, or raises Conflict for a state that does not allow it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from updater.errors import Conflict
from updater.rollouts.model import Progress, Rollout, RolloutState
from updater.rollouts.plan import Plan

_COMPLETE = Progress(RolloutState.COMPLETE)


def begin(plan: Plan, now: datetime) -> Progress:
    """Return where a new plan stands: scheduled, at its first stage, or complete at once."""
    if plan.start_at is not None and plan.start_at > now:
        return Progress(RolloutState.SCHEDULED)
    return enter(plan, 1, now)


def enter(plan: Plan, number: int, now: datetime) -> Progress:
    """Enter a stage, counted from 1: its whole time begins. A last one for all that is not watched is complete."""
    if plan.completes_at(number):
        return _COMPLETE
    for_s = plan.stages[number - 1].for_s
    ends_at = None if for_s is None else now + timedelta(seconds=for_s)
    return Progress(RolloutState.ACTIVE, number, now, ends_at)


def set_plan(rollout: Rollout, plan: Plan, now: datetime) -> Progress:
    """Give a rollout another plan: it stands at the first stage of it. A pause stays.

    Raises:
        Conflict: it would be complete while a platform is halted.
    """
    progress = rollout.progress
    if progress.state is RolloutState.PAUSED:
        fresh = begin(plan, now)
        if fresh.state is RolloutState.SCHEDULED and not progress.number:
            return Progress(RolloutState.PAUSED)
        return _at_first_stage_paused(plan, now)
    fresh = enter(plan, 1, now) if progress.state is RolloutState.ACTIVE else begin(plan, now)
    if fresh.state is RolloutState.COMPLETE and progress.state is not RolloutState.COMPLETE:
        _require_open(rollout)
    return fresh


def pause(rollout: Rollout, now: datetime) -> Progress:
    """Stop the stages and all offers; one that is paused stays as it is. Raises Conflict when it is complete."""
    progress = rollout.progress
    if progress.state is RolloutState.COMPLETE:
        raise Conflict("The rollout is complete; withdraw the release to stop it", details=_state(progress))
    if progress.state is RolloutState.PAUSED:
        return progress
    return replace(stand_still(progress, now), state=RolloutState.PAUSED)


def resume(rollout: Rollout, now: datetime) -> Progress:
    """End a pause: what is left of the stage goes on. One that is not paused stays as it is.

    Raises:
        Conflict: the present stage makes it complete, and a platform is halted.
    """
    progress, plan = rollout.progress, rollout.plan
    if progress.state is not RolloutState.PAUSED:
        return progress
    if not progress.number:
        return begin(plan, now)
    if plan.completes_at(progress.number):
        _require_open(rollout)
        return _COMPLETE
    return replace(go_on(progress, now), state=RolloutState.ACTIVE)


def complete(rollout: Rollout) -> Progress:
    """Give the release to everybody. Raises Conflict while a platform is halted."""
    if rollout.progress.state is RolloutState.COMPLETE:
        return rollout.progress
    _require_open(rollout)
    return _COMPLETE


def advance(rollout: Rollout, now: datetime, stage: int | None = None) -> Progress:
    """Begin the next stage now, before its time and whatever was reported; a scheduled rollout begins.

    `stage` is the number of the one that is meant: where it has begun already, all stays as it is, so asking twice
    skips none. After the last stage, the one that follows is the completion.

    Raises:
        Conflict: another stage is next, it is paused or complete, a platform is halted, or nothing follows.
    """
    progress, plan = rollout.progress, rollout.plan
    if stage is not None:
        is_there = progress.state is RolloutState.ACTIVE and progress.number == stage
        if is_there or (progress.state is RolloutState.COMPLETE and stage >= len(plan.stages)):
            return progress
        if progress.state is not RolloutState.COMPLETE and stage != progress.number + 1:
            raise Conflict(f"Stage {stage} is not the next one", details={"next": progress.number + 1})
    if progress.state is RolloutState.PAUSED:
        raise Conflict("The rollout is paused; resume it first", details=_state(progress))
    if progress.state is RolloutState.COMPLETE:
        raise Conflict("The rollout is complete; no stage follows", details=_state(progress))
    _require_open(rollout)
    if progress.number < len(plan.stages):
        return enter(plan, progress.number + 1, now)
    if plan.stages[-1].for_s is None:
        raise Conflict("This is the last stage; complete the rollout, or set another plan", details=_state(progress))
    return _COMPLETE


def step(rollout: Rollout, now: datetime) -> Progress | None:
    """Return what the clock does to a rollout; None when nothing is due.

    The next stage begins when the time of the present one is over, enough reports were counted in it, and no platform
    is halted. Each stage gets its whole time, also when it is due long since.
    """
    progress, plan = rollout.progress, rollout.plan
    if rollout.withdrawn:
        return None
    if progress.state is RolloutState.SCHEDULED:
        due = plan.start_at is None or plan.start_at <= now
        return enter(plan, 1, now) if due else None
    if progress.state is not RolloutState.ACTIVE or find_hold(rollout, now) is not None:
        return None
    return _COMPLETE if progress.number == len(plan.stages) else enter(plan, progress.number + 1, now)


def find_hold(rollout: Rollout, now: datetime) -> Mapping[str, Any] | None:
    """Tell why the next stage has not begun, as a JSON object; None when it is due, or nothing follows at all."""
    progress, plan = rollout.progress, rollout.plan
    if progress.state is RolloutState.COMPLETE:
        return None
    if progress.state is RolloutState.PAUSED:
        return {"why": "paused"}
    if progress.state is RolloutState.SCHEDULED:
        return {"why": "scheduled"}
    if rollout.halted:
        return {"why": "halted"}
    if plan.stages[progress.number - 1].for_s is None:
        return {"why": "last_stage"}
    if progress.ends_at is None or progress.ends_at > now:
        return {"why": "time"}
    if progress.reports < plan.min_reports:
        return {"why": "reports", "have": progress.reports, "need": plan.min_reports}
    return None


def restart_stage(rollout: Rollout, now: datetime) -> Progress:
    """Return the progress of a release that is offered again: its present stage begins anew."""
    progress = rollout.progress
    if not progress.number or rollout.plan.completes_at(progress.number):
        return progress
    fresh = enter(rollout.plan, progress.number, now)
    if progress.state is RolloutState.PAUSED:
        return replace(stand_still(fresh, now), state=RolloutState.PAUSED)
    return fresh


def stand_still(progress: Progress, now: datetime) -> Progress:
    """Stop the clock of a stage; what is left is kept."""
    if progress.ends_at is None:
        return progress
    left_s = max(0.0, (progress.ends_at - now).total_seconds())
    return replace(progress, ends_at=None, left_s=left_s)


def go_on(progress: Progress, now: datetime) -> Progress:
    """Let the clock of a stage run again."""
    if progress.left_s is None:
        return progress
    return replace(progress, ends_at=now + timedelta(seconds=progress.left_s), left_s=None)


def _at_first_stage_paused(plan: Plan, now: datetime) -> Progress:
    for_s = plan.stages[0].for_s
    return Progress(RolloutState.PAUSED, 1, now, left_s=None if for_s is None else float(for_s))


def _require_open(rollout: Rollout) -> None:
    if rollout.halted:
        raise Conflict(
            f"The rollout is halted on {', '.join(rollout.halted)}; accept the halt, or publish a better version",
            details={"halted": list(rollout.halted)},
        )


def _state(progress: Progress) -> dict[str, str]:
    return {"state": progress.state.value}
