"""Figures from counts: shares, rates, quantiles, and what happened when. PURE."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from updater.telemetry.histograms import doublings, quantile
from updater.telemetry.model import STATUSES
from updater.telemetry.rollups import OTHER, Measure
from updater.telemetry.spans import Window, starts

Counts = Mapping[str, int]

# Entries of a list; the rest is summed in one more entry, `other`.
TOP_VERSIONS, TOP_ERRORS, TOP_COUNTRIES = 20, 20, 50
# Versions with a count of their own in each bucket of the series.
SERIES_VERSIONS = 10


@dataclass(frozen=True, slots=True)
class Reports:
    """Outcomes of installs. `failure_rate` is failed of completed and failed; None without any."""

    completed: int
    failed: int
    cancelled: int
    failure_rate: float | None


@dataclass(frozen=True, slots=True)
class ErrorGroup:
    """Failed installs with the same message, apart from numbers and paths.

    `share` is of all failed installs, 0 to 1.
    """

    message: str
    count: int
    share: float


@dataclass(frozen=True, slots=True)
class VersionFigures:
    """Counts of one version."""

    version: str
    installs: int
    failures: int
    checks: int
    downloads_started: int
    downloads_finished: int


@dataclass(frozen=True, slots=True)
class TargetFigures:
    """Counts of one platform and architecture.

    `share` (0 to 1) is of checks, or of reports when there are no checks.
    """

    platform: str
    architecture: str
    checks: int
    reports: int
    share: float


@dataclass(frozen=True, slots=True)
class ValueRange:
    """How many values are at least `low` and below `high`."""

    low: int
    high: int
    count: int


@dataclass(frozen=True, slots=True)
class Quantiles:
    """The number of values, their median, and the value that 95 % of them do not exceed; None without values.

    `ranges` says how they are spread: each ends at twice its beginning. Those without values are left out.
    """

    count: int
    p50: float | None
    p95: float | None
    ranges: list[ValueRange]


@dataclass(frozen=True, slots=True)
class Downloads:
    """Downloads of hosted builds. The success rate is finished of started; None without any."""

    started: int
    finished: int
    success_rate: float | None
    throughput_bytes_per_s: Quantiles


@dataclass(frozen=True, slots=True)
class CountryFigures:
    """Update checks from one country."""

    country: str
    checks: int
    share: float


@dataclass(frozen=True, slots=True)
class TimeBucket:
    """Counts of the bucket that begins at `at` (UTC). Versions with a count of zero are left out."""

    at: datetime
    completed: int
    failed: int
    cancelled: int
    checks: int
    downloads_started: int
    downloads_finished: int
    installs_by_version: Mapping[str, int]
    checks_by_version: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Figures:
    """All figures of one application over one window. `series` is in order of time, its buckets without gaps."""

    reports: Reports
    errors: list[ErrorGroup]
    versions: list[VersionFigures]
    platforms: list[TargetFigures]
    downloads: Downloads
    install_time_s: Quantiles
    checks: int
    countries: list[CountryFigures]
    series: list[TimeBucket]


# Measures whose labels are summed in each bucket. Checks are counted by target as well as by version, and targets are
# few; each completed report is an install.
SUMMED = (Measure.CHECK_TARGET, Measure.DOWNLOAD_START, Measure.DOWNLOAD_END)


@dataclass(frozen=True, slots=True)
class Series:
    """Counts over time, by measure and start of the bucket: `sums` over all labels, `named` for chosen labels."""

    sums: Mapping[tuple[Measure, datetime], int]
    named: Mapping[tuple[Measure, datetime], Counts]


def assemble(window: Window, totals: Mapping[Measure, Counts], series: Series) -> Figures:
    """Compute the figures of a window.

    Args:
        window: the window; its buckets are those of `Figures.series`.
        totals: the counts of each measure over the whole window, by label.
        series: the counts of each bucket.

    Returns: the figures. Lists are in descending order of counts and end with `other` when they were cut.
    """

    def of(measure: Measure) -> Counts:
        return totals.get(measure, {})

    ended = {status: of(Measure.REPORT).get(status, 0) for status in STATUSES}
    started, finished = sum(of(Measure.DOWNLOAD_START).values()), sum(of(Measure.DOWNLOAD_END).values())
    errors, countries = of(Measure.ERROR), of(Measure.CHECK_COUNTRY)
    tried = ended["completed"] + ended["failed"]
    return Figures(
        reports=Reports(**ended, failure_rate=_rate(ended["failed"], tried)),
        errors=[
            ErrorGroup(message, count, _share(count, errors)) for message, count in top(errors, TOP_ERRORS).items()
        ],
        versions=_versions(totals),
        platforms=_targets(of(Measure.CHECK_TARGET), of(Measure.REPORT_TARGET)),
        # A download that was resumed in this window may have begun before it.
        downloads=Downloads(
            started, finished, _rate(min(finished, started), started), _quantiles(of(Measure.THROUGHPUT))
        ),
        install_time_s=_quantiles(of(Measure.INSTALL_TIME)),
        checks=sum(of(Measure.CHECK_VERSION).values()),
        countries=[
            CountryFigures(country, count, _share(count, countries))
            for country, count in top(countries, TOP_COUNTRIES).items()
        ],
        series=[_bucket(at, series) for at in starts(window)],
    )


def top(counts: Counts, limit: int) -> dict[str, int]:
    """Return the `limit` largest counts in descending order, and the sum of all others as `OTHER`, last.

    Equal counts are in the order of their labels.
    """
    ranked = sorted((label for label in counts if label != OTHER), key=lambda label: (-counts[label], label))
    best = {label: counts[label] for label in ranked[:limit]}
    rest = sum(counts.values()) - sum(best.values())
    return {**best, OTHER: rest} if rest else best


def series_labels(totals: Mapping[Measure, Counts]) -> dict[Measure, tuple[str, ...]]:
    """Return the labels with counts of their own in each bucket, by measure; versions in descending order of counts."""
    by_version = (Measure.INSTALL, Measure.CHECK_VERSION)
    wanted = {measure: tuple(top(totals.get(measure, {}), SERIES_VERSIONS)) for measure in by_version}
    return {Measure.REPORT: STATUSES, **wanted}


def _bucket(at: datetime, series: Series) -> TimeBucket:
    ended = series.named.get((Measure.REPORT, at), {})

    def total(measure: Measure) -> int:
        return series.sums.get((measure, at), 0)

    def by_version(measure: Measure, of: int) -> dict[str, int]:
        named = {label: count for label, count in series.named.get((measure, at), {}).items() if label != OTHER}
        rest = of - sum(named.values())
        return {**named, OTHER: rest} if rest else named

    return TimeBucket(
        at=at,
        **{status: ended.get(status, 0) for status in STATUSES},
        checks=total(Measure.CHECK_TARGET),
        downloads_started=total(Measure.DOWNLOAD_START),
        downloads_finished=total(Measure.DOWNLOAD_END),
        installs_by_version=by_version(Measure.INSTALL, ended.get("completed", 0)),
        checks_by_version=by_version(Measure.CHECK_VERSION, total(Measure.CHECK_TARGET)),
    )


def _versions(totals: Mapping[Measure, Counts]) -> list[VersionFigures]:
    """List the versions with the most events of all kinds; the sum of all others comes last."""
    columns = [
        totals.get(measure, {})
        for measure in (
            Measure.INSTALL,
            Measure.FAILURE,
            Measure.CHECK_VERSION,
            Measure.DOWNLOAD_START,
            Measure.DOWNLOAD_END,
        )
    ]
    weight: dict[str, int] = {}
    for column in columns:
        for version, count in column.items():
            weight[version] = weight.get(version, 0) + count
    named = [version for version in top(weight, TOP_VERSIONS) if version != OTHER]
    rows = [VersionFigures(version, *(column.get(version, 0) for column in columns)) for version in named]
    rest = VersionFigures(OTHER, *(_beyond(column, named) for column in columns))
    return [*rows, rest] if rest != VersionFigures(OTHER, 0, 0, 0, 0, 0) else rows


def _beyond(counts: Counts, named: Collection[str]) -> int:
    return sum(counts.values()) - sum(counts.get(label, 0) for label in named)


def _targets(checks: Counts, reports: Counts) -> list[TargetFigures]:
    basis = checks or reports
    rows = []
    for label in {*checks, *reports}:
        platform, _, architecture = label.partition("/")
        share = _share(basis.get(label, 0), basis)
        rows.append(TargetFigures(platform, architecture, checks.get(label, 0), reports.get(label, 0), share))
    rows.sort(key=lambda row: (-row.checks, -row.reports, row.platform, row.architecture))
    return rows


def _quantiles(counts: Counts) -> Quantiles:
    histogram = {int(label): count for label, count in counts.items()}
    return Quantiles(
        sum(histogram.values()),
        _rounded(quantile(histogram, 0.5)),
        _rounded(quantile(histogram, 0.95)),
        [ValueRange(*each) for each in doublings(histogram)],
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def _share(count: int, counts: Counts) -> float:
    return _rate(count, sum(counts.values())) or 0.0


def _rate(count: int, of: int) -> float | None:
    return round(count / of, 4) if of else None
