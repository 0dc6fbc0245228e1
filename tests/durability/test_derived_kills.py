"""Killed at every step of a derived file: nothing half-made is ever there, and it is made again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.durability.conftest import PROJECT, Place, Server, Warm, is_gone
from updater.artifacts import deriving, makers
from updater.audit.model import SYSTEM
from updater.composition import open_services
from updater.config import load
from updater.processes.folder import claim_folder

EXE = random.Random(3).randbytes(1_000_000)
MOST_STEPS = 60
BLOCK_MAP = "/updates/my-app/download/1.0.0/windows/amd64/Setup.exe.blockmap"
# For each step that is asked for, a fork opens the services of the folder and dies at that step of the work.
_CODE = """
import asyncio, os, sys
from tests.durability.failpoints import Steps
from updater.artifacts import derived
from updater.audit.model import SYSTEM
from updater.composition import open_services
from updater.config import load
from updater.processes.folder import claim_folder
derived.NICENESS = 0
async def main(steps):
    settings = load(None, dict(os.environ))
    with claim_folder(settings.storage):
        async with open_services(settings) as services:
            steps._arm()
            await services.derived.files.work_off(actor=SYSTEM)
            steps._armed = False
for line in sys.stdin:
    pid = os.fork()
    if pid == 0:
        steps = Steps(int(line), sys.argv[1], armed=False)
        steps.install()
        asyncio.run(main(steps))
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


@contextlib.contextmanager
def deriving_until(place: Place) -> Iterator[Callable[[int], int]]:
    """Give a function that makes what is missing in a process that dies at a step; it returns how that ended."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("UPDATER_")}
    with subprocess.Popen(
        [sys.executable, "-c", _CODE, str(place.steps)],
        cwd=PROJECT,
        env=environment | place.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as mother:
        asked, said = mother.stdin, mother.stdout
        assert asked is not None and said is not None

        def derive_until(step: int) -> int:
            asked.write(f"{step}\n")
            asked.flush()
            return int(said.readline())

        yield derive_until
        asked.close()


def publish(server: Server) -> None:
    path = "/updates/my-app/builds/1.0.0/windows/amd64?file_name=Setup.exe"
    assert server.status("PUT", path, EXE) == 201


async def derive_again(place: Place) -> int:
    settings = load(None, place.environment())
    with claim_folder(settings.storage):
        async with open_services(settings) as services:
            return await services.derived.files.work_off(actor=SYSTEM)


def require_nothing_half_made(place: Place) -> bool:
    """Tell whether the block map is there; what is, is whole."""
    made = place.ask("SELECT digest FROM file WHERE made_by = 'server'")
    for (digest,) in made:
        path = place.root / "blobs" / digest[:2] / digest[2:4] / digest
        assert path.read_bytes() == makers.make_block_map([EXE])
    return bool(made)


def test_killed_at_every_step_of_a_derived_file(warm: Warm, place: Place) -> None:
    server = warm.start(place)
    server.create_application()
    publish(server)
    server.kill()
    passed: set[str] = set()
    with deriving_until(place) as derive_until:
        for step in range(1, MOST_STEPS):
            ended = derive_until(step)
            passed |= set(place.steps.read_text().split())
            is_there = require_nothing_half_made(place)
            if ended == 0:
                assert is_there
                break
            assert ended == -signal.SIGKILL
            if is_there:  # killed after the commit, there is nothing left to do: begin anew
                place.ask("DELETE FROM file WHERE made_by = 'server'")
        else:
            raise AssertionError(f"more than {MOST_STEPS} steps")
    assert passed >= {"create", "write", "fsync", "mkdir", "rename", "commit", "committed"}
    assert asyncio.run(derive_again(place)) == 0


def makers_of(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            with contextlib.suppress(OSError):
                if deriving.__name__ in Path(f"/proc/{child}/cmdline").read_text():
                    found.append(int(child))
    return found


def test_a_service_killed_meanwhile_makes_it_after_its_restart(warm: Warm, place: Place) -> None:
    server = warm.start(place)
    server.create_application()
    publish(server)
    deadline_s = time.monotonic() + 60
    while not (working := makers_of(server.pid)):
        assert time.monotonic() < deadline_s
        time.sleep(0.005)
    server.kill()
    while not is_gone(working[0]):
        assert time.monotonic() < deadline_s + 60, "it ends with the service"
        time.sleep(0.05)
    require_nothing_half_made(place)
    server = warm.start(place)
    while server.status("GET", BLOCK_MAP) != 200:
        assert time.monotonic() < deadline_s + 120
        time.sleep(0.2)
    assert server.call("GET", BLOCK_MAP)[2] == makers.make_block_map([EXE])
    server.stop()
