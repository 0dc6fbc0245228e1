"""A few numbers of many applications at once. PURE."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

ADOPTION_DAYS = 30
"""Of how many days a summary says who has the newest version."""


@dataclass(frozen=True, slots=True)
class SummaryCounts:
    """Counts by application: reports of the last day by status; checks by day, of all versions and of the newest."""

    reports: Mapping[tuple[str, str], int] = field(default_factory=dict)
    checks: Mapping[tuple[str, datetime], int] = field(default_factory=dict)
    checks_of_newest: Mapping[tuple[str, datetime], int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Summary:
    """One application: installs of the last day; checks of today, and the newest version's share of them by day.

    `failure_rate` is failed of completed and failed, None without any. `adoption` is in order of time, None for a day
    without checks.
    """

    completed: int
    failed: int
    failure_rate: float | None
    checks: int
    adoption: tuple[float | None, ...]


def summary(counts: SummaryCounts, application_id: str, days: Sequence[datetime]) -> Summary:
    """Compute the summary of an application. `days` are the starts of days, in order of time."""
    completed, failed = (counts.reports.get((application_id, status), 0) for status in ("completed", "failed"))
    tried = completed + failed
    adoption = []
    for day in days:
        checks = counts.checks.get((application_id, day), 0)
        newest = counts.checks_of_newest.get((application_id, day), 0)
        adoption.append(round(min(newest / checks, 1.0), 4) if checks else None)
    return Summary(
        completed,
        failed,
        round(failed / tried, 4) if tried else None,
        counts.checks.get((application_id, days[-1]), 0),
        tuple(adoption),
    )
