"""A rollout as its page shows it: the timeline of its plan, both arms with intervals, and what may be done. PURE."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from updater.catalog.model import ReleaseStatus
from updater.rollouts.intervals import Rate, failure_rate
from updater.rollouts.releases import ReleaseDetails
from updater.rollouts.words import Verbs, duration_in_words, halt_in_words, held_back, hold_in_words

_VERBS: Final = Verbs("somebody resumes it", "by Resume", "complete it")


@dataclass(frozen=True, slots=True)
class StageRow:
    """A stage of a plan: `mark` is `done`, `now`, `failed` (now, and halted) or empty."""

    number: int
    percent: float
    length: str
    mark: str
    started_at: datetime | None
    ends_at: datetime | None
    reports: int | None


@dataclass(frozen=True, slots=True)
class ArmRow:
    """A platform: both arms with their failure rates, the baseline, the evidence, and what follows from them.

    `largest` is the larger evidence, `share` how much that is of the limit at which the platform is halted.
    """

    platform: str
    halted: bool
    rollout: Mapping[str, int]
    control: Mapping[str, int]
    rate: Rate | None
    control_rate: Rate | None
    baseline: Mapping[str, float]
    largest: str
    limit: float
    share: float
    verdict: str
    notes: tuple[str, ...]


def words_of(rollout: Mapping[str, Any] | None) -> str:
    """Say what comes next, and why it has not begun."""
    return "" if rollout is None else hold_in_words(rollout, _VERBS)


def stages_of(rollout: Mapping[str, Any] | None) -> list[StageRow]:
    """Return the stages of a rollout, with where it stands."""
    if rollout is None:
        return []
    stage, plan = rollout["stage"], rollout["plan"]
    present = 0 if stage is None else stage["number"]
    if rollout["state"] == "complete":
        present = len(plan["stages"]) + 1
    is_halted = any(each["halt"] for each in rollout["platforms"])
    rows = []
    for number, each in enumerate(plan["stages"], 1):
        mark = "done" if number < present else ""
        if number == present:
            mark = "failed" if is_halted else "now"
        here = stage if number == present else None
        rows.append(
            StageRow(
                number,
                each["percent"],
                "" if each["for_s"] is None else duration_in_words(each["for_s"]),
                mark,
                None if here is None else datetime.fromisoformat(here["started_at"]),
                None if here is None or here["ends_at"] is None else datetime.fromisoformat(here["ends_at"]),
                None if here is None else here["reports"],
            )
        )
    return rows


def arms_of(rollout: Mapping[str, Any] | None) -> list[ArmRow]:
    """Return both arms of each platform."""
    if rollout is None:
        return []
    return [_arm(each, rollout) for each in rollout["platforms"]]


def _arm(each: Mapping[str, Any], rollout: Mapping[str, Any]) -> ArmRow:
    mine, control = each["rollout"], each["control"]
    largest = max(each["evidence"].values())
    notes = [text for text in (held_back(each, rollout),) if text]
    if each["halt"]:
        notes.insert(0, halt_in_words(each["platform"], each["halt"], rollout))
    return ArmRow(
        platform=each["platform"],
        halted=each["halt"] is not None,
        rollout=mine,
        control=control,
        rate=failure_rate(mine["failed"], mine["completed"] + mine["failed"]),
        control_rate=failure_rate(control["failed"], control["completed"] + control["failed"]),
        baseline=each["baseline"],
        largest=f"{largest:,.0f}" if largest >= 1_000 else f"{largest:.3g}",
        limit=each["limit"],
        share=min(1.0, largest / each["limit"]),
        verdict=_verdict(each, rollout, largest),
        notes=tuple(notes),
    )


def _verdict(each: Mapping[str, Any], rollout: Mapping[str, Any], largest: float) -> str:
    if each["halt"]:
        return "halted"
    if not each["rollout"]["completed"] + each["rollout"]["failed"]:
        return "no reports yet"
    if not rollout["plan"]["halt"]["enabled"]:
        return "watched, never halted"
    return "close to a halt" if largest >= each["limit"] / 4 else "no sign of trouble"


def may_do(details: ReleaseDetails, *, is_first: bool) -> list[str]:
    """Return the steps that the state of a release allows, the most likely first.

    `is_first`: it is on the most stable channel.
    """
    status, rollout = details.release.status, details.rollout
    if status is ReleaseStatus.DRAFT:
        return ["publish", "delete"]
    if status is ReleaseStatus.WITHDRAWN:
        return ["restore", "delete"]
    state = "" if rollout is None else rollout["state"]
    halted = rollout is not None and any(each["halt"] for each in rollout["platforms"])
    steps = []
    if state == "paused" or halted:
        steps.append("resume")
    if state in ("active", "scheduled") and not halted and _has_next(rollout):
        steps.append("advance")
    if state in ("active", "scheduled"):
        steps.append("pause")
    if state in ("active", "scheduled", "paused"):
        steps.append("complete")
    steps.append("set")
    return [*steps, *([] if is_first else ["promote"]), "withdraw", "delete"]


def _has_next(rollout: Mapping[str, Any] | None) -> bool:
    if rollout is None:
        return False
    stage, stages = rollout["stage"], rollout["plan"]["stages"]
    return stage is None or stage["number"] < len(stages) or stages[-1]["for_s"] is not None
