"""What a publisher asks of a rollout: stages, start, and when it halts. PURE.

A plan has one canonical JSON object, with every default filled in: that is what is stored, shown, and compared.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from updater.errors import Invalid
from updater.times import rfc3339

MAX_STAGES = 20
MAX_STAGE_S = 31_622_400
MAX_AHEAD = timedelta(days=366)
MAX_MIN_REPORTS = 1_000_000
MAX_SOURCES = 1_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# A percent is a whole number of hundredths.
WHOLE = 10_000


@dataclass(frozen=True, slots=True)
class Stage:
    """A share of clients, in hundredths of a percent, and how long it lasts at least; None: until somebody acts."""

    hundredths: int
    for_s: int | None = None

    @property
    def percent(self) -> float:
        """Return the share in percent."""
        return self.hundredths / 100


@dataclass(frozen=True, slots=True)
class HaltRules:
    """When a platform is halted. Rates are shares of 1; `alpha` bounds the chance of a false halt."""

    enabled: bool = True
    max_failure_rate: float = 0.1
    margin: float = 0.0025
    alpha: float = 0.005
    # How many reports of one address count, and from how many addresses the failures must come.
    per_address: int = 3
    min_addresses: int = 5

    @property
    def limit(self) -> float:
        """Return the evidence at which a platform is halted."""
        return 2 / self.alpha


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan that keeps all rules. Make it with `make_plan` or `plan_of`."""

    stages: tuple[Stage, ...]
    start_at: datetime | None = None
    min_reports: int = 20
    halt: HaltRules = field(default_factory=HaltRules)

    def completes_at(self, number: int) -> bool:
        """Tell whether entering a stage, counted from 1, makes the rollout complete: it is for all and not watched."""
        stage = self.stages[number - 1]
        return stage.hundredths == WHOLE and stage.for_s is None


def make_plan(given: Mapping[str, Any], now: datetime) -> Plan:
    """Make a plan of what a publisher asks, and fill in the defaults.

    Args:
        given: fields whose types and ranges hold: `percent` or `stages`, and at will `start_at` (aware), `min_reports`
            and `halt`, a mapping with any of the fields of `HaltRules`.
        now: the time from which `start_at` is at most 366 days away.

    Raises:
        Invalid: the fields contradict each other; names them, such as `stages.1.percent`.
    """
    problems: dict[str, str] = {}
    given_stages = given.get("stages")
    if (given.get("percent") is None) == (given_stages is None):
        problems["percent"] = "give either percent or stages"
        given_stages = []
    elif given_stages is None:
        given_stages = [{"percent": given["percent"]}]
    stages = tuple(Stage(in_hundredths(each["percent"]), each.get("for_s")) for each in given_stages)
    problems |= _stage_problems(stages)
    start_at = given.get("start_at")
    if start_at is not None and start_at > now + MAX_AHEAD:
        problems["start_at"] = "must be at most 366 days ahead"
    if problems:
        raise Invalid(problems)
    if start_at is not None:
        # In year 1 the step to UTC leaves the calendar, and years below 1000 have no text that reads back.
        start_at = max(start_at, _EPOCH).astimezone(UTC).replace(microsecond=0)
    return Plan(stages, start_at, given.get("min_reports", 20), _rules(given.get("halt", {})))


def read_plan(asked: Mapping[str, Any] | float, now: datetime, field: str) -> Plan:
    """Make the plan that stands in a larger request as `field`: a plan, or a number, which is a percent.

    Raises:
        Invalid: as `make_plan`; the names begin with `field` and a dot.
    """
    try:
        return make_plan(asked if isinstance(asked, Mapping) else {"percent": asked}, now)
    except Invalid as error:
        raise Invalid({f"{field}.{name}": text for name, text in error.fields.items()}) from None


def in_hundredths(percent: float) -> int:
    """Return a percent in hundredths. Raises ValueError when it is finer than 0.01."""
    exactly = percent * 100
    # A percent in these steps, and its hundredths over 100, are the number nearest to the same decimals.
    if not math.isfinite(exactly) or round(exactly) / 100 != percent:
        raise ValueError("must be in steps of 0.01")
    return round(exactly)


def plan_of(canonical: Mapping[str, Any]) -> Plan:
    """Return the plan of a canonical JSON object."""
    start_at = canonical["start_at"]
    return Plan(
        tuple(Stage(in_hundredths(each["percent"]), each["for_s"]) for each in canonical["stages"]),
        None if start_at is None else datetime.fromisoformat(start_at),
        canonical["min_reports"],
        HaltRules(**canonical["halt"]),
    )


def canonical(plan: Plan) -> dict[str, Any]:
    """Return the JSON object of a plan, every default filled in; `start_at` as RFC 3339 in whole seconds."""
    rules = plan.halt
    return {
        "stages": [{"percent": each.percent, "for_s": each.for_s} for each in plan.stages],
        "start_at": None if plan.start_at is None else rfc3339(plan.start_at),
        "min_reports": plan.min_reports,
        "halt": {
            "enabled": rules.enabled,
            "max_failure_rate": rules.max_failure_rate,
            "margin": rules.margin,
            "alpha": rules.alpha,
            "per_address": rules.per_address,
            "min_addresses": rules.min_addresses,
        },
    }


def _rules(given: Mapping[str, Any]) -> HaltRules:
    rates = {name: float(given[name]) for name in ("max_failure_rate", "margin", "alpha") if name in given}
    return HaltRules(**{**given, **rates})


def _stage_problems(stages: Sequence[Stage]) -> dict[str, str]:
    problems: dict[str, str] = {}
    last = len(stages) - 1
    for index, stage in enumerate(stages):
        if index and stage.hundredths <= stages[index - 1].hundredths:
            problems[f"stages.{index}.percent"] = "must be above the percent of the stage before"
        duration = f"stages.{index}.for_s"
        if index < last and stage.for_s is None:
            problems[duration] = "is needed on every stage but the last"
        if index == last and stage.for_s is not None and stage.hundredths != WHOLE:
            problems[duration] = "is taken on the last stage only when it is at 100 percent"
    return problems
