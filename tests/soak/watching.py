"""What a process holds, looked at again and again, and how much more that becomes in an hour."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.looking import open_files, status_of

WARM_UP = 0.25  # this share of a run fills caches and pools


@dataclass(frozen=True)
class Sample:
    """What a process held at a moment, in hours since the run began, as the hours of the service count."""

    at_h: float
    memory_mib: float
    descriptors: int
    threads: int
    wal_mib: float


@dataclass
class Watch(threading.Thread):
    """Looks at a process until it is stopped; `hour_s` is how long an hour of the service takes."""

    pid: int
    wal: Path
    hour_s: float
    samples: list[Sample] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self._ended = threading.Event()

    def __enter__(self) -> Watch:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.join()

    def __hash__(self) -> int:
        return id(self)

    def run(self) -> None:
        began_s = time.monotonic()
        while not self._ended.wait(min(1.0, self.hour_s / 100)):
            status = status_of(self.pid)
            wal_bytes = self.wal.stat().st_size if self.wal.exists() else 0
            self.samples.append(
                Sample(
                    (time.monotonic() - began_s) / self.hour_s,
                    status["VmRSS"] / 1024,
                    len(open_files(self.pid)),
                    status["Threads"],
                    wal_bytes / (1 << 20),
                )
            )

    def growth(self) -> dict[str, float]:
        """Return what each figure grows by in an hour, after the time to warm up."""
        warm = [each for each in self.samples if each.at_h >= WARM_UP * self.samples[-1].at_h]
        hours = [each.at_h for each in warm]
        return {
            name: slope(hours, [getattr(each, name) for each in warm])
            for name in ("memory_mib", "descriptors", "threads", "wal_mib")
        }

    def told(self) -> str:
        """Return the figures at the beginning, when warm, and at the end, and their growth."""
        warm = next(each for each in self.samples if each.at_h >= WARM_UP * self.samples[-1].at_h)
        lines = []
        for name, growth in self.growth().items():
            values = [getattr(each, name) for each in (self.samples[0], warm, self.samples[-1])]
            most = max(getattr(each, name) for each in self.samples)
            begun, warmed, last = (f"{value:.1f}" for value in values)
            lines.append(f"{name} {begun}, warm {warmed}, at the end {last}, most {most:.1f}, {growth:+.2f} an hour")
        return f"{self.samples[-1].at_h:.1f} hours: " + "; ".join(lines)


def slope(at: Sequence[float], values: Sequence[float]) -> float:
    """Return by how much values rise with each unit of `at`, by least squares."""
    middle, mean = sum(at) / len(at), sum(values) / len(values)
    spread = sum((each - middle) ** 2 for each in at)
    return sum((x - middle) * (y - mean) for x, y in zip(at, values, strict=True)) / spread if spread else 0.0
