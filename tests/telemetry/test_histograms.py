"""Quantiles of fixed buckets: near the truth, and the same however the values were split."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from updater.telemetry.histograms import bucket_of, quantile

values = st.lists(st.floats(1, 1e9), min_size=1, max_size=200)


def histogram(numbers: list[float]) -> Counter[int]:
    return Counter(map(bucket_of, numbers))


@given(values, st.sampled_from((0.0, 0.5, 0.95, 1.0)))
def test_a_quantile_is_near_the_true_one(numbers: list[float], share: float) -> None:
    found = quantile(histogram(numbers), share)
    assert found is not None
    ranked = sorted(numbers)
    index = min(len(ranked) - 1, max(0, round(share * len(ranked) + 0.4999999) - 1))
    assert ranked[index] / 1.2 <= found <= ranked[index] * 1.2


@given(values, values)
def test_adding_histograms_is_the_histogram_of_both(some: list[float], others: list[float]) -> None:
    assert histogram(some) + histogram(others) == histogram(some + others)


@given(st.floats(0, 1e300), st.floats(0, 1e300))
def test_buckets_are_ordered_and_few(one: float, other: float) -> None:
    assert 0 <= bucket_of(one) <= 150
    if one <= other:
        assert bucket_of(one) <= bucket_of(other)


def test_no_values_have_no_quantile() -> None:
    assert quantile({}, 0.5) is None
    assert quantile({3: 0}, 0.5) is None
    assert quantile({0: 4}, 0.5) == 0.5
