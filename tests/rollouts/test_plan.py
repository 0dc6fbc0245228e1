"""Plans of rollouts: what is filled in, what is refused by which name, and what is stored and read back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from updater.errors import Invalid
from updater.rollouts.plan import HaltRules, Plan, Stage, canonical, in_hundredths, make_plan, plan_of, read_plan

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
TWO = [{"percent": 10, "for_s": 60}, {"percent": 100}]
DEFAULTS = {
    "enabled": True,
    "max_failure_rate": 0.1,
    "margin": 0.0025,
    "alpha": 0.005,
    "per_address": 3,
    "min_addresses": 5,
}


def refusal(**given: Any) -> dict[str, str]:
    with pytest.raises(Invalid) as refused:
        make_plan(given, NOW)
    return dict(refused.value.fields)


def test_one_percent_is_one_stage_and_everything_else_is_filled_in() -> None:
    plan = make_plan({"percent": 12.5}, NOW)
    assert plan == Plan((Stage(1250),), None, 20, HaltRules())
    stored = {"stages": [{"percent": 12.5, "for_s": None}], "start_at": None, "min_reports": 20, "halt": DEFAULTS}
    assert canonical(plan) == stored
    assert plan.halt.limit == 400


def test_what_is_given_stays() -> None:
    halt = {"enabled": False, "max_failure_rate": 1, "margin": 0, "alpha": 1, "per_address": 7, "min_addresses": 2}
    plan = make_plan({"stages": TWO, "start_at": NOW, "min_reports": 3, "halt": halt}, NOW)
    assert plan == Plan((Stage(1000, 60), Stage(10_000)), NOW, 3, HaltRules(False, 1.0, 0.0, 1.0, 7, 2))
    assert all(isinstance(each, float) for each in (plan.halt.max_failure_rate, plan.halt.margin, plan.halt.alpha))
    assert canonical(plan)["start_at"] == "2026-05-01T12:00:00Z"


@pytest.mark.parametrize("given", [{}, {"percent": None, "stages": None}, {"percent": 5, "stages": TWO}])
def test_either_percent_or_stages(given: dict[str, Any]) -> None:
    assert refusal(**given) == {"percent": "give either percent or stages"}


def test_a_start_is_at_most_a_year_ahead_and_kept_in_whole_seconds_of_utc() -> None:
    latest = NOW + timedelta(days=366)
    assert make_plan({"percent": 1, "start_at": latest}, NOW).start_at == latest
    later = latest + timedelta(microseconds=1)
    assert refusal(percent=1, start_at=later) == {"start_at": "must be at most 366 days ahead"}
    elsewhere = datetime(2026, 5, 1, 14, 0, 0, 999_999, timezone(timedelta(hours=2)))
    kept = make_plan({"percent": 1, "start_at": elsewhere}, NOW).start_at
    assert kept == NOW and kept.tzinfo is UTC
    assert make_plan({"percent": 1, "start_at": datetime(1, 1, 1, tzinfo=UTC)}, NOW).start_at == datetime(
        1970, 1, 1, tzinfo=UTC
    )


def test_stages_rise_and_all_but_the_last_have_a_duration() -> None:
    rise, needed = "must be above the percent of the stage before", "is needed on every stage but the last"
    last = "is taken on the last stage only when it is at 100 percent"
    equal = [{"percent": 10, "for_s": 60}, {"percent": 10, "for_s": 60}, {"percent": 9}]
    assert refusal(stages=equal) == {"stages.1.percent": rise, "stages.2.percent": rise}
    assert refusal(stages=[{"percent": 1}, {"percent": 2}, {"percent": 3}]) == {
        "stages.0.for_s": needed,
        "stages.1.for_s": needed,
    }
    assert refusal(stages=[{"percent": 99.99, "for_s": 60}]) == {"stages.0.for_s": last}
    watched = make_plan({"stages": [*TWO[:1], {"percent": 100, "for_s": 60}]}, NOW)
    assert watched.stages[-1] == Stage(10_000, 60)


def test_problems_are_told_together() -> None:
    far = NOW + timedelta(days=400)
    assert refusal(stages=[{"percent": 1}, {"percent": 2}], start_at=far).keys() == {"stages.0.for_s", "start_at"}
    assert refusal(start_at=far).keys() == {"percent", "start_at"}


def test_a_plan_within_a_larger_request_is_named_by_its_field() -> None:
    assert read_plan(25, NOW, "rollout") == make_plan({"percent": 25}, NOW)
    assert read_plan({"stages": TWO}, NOW, "rollout") == make_plan({"stages": TWO}, NOW)
    with pytest.raises(Invalid) as refused:
        read_plan({"stages": [{"percent": 1}, {"percent": 2}]}, NOW, "default_rollout")
    assert dict(refused.value.fields) == {"default_rollout.stages.0.for_s": "is needed on every stage but the last"}
    assert refused.value.__suppress_context__
    with pytest.raises(Invalid):
        read_plan({"percent": 1, "start_at": NOW + timedelta(days=367)}, NOW, "rollout")


def test_only_a_last_stage_for_all_that_is_not_watched_completes() -> None:
    plan = make_plan({"stages": TWO}, NOW)
    assert [plan.completes_at(number) for number in (1, 2)] == [False, True]
    watched = make_plan({"stages": [*TWO[:1], {"percent": 100, "for_s": 60}]}, NOW)
    assert not watched.completes_at(2)
    assert not make_plan({"percent": 99.99}, NOW).completes_at(1)


@pytest.mark.parametrize("percent", [0.001, 33.333, float("inf"), float("nan"), -float("inf"), 1e308, 99.995])
def test_a_percent_has_steps_of_a_hundredth(percent: float) -> None:
    with pytest.raises(ValueError, match=r"^must be in steps of 0\.01$"):
        in_hundredths(percent)


@given(st.integers(0, 10_000))
def test_every_hundredth_is_read_as_it_was_written(hundredths: int) -> None:
    assert in_hundredths(float(f"{hundredths / 100:.2f}")) == hundredths
    assert in_hundredths(Stage(hundredths).percent) == hundredths


@given(
    st.lists(st.integers(1, 10_000), min_size=1, max_size=20, unique=True),
    st.none() | st.integers(0, 366 * 86_400),
    st.integers(0, 1_000_000),
)
def test_a_plan_is_read_back_as_it_was_stored(shares: list[int], ahead_s: int | None, reports: int) -> None:
    stages = [{"percent": each / 100, "for_s": 60} for each in sorted(shares)]
    del stages[-1]["for_s"]
    start = None if ahead_s is None else NOW + timedelta(seconds=ahead_s)
    plan = make_plan({"stages": stages, "start_at": start, "min_reports": reports, "halt": {"alpha": 0.01}}, NOW)
    assert plan_of(canonical(plan)) == plan
