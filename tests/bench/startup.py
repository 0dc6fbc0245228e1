"""Start and memory with a full catalog."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from tests.bench.checks import QUESTIONS
from tests.bench.processes import service
from tests.bench.rows import Figure, Pace, Row, Runs
from tests.bench.seed import seed

_IDLE_S = 2


def first_check(folder: Path, pace: Pace) -> Sequence[Figure]:
    """Start with 10,000 releases until the first check has its answer."""
    return _starts(folder, pace, 10_000, at_most_s=1.0, at_most_mib=70)


def many_releases(folder: Path, pace: Pace) -> Sequence[Figure]:
    """Start with 100,000 releases until the first check has its answer."""
    return _starts(folder, pace, 100_000, at_most_s=3, at_most_mib=80)


def _starts(folder: Path, pace: Pace, releases: int, *, at_most_s: float, at_most_mib: float) -> Sequence[Figure]:
    seed(folder, releases)
    found = [_start(folder) for _ in range(1 + pace.rounds)][1:]  # the first start fills the page cache
    took_s, used_s, idle_mib = (Runs(values) for values in zip(*found, strict=True))
    what = f"start with {releases:,} releases until the first check"
    return [
        Figure(what, took_s, at_most=at_most_s, unit=" s"),
        Figure(f"{what}, processor time", used_s, unit=" s"),
        Figure(f"memory when idle with {releases:,} releases", idle_mib, at_most=at_most_mib, unit=" MiB"),
    ]


def _start(folder: Path) -> tuple[float, float, float]:
    """Return the seconds until the first check, those of processor time, and the MiB once it is idle."""
    began_s = time.monotonic()
    with service(folder, core=None) as own:
        urllib.request.urlopen(own.url + QUESTIONS[0]).close()
        took_s, used_s = time.monotonic() - began_s, own.cpu_s()
        time.sleep(_IDLE_S)
        return took_s, used_s, own.memory_mib()


ROWS = (Row("first-check", first_check), Row("start", many_releases))
