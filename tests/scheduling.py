"""How the tests are spread over the processes of `./scripts/test`: what stays together, begins early, or runs alone.

A file is one unit of work, so that what its tests share is made once. Units are handed out in the order of collection:
each process gets the next one when it has nearly finished the last.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Collection, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

# The longest files whose tests share a server or a module's fixtures. Begun late, one would end after all others.
EARLY = (
    "tests/workers/test_workers.py",
    "tests/artifacts/test_remote_faults.py",
    "tests/backups/test_backups.py",
    "tests/workers/test_on_postgres.py",
    "tests/web/test_delivery.py",
    "tests/database/races/test_count_races.py",
    "tests/cli/test_cli_commands.py",
    "tests/packages/test_wheels_and_pyz.py",
)
# The longest files whose tests share nothing are handed out test by test, late, so that all processes end together.
SPLIT = (
    "tests/pictures/test_every_page.py",
    "tests/durability/test_derived_kills.py",
    "tests/durability/test_kill_points.py",
    "tests/durability/test_rollout_kills.py",
    "tests/deployments/test_kills.py",
    "tests/deployments/test_faults.py",
    "tests/web/dashboard/test_browser.py",
)
# Files and tests that hold the machine to a second or less run at the end, one after the other, with nothing beside.
ALONE = (
    "tests/access/test_shared_limits.py",
    "tests/database/test_shared_database.py",
    "tests/workers/test_floods.py",
    "tests/workers/test_workers.py::test_workers_count_limits_together",
    "tests/workers/test_rollout_workers.py::test_every_change_is_obeyed_within_a_second",
    "tests/workers/test_rollout_workers.py::test_a_database_that_is_lost_while_a_halt_is_due",
)
_ALONE_UNIT = "alone"


def is_listed(nodeid: str, names: Collection[str]) -> bool:
    """Tell whether a test or its file is among the names."""
    test = nodeid.partition("[")[0]
    return test in names or test.partition("::")[0] in names


def unit_of(nodeid: str) -> str:
    """Return the unit of work that a test belongs to; the tests that run alone are one."""
    if is_listed(nodeid, ALONE):
        return _ALONE_UNIT
    return nodeid if is_listed(nodeid, SPLIT) else nodeid.partition("::")[0]


def rank_of(nodeid: str) -> int:
    """Return the place in the order of handing out; equal ones stay as they were collected."""
    if is_listed(nodeid, ALONE):
        return 3
    if is_listed(nodeid, SPLIT):
        return 2
    return 0 if is_listed(nodeid, EARLY) else 1


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
    with held(Path(__file__), alone=is_listed(item.nodeid, ALONE)):
        return (yield)
