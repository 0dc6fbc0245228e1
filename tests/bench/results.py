"""What a run of the bench found: as a table for people, as JSON for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.bench.rows import Figure, Runs


@dataclass(frozen=True)
class Result:
    """What one row found, or why it did not run, or came to no figure."""

    row: str
    figures: Sequence[Figure] = ()
    skipped: str | None = None
    failed: str | None = None

    @property
    def reached(self) -> bool:
        """Tell whether no figure was missed; a row that did not run misses none, one that failed does."""
        return self.failed is None and all(figure.reached for figure in self.figures)


def table(results: Sequence[Result], machine: Mapping[str, str], *, quick: bool) -> str:
    """Render the results as Markdown, with the machine below: medians, least and most in parentheses."""
    lines = ["Quick: few short runs, for a look. No figure of these is one to quote.", ""] if quick else []
    lines += ["| row | what | ours | peer | value | reach | |", "|---|---|---|---|---|---|---|"]
    for result in results:
        if result.skipped is not None:
            lines.append(f"| {result.row} | {result.skipped} | - | - | - | - | skipped |")
        if result.failed is not None:
            lines.append(f"| {result.row} | {result.failed} | - | - | - | - | FAILED |")
        for each in result.figures:
            own, peer = (runs.told(each.form) if runs else "-" for runs in (each.own, each.peer))
            value = each.value.told(f"{{:,.2f}}{each.unit}")
            verdict = "shown" if each.bound == "-" else "ok" if each.reached else "MISSED"
            lines.append(f"| {result.row} | {each.what} | {own} | {peer} | {value} | {each.bound} | {verdict} |")
    lines += ["", *(f"- {name}: {value}" for name, value in machine.items())]
    return "\n".join(lines) + "\n"


def document(results: Sequence[Result], machine: Mapping[str, str], *, quick: bool) -> dict[str, Any]:
    """Return the results for JSON, with every run."""
    return {
        "quick": quick,
        "machine": dict(machine),
        "rows": [
            {
                "row": result.row,
                "skipped": result.skipped,
                "failed": result.failed,
                "figures": [_figure(each) for each in result.figures],
            }
            for result in results
        ],
    }


def _figure(each: Figure) -> dict[str, Any]:
    return {
        "what": each.what,
        "value": _runs(each.value),
        "own": _runs(each.own),
        "peer": _runs(each.peer),
        "unit": each.unit,
        "at_least": each.at_least,
        "at_most": each.at_most,
        "reached": each.reached,
    }


def _runs(runs: Runs | None) -> dict[str, Any] | None:
    if runs is None:
        return None
    return {"median": runs.median, "least": min(runs.values), "most": max(runs.values), "runs": list(runs.values)}
