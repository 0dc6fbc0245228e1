"""Channels, rollouts, counts, sources and halts go along: into a backup and back, and into the other database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient

from tests.backups.test_backups import back_up, restore
from tests.conftest import OwnServer, Service, settings_tree
from tests.database.test_moving import Serve, migrate, serve  # noqa: F401 - a fixture
from tests.servers.postgres import Postgres
from tests.web.api.rollouts.releasing import LINUX, UPDATES, move, put, release, report, shown
from tests.web.api.rollouts.test_arms import failing
from tests.web.api.rollouts.test_plans import ahead
from updater.app import build_app, make_runner
from updater.composition import open_services
from updater.config import load

VERSIONS = [f"1.{number}.0" for number in range(6)]


async def fill(service: Service) -> None:
    """Have a rollout in each state, with counts, a halt, a lifted one, sources and a withdrawn release."""
    await service.application(channels=["stable", "beta", "nightly"], default_rollout={"percent": 100})
    await release(service, "1.0.0")
    await release(service, "1.1.0", channel="beta", rollout={"percent": 12.5, "halt": {"per_address": 2}})
    for number in range(3):
        await report(service, "1.1.0", client_id=f"c{number}")
        await report(service, "1.0.0", "failed", client_id=f"c{number}", channel="beta")
    await release(service, "1.2.0", rollout={"percent": 50, "start_at": ahead(days=3)})
    stages = [{"percent": 40, "for_s": 3600}, {"percent": 100, "for_s": 60}]
    await release(service, "1.3.0", rollout={"stages": stages, "halt": {"min_addresses": 1, "per_address": 1000}})
    await failing(service, "1.3.0")
    await move(service, "1.3.0", "rollout/resume", {"accept": True, "reason": "a test"})
    await failing(service, "1.3.0")
    await move(service, "1.3.0", "rollout/pause")
    await release(service, "1.4.0", rollout={"stages": stages})
    await move(service, "1.4.0", "withdraw")
    await release(service, "1.5.0", channel="nightly", rollout=3)
    await move(service, "1.5.0", "rollout/complete")


async def told(service: Service) -> dict[str, Any]:
    """Return all that the service tells of it."""
    asked = [
        "/api/v1/applications/my-app",
        f"{UPDATES}/rollouts",
        f"{UPDATES}/history?limit=1000",
        *(f"{UPDATES}/releases/{version}" for version in VERSIONS),
    ]
    found = {path: await service.call("GET", path, key="read", status=200) for path in asked}
    for client in range(10):
        for channel in ("stable", "nightly"):
            query = {"current_version": "0.1.0", **LINUX, "client_id": f"c{client}", "channel": channel}
            explained = await service.call("GET", f"{UPDATES}/explain", key="read", params=query, status=200)
            explained.pop("evaluated_at")
            explained["answer"].pop("download_url", None)
            found[f"{client} {channel}"] = explained
    return found


async def goes_on(service: Service) -> None:
    """What was counted from a source still counts against its bound; states go on."""
    await report(service, "1.1.0", client_id="c1")
    await report(service, "1.1.0", client_id="new", headers={"X-Forwarded-For": "203.0.113.1"})
    arm = (await shown(service, "1.1.0"))["platforms"][0]["rollout"]
    assert arm == {"completed": 2, "failed": 0, "ignored": 3, "failed_addresses": 0}, "sources are known still"
    await move(service, "1.3.0", "rollout/complete", status=409)
    assert (await move(service, "1.3.0", "rollout/resume"))["platforms"][0]["state"] == "halted"
    assert (await move(service, "1.4.0", "restore", key="admin"))["rollout"]["stage"]["number"] == 1
    await put(service, "1.5.0", {"percent": 9})
    await release(service, "1.6.0", channel="beta")


def hold_equal(found: dict[str, Any], expected: dict[str, Any]) -> None:
    for path, answer in expected.items():
        assert found[path] == answer, path


async def test_into_the_other_database(serve: Serve, postgres: Postgres, tmp_path: Path) -> None:  # noqa: F811
    url = postgres.create_database()
    async with serve(None) as before:
        await fill(before)
        expected = await told(before)
    status, _, err = await migrate(tmp_path / "storage", url)
    assert status == 0, err
    async with serve(url) as after:
        hold_equal(await told(after), expected)
        await goes_on(after)


@pytest.mark.sqlite("a backup holds a copy of the embedded database; for others pg_dump makes it")
async def test_into_a_backup_and_back(service: Any, tmp_path: Path, aiohttp_client: Any) -> None:
    await service.call("DELETE", "/api/v1/applications/my-app", key="admin")
    await fill(service)
    expected = await told(service)
    await back_up(service, tmp_path / "backup")
    await restore(tmp_path / "backup", tmp_path / "restored")
    settings = load(None, settings_tree(tmp_path / "restored"))
    async with open_services(settings) as services:
        client: TestClient[Any, Any] = await aiohttp_client(OwnServer(make_runner(build_app(services), settings)))
        restored = Service(services, client.session, str(client.make_url("")).rstrip("/"))
        hold_equal(await told(restored), expected)
        await goes_on(restored)
        await client.close()
