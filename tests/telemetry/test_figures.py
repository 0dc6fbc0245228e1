"""Figures from counts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from updater.telemetry.figures import TOP_VERSIONS, Series, assemble, series_labels, top
from updater.telemetry.rollups import OTHER, Measure
from updater.telemetry.spans import Span, Window

DAY = datetime(2026, 1, 1, tzinfo=UTC)
TWO_DAYS = Window(DAY, DAY + timedelta(days=2), Span.DAY)
counts = st.dictionaries(st.one_of(st.just(OTHER), st.text(max_size=4)), st.integers(1, 10**9), max_size=60)


@given(counts, st.integers(1, 30))
def test_top_keeps_the_sum_and_the_order(labels: dict[str, int], limit: int) -> None:
    best = top(labels, limit)
    assert sum(best.values()) == sum(labels.values())
    assert len(best) <= limit + 1
    named = [count for label, count in best.items() if label != OTHER]
    assert named == sorted(named, reverse=True)


def test_no_counts_give_empty_figures() -> None:
    found = assemble(TWO_DAYS, {}, Series({}, {}))
    assert found.reports.failure_rate is None
    assert found.downloads.success_rate is None
    assert found.install_time_s.p50 is None
    assert (found.errors, found.versions, found.platforms, found.countries) == ([], [], [], [])
    assert [each.at for each in found.series] == [DAY, DAY + timedelta(days=1)]


def test_rates_and_shares() -> None:
    totals = {
        Measure.REPORT: {"completed": 90, "failed": 10, "cancelled": 900},
        Measure.ERROR: {"disk full": 7, OTHER: 3},
        Measure.DOWNLOAD_START: {"1.0.0": 8},
        Measure.DOWNLOAD_END: {"1.0.0": 6},
        Measure.CHECK_TARGET: {"linux/amd64": 3, "windows/amd64": 9},
        Measure.REPORT_TARGET: {"darwin/arm64": 5, "linux/amd64": 1},
        Measure.CHECK_COUNTRY: {"SE": 3, "unknown": 1},
        Measure.INSTALL_TIME: {"13": 10},
    }
    found = assemble(TWO_DAYS, totals, Series({}, {}))
    assert found.reports.failure_rate == 0.1
    assert [(each.message, each.count, each.share) for each in found.errors] == [("disk full", 7, 0.7), (OTHER, 3, 0.3)]
    assert found.downloads.success_rate == 0.75
    assert [(each.platform, each.checks, each.reports, each.share) for each in found.platforms] == [
        ("windows", 9, 0, 0.75),
        ("linux", 3, 1, 0.25),
        ("darwin", 0, 5, 0.0),
    ]
    assert [(each.country, each.share) for each in found.countries] == [("SE", 0.75), ("unknown", 0.25)]
    assert found.install_time_s.p50 is not None
    assert 8 <= found.install_time_s.p50 <= 9.6


def test_more_ends_than_starts_are_no_more_than_all() -> None:
    totals = {Measure.DOWNLOAD_START: {"1.0.0": 1}, Measure.DOWNLOAD_END: {"1.0.0": 2}}
    assert assemble(TWO_DAYS, totals, Series({}, {})).downloads.success_rate == 1.0


def test_versions_beyond_the_top_are_summed() -> None:
    installs = {f"1.{number}.0": 100 - number for number in range(TOP_VERSIONS + 5)}
    rows = assemble(TWO_DAYS, {Measure.INSTALL: installs}, Series({}, {})).versions
    assert len(rows) == TOP_VERSIONS + 1
    assert rows[-1].version == OTHER
    assert sum(row.installs for row in rows) == sum(installs.values())


def test_adoption_over_time_sums_to_the_total_of_each_bucket() -> None:
    totals = {Measure.INSTALL: {f"1.{number}.0": 20 - number for number in range(15)}}
    chosen = series_labels(totals)[Measure.INSTALL]
    named = {label: 2 for label in chosen if label != OTHER}
    by_label = {(Measure.INSTALL, DAY): {**named, OTHER: 1}, (Measure.REPORT, DAY): {"completed": 50}}
    series = Series({}, by_label)
    first, second = assemble(TWO_DAYS, totals, series).series
    assert sum(first.installs_by_version.values()) == 50
    assert first.installs_by_version[OTHER] == 50 - 2 * len(named)
    assert second.installs_by_version == {}
