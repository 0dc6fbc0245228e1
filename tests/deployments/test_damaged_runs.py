"""Runs whose files are damaged, or whose process fails in a way that nobody thought of.

They are failed, it is said why, and they stop no other.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.actors import TESTER
from tests.deployments.conftest import OpenService, finish
from tests.deployments.site import Site
from updater.deployments import work
from updater.deployments.journal import JOURNAL, PLAN, STATE, Journal
from updater.deployments.model import Outcome, UpdateStatus
from updater.deployments.pipeline import Pipeline
from updater.deployments.service import DeploymentService

PLAIN = {"restart": None, "health": None}
DAMAGES = {
    "empty": b"",
    "half": b'{"run": "2026',
    "binary": b"\xff\xfe\0\x01",
    "a list": b"[]",
    "a number": b"7",
    "null": b"null",
    "other keys": b"{}",
    "deep": b"[" * 100_000,
}


async def leave_unfinished(service: DeploymentService, site: Site, version: str) -> tuple[str, Path]:
    """Leave a run as a killed process and a service that ended with it leave it: begun, its update in progress."""
    site.push(version)
    run = await service.apply(actor=TESTER)
    await finish(service, run)
    folder = service.runs.folder(run).path
    (folder / "imported").unlink()
    state = json.loads((folder / STATE).read_text())
    (folder / STATE).write_text(json.dumps({**state, "outcome": "running", "finished_at": None}))
    lines = (folder / JOURNAL).read_bytes().splitlines(keepends=True)
    (folder / JOURNAL).write_bytes(b"".join(line for line in lines if b'"kind": "end"' not in line))
    (update,) = [each for each in await service.list_updates() if each.run == run]
    async with service._store._database.write() as connection:
        await connection.exec_driver_sql(f"UPDATE deployment_update SET status = 'in-progress' WHERE id = {update.id}")
    return run, folder


@pytest.mark.parametrize("name", [STATE, PLAN])
@pytest.mark.parametrize("damage", DAMAGES)
async def test_a_damaged_run_is_failed_and_stops_no_other(
    name: str, damage: str, site: Site, open_service: OpenService
) -> None:
    service = await open_service(**PLAIN)
    run, folder = await leave_unfinished(service, site, "two")
    await service.runs.stop()
    (folder / name).write_bytes(DAMAGES[damage])
    again = await open_service(**PLAIN)
    (update,) = await again.list_updates()
    assert update.status is UpdateStatus.FAILED
    page = await again.list_update_logs(update.id, limit=1000)
    assert f"{folder / name} is damaged: " in page.logs[0].message
    assert page.logs[0].level == "critical"
    state = again.runs.get_run(run)
    assert state is not None
    assert (state.outcome, str(folder / name) in (state.error or "")) == (Outcome.BROKEN, True)
    assert (await again.status()).running is None
    head = site.push("three")
    assert (await finish(again, await again.apply(actor=TESTER))).outcome is Outcome.SUCCEEDED
    assert site.head() == head


async def test_a_plan_that_is_missing_beside_a_state(site: Site, open_service: OpenService) -> None:
    service = await open_service(**PLAIN)
    _, folder = await leave_unfinished(service, site, "two")
    await service.runs.stop()
    (folder / PLAN).unlink()
    again = await open_service(**PLAIN)
    assert [each.status for each in await again.list_updates()] == [UpdateStatus.FAILED]


async def test_a_damaged_state_after_the_end_is_made_anew(site: Site, open_service: OpenService) -> None:
    """The journal tells of the end."""
    service = await open_service(**PLAIN)
    head = site.push("two")
    run = await service.apply(actor=TESTER)
    await finish(service, run)
    await service.runs.stop()
    folder = service.runs.folder(run).path
    (folder / "imported").unlink()
    (folder / STATE).write_bytes(b"{")
    again = await open_service(**PLAIN)
    state = again.runs.get_run(run)
    assert state is not None
    assert (state.outcome, state.from_commit, state.to_commit) == (Outcome.SUCCEEDED, site.first, head)
    assert [each.status for each in await again.list_updates()] == [UpdateStatus.COMPLETED]


async def test_damaged_lines_of_a_journal_are_left_out(site: Site, open_service: OpenService) -> None:
    service = await open_service(**PLAIN)
    site.push("two")
    run = await service.apply(actor=TESTER)
    await finish(service, run)
    await service.runs.stop()
    folder = service.runs.folder(run).path
    (folder / "imported").unlink()
    lines = (folder / JOURNAL).read_bytes().splitlines(keepends=True)
    bad = [b"\xff\0\n", b"{}\n", b"[]\n", b'{"number": 1, "at": "x", "kind": "log"}\n']
    bad.append(b'{"number": 900, "at": "2026-01-01T00:00:00Z", "kind": "log", "level": "loud"}\n')
    (folder / JOURNAL).write_bytes(b"".join(lines[:3] + bad + lines[3:]))
    again = await open_service(**PLAIN)
    assert again.runs.folder(run).imported
    assert [event.number for event in again.runs.folder(run).events()[0]] == list(range(1, len(lines) + 1))


@pytest.mark.parametrize("error", [ValueError("bad\x1b[31m"), KeyError("x"), MemoryError(), RecursionError("deep")])
async def test_an_error_nobody_thought_of_fails_the_run(
    error: Exception, site: Site, open_service: OpenService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a step; the process goes on and takes the run back."""
    service = await open_service(**PLAIN)
    site.push("two")
    run = await service.apply(actor=TESTER)
    await finish(service, run)
    folder, plan = service.runs.folder(run), service.runs.folder(run).find_plan()
    assert plan is not None

    async def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(work.Work, "command", fail)
    site.push("three")
    (folder.path / JOURNAL).unlink()
    journal = Journal(folder)
    pipeline = Pipeline(plan, journal)
    before = site.head()
    await pipeline.run()
    journal.close()
    assert (pipeline.state.failed_step, site.head(), site.clean()) == ("dependencies", before, True)
    assert f"unexpected {type(error).__name__}" in (pipeline.state.error or "")
    assert (pipeline.state.error or "").isprintable()
