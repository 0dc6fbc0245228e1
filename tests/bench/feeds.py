"""Feeds: electron-updater's file against a check, and start and memory with three files a release."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.bench.checks import per_cpu_s, write_script
from tests.bench.processes import service
from tests.bench.rows import Figure, Pace, Row, Runs, interleave, rate
from tests.bench.seed import newest, seed

# As electron-updater asks: another word each time, which no answer depends on.
YML = "/feeds/my-app/stable/electron/latest-linux.yml"
QUESTIONS = [f"{YML}?noCache=1jd{number}k8bd" for number in range(20)]
_RELEASES = 100_000
LIMITS: dict[str, Any] = {"rate_limit__downloads_per_minute": 1_000_000_000}


def against_check(folder: Path, pace: Pace) -> Sequence[Figure]:
    """Compare with the checks of a few versions, in one run."""
    seed(folder, 100, hosted=True)
    checks, feeds = write_script(folder), write_script(folder, QUESTIONS, "feeds.lua")
    with service(folder, **LIMITS) as own:
        mine, theirs = interleave(pace, lambda: per_cpu_s(own, feeds, pace), lambda: per_cpu_s(own, checks, pace))
    return [rate("electron's latest-linux.yml a second, against a check", mine, theirs, at_least=0.80)]


def start(folder: Path, pace: Pace) -> Sequence[Figure]:
    """Start with 100,000 releases of 3 files, look at the memory once it is idle, and ask for the first feed."""
    seed(folder, _RELEASES, hosted=True)
    starts: list[tuple[float, ...]] = []
    for _ in range(pace.rounds):
        with service(folder, core=None) as own:
            time.sleep(2)
            idle_mib = own.memory_mib()
            began_s = time.monotonic()
            body = urllib.request.urlopen(own.url + YML).read()
            first_s = time.monotonic() - began_s
            assert newest(_RELEASES).encode() in body
            starts.append((own.started_s, idle_mib, first_s, own.memory_mib()))
    took_s, idle, asked_s, warm = (Runs(values) for values in zip(*starts, strict=True))
    many = "with 100,000 releases of 3 files"
    return [
        Figure(f"start {many}", took_s, at_most=3, unit=" s"),
        Figure(f"memory when idle {many}", idle, at_most=85, unit=" MiB"),
        Figure("the first feed after the start", asked_s, at_most=1, unit=" s"),
        Figure("memory after it", warm, at_most=90, unit=" MiB"),
    ]


ROWS = (Row("feed", against_check), Row("feeds-start", start))
