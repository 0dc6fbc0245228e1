"""Files made in the background: what checks notice of it, and what the makers cost."""

from __future__ import annotations

import hashlib
import http.client
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from tests.bench.checks import QUESTIONS
from tests.bench.files import SIZE_BYTES, make_file
from tests.bench.processes import KEY, LOAD_CORE, Process, create_application, service
from tests.bench.rows import Figure, Row
from updater.artifacts import deriving
from updater.artifacts.deriving import Order

_IDLE_S, _LONGEST_S = 10.0, 300.0
_EVERY_S = 0.002


def beside_checks(folder: Path) -> Sequence[Figure]:
    """Compare the time that checks take while the block map of 1 GiB is made on their very core, with idle."""
    original = make_file(folder)
    with service(folder) as own:
        create_application(own)
        _upload(own, original)
        began_s = time.monotonic()
        while not _makers(own):
            if time.monotonic() - began_s > _LONGEST_S:
                raise RuntimeError("no block map was begun")
            time.sleep(0.05)
        busy_ms = _latencies_ms(own, lambda: bool(_makers(own)))
        end_s = time.monotonic() + _IDLE_S
        idle_ms = _latencies_ms(own, lambda: time.monotonic() < end_s)
    mine, theirs = _p99(busy_ms), _p99(idle_ms)
    what = f"p99 of checks while a block map of 1 GiB is made ({len(busy_ms):,} checks), against idle"
    return [Figure(what, mine / theirs, f"{mine:.2f} ms", f"{theirs:.2f} ms", at_most=2.0)]


def makers(folder: Path) -> Sequence[Figure]:
    """Make both kinds of file of 1 GiB, each in its process."""
    original = make_file(folder)
    with original.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    figures = []
    for kind in ("blockmap", "zsync"):
        order = Order(kind, SIZE_BYTES, digest, os.getpid(), original.name, original.name)
        command = [sys.executable, "-m", deriving.__name__, order.text(), str(original)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as child:
            _, status, used = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            raise RuntimeError(f"no {kind} was made")
        cpu_s, peak_mib = used.ru_utime + used.ru_stime, used.ru_maxrss / 1024
        figures += [
            Figure(f"{kind} of 1 GiB, processor time", cpu_s, f"{cpu_s:.1f} s", "-", at_most=15, unit=" s"),
            Figure(f"{kind} of 1 GiB, memory", peak_mib, f"{peak_mib:.0f} MiB", "-", at_most=140, unit=" MiB"),
        ]
    return figures


def _upload(server: Process, path: Path) -> None:
    fields = {"version": "1.0.99", "platform": "windows", "architecture": "amd64"}
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


def _latencies_ms(server: Process, goes_on: Callable[[], bool]) -> list[float]:
    """Ask a question every two milliseconds, from the other core; return how long each answer took."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {int(LOAD_CORE)})
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=60)
    took_ms: list[float] = []
    try:
        while goes_on() and len(took_ms) < 1_000_000:
            for question in QUESTIONS:
                began_s = time.monotonic()
                connection.request("GET", question.replace("linux", "windows"))
                answer = connection.getresponse()
                answer.read()
                took_s = time.monotonic() - began_s
                if answer.status != 200:
                    raise RuntimeError(f"a check was refused: {answer.status}")
                took_ms.append(took_s * 1000)
                time.sleep(max(0.0, _EVERY_S - took_s))
    finally:
        connection.close()
        os.sched_setaffinity(0, before)
    return took_ms


def _p99(values: list[float]) -> float:
    return sorted(values)[int(len(values) * 0.99)]


ROWS = (Row("derive", beside_checks), Row("makers", makers))
