"""Rollouts that two processes change, count and move at once; each test is red without its lock."""

from __future__ import annotations

from collections.abc import Coroutine
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from tests.actors import TESTER
from tests.builds import LINUX, register
from tests.database.races.conftest import LAST, NOW, WINDOWS, Process, Processes, report
from tests.database.races.interleaving import Interleaving
from tests.rollouts_of import rollouts_of
from updater.audit.model import Filter
from updater.catalog.model import Build
from updater.errors import Conflict
from updater.rollouts.plan import canonical, make_plan
from updater.telemetry.model import Report

WATCHED = {"per_address": 1_000, "min_addresses": 1}
WRITES_NUMBERS = "INSERT INTO rollout_platform"


def plan(*stages: tuple[float, int | None], **halt: Any) -> dict[str, Any]:
    given = [{"percent": percent, "for_s": for_s} for percent, for_s in stages or ((10, None),)]
    return canonical(make_plan({"stages": given, "min_reports": 0, "halt": {**WATCHED, **halt}}, NOW))


def reports(outcome: str, number: int, **more: Any) -> list[Report]:
    """Return reports of as many addresses; those of another month share no row of the roll-ups with the first."""
    first = more.pop("first", 0)
    return [
        report("1.1.0", status=outcome, address=f"192.0.2.{first + each}", client_id=f"c-{first + each}", **more)
        for each in range(number)
    ]


LATER = NOW + timedelta(days=40)


async def publish(process: Process, **more: Any) -> None:
    """Publish 1.0.0 for all, and 1.1.0 for some."""
    await register(process.publishing, "1.0.0")
    await register(process.publishing, "1.1.0", rollout=more.get("rollout", plan()))


async def shown(process: Process) -> Any:
    return await process.rollouts.get_rollout("my-app", "1.1.0")


async def actions(process: Process, application_id: str = "my-app") -> list[str]:
    """Return what happened to the rollout, oldest first."""
    entries, _ = await process.audit.list_rows(Filter(application_id=application_id, actions=("rollout.",)))
    return [each.action for each in reversed(entries)]


@pytest.mark.parametrize("same", [True, False])
async def test_two_publishers_make_one_rollout(processes: Processes, meet: Interleaving, same: bool) -> None:
    one, two = (each.publishing for each in processes)
    other = plan() if same else plan((20, None))
    made = await meet.run(
        register(one, "1.1.0", LINUX, rollout=plan()),
        before="INSERT INTO build",
        second=register(two, "1.1.0", WINDOWS, rollout=other),
    )
    assert [type(each) for each in made] == [Build, Build if same else Conflict]
    found = await shown(processes[0])
    assert (found["percent"], found["plan"]) == (10.0, plan())
    assert [each["platform"] for each in found["platforms"]] == (["linux", "windows"] if same else ["linux"])


async def test_reports_of_one_series_are_counted_one_after_the_other(processes: Processes, meet: Interleaving) -> None:
    one, two = processes
    await publish(one)
    first, second = reports("failed", 5), reports("completed", 7, first=100, received_at=LATER)
    assert await meet.run(one.telemetry.write(first), before=WRITES_NUMBERS, second=two.telemetry.write(second)) == [
        None,
        None,
    ]
    assert meet.waited
    found = await shown(one)
    assert found["platforms"][0]["rollout"] == {"completed": 7, "failed": 5, "ignored": 0, "failed_addresses": 5}
    assert found["stage"]["reports"] == 12


async def test_one_source_is_bounded_across_processes(processes: Processes, meet: Interleaving) -> None:
    one, two = processes
    await publish(one, rollout=plan(per_address=1))
    again = reports("completed", 1, received_at=LATER)
    await meet.run(one.telemetry.write(reports("failed", 1)), before=WRITES_NUMBERS, second=two.telemetry.write(again))
    (found,) = (await shown(one))["platforms"]
    assert found["rollout"] == {"completed": 0, "failed": 1, "ignored": 1, "failed_addresses": 1}


def moving(process: Process, what: str) -> Coroutine[Any, Any, Any]:
    if what == "withdraw":
        return process.moves.withdraw("my-app", "1.1.0", actor=TESTER)
    if what == "put":
        return process.rollouts.set_plan("my-app", "1.1.0", {"percent": 100}, actor=TESTER)
    move = {"pause": process.rollouts.pause, "complete": process.rollouts.complete}[what]
    return move("my-app", "1.1.0", actor=TESTER)


@pytest.mark.parametrize("what", ["pause", "complete", "put", "withdraw"])
async def test_a_halt_that_comes_first_is_not_undone(processes: Processes, meet: Interleaving, what: str) -> None:
    """Nobody completes what is being halted; and what is paused or withdrawn stays halted."""
    one, two = processes
    await publish(one)
    halting = one.telemetry.write(reports("failed", 30))
    outcomes = await meet.run(halting, before=WRITES_NUMBERS, second=moving(two, what))
    assert meet.waited
    refused = what in ("complete", "put")
    assert [isinstance(each, Conflict) for each in outcomes] == [False, refused], outcomes
    found = await shown(one)
    assert found["platforms"][0]["state"] == "halted"
    assert found["state"] == ("paused" if what == "pause" else "active")
    assert (await actions(one)).count("rollout.halted") == 1


