"""Start and memory with a full catalog."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from tests.bench.processes import service
from tests.bench.rows import Figure, Row
from tests.bench.seed import seed

_STARTS = 3


def start(folder: Path) -> Sequence[Figure]:
    """Start with 100,000 releases, and look at the memory once it is idle."""
    seed(folder, 100_000)
    starts_s = []
    for _ in range(_STARTS):
        with service(folder, core=None) as own:
            starts_s.append(own.started_s)
            time.sleep(2)
            idle_mib = own.memory_mib()
    took_s = sorted(starts_s)[_STARTS // 2]
    return [
        Figure("start with 100,000 releases", took_s, f"{took_s:.2f} s", "-", at_most=3, unit=" s"),
        Figure("memory when idle", idle_mib, f"{idle_mib:.1f} MiB", "-", at_most=80, unit=" MiB"),
    ]


ROWS = (Row("start", start),)
