"""The power is cut at random moments under load; what was acknowledged is there when it is back.

It needs root and loop devices, to mount file systems of its own.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.durability.conftest import Launch, Place, Warm, require
from tests.durability.power import Disk
from tests.durability.rounds import Rounds, new_ledger, rounds_of
from tests.durability.test_sync_order import WITHOUT_FSYNC, WITHOUT_FULL

EATMYDATA = "libeatmydata.so"
WORKED_S = 1.0
MakeDisk = Callable[[str], Disk]
ROWS_TOO = pytest.mark.sqlite("the rows lie on the disk that stops")


@pytest.fixture
def make_disk(tmp_path: Path, warm: Warm) -> Iterator[MakeDisk]:
    """Return a function that mounts a file system, which is gone after the test, however that ended."""
    made: list[Disk] = []

    def make(kind: str) -> Disk:
        made.append(Disk(tmp_path, kind))
        made[-1].make()
        return made[-1]

    yield make
    warm.end_all()
    for disk in made:
        disk.remove()


@pytest.mark.parametrize(
    ("kind", "cuts"),
    [("ext4", 5), *(pytest.param(kind, rounds_of(200), marks=pytest.mark.long) for kind in ("ext4", "xfs"))],
)
def test_power_cuts(
    make_disk: MakeDisk, warm: Warm, tmp_path: Path, database_url: str | None, kind: str, cuts: int
) -> None:
    """PostgreSQL is another machine, which goes on: a row that it has names bytes that are there."""
    disk = make_disk(kind)
    # The log lies outside: the disk of the folder is the one that stops.
    place = Place(disk.place / "storage", database_url)
    run = Rounds(partial(warm.start, place, log=tmp_path / "log"), disk, new_ledger())
    run.play(cuts)
    assert run.ledger.violations == []


def preloaded() -> str:
    said = subprocess.run(["true"], env={**os.environ, "LD_PRELOAD": EATMYDATA}, capture_output=True, text=True).stderr
    require(not said, f"needs eatmydata: {said}")
    return EATMYDATA


@pytest.mark.parametrize(
    ("flushes", "lost"),
    [
        pytest.param("all", ("lost upload", "lost reports"), id="none", marks=ROWS_TOO),
        pytest.param("of files", ("lost upload",), id="none of files"),
        pytest.param("of rows", ("lost reports",), id="none of rows", marks=ROWS_TOO),
    ],
)
def test_without_flushes_it_is_lost(
    make_disk: MakeDisk,
    launch: Launch,
    warm: Warm,
    tmp_path: Path,
    database_url: str | None,
    flushes: str,
    lost: tuple[str, ...],
) -> None:
    """The control: a service that does not flush is seen to lose what it acknowledged."""
    disk = make_disk("ext4")
    root = disk.place / "storage"
    whole = partial(warm.start, Place(root, database_url), log=tmp_path / "log")
    server = whole()
    server.create_application()
    server.stop()
    run = Rounds(whole, disk, new_ledger())
    if flushes == "all":
        server = launch(at=root, preload=preloaded())
        assert EATMYDATA in Path(f"/proc/{server.pid}/maps").read_text()
    else:
        server = launch(at=root, program={"of files": WITHOUT_FSYNC, "of rows": WITHOUT_FULL}[flushes])
    run.work_until_cut(server, WORKED_S)
    run.ledger.hold(whole())
    for what in lost:
        assert any(what in each for each in run.ledger.violations), run.figures()
