"""Figures as tables: what a chart draws, a page lists and a CSV file holds. PURE."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from updater.telemetry.figures import Figures, Quantiles, TimeBucket
from updater.telemetry.rollups import OTHER
from updater.times import rfc3339

Cell = str | int | float | datetime | None
# A spreadsheet takes a text that begins so for a formula. Source: OWASP, CSV Injection.
_FORMULA_BEGINS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


@dataclass(frozen=True, slots=True)
class Table:
    """One table of figures. A row has a cell for each column; the first cells of rows name them."""

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


# The names of the columns, and the rows.
_Content = tuple[Sequence[str], Sequence[tuple[Cell, ...]]]


class _Kind(NamedTuple):
    title: str
    make: Callable[[Figures], _Content]


def table_of(figures: Figures, name: str) -> Table:
    """Return one of `TABLES` by its name."""
    kind = _KINDS[name]
    columns, rows = kind.make(figures)
    return Table(name, kind.title, tuple(columns), tuple(rows))


def as_csv(table: Table) -> str:
    """Return a table as CSV: a line with the names of the columns, then the rows.

    Times are RFC 3339, shares have a point, what is unknown is empty. Texts come from clients: one that a spreadsheet
    would compute has an apostrophe before it. Source: RFC 4180.
    """
    written = io.StringIO()
    writer = csv.writer(written)
    writer.writerow([_text(each) for each in table.columns])
    writer.writerows([_text(each) for each in row] for row in table.rows)
    return written.getvalue()


def _text(cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, datetime):
        return rfc3339(cell)
    if not isinstance(cell, str):
        return str(cell)
    # A NUL ends a text for some readers, and what does not begin a formula now does so behind blanks.
    text = cell.replace("\0", "\ufffd")
    return f"'{text}" if text.lstrip(" \u00a0").startswith(_FORMULA_BEGINS) else text


def _by_version(counts: Callable[[TimeBucket], Mapping[str, int]]) -> Callable[[Figures], _Content]:
    """Return what makes a table with a column for each version, those with most counts first."""

    def make(figures: Figures) -> _Content:
        buckets = [(each.at, counts(each)) for each in figures.series]
        sums: dict[str, int] = {}
        for _, found in buckets:
            for version, count in found.items():
                sums[version] = sums.get(version, 0) + count
        versions = sorted(sums, key=lambda each: (each == OTHER, -sums[each], each))
        return ("at", *versions), [(at, *(found.get(each, 0) for each in versions)) for at, found in buckets]

    return make


def _outcomes(figures: Figures) -> _Content:
    rows = [(each.at, each.completed, each.failed, each.cancelled) for each in figures.series]
    return ("at", "completed", "failed", "cancelled"), rows


def _failure_rate(figures: Figures) -> _Content:
    rows = []
    for each in figures.series:
        ended = each.completed + each.failed
        rows.append((each.at, round(each.failed / ended, 4) if ended else None, each.failed, each.completed))
    return ("at", "failure_rate", "failed", "completed"), rows


def _errors(figures: Figures) -> _Content:
    return ("message", "count", "share"), [(each.message, each.count, each.share) for each in figures.errors]


def _versions(figures: Figures) -> _Content:
    columns = ("version", "checks", "installs", "failures", "downloads_started", "downloads_finished")
    return columns, [tuple(getattr(each, name) for name in columns) for each in figures.versions]


def _platforms(figures: Figures) -> _Content:
    columns = ("platform", "architecture", "checks", "reports", "share")
    return columns, [tuple(getattr(each, name) for name in columns) for each in figures.platforms]


def _countries(figures: Figures) -> _Content:
    return ("country", "checks", "share"), [(each.country, each.checks, each.share) for each in figures.countries]


def _downloads(figures: Figures) -> _Content:
    rows = [(each.at, each.downloads_started, each.downloads_finished) for each in figures.series]
    return ("at", "started", "finished"), rows


def _ranges(unit: str, of: Quantiles) -> _Content:
    return (f"from_{unit}", f"below_{unit}", "count"), [(each.low, each.high, each.count) for each in of.ranges]


_KINDS: Final[dict[str, _Kind]] = {
    "adoption": _Kind("Update checks by version", _by_version(lambda each: each.checks_by_version)),
    "installs": _Kind("Completed installs by version", _by_version(lambda each: each.installs_by_version)),
    "outcomes": _Kind("Installs by how they ended", _outcomes),
    "failure-rate": _Kind("Failure rate of installs", _failure_rate),
    "errors": _Kind("Failed installs by message", _errors),
    "platforms": _Kind("Platforms", _platforms),
    "downloads": _Kind("Downloads", _downloads),
    "throughput": _Kind(
        "Downloads by bytes per second", lambda each: _ranges("bytes_per_s", each.downloads.throughput_bytes_per_s)
    ),
    "install-time": _Kind("Installs by seconds", lambda each: _ranges("s", each.install_time_s)),
    "countries": _Kind("Update checks by country", _countries),
    "versions": _Kind("Versions", _versions),
}
TABLES: Final = tuple(_KINDS)
"""The names of all tables."""
