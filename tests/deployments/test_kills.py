"""The process that carries a run out is killed in each step, forward and back; the service too.

Each time the run is taken up again and ends on one version, serving, with a log that says so.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.actors import TESTER
from tests.deployments.conftest import OpenService, finish
from tests.deployments.site import Site, git
from tests.deployments.test_faults import print_row
from updater.deployments.model import Outcome, UpdateStatus
from updater.deployments.service import DeploymentService

FORWARD = ("git_fetch", "git_pull", "dependencies", "restart", "health")
BACK = ("git_reset", "dependencies", "restart", "health")
# Where a run ends that was killed there: at the restart and after it, there is no reason to go back.
ENDS_ON = {"restart": "two", "health": "two"}


def script(site: Site, name: str, text: str) -> str:
    path = site.folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def dawdling(site: Site, phase: str, step: str) -> dict[str, Any]:
    """Return settings in which that step takes long enough to be killed, once: the mark file ends the dawdling."""
    mark = site.folder / "killed"
    wait = f"[ -e {mark} ] || {{ echo dawdling; touch {site.folder}/there; sleep 30; }}"
    old_only = f"grep -q one VERSION && {{ {wait}; }}" if phase == "back" else wait
    record: dict[str, Any] = {}
    if step == "git_fetch":
        pack = script(site, "pack.sh", f'{wait} >&2\nexec git-upload-pack "$@"')
        git(site.checkout, "config", "remote.origin.uploadpack", pack)
    if step in ("git_pull", "git_reset"):
        smudge = script(site, "smudge.sh", f"{wait} >&2\ncat")
        git(site.checkout, "config", "filter.slow.smudge", smudge)
        record["allow_filters"] = True
    if step == "dependencies":
        record["steps"] = [{"name": step, "command": ["sh", "-c", f"{old_only}; true"]}]
    if step == "restart":
        command = ["sh", "-c", f"{old_only}; exec {site.restart[0]}"]
        record["restart"] = {"command": command, "timeout_s": 60}
    if step == "health":
        record["health"] = {"url": f"http://127.0.0.1:{site.port}/health", "within_s": 3, "steady_s": 2}
    return record


def runner_pid(run: str) -> int:
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"updater.deployments.runner" in words and run.encode() in words:
                return int(entry.name)
    raise AssertionError("no runner")


async def kill_in(service: DeploymentService, site: Site, run: str, phase: str, step: str) -> None:
    """Kill the runner while it is in that step, dawdling there."""
    async for event in service.runs.follow(run):
        data = event.data
        if event.kind == "step" and (data["phase"], data["name"], data["status"]) == (phase, step, "running"):
            break
    else:
        raise AssertionError(f"the run never came to {step}")
    pid = runner_pid(run)
    if step != "health":
        while not (site.folder / "there").exists():
            await asyncio.sleep(0.02)
    (site.folder / "killed").touch()
    os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("who", ["runner", "runner and service"])
@pytest.mark.parametrize("step", FORWARD)
async def test_killed_on_the_way_forward(step: str, who: str, site: Site, open_service: OpenService) -> None:
    record = dawdling(site, "forward", step)
    service = await open_service(recover=who == "runner", **record)
    slow = {".gitattributes": "*.slow filter=slow\n", "a_first": "new", "b.slow": "new", "z_last": "new"}
    head = site.push("two", **(slow if step == "git_pull" else {}))
    began = time.monotonic()
    run = await service.apply(actor=TESTER)
    await kill_in(service, site, run, "forward", step)
    if who != "runner":
        # No process resumes it until a service that may restart things is there.
        await service.runs.wait(run)
        assert site.serving() in ("one", "two", None)
        await service.runs.stop()
        service = await open_service(**record)
    state = await finish(service, run)
    print_row(f"{who} killed", step, state, site, began)
    on = ENDS_ON.get(step, "one")
    assert (site.serving(), site.head()) == (on, head if on == "two" else site.first)
    assert site.clean(), "no half checked out file stays behind"
    expected = {"git_fetch": Outcome.UNCHANGED, "restart": Outcome.SUCCEEDED, "health": Outcome.SUCCEEDED}
    assert state.outcome is expected.get(step, Outcome.RESTORED)
    assert not site.sleepers()
    lines = [each.message for each in (await service.list_logs(limit=1000)).logs]
    assert any(line.startswith("taken up again") for line in lines)
    numbers = [event.number async for event in service.runs.follow(run)]
    assert numbers == list(range(1, len(numbers) + 1))
    # And the next one goes through.
    if on == "one":
        assert (await finish(service, await service.apply(actor=TESTER))).outcome is Outcome.SUCCEEDED
        assert (site.serving(), site.head(), site.clean()) == ("two", head, True)


@pytest.mark.parametrize("step", BACK)
async def test_killed_on_the_way_back(step: str, site: Site, open_service: OpenService) -> None:
    record = dawdling(site, "back", step)
    service = await open_service(**record)
    if step == "git_reset":
        (site.folder / "killed").touch()
        head = site.push("two", **{".gitattributes": "*.slow filter=slow\n", "a_first": "new", "b.slow": "old"})
        await finish(service, await service.apply(actor=TESTER))
        assert site.head() == head
        (site.folder / "killed").unlink()
        site.push("sick", **{"a_first": "newer", "b.slow": "new", "z_last": "new"})
        (site.folder / "killed").touch()
    else:
        head = site.first
        site.push("sick", a_first="new")
    began = time.monotonic()
    run = await service.apply(actor=TESTER)
    if step == "git_reset":
        async for event in service.runs.follow(run):
            if event.kind == "step" and event.data["name"] == "health":
                (site.folder / "killed").unlink()
                break
    await kill_in(service, site, run, "back", step)
    state = await finish(service, run)
    print_row("runner killed on the way back", step, state, site, began)
    assert (state.outcome, state.failed_step) == (Outcome.RESTORED, "health")
    assert (site.head(), site.clean()) == (head, True)
    assert site.serving() == ("two" if step == "git_reset" else "one")
    assert (await service.list_updates())[0].status is UpdateStatus.FAILED


async def test_a_restart_that_always_ends_the_runner(site: Site, open_service: OpenService) -> None:
    """As under a supervisor that ends everything its service ever started: the health check decides."""
    kill = script(
        site, "kill_all.sh", f"{site.restart[0]}; pkill -9 -f 'updater.deployments.runner {site.folder.parent}'"
    )
    service = await open_service(restart={"command": ["setsid", kill], "timeout_s": 20})
    head = site.push("two")
    began = time.monotonic()
    state = await finish(service, await service.apply(actor=TESTER))
    print_row("restart kills the runner each time", "restart", state, site, began)
    assert (state.outcome, state.attempts) == (Outcome.SUCCEEDED, 3)
    assert (site.serving(), site.head()) == ("two", head)
    site.push("sick")
    began = time.monotonic()
    state = await finish(service, await service.apply(actor=TESTER))
    print_row("restart kills the runner each time, sick version", "restart", state, site, began)
    assert (state.outcome, state.failed_step) == (Outcome.RESTORED, "health")
    assert (site.serving(), site.head()) == ("two", head)


async def test_killed_without_end_is_given_up_and_says_what_to_do(site: Site, open_service: OpenService) -> None:
    kill = script(site, "kill_me.sh", f"pkill -9 -f 'updater.deployments.runner {site.folder.parent}'; sleep 5")
    service = await open_service(steps=[{"name": "dependencies", "command": [kill]}])
    site.push("two")
    began = time.monotonic()
    state = await finish(service, await service.apply(actor=TESTER))
    print_row("runner killed without end", "dependencies", state, site, began)
    assert state.outcome is Outcome.BROKEN
    assert site.serving() == "one"
    assert state.advice is not None
    assert str(site.checkout) in state.advice
    assert (await service.list_logs(limit=1)).logs[0].message.endswith(state.advice)


async def test_the_service_goes_and_comes_while_a_run_is_on(site: Site, open_service: OpenService) -> None:
    record = {"steps": [{"name": "dependencies", "command": ["sleep", "2"]}]}
    service = await open_service(**record)
    site.push("two")
    run = await service.apply(actor=TESTER)
    waiting = asyncio.create_task(service.runs.wait(run))
    following = asyncio.create_task(_all(service, run))
    await asyncio.sleep(0.5)
    service.runs.release()
    state = await waiting
    assert state is not None
    assert not state.finished, "who waits is told how far it is"
    seen = await following
    await service.runs.stop()
    service = await open_service(**record)
    assert (await service.status()).running == run
    more = [event.number async for event in service.runs.follow(run, after=seen)]
    assert more[0] == seen + 1
    assert (await finish(service, run)).outcome is Outcome.SUCCEEDED
    (update,) = await service.list_updates()
    page = await service.list_update_logs(update.id, limit=1000)
    messages = [each.message for each in page.logs]
    assert len(messages) == page.total_count
    assert messages.count("completed in 0.0 s") <= len(messages)
    assert sum(message.startswith("done:") for message in messages) == 1
    assert update.status is UpdateStatus.COMPLETED


async def _all(service: DeploymentService, run: str) -> int:
    return max([event.number async for event in service.runs.follow(run)])


async def test_a_plan_whose_run_never_began_is_withdrawn(site: Site, open_service: OpenService) -> None:
    service = await open_service(launcher=["true"])
    site.push("two")
    await service.check(actor=TESTER)
    (update,) = await service.list_updates()
    run = await service.apply(update_id=update.id, actor=TESTER)
    await service.runs.wait(run)
    assert (await service.get_update(update.id)).status is UpdateStatus.PENDING
    await service.runs.stop()
    service = await open_service()
    await finish(service, await service.apply(update_id=update.id, actor=TESTER))
    assert site.serving() == "two"
