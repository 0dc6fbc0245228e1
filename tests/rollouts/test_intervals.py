"""Intervals around failure rates, as people read them beside a rollout."""

from __future__ import annotations

import pytest

from updater.rollouts.intervals import failure_rate


@pytest.mark.parametrize(
    ("failed", "total", "low", "high"),
    # Source: the formula of Wilson 1927 with z = 1.96, to four decimals.
    [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (3, 20, 0.0524, 0.3604), (50, 1_000, 0.0381, 0.0653)],
)
def test_known_intervals(failed: int, total: int, low: float, high: float) -> None:
    found = failure_rate(failed, total)
    assert found is not None
    assert found.rate == failed / total
    assert (found.low, found.high) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))


def test_without_reports_nothing_is_said() -> None:
    assert failure_rate(0, 0) is None


def test_all_and_none_reach_the_bounds_and_go_no_further() -> None:
    """Where sums of floats would end beside 0 and 1."""
    found = [(failure_rate(total, total), failure_rate(0, total)) for total in range(1, 2000)]
    assert all(all_failed and all_failed.high <= 1.0 for all_failed, _ in found)
    assert all(none_failed and none_failed.low >= 0.0 for _, none_failed in found)
