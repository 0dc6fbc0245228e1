"""What a row is, how it runs, and what it found."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Pace:
    """How often each thing is measured, and how long a load lasts."""

    rounds: int = 5
    load_s: int = 2


FULL, QUICK = Pace(), Pace(rounds=2, load_s=1)


class Skip(Exception):
    """What a row needs is not here; the text says what, and where it comes from."""


@dataclass(frozen=True)
class Runs:
    """The results of the runs of one thing, in the order in which they ran."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """Return what the table shows."""
        return statistics.median(self.values)

    def over(self, other: Runs) -> Runs:
        """Return the ratios of neighbouring runs: what disturbs the machine for a while disturbs both."""
        return Runs(tuple(mine / theirs for mine, theirs in zip(self.values, other.values, strict=True)))

    def less(self, other: Runs) -> Runs:
        """Return the differences of neighbouring runs."""
        return Runs(tuple(mine - theirs for mine, theirs in zip(self.values, other.values, strict=True)))

    def told(self, form: str) -> str:
        """Return the median, with the least and the most behind it; `form` is for `str.format`."""
        if len(set(self.values)) == 1:
            return form.format(self.median)
        return f"{form} ({form} to {form})".format(self.median, min(self.values), max(self.values))


@dataclass(frozen=True)
class Figure:
    """One number with its bound, or a peer's that is only shown; `own` and `peer` are what it was computed from."""

    what: str
    value: Runs
    own: Runs | None = None
    peer: Runs | None = None
    form: str = "{:,.0f}"
    at_least: float | None = None
    at_most: float | None = None
    unit: str = ""

    @property
    def reached(self) -> bool:
        """Tell whether the value is within its bounds."""
        return (self.at_least is None or self.value.median >= self.at_least) and (
            self.at_most is None or self.value.median <= self.at_most
        )

    @property
    def bound(self) -> str:
        """Return the bound as the table shows it."""
        if self.at_least is None and self.at_most is None:
            return "-"
        sign, limit = (">=", self.at_least) if self.at_least is not None else ("<=", self.at_most)
        return f"{sign} {limit:g}{self.unit}"


@dataclass(frozen=True)
class Row:
    """A measurement. `measure` gets an empty folder on the disk that is measured.

    Raises: `Skip` when what it needs is missing.
    """

    name: str
    measure: Callable[[Path, Pace], Sequence[Figure]]


def interleave(pace: Pace, *works: Callable[[], float]) -> list[Runs]:
    """Run all works in turn, again and again; return the runs of each."""
    rounds = [[work() for work in works] for _ in range(pace.rounds)]
    return [Runs(values) for values in zip(*rounds, strict=True)]


def rate(what: str, own: Runs, peer: Runs, *, at_least: float | None = None) -> Figure:
    """Compare what is done in a second: more is better."""
    return Figure(what, own.over(peer), own, peer, "{:,.0f}/s", at_least)


def speed(what: str, own_s: Runs, peer_s: Runs, *, at_least: float | None = None) -> Figure:
    """Compare the seconds of the same work: as a speed, so more is better."""
    return Figure(what, peer_s.over(own_s), own_s, peer_s, "{:.2f} s", at_least)
