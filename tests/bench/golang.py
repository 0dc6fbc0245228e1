"""Checks against a small Go service that holds one answer in memory: shown, not a bound."""

from __future__ import annotations

import shutil
import subprocess
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.bench.checks import QUESTIONS, VERSIONS, per_cpu_s, write_script
from tests.bench.processes import SERVER_CORE, Process, running, service
from tests.bench.rollouts import LIMITS, NEW_ID, ask_by_id
from tests.bench.rows import Figure, Pace, Row, Skip, interleave, rate
from tests.bench.seed import seed
from tests.ports import free_port

_SOURCE = Path(__file__).with_name("check.go")
# Where the archive of go.dev puts it.
_USUAL = "/usr/local/go/bin/go"


def checks(folder: Path, pace: Pace) -> Sequence[Figure]:
    """Ask both the same, in turn: few questions, many, and one that was never asked before."""
    program = _build(folder)
    seed(folder, 100)
    few, many = write_script(folder), write_script(folder, VERSIONS, "versions.lua")
    with service(folder, **LIMITS) as own, _running(program, folder, own) as peer:

        def compare(what: str, script: Callable[[], Path]) -> Figure:
            mine, theirs = interleave(
                pace, lambda: per_cpu_s(own, script(), pace), lambda: per_cpu_s(peer, script(), pace)
            )
            return rate(f"{what}, against Go's net/http from memory", mine, theirs)

        return [
            compare("checks a second", lambda: few),
            compare(f"checks a second, of {len(VERSIONS)} versions in turn", lambda: many),
            compare("checks a second, each with a new id", lambda: ask_by_id(folder, NEW_ID)),
        ]


def _build(folder: Path) -> Path:
    go = shutil.which("go") or shutil.which(_USUAL)
    if go is None:
        raise Skip("go is missing (https://go.dev/dl, Debian: golang-go)")
    program = folder / "check"
    subprocess.run([go, "build", "-o", str(program), str(_SOURCE)], check=True)
    return program


@contextmanager
def _running(program: Path, folder: Path, own: Process) -> Iterator[Process]:
    body, port = folder / "body.json", free_port()
    body.write_bytes(urllib.request.urlopen(own.url + QUESTIONS[0]).read())
    with running([str(program), str(port), str(body)], port, folder / "go.log", core=SERVER_CORE) as process:
        yield process


ROWS = (Row("check-go", checks),)
