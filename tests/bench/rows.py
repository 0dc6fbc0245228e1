"""What a row is, and what it found."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Figure:
    """One number with its bound; `own` and `peer` are what it was computed from, for the reader."""

    what: str
    value: float
    own: str
    peer: str
    at_least: float | None = None
    at_most: float | None = None
    unit: str = ""

    @property
    def reached(self) -> bool:
        """Tell whether the value is within its bounds."""
        return (self.at_least is None or self.value >= self.at_least) and (
            self.at_most is None or self.value <= self.at_most
        )

    @property
    def bound(self) -> str:
        """Return the bound as the table shows it."""
        sign, limit = (">=", self.at_least) if self.at_least is not None else ("<=", self.at_most)
        return f"{sign} {limit:g}{self.unit}"


@dataclass(frozen=True)
class Row:
    """A measurement. `measure` gets an empty folder on the disk that is measured."""

    name: str
    measure: Callable[[Path], Sequence[Figure]]


def alternate(rounds: int, own: Callable[[], float], peer: Callable[[], float]) -> tuple[float, float, float]:
    """Run both in turn; return the medians of own, of peer, and of the ratios of neighbouring runs.

    What disturbs the machine for a while then disturbs both.
    """
    pairs = [(own(), peer()) for _ in range(rounds)]
    ratios = [mine / theirs for mine, theirs in pairs]
    return (
        statistics.median(mine for mine, _ in pairs),
        statistics.median(theirs for _, theirs in pairs),
        statistics.median(ratios),
    )


def table(results: Sequence[tuple[str, Figure]]) -> str:
    """Render the results as Markdown."""
    lines = ["| row | what | own | peer | value | reach | |", "|---|---|---|---|---|---|---|"]
    for name, each in results:
        verdict = "ok" if each.reached else "MISSED"
        value = f"{each.value:.2f}{each.unit}"
        lines.append(f"| {name} | {each.what} | {each.own} | {each.peer} | {value} | {each.bound} | {verdict} |")
    return "\n".join(lines) + "\n"
