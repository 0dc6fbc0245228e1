"""`python -m tests.bench [--quick] [NAME...]`: run the rows, print the table, end with 1 when one misses its figure."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import traceback
from pathlib import Path

from tests.bench import (
    busy,
    checks,
    commands,
    derive,
    desktop,
    feeds,
    files,
    golang,
    history,
    machine,
    objects,
    pages,
    profiling,
    registry,
    reports,
    rollouts,
    startup,
    tus,
    workers,
)
from tests.bench.results import Result, document, table
from tests.bench.rows import FULL, QUICK, Pace, Row, Skip

ROWS: tuple[Row, ...] = (
    *checks.ROWS,
    *golang.ROWS,
    *desktop.ROWS,
    *feeds.ROWS,
    *files.ROWS,
    *registry.ROWS,
    *tus.ROWS,
    *derive.ROWS,
    *objects.ROWS,
    *reports.ROWS,
    *rollouts.ROWS,
    *startup.ROWS,
    *commands.ROWS,
    *history.ROWS,
    *pages.ROWS,
    *busy.ROWS,
    *workers.ROWS,
)
BUILD = Path("build")


def main(arguments: list[str]) -> int:
    """Run the named rows, or all."""
    parser = argparse.ArgumentParser("scripts/bench", description="Measure the service against its peers.")
    parser.add_argument("--quick", action="store_true", help="two short runs each, for a look")
    parser.add_argument("--profile", choices=profiling.LOADS, help="show the hottest lines under the load of a row")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(row.name for row in ROWS))
    asked = parser.parse_args(arguments)
    unknown = set(asked.names) - {row.name for row in ROWS}
    if unknown:
        print(f"no row {', '.join(sorted(unknown))}; rows are {', '.join(row.name for row in ROWS)}", file=sys.stderr)
        return 2
    BUILD.mkdir(exist_ok=True)
    if asked.profile:
        with tempfile.TemporaryDirectory(dir=BUILD, prefix="bench-") as folder:
            print(profiling.profile(asked.profile, Path(folder).absolute()), end="")
        return 0
    where = machine.describe()
    results = [
        _measure(row, QUICK if asked.quick else FULL) for row in ROWS if not asked.names or row.name in asked.names
    ]
    where["load"] += f" before, {machine.load()} after"
    text = table(results, where, quick=asked.quick)
    (BUILD / "bench.md").write_text(text)
    (BUILD / "bench.json").write_text(json.dumps(document(results, where, quick=asked.quick), indent=2) + "\n")
    print(text, end="")
    return 0 if all(each.reached for each in results) else 1


def _measure(row: Row, pace: Pace) -> Result:
    started = time.monotonic()
    with tempfile.TemporaryDirectory(dir=BUILD, prefix="bench-") as folder:
        try:
            result = Result(row.name, row.measure(Path(folder).absolute(), pace))
        except Skip as reason:
            result = Result(row.name, skipped=str(reason))
        except Exception as error:  # the other rows are measured all the same
            traceback.print_exc()
            result = Result(row.name, failed=f"{type(error).__name__}: {' '.join(str(error).split())[:200]}")
    print(f"{row.name}: {time.monotonic() - started:.0f} s", file=sys.stderr)
    return result


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
