"""The start of a command: what an operator waits for before anything is done."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.bench.processes import LOAD_CORE
from tests.bench.rows import Figure, Pace, Row, Runs, interleave
from tests.bench.seed import seed


def commands(folder: Path, pace: Pace) -> Sequence[Figure]:
    """List the keys of a data folder that no service holds, in turn with an interpreter that does nothing."""
    seed(folder, 1)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("UPDATER_")}
    environment["UPDATER_STORAGE__ROOT"] = str(folder / "storage")
    took_s: list[float] = []

    def cpu_s(*words: str) -> float:
        """Return the processor seconds of a whole process, which other processes change least."""
        command = ["taskset", "-c", LOAD_CORE, sys.executable, *words]
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        subprocess.run(command, env=environment, check=True, capture_output=True)
        took_s.append(time.monotonic() - began)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    listing, nothing = ("-m", "updater", "key", "list"), ("-c", "pass")
    cpu_s(*listing)  # the first one reads its modules from the disk
    took_s.clear()
    own_s, peer_s = interleave(pace, lambda: cpu_s(*listing), lambda: cpu_s(*nothing))
    waited_s, alone_s = Runs(tuple(took_s[::2])), Runs(tuple(took_s[1::2]))
    what, ratio = "start and end of `updater key list`", own_s.over(peer_s)
    against = "processor time of the same, against python -c pass"
    return [
        Figure(what, waited_s, waited_s, alone_s, "{:.2f} s", at_most=0.25, unit=" s"),
        Figure(against, ratio, own_s, peer_s, "{:.3f} s", at_most=12, unit=" x"),
    ]


ROWS = (Row("commands", commands),)
