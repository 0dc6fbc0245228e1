"""What needs doing once is done by one process, and by another when that one is gone."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import settings_tree
from tests.servers.postgres import Postgres
from updater import background
from updater.composition import open_services
from updater.config import load
from updater.database.leases import Leases
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
