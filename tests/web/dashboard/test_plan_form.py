"""Plans as fields of forms: what is shown says the same plan again."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from updater.errors import Invalid
from updater.rollouts.plan import canonical, make_plan
from updater.web.dashboard.plan_form import fields_of, for_form, read_plan
from updater.web.messages.parsing import load_values
from updater.web.messages.plans import PlanBody

NOW = datetime(2026, 1, 1, tzinfo=UTC)
_PERCENTS = st.lists(st.integers(0, 10_000), min_size=1, max_size=20, unique=True).map(sorted)


@st.composite
def plans(draw: st.DrawFn) -> dict[str, Any]:
    percents = draw(_PERCENTS)
    lengths = [draw(st.integers(1, 31_622_400)) for _ in percents]
    stages = [{"percent": each / 100, "for_s": length} for each, length in zip(percents, lengths, strict=True)]
    if percents[-1] != 10_000 or draw(st.booleans()):
        stages[-1]["for_s"] = None
    halt = {
        "enabled": draw(st.booleans()),
        "max_failure_rate": draw(st.integers(1, 99)) / 100,
        "margin": draw(st.integers(0, 5_000)) / 10_000,
        "alpha": draw(st.integers(1, 1_000)) / 10_000,
        "per_address": draw(st.integers(1, 1_000)),
        "min_addresses": draw(st.integers(1, 1_000)),
    }
    start_at = draw(st.none() | st.datetimes(datetime(2025, 1, 1), datetime(2026, 12, 31)))
    return {
        "stages": stages,
        "start_at": None if start_at is None else start_at.replace(tzinfo=UTC),
        "min_reports": draw(st.integers(0, 1_000_000)),
        "halt": halt,
    }


@given(plans())
def test_a_shown_plan_reads_back_as_itself(asked: dict[str, Any]) -> None:
    plan = canonical(make_plan(asked, NOW))
    given_back = read_plan({**fields_of(plan), "halt_shown": "yes"})
    assert given_back is not None
    assert canonical(make_plan(load_values(PlanBody(), given_back), NOW)) == plan


@pytest.mark.parametrize(
    ("line", "stage"),
    [
        ("10", {"percent": 10}),
        ("0.5%", {"percent": 0.5}),
        ("10 % for 90 s", {"percent": 10, "for_s": 90}),
        ("10%, 2 h", {"percent": 10, "for_s": 7_200}),
        ("  10 % 1w ", {"percent": 10, "for_s": 604_800}),
    ],
)
def test_how_a_stage_may_be_written(line: str, stage: dict[str, Any]) -> None:
    assert read_plan({"stages": line}) == {"stages": [stage]}


@pytest.mark.parametrize(
    "line", ["many", "10 % for a day", "-1 %", "1e3", "10 % for 1 y", "10 % for 1234567890 s", "٣ %"]
)
def test_what_is_no_stage_is_named_by_its_line(line: str) -> None:
    with pytest.raises(Invalid) as refused:
        read_plan({"stages": f"1 % for 1 h\n\n{line}"})
    assert for_form(refused.value.fields) == {"stages": "line 2: expected a line such as: 10 % for 1 d"}


def test_no_stage_is_no_plan() -> None:
    assert read_plan({"stages": " \r\n", "min_reports": "x"}) is None
