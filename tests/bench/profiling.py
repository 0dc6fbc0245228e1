"""`scripts/bench --profile check|feed|upload`: the three hottest lines of the service under a row's load."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from tests.bench.checks import write_script
from tests.bench.feeds import LIMITS, QUESTIONS
from tests.bench.processes import Process, create_application, service, wrk
from tests.bench.seed import seed
from tests.bench.transfer import freshen, make_file, upload_form

_LOAD_S, _RATE, _HOTTEST = 10, 200, 3
_UPLOADS = 5
# `function (file:line)`, the innermost of a stack.
_FRAME = re.compile(r"(?P<where>[^;]+) (?P<count>\d+)$")
Load = Callable[[], object]


def profile(name: str, folder: Path) -> str:
    """Sample the service under a load with py-spy; return the hottest lines, with their shares of the busy samples."""
    with LOADS[name](folder) as (own, load):
        load()  # what is compiled and kept once
        stacks = _record(own, folder / "stacks.txt", load)
    return hottest(name, stacks)


def _record(own: Process, into: Path, load: Load) -> str:
    # A process that is stopped for each sample looks busy in threads that wait.
    options = ["--format", "raw", "--rate", str(_RATE), "--duration", "3600", "--nonblocking", "-o", str(into)]
    command = [_find_py_spy(), "record", *options, "--pid", str(own.pid)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as recorder:
        try:
            load()
        finally:
            recorder.send_signal(signal.SIGINT)
        _, said = recorder.communicate(timeout=60)
    if not into.exists():
        raise RuntimeError(f"py-spy recorded nothing (it may need root): {said}")
    return into.read_text()


def hottest(name: str, stacks: str) -> str:
    """Return the lines in which most stacks of py-spy's raw format end."""
    counts: Counter[str] = Counter()
    for line in stacks.splitlines():
        if found := _FRAME.search(line):
            counts[found["where"]] += int(found["count"])
    lines = [f"{count / counts.total():5.1%}  {where}" for where, count in counts.most_common(_HOTTEST)]
    return "\n".join([f"{name}: the hottest lines of {counts.total():,} samples", *lines]) + "\n"


def _find_py_spy() -> str:
    program = Path("build/profile/bin/py-spy")
    return str(program) if program.exists() else shutil.which("py-spy") or "py-spy"


@contextmanager
def _checks(folder: Path) -> Iterator[tuple[Process, Load]]:
    script = write_script(folder)
    seed(folder, 100)
    with service(folder) as own:
        yield own, lambda: wrk(own.url, script, seconds=_LOAD_S)


@contextmanager
def _feeds(folder: Path) -> Iterator[tuple[Process, Load]]:
    script = write_script(folder, QUESTIONS, "feeds.lua")
    seed(folder, 100, hosted=True)
    with service(folder, **LIMITS) as own:
        yield own, lambda: wrk(own.url, script, seconds=_LOAD_S)


@contextmanager
def _uploads(folder: Path) -> Iterator[tuple[Process, Load]]:
    original = make_file(folder)
    versions = iter(f"1.0.{number}" for number in range(1_000))

    def load() -> None:
        for _ in range(_UPLOADS):
            freshen(original)
            upload_form(own, original, next(versions))

    with service(folder, core=None) as own:
        create_application(own)
        yield own, load


LOADS: dict[str, Callable[[Path], AbstractContextManager[tuple[Process, Load]]]] = {
    "check": _checks,
    "feed": _feeds,
    "upload": _uploads,
}
