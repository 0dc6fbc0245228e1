"""A real Prometheus scrapes a real service: every query of the board has data, and every rule can be evaluated."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from tests.actors import TESTER
from tests.conftest import StartService
from tests.monitoring.prometheus import queries, scraping
from tests.servers.tls import tls_server
from tests.tuf.developer import Developer
from tests.tuf.serving import publish as publish_repository
from tests.web.api.rollouts.releasing import WATCHED, check, release, report
from updater.operations import backups
from updater.operations.facts import tell_facts


async def _live(service: Any, folder: Path) -> None:
    """Let everything be there that the board shows."""
    await service.application()
    await service.publish(b"bytes", "0.9.0")
    await release(service, "1.0.0")
    await release(service, "1.1.0", rollout={"percent": 50, "halt": WATCHED})
    for number in range(60):
        await report(service, "1.1.0", "failed" if number % 2 else "completed")
    await publish_repository(service, Developer(days=30))
    async for _ in backups.backup(service.services, TESTER, folder=str(folder)):
        pass
    await service.services.overview.certificate.look()
    await service.services.health.check()
    await tell_facts(service.services)


async def _ask(service: Any) -> None:
    while True:
        await check(service)
        await asyncio.sleep(0.05)


@pytest.mark.sqlite("the age of backups is told where they are made")
async def test_every_query_of_the_board_has_data(start_service: StartService, tmp_path: Path) -> None:
    with tls_server(tmp_path, 5) as (port, _):
        service = await start_service(server={"public_url": f"https://localhost:{port}"})
        await _live(service, tmp_path / "backup")
        asking = asyncio.create_task(_ask(service))
        with scraping(tmp_path, [service.url.removeprefix("http://")]) as prometheus:
            silent, until_s = queries("4s"), time.monotonic() + 60
            while silent and time.monotonic() < until_s:
                await asyncio.sleep(0.5)
                silent = [each for each in silent if not await asyncio.to_thread(prometheus.ask, each)]
            rules = await asyncio.to_thread(prometheus.rules)
            while any(rule["health"] == "unknown" for rule in rules) and time.monotonic() < until_s:
                await asyncio.sleep(0.5)
                rules = await asyncio.to_thread(prometheus.rules)
        asking.cancel()
    assert silent == []
    assert [(rule["name"], rule.get("lastError")) for rule in rules if rule["health"] != "ok"] == []
    firing = {rule["name"] for rule in rules if rule["state"] == "firing"}
    assert firing == {"UpdaterRolloutHalted", "UpdaterCertificateExpires"}
