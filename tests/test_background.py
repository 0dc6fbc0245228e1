"""What needs doing once is done by one process, and by another when that one is gone."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest
import structlog

from tests.conftest import Service, StartService, settings_tree
from tests.servers.postgres import Postgres
from updater import background
from updater.composition import open_services
from updater.config import load
from updater.database.leases import Leases
from updater.errors import Unavailable
from updater.processes import jobs
from updater.services import Services


async def test_one_process_at_a_time_tends_and_another_takes_over(
    tmp_path: Path, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "RENEWAL_S", 0.05)
    monkeypatch.setattr(background, "LEASE_S", 3.0)
    turns: dict[str, list[bool]] = {"one": [], "other": []}

    async def tend(name: str, services: Services) -> None:
        async for anew in background._while_leased(services, "work"):
            turns[name].append(anew)

    environment = settings_tree(tmp_path, storage={"root": str(tmp_path), "database_url": postgres.create_migrated()})
    async with AsyncExitStack() as stack:
        tasks = {}
        for name in turns:
            services = await stack.enter_async_context(open_services(load(None, environment)))
            # In one process both would be the same holder.
            services = replace(services, leases=Leases(services.leases._database, name))
            tasks[name] = asyncio.create_task(tend(name, services))
            async with asyncio.timeout(30):
                while not turns["one"]:
                    await asyncio.sleep(0.01)
        await asyncio.sleep(0.5)
        assert turns["one"][0] is True
        assert not any(turns["one"][1:])
        assert turns["other"] == []
        tasks["one"].cancel()
        async with asyncio.timeout(30):
            while len(turns["other"]) < 3:
                await asyncio.sleep(0.01)
        assert turns["other"][:3] == [True, False, False]
        tasks["other"].cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)


async def failing_health(service: Service) -> str:
    answer = await service.call("GET", "/health", key="read", status=200)
    assert (answer["status"] == "degraded") == (answer["components"]["background"]["status"] == "degraded")
    return str(answer["components"]["background"]["message"])


@pytest.mark.parametrize("error", [KeyError("state"), Unavailable("away"), asyncio.CancelledError(), SyntaxError()])
async def test_a_job_that_fails_is_known_counted_and_begun_again(
    start_service: StartService, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    monkeypatch.setattr(jobs, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(jobs, "LONGEST_PAUSE_S", 0.05)
    service = await start_service()
    broken, calls = True, 0

    async def recover() -> None:
        nonlocal calls
        calls += 1
        if broken:
            raise error

    monkeypatch.setattr(background, "_LOOKING_S", 0.01)
    monkeypatch.setattr(service.services.deployments.runs, "recover", recover)
    with structlog.testing.capture_logs() as logs:
        async with background.background(service.services), asyncio.timeout(30):
            while calls < 4:
                await asyncio.sleep(0.01)
            assert "runs_recover" in await failing_health(service)
            text = (await service.exchange("GET", "/metrics"))[1].decode()
            assert 'updater_job_failures_total{job="runs_recover"}' in text
            broken = False
            while service.services.jobs.failing:
                await asyncio.sleep(0.01)
            await asyncio.sleep(1.1)  # health is asked anew once a second
            assert "fail" not in await failing_health(service)
    assert {"job.failed", "job.recovered"} <= {each["event"] for each in logs}


async def test_pauses_grow_to_a_bound_and_begin_anew() -> None:
    kept, outcomes = jobs.Jobs(), iter([True] * 9 + [False, True])

    async def work() -> None:
        if next(outcomes):
            raise ValueError

    pauses = [await kept.attempt("work", work, every_s=5.0) for _ in range(11)]
    assert pauses == [5, 5, 5, 8, 16, 32, 60, 60, 60, 5, 5]
    assert await kept.attempt("daily", work, every_s=86_400) == 60, "no day passes before the next try"


async def test_a_job_ends_when_its_cancellation_shows_as_another_error() -> None:
    async def work() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise Unavailable("interrupted") from None

    task = asyncio.create_task(jobs.Jobs().repeat("work", work, every_s=1))
    await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait({task}, timeout=5)
    assert task.cancelled()


async def test_no_task_outlives_the_jobs(start_service: StartService, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such a task would use the database while it is closed, and wait for ever."""
    services = (await start_service()).services

    async def slow_to_end() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.2)  # as a statement that is taken back

    monkeypatch.setattr(services.access, "flush_used", slow_to_end)
    before = asyncio.all_tasks()
    async with background.background(services):
        await asyncio.sleep(0.2)
    assert [task.get_coro().__qualname__ for task in asyncio.all_tasks() - before if "Jobs" in repr(task)] == []


async def test_a_job_ends_when_it_is_cancelled() -> None:
    task = asyncio.create_task(jobs.Jobs().repeat("work", asyncio.Event().wait, every_s=1))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
