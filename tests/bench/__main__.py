"""`python -m tests.bench [NAME...]`: run the rows, print the table, end with 1 when one misses its figure."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from tests.bench import (
    checks,
    commands,
    derive,
    desktop,
    feeds,
    files,
    history,
    objects,
    pages,
    reports,
    rollouts,
    startup,
    workers,
)
from tests.bench.rows import Figure, Row, table

ROWS: tuple[Row, ...] = (
    *checks.ROWS,
    *desktop.ROWS,
    *feeds.ROWS,
    *files.ROWS,
    *derive.ROWS,
    *objects.ROWS,
    *reports.ROWS,
    *rollouts.ROWS,
    *startup.ROWS,
    *commands.ROWS,
    *history.ROWS,
    *pages.ROWS,
    *workers.ROWS,
)
BUILD = Path("build")


def main(names: list[str]) -> int:
    """Run the named rows, or all."""
    unknown = set(names) - {row.name for row in ROWS}
    if unknown:
        print(f"no row {', '.join(sorted(unknown))}; rows are {', '.join(row.name for row in ROWS)}", file=sys.stderr)
        return 2
    BUILD.mkdir(exist_ok=True)
    results: list[tuple[str, Figure]] = []
    for row in ROWS:
        if names and row.name not in names:
            continue
        started = time.monotonic()
        with tempfile.TemporaryDirectory(dir=BUILD, prefix="bench-") as folder:
            results += [(row.name, figure) for figure in row.measure(Path(folder).absolute())]
        print(f"{row.name}: {time.monotonic() - started:.0f} s", file=sys.stderr)
    text = table(results)
    (BUILD / "bench.md").write_text(text)
    print(text, end="")
    return 0 if all(figure.reached for _, figure in results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
