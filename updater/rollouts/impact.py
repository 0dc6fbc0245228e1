"""How many installs does an action on a release touch? From the counts of reports and checks, never guessed. PURE.

Figures know versions of an application, not its channels, and not which report came from which install: so all numbers
are upper bounds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from updater.catalog.model import ReleaseStatus
from updater.catalog.release_store import KnownRelease
from updater.catalog.versions import Scheme, parse_version
from updater.rollouts.model import Rollout, RolloutState
from updater.rollouts.plan import Plan
from updater.telemetry.rollups import OTHER


class Action(StrEnum):
    """What somebody may do with a release."""

    PUBLISH = "publish"
    DELETE = "delete"
    PROMOTE = "promote"
    WITHDRAW = "withdraw"
    RESTORE = "restore"
    SET = "set"
    PAUSE = "pause"
    RESUME = "resume"
    ADVANCE = "advance"
    COMPLETE = "complete"


@dataclass(frozen=True, slots=True)
class Seen:
    """What was reported and asked: completed installs of versions, and update checks of clients that run them."""

    installs: int = 0
    checks: int = 0


@dataclass(frozen=True, slots=True)
class Impact:
    """What an action touches. `percent_now` and `percent_then` are the share of clients that are offered the release.

    `this` is seen of the release itself, `older` of versions below it, `others` of versions that have no name of their
    own in the figures. `installs` are those that the action touches: of the release when it is withdrawn or deleted,
    else the share of older ones that gains or loses the offer; None without any figures. `percent_then` None: a plan
    decides, and all older ones count.
    """

    action: Action
    application_id: str
    version: str
    installs_since: datetime
    checks_since: datetime
    until: datetime
    installs: int | None
    percent_now: float
    percent_then: float | None
    this: Seen
    older: Seen
    others: Seen


def split(counts: Mapping[str, int], release: KnownRelease, scheme: Scheme) -> tuple[int, int, int]:
    """Split counts by version into those of a release, those of versions below it, and those without a version."""
    this = older = others = 0
    for label, amount in counts.items():
        key = None if label == OTHER else _sort_key(label, scheme)
        if key is None:
            others += amount
        elif key == release.sort_key:
            this += amount
        elif key < release.sort_key:
            older += amount
    return this, older, others


def percent_now(release: KnownRelease, rollout: Rollout | None) -> float:
    """Return the percent of clients that are offered a release now, where no platform is halted."""
    if release.status is not ReleaseStatus.ACTIVE or (rollout is not None and rollout.state is RolloutState.PAUSED):
        return 0.0
    return 100.0 if rollout is None else rollout.hundredths / 100


def percent_then(action: Action, release: KnownRelease, rollout: Rollout | None, default: Plan | None) -> float | None:
    """Return the percent of clients that are offered a release after an action; None where a plan decides that.

    `default` is the application's plan for releases that are published without one.
    """
    if action in (Action.WITHDRAW, Action.DELETE, Action.PAUSE):
        return 0.0
    if action is Action.SET:
        return None
    if action is Action.COMPLETE:
        return 100.0
    if action is Action.PUBLISH:
        return 100.0 if default is None else _first_percent(default)
    if action is Action.PROMOTE:
        return percent_now(release, rollout)
    if rollout is None:
        return 100.0
    if action is Action.ADVANCE:
        stages, number = rollout.plan.stages, rollout.progress.number
        return stages[number].percent if number < len(stages) else 100.0
    return rollout.hundredths / 100 if rollout.progress.number or rollout.state is RolloutState.COMPLETE else 0.0


def touched(action: Action, seen: tuple[Seen, Seen], now: float, then: float | None) -> int:
    """Return how many installs an action touches. `seen` is that of the release, and that of older versions."""
    this, older = seen
    if action in (Action.WITHDRAW, Action.DELETE):
        return this.installs
    if action is Action.PROMOTE or then is None:
        return older.installs
    return round(older.installs * abs(then - now) / 100)


def _first_percent(plan: Plan) -> float:
    return plan.stages[0].percent


def _sort_key(label: str, scheme: Scheme) -> str | None:
    try:
        return parse_version(label, scheme).sort_key
    except ValueError:
        return None
