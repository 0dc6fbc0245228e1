"""Files made in the background: what checks notice of it, and what the makers cost."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.bench.checks import QUESTIONS
from tests.bench.latency import ask_in_turn, lasting, p99
from tests.bench.processes import KEY, Process, create_application, service
from tests.bench.rows import Figure, Pace, Row, Runs
from tests.bench.transfer import freshen, make_file
from updater.artifacts import deriving
from updater.artifacts.deriving import Order

_SIZE_BYTES = 1 << 30
_LONGEST_S = 300.0
_QUESTIONS = [each.replace("linux", "windows") for each in QUESTIONS]


def beside_checks(folder: Path, pace: Pace) -> Sequence[Figure]:
    """Compare the time that checks take while the block map of 1 GiB is made on their very core, with idle."""
    original, idle, busy = make_file(folder, _SIZE_BYTES), [], []
    with service(folder) as own:
        create_application(own)
        for number in range(pace.rounds):
            freshen(original)
            _upload(own, original, f"1.0.{number + 900}")
            _await_maker(own)
            busy.append(p99(*ask_in_turn([own], _QUESTIONS, lambda: bool(_makers(own)))))
            idle.append(p99(*ask_in_turn([own], _QUESTIONS, lasting(2 * pace.load_s))))
    mine, theirs = Runs(tuple(busy)), Runs(tuple(idle))
    what = "p99 of checks while a block map of 1 GiB is made, against idle"
    return [Figure(what, mine.over(theirs), mine, theirs, "{:.2f} ms", at_most=2.0, unit=" x")]


def makers(folder: Path, pace: Pace) -> Sequence[Figure]:
    """Make both kinds of file of 1 GiB, each in its process."""
    original = make_file(folder, _SIZE_BYTES)
    with original.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    figures = []
    for kind in ("blockmap", "zsync"):
        order = Order(kind, _SIZE_BYTES, digest, os.getpid(), original.name, original.name)
        made = [_make(order, original) for _ in range(pace.rounds)]
        used_s, peak_mib = (Runs(values) for values in zip(*made, strict=True))
        figures += [
            Figure(f"{kind} of 1 GiB, processor time", used_s, at_most=15, unit=" s"),
            Figure(f"{kind} of 1 GiB, memory", peak_mib, at_most=140, unit=" MiB"),
        ]
    return figures


def _make(order: Order, original: Path) -> tuple[float, float]:
    """Return the seconds of processor time, and the most memory in MiB."""
    command = [sys.executable, "-m", deriving.__name__, order.text(), str(original)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as child:
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise RuntimeError(f"no {order.kind} was made")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def _await_maker(server: Process) -> None:
    began_s = time.monotonic()
    while not _makers(server):
        if time.monotonic() - began_s > _LONGEST_S:
            raise RuntimeError("no block map was begun")
        time.sleep(0.05)


def _upload(server: Process, path: Path, version: str) -> None:
    fields = {"version": version, "platform": "windows", "architecture": "amd64"}
    form = [part for name, value in fields.items() for part in ("-F", f"{name}={value}")]
    form += ["-F", f"file=@{path};filename=App Setup.exe"]
    address = f"{server.url}/api/v1/updates/my-app/upload"
    command = ["curl", "-sSf", "-o", "/dev/null", "-H", f"Authorization: Bearer {KEY}", *form, address]
    subprocess.run(command, check=True)


def _makers(server: Process) -> list[int]:
    """Return the processes that make a file for the server."""
    children = [
        int(pid)
        for task in Path(f"/proc/{server.pid}/task").iterdir()
        for pid in (task / "children").read_text().split()
    ]
    return [pid for pid in children if deriving.__name__ in _command(pid)]


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


ROWS = (Row("derive", beside_checks), Row("makers", makers))
