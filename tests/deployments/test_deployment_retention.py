"""Old logs and updates of deployments are removed, and nothing that is still needed.

Controls: a store that keeps no runs, one that forgets what is in progress or not imported, one that forgets the update
in place; `apply_retention` without `_forget_runs`; a start that does not prune.
"""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.actors import TESTER
from tests.conftest import StartService
from tests.deployments.conftest import OpenService, finish
from tests.deployments.site import Site
from updater import background
from updater.deployments import journal
from updater.deployments.model import Event, Kind, LogLevel, Plan, Transition, Update, UpdateStatus
from updater.deployments.runs import KEPT_RUNS
from updater.deployments.service import DeploymentService
from updater.deployments.store import DeploymentStore
from updater.settings import DeploymentSettings

OLD = datetime(2024, 1, 1, tzinfo=UTC)


async def test_the_last_runs_and_what_is_pending_stay(site: Site, open_service: OpenService) -> None:
    service = await open_service()
    runs = []
    for version in ("two", "sick", "four"):
        site.push(version)
        runs.append(await service.apply(actor=TESTER))
        await finish(service, runs[-1])
        await asyncio.sleep(1)  # names of runs tell the second
    await service.announce(version="9.0.0", actor=TESTER)
    before = await service.list_updates()
    assert [each.status for each in before] == [
        UpdateStatus.PENDING,
        UpdateStatus.COMPLETED,
        UpdateStatus.FAILED,
        UpdateStatus.COMPLETED,
    ]
    lines = (await service.list_logs()).total_count
    last = (await service.list_update_logs(before[1].id)).total_count
    for more in ({"keep_days": 400, "keep_runs": 1}, {"keep_days": 0, "keep_runs": 3}):
        assert await service.forget(**more) == (0, 0)
    assert await service.forget(keep_days=0, keep_runs=1) == (lines - last, 2)
    assert await service.list_updates() == before[:2]
    assert (await service.list_logs()).total_count == last > 0
    assert await service.forget(keep_days=0, keep_runs=1) == (0, 0)
    await finish(service, await service.rollback(actor=TESTER))


class Past:
    """A store that is filled with runs of long ago."""

    def __init__(self, store: DeploymentStore) -> None:
        self.store = store

    async def run(self, number: int, *turns: Transition, deployment: str = "web", lines: int = 3) -> Update:
        """Add a run, a day after the one before, with an update and its log."""
        at, name = OLD + timedelta(days=number), self.name(number)
        update = await self.store.insert(
            Update(0, deployment, f"{number}.0", "t", "d", UpdateStatus.PENDING, True, at, at, run=name), TESTER
        )
        data = {"level": LogLevel.INFO, "component": None, "message": "m"}
        events = [Event(each + 1, at, "log", data) for each in range(lines)]
        await self.store.import_lines(deployment, name, update.id, events)
        for turn in turns:
            changes = {"applied_at": at} if turn is Transition.APPLIED else {}
            update = await self.store.transition(update.id, turn, at, TESTER, **changes)
        return update

    def name(self, number: int) -> str:
        return f"{OLD + timedelta(days=number):%Y%m%dT%H%M%SZ}-{number:08x}"

    async def left(self, deployment: str = "web") -> list[tuple[str, int]]:
        """Return the versions of the updates that are left, and how many lines each has."""
        found = []
        for update in await self.store.list_updates(deployment):
            page = await self.store.list_update_logs(update.id, level=None, limit=1, offset=0)
            found.append((update.version, page.total_count))
        return found


APPLIED, FAILED, BROUGHT_BACK = (
    (Transition.APPLY, Transition.APPLIED),
    (Transition.APPLY, Transition.NOT_APPLIED),
    (Transition.APPLY, Transition.APPLIED, Transition.ROLL_BACK, Transition.ROLLED_BACK),
)


@pytest.fixture
async def service(open_service: OpenService) -> DeploymentService:
    return await open_service()


async def test_unfinished_work_and_what_is_in_place_stay(service: DeploymentService, tmp_path: Path) -> None:
    past = Past(service._store)
    await past.run(1, *FAILED)
    await past.run(2, Transition.APPLY)
    await past.run(3, *BROUGHT_BACK)
    await past.run(4, *APPLIED)
    await past.run(5, *APPLIED)
    await past.run(6, *FAILED)
    await past.run(7, *FAILED)
    folder = tmp_path / "data" / "deployments" / "web" / "runs" / past.name(6)
    folder.mkdir(parents=True)
    assert await service.forget(keep_days=400, keep_runs=1) == (9, 2)
    # In progress; brought back and so pending, of which only the log goes; in place; not imported; the last one.
    assert await past.left() == [("7.0", 3), ("6.0", 3), ("5.0", 3), ("3.0", 0), ("2.0", 3)]
    (folder / journal.IMPORTED).touch()
    assert await service.forget(keep_days=400, keep_runs=1) == (3, 1)


async def test_each_deployment_keeps_its_own_last_runs(service: DeploymentService) -> None:
    """Also one that is no longer in the settings; and what is many goes in pieces."""
    past = Past(service._store)
    for number in range(4):
        await past.run(number, *FAILED, lines=2_500)
        await past.run(100 + number, *FAILED, deployment="gone")
    assert await service.forget(keep_days=400, keep_runs=2) == (2 * 2_500 + 2 * 3, 4)
    assert await past.left() == [("3.0", 2_500), ("2.0", 2_500)]
    assert await past.left("gone") == [("103.0", 3), ("102.0", 3)]


async def test_it_is_done_by_itself(start_service: StartService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "_HOUSEKEEPING_S", 0)
    services = (await start_service(retention={"deployment_runs": 1})).services
    past = Past(services.deployments._store)
    await past.run(1, *FAILED)
    await past.run(2, *FAILED)
    keeping = asyncio.create_task(background.apply_retention(services))
    async with asyncio.timeout(30):
        while await past.left() != [("2.0", 3)]:
            await asyncio.sleep(0.02)
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)


async def test_a_start_leaves_no_more_folders_than_a_run_would(
    site: Site, open_service: OpenService, tmp_path: Path
) -> None:
    home = tmp_path / "data" / "deployments" / "web"
    deployment: Any = DeploymentSettings("web", "/srv/web")
    for number in range(KEPT_RUNS + 3):
        at = OLD + timedelta(days=number)
        folder, watch = journal.RunFolder.create(home, Plan(journal.new_run_id(at), Kind.APPLY, deployment, at))
        os.close(watch)
        folder.mark_imported()
    await open_service()
    assert len(journal.list_runs(home)) == KEPT_RUNS
