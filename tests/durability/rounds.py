"""Rounds of work under which a service is cut off at a random moment, started again, and held to the ledger.

`FAULT_SEED` repeats the choices of a run (not the moments, which the machine has a part in), `FAULT_ROUNDS` sets
how many rounds a long test plays.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from tests.durability.clients import start_clients
from tests.durability.conftest import READY_S, EndedEarly, Server
from tests.durability.ledger import Ledger
from tests.looking import worked_s

LONGEST_S = 1.0
LONGEST_START_S = 0.5
KEPT_BUILDS = 40
Begun = Callable[[int], None]


class Start(Protocol):
    """Starts a service; `begun` is called with its process id before it is ready."""

    def __call__(self, *, begun: Begun = ...) -> Server: ...


class Fault(Protocol):
    """What happens when a service is cut off, and what makes its machine ready for the next one."""

    def strike(self) -> None: ...

    def restore(self) -> None: ...


@dataclass
class Rounds:
    """A run: its parts, and its figures."""

    start: Start
    fault: Fault
    ledger: Ledger
    slowest_start_s: float = 0
    most_work_s: float = 0  # of the processor, for one start
    cuts: int = 0

    def play(self, rounds: int) -> None:
        """Play so many rounds, then hold the service to the whole ledger."""
        server = self._restart(0)
        server.create_application()
        for number in range(1, rounds + 1):
            self.work_until_cut(server, self.ledger.random.uniform(0.05, LONGEST_S))
            server = self._restart(number)
            self.ledger.hold(server, whole=number == rounds)
            self.ledger.trim(server, KEPT_BUILDS)
            if number % 50 == 0:
                print(f"round {number}: {self.figures()}; violations: {self.ledger.violations}", flush=True)
        assert server.stop() == 0
        assert self.ledger.counts["kept"] > 0, "nothing was acknowledged, so nothing was proven"
        assert self.ledger.counts["reports"] > 0, "nothing was acknowledged, so nothing was proven"
        print(self.figures())  # shown with a failure, and by pytest -s

    def figures(self) -> str:
        """Return what happened, in one line."""
        counts = ", ".join(f"{name}: {count}" for name, count in sorted(self.ledger.counts.items()))
        starts = f"slowest start {self.slowest_start_s:.2f} s, at most {self.most_work_s:.2f} s of the processor"
        return f"{self.cuts} cuts, {starts}; {counts}"

    def work_until_cut(self, server: Server, moment_s: float) -> None:
        """Let clients work so long, then cut the service off and make its machine ready again."""
        self.ledger.ending.clear()
        clients = start_clients(server, self.ledger)
        time.sleep(moment_s)
        self._cut(server.pid)
        for each in clients:
            each.join()
        server.wait()
        self.fault.restore()

    def _restart(self, number: int) -> Server:
        """Start again; now and then the start itself is cut off, the very first one too."""
        while self.ledger.random.random() < 0.25:
            self._cut_start(self.ledger.random.uniform(0, LONGEST_START_S))
        began_s = time.monotonic()
        server = self.start()
        self.slowest_start_s = max(self.slowest_start_s, time.monotonic() - began_s)
        # How long it took is the machine's, too; how much it worked is its own.
        work_s = worked_s(server.pid)
        if work_s > READY_S:
            self.ledger.complain(f"slow: start {number} took {work_s:.1f} s of the processor")
        self.most_work_s = max(self.most_work_s, work_s)
        return server

    def _cut_start(self, moment_s: float) -> None:
        timers: list[threading.Timer] = []

        def begun(pid: int) -> None:
            timers.append(threading.Timer(moment_s, self._cut, [pid]))
            timers[0].start()

        try:
            server = self.start(begun=begun)
        except EndedEarly:
            timers[0].join()
        else:
            timers[0].join()
            server.wait()
        self.fault.restore()

    def _cut(self, pid: int) -> None:
        self.ledger.ending.set()
        self.fault.strike()
        # It may have ended by itself, or not yet have a group of its own.
        with contextlib.suppress(ProcessLookupError):
            try:
                os.killpg(pid, signal.SIGKILL)
            except ProcessLookupError:
                os.kill(pid, signal.SIGKILL)
        self.cuts += 1


def new_ledger() -> Ledger:
    """Return an empty ledger whose choices `FAULT_SEED` repeats."""
    seed = int(os.environ.get("FAULT_SEED") or random.SystemRandom().getrandbits(32))
    print(f"FAULT_SEED={seed}")
    return Ledger(random.Random(seed))


def rounds_of(count: int) -> int:
    """Return how many rounds a long test plays, `count` where nobody says."""
    return int(os.environ.get("FAULT_ROUNDS") or count)
