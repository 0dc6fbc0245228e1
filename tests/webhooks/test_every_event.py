"""Each event there is happens for real, and arrives at a real receiver: nothing is written into the audit by hand."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.actors import TESTER
from tests.conftest import DATABASE, Service
from tests.deployments.site import Site
from tests.web.api.rollouts.releasing import WATCHED, move, put, release, report
from tests.webhooks.receiving import Receiving, receiving
from updater.clock import utc_now
from updater.errors import Failure
from updater.operations.backups import backup
from updater.operations.facts import tell_facts
from updater.webhooks.events import EVENTS

API = "/api/v1"
PLAN = {"stages": [{"percent": 50, "for_s": 9_000}, {"percent": 60, "for_s": 9_000}, {"percent": 100}], "halt": WATCHED}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path / "site")
    made.start()
    yield made
    made.stop()


@pytest.fixture
async def told(start_service: Any, site: Site) -> AsyncIterator[tuple[Service, Receiving, Receiving]]:
    """A service with a deployment, a receiver of everything, and one of `my-app`."""
    allowed = {"allow_private": ["127.0.0.0/8"]}
    service: Service = await start_service(
        webhooks=allowed, deployments=[site.record(health={**site.record()["health"], "within_s": 1})]
    )
    await service.application(channels=["stable", "beta"])
    async with receiving() as everything, receiving() as own:
        await service.services.webhooks.create(None, {"url": everything.url}, actor=TESTER)
        await service.services.webhooks.create("my-app", {"url": own.url}, actor=TESTER)
        task = asyncio.create_task(service.services.webhooks.delivery.run())
        yield service, everything, own
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_each_event_arrives(told: tuple[Service, Receiving, Receiving], site: Site, tmp_path: Path) -> None:
    """Those of an application also at its own receiver, which hears of nothing else."""
    service, everything, own = told
    await releases(service)
    await rollouts(service)
    await damage(service)
    await service.services.access.create_key("old", "read", expires_at=utc_now() + timedelta(days=3), actor=TESTER)
    assert await tell_facts(service.services) == 2
    assert await tell_facts(service.services) == 0
    await backups(service, tmp_path)
    await deployments(service, site)

    wanted = set(EVENTS) - ({"backup.failed"} if DATABASE == "postgres" else set())
    # A run is told of when it is settled, which is a little after its end is seen.
    async with asyncio.timeout(60):
        while not wanted <= (seen := Counter(each.tree["type"] for each in everything.got)).keys() or (
            seen["deployment.failed"] < 2
        ):
            await asyncio.sleep(0.05)
        await asyncio.sleep(1.2)
    counted = Counter(each.tree["type"] for each in everything.got)
    assert set(counted) == wanted
    once = ("release.failing", "blob.damaged", "key.expiring", "rollout.halted", "deployment.finished")
    assert [counted[each] for each in once] == [1] * 5
    assert counted["deployment.failed"] == 2, "one that did not come up, and one that ended before it had anything"
    assert len({each.id for each in everything.got}) == len(everything.got)
    data = [(each.id, each.tree["data"]) for each in everything.got]
    mine = [name for name, each in data if "my-app" in (each.get("application"), *each.get("applications", ()))]
    assert [each.id for each in own.got] == mine
    assert "actor" not in str([each.tree for each in own.got])


async def releases(service: Service) -> None:
    for version in ("1.0.0", "1.0.1"):
        await release(service, version, channel="beta")
    await move(service, "1.0.0", "promote", {"channel": "stable"})
    await move(service, "1.0.1", "withdraw", {"reason": "It loses settings"})
    await move(service, "1.0.1", "restore", key="admin")
    await service.call("DELETE", f"{API}/updates/my-app/releases/1.0.1", key="admin", status=200)


async def rollouts(service: Service) -> None:
    await release(service, "1.1.0", rollout=PLAN)
    for verb in ("pause", "resume", "advance", "complete"):
        await move(service, "1.1.0", f"rollout/{verb}")
    await release(service, "1.2.0", rollout={**PLAN, "min_reports": 0})
    for number in range(40):
        await report(service, "1.0.0")
        await report(service, "1.2.0", "failed" if number % 2 else "completed")
    await release(service, "1.3.0")
    for number in range(60):
        await report(service, "1.3.0", "failed" if number % 2 else "completed")
    await put(service, "1.3.0", PLAN)


async def damage(service: Service) -> None:
    made = await service.publish(version="2.0.0")
    path = service.services.artifacts.blobs.locate(made["checksum"])
    assert path is not None
    path.write_bytes(b"BYTES")
    await service.exchange("GET", f"{API}/updates/my-app/download/2.0.0/linux/amd64")
    await service.services.artifacts.scrub(actor=TESTER, within_s=1, elapsed_s=1_000_000)


async def backups(service: Service, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(Failure):
        async for _ in backup(service.services, TESTER, folder=str(tmp_path / "file" / "below")):
            pass


async def deployments(service: Service, site: Site) -> None:
    site.push("two")
    assert await run(service) == "succeeded"
    site.push("dies at once")
    assert await run(service) == "restored"
    site.remote.rename(site.folder / "gone")
    assert await run(service) == "unchanged"


async def run(service: Service) -> str:
    async with asyncio.timeout(60):
        # The process of the run before ends a little later than its work.
        while "run" not in (started := await service.call("POST", f"{API}/deployments/web/update", key="admin")):
            await asyncio.sleep(0.1)
        while True:
            found = await service.call("GET", f"{API}/deployments/web/runs/{started['run']}", key="admin", status=200)
            if found["outcome"] != "running":
                return str(found["outcome"])
            await asyncio.sleep(0.1)
