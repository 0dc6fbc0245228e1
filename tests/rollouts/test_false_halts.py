"""How often a good release is halted, and how soon a bad one is: the pure part, with seeds."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable
from dataclasses import replace

import pytest

from updater.rollouts.evidence import Arm, Series, above_ceiling, against_control, baseline_rate, count

MARGIN, CEILING, ALPHA, MIN_ADDRESSES = 0.0025, 0.1, 0.005, 5
LIMIT = 2 / ALPHA
NO_HISTORY, HISTORY = Arm(), Arm(990, 10)


def is_evident(series: Series) -> bool:
    return max(against_control(series), above_ceiling(series, CEILING)) >= LIMIT


def is_evident_at_one_look(series: Series) -> bool:
    """Tell whether the rates differ by more than chance allows in 5 of 100 cases, for whoever looks once."""
    rollout, control = series.rollout, series.control
    if not rollout.counted or not control.counted:
        return False
    pooled = (rollout.failed + control.failed) / (rollout.counted + control.counted)
    spread = math.sqrt(pooled * (1 - pooled) * (1 / rollout.counted + 1 / control.counted))
    return rollout.failed / rollout.counted - control.failed / control.counted > 1.645 * spread


def reports_until_halt(
    generator: random.Random,
    share: float,
    rates: tuple[float, float],
    most: int,
    baseline: Arm = NO_HISTORY,
    is_evident: Callable[[Series], bool] = is_evident,
) -> int | None:
    """Return how many reports of the rollout arm there were at the halt; None without one in `most` reports of both.

    `rates` are those of the rollout arm and of control. Each report comes from an address of its own.
    """
    series = Series(baseline=baseline)
    rate = baseline_rate(baseline, CEILING)
    for _ in range(most):
        control = generator.random() >= share
        failed = generator.random() < rates[control]
        before = series.log_bets
        series = count(series, failed=failed, control=control, margin=MARGIN, rate=rate)
        if failed and not control:
            series = replace(series, failed_addresses=series.failed_addresses + 1)
        elif series.log_bets == before:
            continue  # neither evidence grew
        if series.failed_addresses >= MIN_ADDRESSES and is_evident(series):
            return series.rollout.counted
    return None


def false_halts(rate: float, seeds: int, most: int, is_evident: Callable[[Series], bool] = is_evident) -> int:
    halts = 0
    for seed in range(seeds):
        generator = random.Random(seed)
        share = generator.choice((0.01, 0.1, 0.5, 0.9))
        halts += reports_until_halt(generator, share, (rate, rate), most, is_evident=is_evident) is not None
    return halts


def bearable(seeds: int) -> float:
    """Return the most halts of good releases that are luck: three more than expected at the promised rate."""
    return ALPHA * seeds + 3


@pytest.mark.parametrize("rate", [0.005, 0.02])
@pytest.mark.parametrize(("seeds", "most"), [(40, 2_000), pytest.param(1_000, 10_000, marks=pytest.mark.long)])
@pytest.mark.timeout(3_600)
def test_good_releases_are_hardly_ever_halted(rate: float, seeds: int, most: int) -> None:
    halts = false_halts(rate, seeds, most)
    print(f"equal rates of {rate:.1%}: {halts} of {seeds} runs with {most} reports halted")
    assert halts <= bearable(seeds)


def test_without_its_guard_good_releases_are_halted() -> None:
    """The control: a test for one look, taken after every report."""
    halts = false_halts(0.02, 40, 2_000, is_evident_at_one_look)
    print(f"{halts} of 40 halted")
    assert halts > bearable(40)


@pytest.mark.parametrize(("share", "promised"), [(0.01, 210), (0.1, 270), (0.5, 580), (0.9, 1_500)])
@pytest.mark.parametrize("seeds", [15, pytest.param(200, marks=pytest.mark.long)])
@pytest.mark.timeout(3_600)
def test_a_build_that_fails_five_times_as_often_is_halted(share: float, promised: int, seeds: int) -> None:
    """Among a thousand reports of the month before, where an open block finds no control."""
    found = [
        reports_until_halt(random.Random(seed), share, (0.05, 0.01), round(8 * promised / share), HISTORY)
        for seed in range(seeds)
    ]
    halts = sorted(each for each in found if each is not None)
    assert len(halts) >= 0.98 * seeds
    median, late = statistics.median(halts), halts[int(0.95 * len(halts))]
    print(f"5 % against 1 %, {share:.0%} of reports: median {median:.0f} (promised {promised}), 95 % within {late}")
    # A median of so few seeds varies by a third.
    assert median <= promised * (1.2 if seeds >= 200 else 1.6)


@pytest.mark.parametrize("seeds", [20, pytest.param(500, marks=pytest.mark.long)])
def test_a_build_that_fails_half_the_time_is_halted_at_once(seeds: int) -> None:
    """Without control and without history as well: by the ceiling alone."""
    found = [reports_until_halt(random.Random(seed), 1, (0.5, 0.01), 1_000) for seed in range(seeds)]
    halts = [each for each in found if each is not None]
    assert len(halts) == seeds
    print(f"50 %, nothing to compare with: median {statistics.median(halts):.0f}, all within {max(halts)}")
    assert statistics.median(halts) <= 18
