"""Rollouts as JSON objects: what the interface answers, and what the audit keeps. PURE."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import updater.rollouts.evidence as evidence
from updater.rollouts.model import PlatformArm, Rollout, RolloutState
from updater.rollouts.moves import find_hold
from updater.rollouts.plan import Plan, canonical
from updater.times import rfc3339

WORSE_THAN_CONTROL, ABOVE_MAX_FAILURE_RATE = "worse_than_control", "above_max_failure_rate"


def describe_rollout(each: Rollout, now: datetime) -> dict[str, Any]:
    """Return a rollout as the interface shows it. Times are RFC 3339, percents and rates are numbers."""
    hold = find_hold(each, now)
    return {
        "application_id": each.application_id,
        "version": each.version,
        "channel": each.channel,
        "state": each.state.value,
        "percent": each.hundredths / 100,
        "salt": each.salt,
        "plan": canonical(each.plan),
        "stage": _describe_stage(each),
        "hold": None if hold is None else dict(hold),
        "created_at": rfc3339(each.created_at),
        "updated_at": rfc3339(each.updated_at),
        "completed_at": None if each.completed_at is None else rfc3339(each.completed_at),
        "platforms": [_describe_platform(arm, each.plan, is_complete=_is_complete(each)) for arm in each.platforms],
    }


def describe_progress(each: Rollout) -> dict[str, Any]:
    """Return where a rollout stands, for the history."""
    number = each.progress.number
    return {"state": each.state.value, "stage": number or None, "percent": each.hundredths / 100}


def describe_arms(arm: PlatformArm, plan: Plan) -> dict[str, Any]:
    """Return both arms of a platform, and the evidence that they give."""
    series = arm.series
    return {
        "rollout": {
            "completed": series.rollout.completed,
            "failed": series.rollout.failed,
            "ignored": series.rollout.ignored,
            "failed_addresses": series.failed_addresses,
        },
        "control": {
            "completed": series.control.completed,
            "failed": series.control.failed,
            "ignored": series.control.ignored,
        },
        "evidence": {
            "control": evidence.shown(evidence.against_control(series)),
            "ceiling": evidence.shown(evidence.above_ceiling(series, plan.halt.max_failure_rate)),
        },
    }


def describe_halt(arm: PlatformArm) -> dict[str, Any] | None:
    """Return the halt of a platform, with the numbers of its moment; None when it has none."""
    return None if arm.halt is None else {"at": rfc3339(arm.halt.at), **arm.halt.facts}


def _describe_stage(each: Rollout) -> dict[str, Any] | None:
    progress = each.progress
    if not progress.number or progress.started_at is None:
        return None
    return {
        "number": progress.number,
        "of": len(each.plan.stages),
        "reports": progress.reports,
        "started_at": rfc3339(progress.started_at),
        "ends_at": None if progress.ends_at is None else rfc3339(progress.ends_at),
    }


def _describe_platform(arm: PlatformArm, plan: Plan, *, is_complete: bool) -> dict[str, Any]:
    halted = arm.halt is not None and not is_complete
    baseline = arm.series.baseline
    rate = evidence.baseline_rate(baseline, plan.halt.max_failure_rate)
    return {
        "platform": arm.platform,
        "state": "halted" if halted else "open",
        "series": arm.number,
        "since": rfc3339(arm.since),
        **describe_arms(arm, plan),
        "baseline": {
            "completed": baseline.completed,
            "failed": baseline.failed,
            "rate": float(f"{rate:.6g}"),
        },
        "limit": float(f"{plan.halt.limit:.6g}"),
        "halt": describe_halt(arm) if halted else None,
    }


def _is_complete(each: Rollout) -> bool:
    return each.state is RolloutState.COMPLETE
