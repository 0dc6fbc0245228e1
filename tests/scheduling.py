"""How the tests are spread over the processes of `./scripts/test`: what stays together, begins early, or runs alone.

A file is one unit of work, so that what its tests share is made once. Units are handed out in the order of collection:
each process gets the next one when it has nearly finished the last.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

# The longest files, handed out first and test by test: as one unit each would end long after all others.
SPLIT: tuple[str, ...] = ()
# Long files whose tests share a server or a module's fixtures: one unit each, handed out early.
EARLY: tuple[str, ...] = ()
# Files that hold the machine to times of a second or less, or load it so that others would miss theirs.
ALONE: tuple[str, ...] = ()

_ALONE_UNIT = "alone"


def file_of(nodeid: str) -> str:
    """Return the file of a test, relative to the project."""
    return nodeid.partition("::")[0]


def unit_of(nodeid: str) -> str:
    """Return the unit of work that a test belongs to; the tests that run alone are one."""
    file = file_of(nodeid)
    if file in ALONE:
        return _ALONE_UNIT
    return nodeid if file in SPLIT else file


def rank_of(nodeid: str) -> int:
    """Return the place in the order of handing out; equal ones stay as they were collected."""
    file = file_of(nodeid)
    for rank, files in ((0, SPLIT), (1, EARLY), (3, ALONE)):
        if file in files:
            return rank
    return 2


@contextmanager
def held(path: Path, *, alone: bool) -> Iterator[None]:
    """Share `path` with other processes for the block or, `alone`, wait until no other has it and keep them out."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


class Scheduler(LoadScopeScheduling):
    """Hands out units of work as `unit_of` makes them."""

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduler | None:
    """Replace the scheduler of `--dist loadfile`; the others are as pytest-xdist has them."""
    if config.getoption("dist") != "loadfile":
        return None
    config.option.loadscopereorder = False  # it would put the files with most tests first, whatever they take
    return Scheduler(config, log)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Hold this file while a test runs, alone where `ALONE` says so. The wait is outside every timeout of the test."""
    with held(Path(__file__), alone=file_of(item.nodeid) in ALONE):
        return (yield)
