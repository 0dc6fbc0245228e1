"""Checks while the service works hard at other things."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.bench.burden import UPLOADS
from tests.bench.checks import QUESTIONS
from tests.bench.latency import ask_in_turn, lasting, p99
from tests.bench.processes import Process, create_application, running, service, settle
from tests.bench.rows import Figure, Pace, Row, Runs
from tests.bench.transfer import make_file, upload_form
from tests.ports import free_port

_STORED = 4


def p99_of_checks(folder: Path, pace: Pace) -> Sequence[Figure]:
    """Compare checks under uploads, a verification and a backup with those of an idle service, in turn.

    A bare handler answers the same questions beside it: what it loses is the machine's share, which nobody can mend.
    """
    with service(folder, core=None) as own, _bare(folder, own) as bare:
        idle, busy = [], []
        for _ in range(pace.rounds):
            settle(own)
            idle.append(_p99s((own, bare), 2 * pace.load_s))
            with _burden(own, folder):
                busy.append(_p99s((own, bare), 4 * pace.load_s))
    (own_idle, bare_idle), (own_busy, bare_busy) = (map(Runs, zip(*found, strict=True)) for found in (idle, busy))
    what, against = f"p99 of checks under {UPLOADS} uploads, verify and backup", "against idle"
    form = "{:.2f} ms"
    return [
        Figure(f"{what}, {against}", own_busy.over(own_idle), own_busy, own_idle, form, at_most=2, unit=" x"),
        Figure(
            f"the same of a bare handler beside it, {against}", bare_busy.over(bare_idle), bare_busy, bare_idle, form
        ),
    ]


@contextmanager
def _bare(folder: Path, own: Process) -> Iterator[Process]:
    """Publish something to ask for, to verify and to back up; run a handler that gives the same answer."""
    create_application(own)
    for number in range(_STORED):
        upload_form(own, make_file(folder), f"1.1.{number}")
    body, port = folder / "body.json", free_port()
    body.write_bytes(urllib.request.urlopen(own.url + QUESTIONS[0]).read())
    command = [sys.executable, "-m", "tests.bench.bare", str(port), str(body)]
    with running(command, port, folder / "bare.log", core=None) as process:
        yield process


def _p99s(servers: Sequence[Process], seconds: float) -> tuple[float, ...]:
    return tuple(p99(found) for found in ask_in_turn(servers, QUESTIONS, lasting(seconds)))


@contextmanager
def _burden(own: Process, folder: Path) -> Iterator[None]:
    inputs = folder / "burden"
    inputs.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "tests.bench.burden", own.url, str(folder / "storage"), str(inputs)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == b"ready\n"
            time.sleep(0.5)
            yield
            if child.poll() is not None:
                raise RuntimeError("the burden ended")
        finally:
            os.killpg(child.pid, signal.SIGKILL)


ROWS = (Row("busy", p99_of_checks),)