@pytest.mark.parametrize("what", ["pause", "complete", "put"])
async def test_a_halt_that_comes_second_sees_what_was_done(processes: Processes, meet: Interleaving, what: str) -> None:
    """A complete rollout neither counts nor halts; a paused one does both."""
    one, two = processes
    await publish(one)
    halting = two.telemetry.write(reports("failed", 30))
    outcomes = await meet.run(moving(one, what), before=LAST, second=halting)
    assert meet.waited
    assert not any(isinstance(each, BaseException) for each in outcomes), outcomes
    found = await shown(one)
    counted = found["platforms"][0]["rollout"]["failed"]
    if what == "pause":
        assert (found["state"], found["platforms"][0]["state"], counted) == ("paused", "halted", 30)
    else:
        assert (found["state"], found["platforms"][0]["state"], counted) == ("complete", "open", 0)
    assert (await actions(one)).count("rollout.halted") == (what == "pause")


@pytest.mark.parametrize("second", ["advance", "put", "pause", "report"])
async def test_a_stage_begins_once(processes: Processes, meet: Interleaving, second: str) -> None:
    """Two processes look at once; a publisher sets another plan; a report is on its way."""
    one, two = processes
    await publish(one, rollout=plan((1, 1), (10, 1), (50, None)))
    clocked = [replace_clock(each) for each in processes]
    work: dict[str, Any] = {
        "advance": clocked[1].advance,
        "put": lambda: two.rollouts.set_plan("my-app", "1.1.0", {"percent": 5}, actor=TESTER),
        "pause": lambda: two.rollouts.pause("my-app", "1.1.0", actor=TESTER),
        "report": lambda: two.telemetry.write(reports("completed", 3)),
    }
    outcomes = await meet.run(clocked[0].advance(), before=LAST, second=work[second]())
    assert meet.waited
    assert not any(isinstance(each, BaseException) for each in outcomes), outcomes
    found = await shown(one)
    assert (await actions(one)).count("rollout.advanced") == 1
    if second == "put":
        assert (found["stage"]["number"], found["percent"]) == (1, 5.0)
    else:
        assert (found["stage"]["number"], found["percent"]) == (2, 10.0)
    assert found["stage"]["reports"] == (3 if second == "report" else 0)


async def test_a_stage_does_not_begin_after_a_halt(processes: Processes, meet: Interleaving) -> None:
    one, _ = processes
    await publish(one, rollout=plan((1, 1), (10, None)))
    clocked = replace_clock(processes[1])
    halting = one.telemetry.write(reports("failed", 30))
    assert await meet.run(halting, before=WRITES_NUMBERS, second=clocked.advance()) == [None, 0]
    assert meet.waited
    assert (await shown(one))["stage"]["number"] == 1


def replace_clock(process: Process) -> Any:
    """Return what moves stages in a process whose clock is an hour ahead."""
    return rollouts_of(process.database, lambda: NOW + timedelta(hours=1))


@pytest.mark.parametrize("order", ["counting first", "deletion first"])
async def test_a_release_is_deleted_while_its_reports_are_counted(
    processes: Processes, meet: Interleaving, order: str
) -> None:
    one, two = processes
    await publish(one)
    counting = one.telemetry.write(reports("failed", 30))
    deleting = two.catalog.delete_build("my-app", "1.1.0", LINUX, actor=TESTER)
    if order == "counting first":
        outcomes = await meet.run(counting, before=WRITES_NUMBERS, second=deleting)
    else:
        outcomes = await meet.run(deleting, before=LAST, second=counting)
    assert meet.waited
    assert not any(isinstance(each, BaseException) for each in outcomes), outcomes
    async with one.database.read() as connection:
        left = [
            await connection.scalar(text(f"SELECT count(*) FROM {each}"))
            for each in ("rollout", "rollout_platform", "rollout_source", "rollout_gathered", "report")
        ]
    assert left == [0, 0, 0, 0, 30]


@pytest.mark.parametrize("before", [WRITES_NUMBERS, LAST])
async def test_two_that_halt_several_never_wait_in_a_circle(
    processes: Processes, meet: Interleaving, before: str
) -> None:
    """Both batches are about the same releases of two applications, in opposite order."""
    one, two = processes
    await publish(one)
    await one.catalog.create_application("other", name="", platforms=("linux",), extra={}, actor=TESTER)
    await register(one.publishing, "1.1.0", application_id="other", rollout=plan())
    mine = reports("failed", 30)
    others = reports("failed", 30, application_id="other")
    again = [
        *reports("failed", 30, first=100, application_id="other", received_at=LATER),
        *reports("failed", 30, first=100, received_at=LATER),
    ]
    outcomes = await meet.run(one.telemetry.write([*mine, *others]), before=before, second=two.telemetry.write(again))
    assert outcomes == [None, None]
    for application_id in ("my-app", "other"):
        (found,) = (await one.rollouts.get_rollout(application_id, "1.1.0"))["platforms"]
        assert (found["state"], found["rollout"]["failed"]) == ("halted", 60)
        assert (await actions(one, application_id)).count("rollout.halted") == 1
