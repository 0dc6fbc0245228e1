"""Evidence against an independent reckoning with exact fractions, and what it does over many simulated days."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

import updater.rollouts.evidence as evidence
from updater.rollouts.evidence import Arm, Series

LIMIT = 400.0


@dataclass
class Reference:
    """The same test with products of fractions in place of sums of logarithms."""

    margin: Fraction
    rate: Fraction

    def __post_init__(self) -> None:
        self.bets = [Fraction(1)] * 3
        self.failed = self.all = self.k = self.n = 0
        self.block = [0, 0, 0, 0]

    def count(self, failed: bool, control: bool) -> None:
        if not control:
            self.failed += failed
            self.all += 1
        self.block[2 * control + (not failed)] += 1
        f1, s1, f0, s0 = self.block
        n1, n0 = f1 + s1, f0 + s0
        gs = (Fraction(1, 2), Fraction(3), Fraction(16))
        if n1 and n0:
            q = Fraction(2 * self.k + 1, 2) / (self.n + 20)
            p = q + self.margin
            for index, g in enumerate(gs):
                a = min(g, Fraction(1, 2) / p, Fraction(n0, 2) / (n1 * (1 - q)))
                b = a * n1 / n0
                factor = (1 + a * (1 - p)) ** f1 * (1 - a * p) ** s1 * (1 - b * (1 - q)) ** f0 * (1 + b * q) ** s0
                self.bets[index] *= factor
        elif n1 >= 20:
            for index, g in enumerate(gs):
                a = min(g, Fraction(1, 2) / self.rate)
                self.bets[index] *= (1 + a * (1 - self.rate)) ** f1 * (1 - a * self.rate) ** s1
        else:
            return
        self.k, self.n, self.block = self.k + f0, self.n + n0, [0, 0, 0, 0]

    def control(self) -> float:
        return float(sum(self.bets) / 3)

    def ceiling(self, c: Fraction) -> float:
        if not self.all or Fraction(self.failed, self.all) <= c:
            return 0.0
        # B(k + 1/2, m + 2) / B(1/2, 2) as a product of the steps of the rising factorials.
        value = Fraction(1)
        for step in range(self.failed):
            value *= Fraction(1, 2) + step
        for step in range(self.all - self.failed):
            value *= 2 + step
        for step in range(self.all):
            value /= Fraction(5, 2) + step
        return float(value / (c**self.failed * (1 - c) ** (self.all - self.failed)))


@given(
    st.lists(st.tuples(st.booleans(), st.booleans()), max_size=120),
    st.sampled_from([0.0, 0.0025, 0.1, 0.5]),
    st.sampled_from([0.02, 0.05, 0.1, 0.9]),
)
def test_numbers_equal_those_of_exact_fractions(reports: list[tuple[bool, bool]], margin: float, rate: float) -> None:
    series, reference = Series(), Reference(Fraction(margin), Fraction(rate))
    for failed, control in reports:
        series = evidence.count(series, failed=failed, control=control, margin=margin, rate=rate)
        reference.count(failed, control)
        assert evidence.against_control(series) == pytest.approx(reference.control(), rel=1e-9)
        assert evidence.above_ceiling(series, 0.1) == pytest.approx(reference.ceiling(Fraction(0.1)), rel=1e-9)


def test_a_lone_block_is_closed_against_the_baseline_at_its_twentieth_report() -> None:
    series = Series()
    for _ in range(19):
        series = evidence.count(series, failed=True, control=False, margin=0.0025, rate=0.02)
    assert evidence.against_control(series) == 1.0
    series = evidence.count(series, failed=True, control=False, margin=0.0025, rate=0.02)
    assert evidence.against_control(series) > LIMIT
    assert (series.open_failed, series.open_completed) == (0, 0)


def test_an_outage_that_hits_both_arms_is_no_evidence() -> None:
    """Control: a test on total counts halts here, since the arms saw the outage in other proportions."""
    dice, series = random.Random(7), Series()
    for hour in range(40):
        share, failing = (0.6, 0.6) if hour % 8 == 0 else (0.2, 0.01)
        for _ in range(50):
            report = {"failed": dice.random() < failing, "control": dice.random() >= share}
            series = evidence.count(series, **report, margin=0.0025, rate=0.1)
    assert evidence.against_control(series) < LIMIT
    rates = [arm.failed / arm.counted for arm in (series.rollout, series.control)]
    assert rates[0] > 2 * rates[1], "the totals would say that the release is far worse"


@pytest.mark.parametrize("rate", [0.005, 0.02])
def test_equal_arms_are_hardly_ever_halted(rate: float) -> None:
    halted = sum(_is_halted(seed, rate, rate, reports=3_000) for seed in range(100))
    assert halted <= 1


def test_a_bad_release_is_halted_soon() -> None:
    reports = sorted(_halted_at(seed, 0.5, 0.01) for seed in range(50))
    assert reports[25] <= 20
    assert reports[-1] <= 60


def _is_halted(seed: int, rollout: float, control: float, *, reports: int) -> bool:
    return _halted_at(seed, rollout, control, most=reports) < reports


def _halted_at(seed: int, rollout: float, control: float, *, most: int = 5_000) -> int:
    """Return after how many reports about the release a platform is halted, of at most so many."""
    dice, series = random.Random(seed), Series(baseline=Arm(990, 10))
    rate = evidence.baseline_rate(series.baseline, 0.1)
    for number in range(1, most):
        if dice.random() < 0.5:
            failed = dice.random() < control
            series = evidence.count(series, failed=failed, control=True, margin=0.0025, rate=rate)
        failed = dice.random() < rollout
        series = evidence.count(series, failed=failed, control=False, margin=0.0025, rate=rate)
        if max(evidence.against_control(series), evidence.above_ceiling(series, 0.1)) >= LIMIT:
            return number
    return most


@pytest.mark.parametrize(
    ("baseline", "rate"),
    [
        (Arm(0, 0), 0.1),
        (Arm(1980, 20), 0.0215686),
        (Arm(100_000, 0), 0.02),
        (Arm(0, 100), 0.1),
    ],
)
def test_the_rate_of_the_baseline(baseline: Arm, rate: float) -> None:
    assert evidence.baseline_rate(baseline, 0.1) == pytest.approx(rate, rel=1e-5)


def test_evidence_is_shown_with_six_digits_and_never_overflows() -> None:
    series = Series()
    for _ in range(3_000):
        series = evidence.count(series, failed=True, control=False, margin=0.0, rate=0.02)
    assert math.isfinite(evidence.against_control(series))
    assert evidence.shown(evidence.against_control(series)) == 1e12
    assert evidence.shown(12.3456789) == 12.3457


@pytest.mark.parametrize(("failed", "rate"), [(0, 0.02), (1, 0.02), (7, 0.1), (13, 0.4), (20, 0.9)])
def test_a_lone_block_multiplies_each_bet(failed: int, rate: float) -> None:
    """By (1 + a (1 - h)) for each failure and (1 - a h) for each success, with a = min(g, 1 / 2h)."""
    series = Series(log_bets=(0.5, -0.25, 1.0))
    for number in range(20):
        series = evidence.count(series, failed=number < failed, control=False, margin=0.0025, rate=rate)
    for log, before, bet in zip(series.log_bets, (0.5, -0.25, 1.0), (0.5, 3, 16), strict=True):
        h = Fraction(rate)
        a = min(Fraction(bet), 1 / (2 * h))
        factor = (1 + a * (1 - h)) ** failed * (1 - a * h) ** (20 - failed)
        assert math.exp(log) == pytest.approx(math.exp(before) * float(factor), rel=1e-12)


def test_each_arm_counts_its_own_and_keeps_what_it_had() -> None:
    baseline = Arm(50, 3, 1)
    series = Series(Arm(4, 5, 6), Arm(7, 8, 9), 2, baseline=baseline)
    for control in (False, True, True):
        series = evidence.count(series, failed=True, control=control, margin=0.0025, rate=0.02)
    series = evidence.count(series, failed=False, control=True, margin=0.0025, rate=0.02)
    assert (series.rollout, series.control) == (Arm(4, 6, 6), Arm(8, 10, 9))
    assert (series.failed_addresses, series.baseline) == (2, baseline)


def test_a_share_at_the_ceiling_is_not_above_it() -> None:
    assert evidence.above_ceiling(Series(Arm(3, 1)), 0.25) == 0.0
    # 1 of 3: B(3/2, 4) / B(1/2, 2), by the steps of the rising factorials.
    mixture = Fraction(1, 2) * 2 * 3 / (Fraction(5, 2) * Fraction(7, 2) * Fraction(9, 2))
    held = Fraction(1, 4) * Fraction(3, 4) ** 2
    assert evidence.above_ceiling(Series(Arm(2, 1)), 0.25) == pytest.approx(float(mixture / held), rel=1e-12)
    # A share below it says nothing, however many there are.
    assert evidence.above_ceiling(Series(Arm(90, 2)), 0.25) == 0.0
    assert evidence.above_ceiling(Series(Arm(0, 1)), 0.9) > 0
