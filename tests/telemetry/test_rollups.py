"""What an event counts for, and that labels stay few."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from updater.telemetry.model import ClientFacts, Download, Report
from updater.telemetry.rollups import (
    KEPT_LABELS,
    OTHER,
    SLACK_LABELS,
    Key,
    Measure,
    RollupSeries,
    Tally,
    overflowing,
    rate_of,
)
from updater.telemetry.spans import Span, floor

AT = datetime(2026, 2, 28, 23, 59, tzinfo=UTC)
PLACE = RollupSeries("my-app", Span.DAY, Measure.INSTALL, floor(AT, Span.DAY))


def labels_of(tally: Tally, span: Span = Span.HOUR) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for key, amount in tally.counts().items():
        if key.span is span:
            found.setdefault(key.measure.value, {})[key.label] = amount
    return found


def report(**more: object) -> Report:
    given = {"status": "completed", "target_version": "1.1.0", "received_at": AT, **more}
    return Report("my-app", "1.0.0", platform="linux", architecture="amd64", **given)  # type: ignore[arg-type]


def test_a_report_counts_by_its_outcome() -> None:
    tally = Tally()
    tally.add_report(report(install_time_seconds=8))
    tally.add_report(report(status="failed", error_message="code 7"))
    tally.add_report(report(status="cancelled"))
    assert labels_of(tally) == {
        "report": {"completed": 1, "failed": 1, "cancelled": 1},
        "report_target": {"linux/amd64": 3},
        "install": {"1.1.0": 1},
        "install_time": {"13": 1},
        "failure": {"1.1.0": 1},
        "error": {"code <n>": 1},
    }


def test_every_count_is_in_its_hour_day_and_month() -> None:
    tally = Tally()
    tally.add_report(report())
    tally.add_report(report(received_at=AT + timedelta(minutes=2)))
    counts = {(key.span, key.starts_at): n for key, n in tally.counts().items() if key.measure is Measure.INSTALL}
    for span in Span:
        assert counts[span, floor(AT, span)] == 1
    assert len(counts) == 6
    assert Key("my-app", Span.MONTH, Measure.INSTALL, datetime(2026, 3, 1, tzinfo=UTC), "1.1.0") in tally.counts()


def test_only_whole_large_bodies_tell_the_throughput() -> None:
    tally = Tally()
    assert rate_of(1000, 0.001) is None
    assert rate_of(1 << 21, 0.0) is None
    tally.add_download(Download(1, True, True, AT, rate_of(1 << 21, 2.0)), "my-app", "1.0.0")
    tally.add_download(Download(1, True, False, AT, amount=4), "my-app", "1.0.0")
    tally.add_download(Download(1, False, True, AT), "my-app", "1.0.0")
    found = labels_of(tally)
    assert found["throughput"] == {"81": 1}
    assert (found["download_start"], found["download_end"]) == ({"1.0.0": 5}, {"1.0.0": 2})


def test_checks_count_by_version_target_and_country() -> None:
    tally = Tally()
    tally.add_checks(ClientFacts("my-app", "1.0.0", "linux/amd64"), AT, 5)
    tally.add_country("my-app", "SE", AT, 4)
    found = labels_of(tally, Span.MONTH)
    assert found == {"check_version": {"1.0.0": 5}, "check_target": {"linux/amd64": 5}, "check_country": {"SE": 4}}


@given(
    st.dictionaries(st.text(min_size=1, max_size=3), st.integers(1, 50), max_size=150),
    st.sets(st.text(min_size=1, max_size=3), max_size=10),
)
def test_the_largest_and_the_known_labels_stay(labels: dict[str, int], known: set[str]) -> None:
    kept = KEPT_LABELS[PLACE.measure]
    gone = overflowing(PLACE, labels, known)
    stay = set(labels) - set(gone) - {OTHER}
    assert OTHER not in gone
    if len(set(labels) - {OTHER}) <= kept + SLACK_LABELS:
        assert gone == []
    else:
        assert len(stay) == kept
        assert known & set(labels) - {OTHER} <= stay
        assert max(labels[each] for each in gone) <= min((labels[each] for each in stay - known), default=10**9)


def test_measures_with_few_labels_are_never_cut() -> None:
    many = {str(number): 1 for number in range(1_000)}
    assert overflowing(PLACE._replace(measure=Measure.THROUGHPUT), many) == []
