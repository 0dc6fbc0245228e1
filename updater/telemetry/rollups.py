"""What is counted of each event, and how many labels a count may have. PURE.

A count belongs to an application, a span, a measure and a label. Labels come from unidentified clients, so each
measure keeps its largest labels, and the rest is added to `OTHER`: sums stay exact and the table stays small,
whatever clients send.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from updater.telemetry.histograms import bucket_of
from updater.telemetry.messages import group_message
from updater.telemetry.model import ClientFacts, Download, Report
from updater.telemetry.spans import Span, floor

OTHER = "other"


class Measure(StrEnum):
    """What is counted; the comment names its label."""

    REPORT = "report"  # status
    REPORT_TARGET = "report_target"  # platform/architecture
    INSTALL = "install"  # target version of completed installs
    FAILURE = "failure"  # target version of failed installs
    ERROR = "error"  # group of the error message
    INSTALL_TIME = "install_time"  # bucket of seconds
    DOWNLOAD_START = "download_start"  # version
    DOWNLOAD_END = "download_end"  # version
    THROUGHPUT = "throughput"  # bucket of bytes per second
    CHECK_VERSION = "check_version"  # version that asks
    CHECK_TARGET = "check_target"  # platform/architecture
    CHECK_COUNTRY = "check_country"  # two letters


# Labels that a series keeps. The other measures have few labels by nature.
KEPT_LABELS = {
    Measure.INSTALL: 32,
    Measure.FAILURE: 32,
    Measure.ERROR: 32,
    Measure.DOWNLOAD_START: 32,
    Measure.DOWNLOAD_END: 32,
    Measure.CHECK_VERSION: 32,
    Measure.CHECK_COUNTRY: 64,
}
# A series is cut back when it has this many labels more. The slack lets a new label grow before it is compared.
SLACK_LABELS = 32
LABELLED_BY_VERSION = frozenset(
    {Measure.INSTALL, Measure.FAILURE, Measure.DOWNLOAD_START, Measure.DOWNLOAD_END, Measure.CHECK_VERSION}
)
# A smaller body fits into the kernel's buffers and leaves at once, however slow the client's connection is.
LEAST_TIMED_BYTES = 1 << 20


class RollupSeries(NamedTuple):
    """All labels of one measure of an application in one span. `starts_at` is in UTC."""

    application_id: str
    span: Span
    measure: Measure
    starts_at: datetime


class Key(NamedTuple):
    """The key of one count: its series and its label."""

    application_id: str
    span: Span
    measure: Measure
    starts_at: datetime
    label: str

    @property
    def series(self) -> RollupSeries:
        """Return the series that holds the count."""
        return RollupSeries(*self[:4])


class Tally:
    """Adds events up by the hour; the counts of days and months follow from those."""

    def __init__(self) -> None:
        self._hours: Counter[tuple[str, datetime, Measure, str]] = Counter()

    def add_report(self, report: Report) -> None:
        """Count a report in the hour (UTC) in which it was received."""
        self._add(report.application_id, report.received_at, _of_report(report))

    def add_download(self, download: Download, application_id: str, version: str) -> None:
        """Count responses with the bytes of a build; `version` is the version of the build."""
        self._add(application_id, download.ended_at, _of_download(download, version), download.amount)

    def add_checks(self, facts: ClientFacts, at: datetime, amount: int) -> None:
        """Count `amount` update checks of clients with the same facts, in the hour (UTC) of `at`."""
        labels = ((Measure.CHECK_VERSION, facts.version), (Measure.CHECK_TARGET, facts.target))
        self._add(facts.application_id, at, iter(labels), amount)

    def add_country(self, application_id: str, country: str, at: datetime, amount: int) -> None:
        """Count `amount` update checks from a country (two letters or `UNKNOWN`), in the hour (UTC) of `at`."""
        self._add(application_id, at, iter(((Measure.CHECK_COUNTRY, country),)), amount)

    def counts(self) -> dict[Key, int]:
        """Return all counts, each three times: in its hour, its day and its month, which begin in UTC."""
        found: Counter[Key] = Counter()
        for (application_id, hour, measure, label), amount in self._hours.items():
            for span in Span:
                found[Key(application_id, span, measure, floor(hour, span), label)] += amount
        return dict(found)

    def _add(self, application_id: str, at: datetime, labels: Iterator[tuple[Measure, str]], amount: int = 1) -> None:
        hour = floor(at, Span.HOUR)
        for measure, label in labels:
            self._hours[application_id, hour, measure, label] += amount


def rate_of(sent_bytes: int, duration_s: float) -> int | None:
    """Return the bucket of a body's throughput in bytes per second; None when it is below `LEAST_TIMED_BYTES`."""
    timed = sent_bytes >= LEAST_TIMED_BYTES and duration_s > 0
    return bucket_of(sent_bytes / duration_s) if timed else None


def overflowing(series: RollupSeries, labels: Mapping[str, int], known: Collection[str] = ()) -> list[str]:
    """Return the labels to add to `OTHER`; none while the series has few enough.

    The largest stay. Published versions (`known`) stay before all others, so that invented versions cannot displace
    them. Equal counts are in descending order of their labels.
    """
    kept = KEPT_LABELS.get(series.measure)
    named = [label for label in labels if label != OTHER]
    if kept is None or len(named) <= kept + SLACK_LABELS:
        return []
    named.sort(key=lambda label: (label in known, labels[label], label), reverse=True)
    return named[kept:]


def _of_report(report: Report) -> Iterator[tuple[Measure, str]]:
    yield Measure.REPORT, report.status
    yield Measure.REPORT_TARGET, f"{report.platform}/{report.architecture}"
    if report.status == "completed":
        yield Measure.INSTALL, report.target_version
        if report.install_time_seconds is not None:
            yield Measure.INSTALL_TIME, str(bucket_of(report.install_time_seconds))
    elif report.status == "failed":
        yield Measure.FAILURE, report.target_version
        yield Measure.ERROR, group_message(report.error_message)


def _of_download(download: Download, version: str) -> Iterator[tuple[Measure, str]]:
    if download.started:
        yield Measure.DOWNLOAD_START, version
    if download.finished:
        yield Measure.DOWNLOAD_END, version
    if download.rate is not None:
        yield Measure.THROUGHPUT, str(download.rate)
