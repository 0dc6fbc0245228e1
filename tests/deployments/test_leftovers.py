"""Daemons that a step leaves: with a group, a session and an environment of their own, they are ended all the same."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from tests.actors import TESTER
from tests.deployments.conftest import OpenService, finish
from tests.deployments.site import Site
from tests.deployments.test_kills import runner_pid
from updater.deployments.model import Outcome

# A daemon as servers make it: forked twice, in a session of its own, nothing inherited.
DAEMON = "(setsid env -i /bin/sh -c '/bin/sleep 66 </dev/null >/dev/null 2>&1 & exit' &)"
PLAIN = {"restart": None, "health": None}


async def no_sleepers(site: Site) -> bool:
    for _ in range(100):
        if not site.sleepers():
            return True
        await asyncio.sleep(0.02)
    return False


@pytest.mark.parametrize("end", ["exit 0", "exit 3", "sleep 30", "kill -9 $$"])
async def test_a_daemon_that_cleared_its_environment(end: str, site: Site, open_service: OpenService) -> None:
    step = {"name": "build", "command": ["sh", "-c", f"{DAEMON}; sleep 0.3; {end}"], "timeout_s": 2}
    service = await open_service(**PLAIN, steps=[step])
    site.push("two")
    await finish(service, await service.apply(actor=TESTER))
    assert await no_sleepers(site), site.sleepers()


async def test_a_daemon_of_a_run_that_was_killed(site: Site, open_service: OpenService) -> None:
    mark = site.folder / "mark"
    command = ["sh", "-c", f"[ -e {mark} ] || {{ {DAEMON}; sleep 1.5; touch {mark}; sleep 30; }}"]
    service = await open_service(**PLAIN, steps=[{"name": "build", "command": command, "timeout_s": 60}])
    site.push("two")
    run = await service.apply(actor=TESTER)
    async with asyncio.timeout(30):
        while not mark.exists():
            await asyncio.sleep(0.05)
    assert site.sleepers()
    os.kill(runner_pid(run), signal.SIGKILL)
    state = await finish(service, run)
    assert (state.outcome, site.head()) == (Outcome.RESTORED, site.first)
    assert await no_sleepers(site), site.sleepers()


async def test_what_a_restart_leaves_stays(site: Site, open_service: OpenService) -> None:
    """Also while steps are run after it, on the way back."""
    restart = {"command": ["sh", "-c", f"sleep 67 >/dev/null 2>&1 & {DAEMON}"], "timeout_s": 20}
    health = {"url": "http://127.0.0.1:9/", "within_s": 1, "steady_s": 0}
    step = {"name": "build", "command": ["sh", "-c", f"{DAEMON}; sleep 0.3"]}
    service = await open_service(steps=[step], restart=restart, health=health)
    site.push("two")
    state = await finish(service, await service.apply(actor=TESTER))
    assert (state.outcome, site.head()) == (Outcome.BROKEN, site.first)
    assert len(site.sleepers()) == 4, "two of each restart"
