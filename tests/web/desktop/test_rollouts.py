"""Installed desktop apps under channels and rollouts: DK-1 and DK-2 of the contract, and what is counted of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import update

from tests.conftest import StartService
from tests.web.api.rollouts.test_dice import an_id, is_inside
from tests.web.desktop.conftest import Desktop
from updater.database.rollout_tables import rollout_platform

REST = "/api/v1/updates/bkgt-manager"


@pytest.fixture
async def desktop(start_service: StartService) -> Desktop:
    service = await start_service(desktop=[{}], server={"trusted_proxies": ["127.0.0.0/8"]})
    fields = {"channels": ["stable", "beta"]}
    await service.call("PUT", "/api/v1/applications/bkgt-manager", key="admin", json=fields, status=200)
    return Desktop(service)


async def post(desktop: Desktop, version: str, verb: str, body: Any = None, key: str = "write") -> Any:
    path = f"{REST}/releases/{version}/{verb}"
    return await desktop.service.call("POST", path, key=key, json=body or {}, status=200)


async def put(desktop: Desktop, version: str, plan: Any) -> str:
    """Set a plan; return the salt."""
    path = f"{REST}/releases/{version}/rollout"
    plan = plan if isinstance(plan, dict) else {"percent": plan}
    salt: str = (await desktop.service.call("PUT", path, key="write", json=plan, status=200))["salt"]
    return salt


async def latest(desktop: Desktop, client: str | None = None, agent: str | None = None, **query: str) -> str:
    headers = {} if client is None else {"X-Client-Id": client}
    headers |= {"User-Agent": f"BKGT-Manager/{agent} (win32-x64)"} if agent else {}
    found: str = (await desktop.call("GET", "/latest", params=query, headers=headers, status=200))["version"]
    return found


async def belongs_on(desktop: Desktop, current: str, client: str | None = None, **query: str) -> Any:
    headers = {} if client is None else {"X-Client-Id": client}
    answer = await desktop.call("GET", f"/compatibility/{current}", params=query, headers=headers, status=200)
    return answer["latest_compatible_version"]


async def halt(desktop: Desktop, platform: str) -> None:
    """Halt a platform beside every service."""
    services = desktop.service.services
    async with services.catalog._database.write() as connection:
        values = {"halted_at": datetime.now(UTC), "halt": {"reason": "above_max_failure_rate"}}
        await connection.execute(update(rollout_platform).where(rollout_platform.c.platform == platform).values(values))
    await services.offers.load()


async def rolled_out(desktop: Desktop, percent: Any = 30) -> str:
    """Publish 1.0.0 for everybody and 1.1.0 for some, for two platforms; return the salt."""
    for version in ("1.0.0", "1.1.0"):
        for platform in ("win32-x64", "linux-x64"):
            await desktop.upload(version, platform)
    return await put(desktop, "1.1.0", percent)


async def test_the_id_in_the_header_decides_both_answers(desktop: Desktop) -> None:
    salt = await rolled_out(desktop)
    for number in range(20):
        client = f"c{number}"
        expected = "1.1.0" if is_inside(salt, client, 30) else "1.0.0"
        assert await latest(desktop, client) == expected
        assert await latest(desktop, client, platform="win32-x64") == expected
        assert await belongs_on(desktop, "0.9.0", client) == expected
        assert await latest(desktop, client, agent="0.9.0") == expected


@pytest.mark.parametrize(
    ("address", "identity"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
    ],
)
async def test_without_an_id_the_address_decides(desktop: Desktop, address: str, identity: str) -> None:
    salt = await rolled_out(desktop)
    for percent in (30, 70):
        await put(desktop, "1.1.0", percent)
        for headers in ({}, {"X-Client-Id": "x" * 201}, {"X-Client-Id": ""}):
            headers = {**headers, "X-Forwarded-For": address}
            answer = await desktop.call("GET", "/latest", headers=headers, status=200)
            assert answer["version"] == ("1.1.0" if is_inside(salt, identity, percent) else "1.0.0")


async def test_answers_are_to_the_letter(desktop: Desktop) -> None:
    """The same keys as without a rollout, and an answer that caches hold only to ask again."""
    await rolled_out(desktop, 0)
    before = await desktop.exchange("GET", "/latest", status=200)
    compatibility = await desktop.call("GET", "/compatibility/1.0.0", status=200)
    assert compatibility == {
        "compatible": True,
        "latest_compatible_version": "1.0.0",
        "requires_update": False,
        "reason": "Version 1.0.0 needs no update",
    }
    salt = await put(desktop, "1.1.0", 50)
    inside = {"X-Client-Id": an_id(salt, 50, inside=True)}
    response, _ = await desktop.exchange("GET", "/latest", headers=inside, status=200)
    assert set(await response.json()) == set(await before[0].json())
    assert response.headers["Cache-Control"] == before[0].headers["Cache-Control"] == "private, no-cache"
    again = {**inside, "If-None-Match": response.headers["ETag"]}
    await desktop.exchange("GET", "/latest", headers=again, status=304)
    outside = {"X-Client-Id": an_id(salt, 50, inside=False), "If-None-Match": response.headers["ETag"]}
    await desktop.exchange("GET", "/latest", headers=outside, status=200)
    assert await desktop.call("GET", "/compatibility/1.0.0", headers=inside, status=200) == {
        "compatible": True,
        "latest_compatible_version": "1.1.0",
        "requires_update": True,
        "reason": "Version 1.0.0 can update to 1.1.0",
    }


@pytest.mark.parametrize("state", ["zero", "paused", "halted", "scheduled", "outside"])
async def test_its_own_version_stays_visible(desktop: Desktop, state: str) -> None:
    salt = await rolled_out(
        desktop, {"percent": 50, "start_at": "2027-01-01T00:00:00Z"} if state == "scheduled" else 50
    )
    client = an_id(salt, 50, inside=state != "outside")
    if state == "zero":
        await put(desktop, "1.1.0", 0)
    if state == "paused":
        await post(desktop, "1.1.0", "rollout/pause")
    if state == "halted":
        await halt(desktop, "windows")
    for query in ({}, {"platform": "win32-x64"}):
        assert await belongs_on(desktop, "1.0.0", client, **query) == "1.0.0"
        assert await belongs_on(desktop, "1.1.0", client, **query) == "1.1.0"
        assert await latest(desktop, client, agent="1.1.0", **query) == "1.1.0"
        assert await latest(desktop, client, agent="1.0.0", **query) == "1.0.0"
    await post(desktop, "1.1.0", "withdraw")
    answer = await desktop.call("GET", "/compatibility/1.1.0", headers={"X-Client-Id": client}, status=200)
    assert (answer["compatible"], answer["latest_compatible_version"]) == (True, None), "ahead, and never down"


async def test_halts_with_and_without_a_named_platform(desktop: Desktop) -> None:
    salt = await rolled_out(desktop, 50)
    client = an_id(salt, 50, inside=True)
    await halt(desktop, "linux")
    assert await latest(desktop, client, platform="win32-x64") == "1.1.0"
    assert await latest(desktop, client, platform="linux-x64") == "1.0.0"
    assert await latest(desktop, client) == "1.0.0"
    assert await latest(desktop, client, agent="0.9.0") == "1.1.0", "the User-Agent names win32-x64"
    assert await belongs_on(desktop, "0.9.0", client, platform="win32-x64") == "1.1.0"
    assert await belongs_on(desktop, "0.9.0", client, platform="linux-x64") == "1.0.0"
    assert await belongs_on(desktop, "0.9.0", client) == "1.0.0"


async def test_deactivated_is_withdrawn(desktop: Desktop) -> None:
    salt = await rolled_out(desktop, 50)
    client = an_id(salt, 50, inside=True)
    await desktop.deactivate("1.1.0")
    assert await latest(desktop, client) == "1.0.0"
    found = await desktop.service.call("GET", f"{REST}/releases/1.1.0", key="read", status=200)
    assert (found["status"], found["rollout"]["percent"]) == ("withdrawn", 50.0)
    page = await desktop.service.call("GET", f"{REST}/history", key="read", status=200)
    entry = page["entries"][0]
    assert (entry["action"], entry["before"], entry["after"]) == (
        "release.withdrawn",
        {"status": "active"},
        {"status": "withdrawn"},
    )
    await desktop.deactivate("1.1.0")
    again = await desktop.service.call("GET", f"{REST}/history", key="read", status=200)
    assert again["total_count"] == page["total_count"]
    await post(desktop, "1.1.0", "restore", key="admin")
    assert await latest(desktop, client) == "1.1.0"
    listed = await desktop.listed()
    assert [(each["version"], each["status"]) for each in listed["updates"]] == [
        ("1.1.0", "active"),
        ("1.0.0", "active"),
    ]


async def test_what_is_not_visible_is_downloaded_and_what_is_withdrawn_is_not(desktop: Desktop) -> None:
    await rolled_out(desktop, 0)
    assert (await desktop.download("1.1.0", status=200))[1] == b"1.1.0 win32-x64"
    await halt(desktop, "windows")
    await desktop.download("1.1.0", status=200)
    await desktop.exchange("HEAD", "/download/1.1.0/win32-x64", status=200)
    await desktop.download("1.1.0", headers={"Range": "bytes=0-1"}, status=206)
    await post(desktop, "1.1.0", "withdraw")
    await desktop.download("1.1.0", status=404)
    await desktop.service.call("GET", f"{REST}/download/1.1.0/windows/amd64", key="read", status=404)


async def test_uploads_get_the_default_rollout(desktop: Desktop) -> None:
    path = "/api/v1/applications/bkgt-manager"
    await desktop.upload("1.0.0")
    await desktop.service.call("PUT", path, key="admin", json={"default_rollout": 0}, status=200)
    await desktop.upload("1.1.0")
    await desktop.upload("1.1.0", "linux-x64")
    assert await latest(desktop, "c") == "1.0.0"
    found = await desktop.service.call("GET", f"{REST}/releases/1.1.0/rollout", key="read", status=200)
    assert (found["percent"], [each["platform"] for each in found["platforms"]]) == (0.0, ["linux", "windows"])
    await desktop.upload("1.0.0", "linux-x64")
    answer = await desktop.service.call("GET", f"{REST}/releases/1.0.0/rollout", key="read", status=404)
    assert answer["code"] == "NOT_FOUND", "a release from before keeps what it had"


async def test_reports_count_with_their_ids(desktop: Desktop) -> None:
    await rolled_out(desktop, {"percent": 50, "halt": {"per_address": 3, "min_addresses": 5}})
    body = {"current_version": "1.0.0", "target_version": "1.1.0", "platform": "win32-x64", "status": "failed"}

    async def tell(client: str, address: str, **more: str) -> None:
        headers = {"X-Client-Id": client, "X-Forwarded-For": address}
        await desktop.call("POST", "/status", json={**body, **more}, headers=headers, status=200)

    await tell("a", "203.0.113.1")
    await tell("a", "203.0.113.2")
    await tell("b", "203.0.113.3", status="completed")
    await tell("a", "203.0.113.4", target_version="1.0.0", status="completed")
    found = await desktop.service.call("GET", f"{REST}/releases/1.1.0/rollout", key="read", status=200)
    windows = next(each for each in found["platforms"] if each["platform"] == "windows")
    assert windows["rollout"] == {"completed": 1, "failed": 1, "ignored": 1, "failed_addresses": 1}
    assert windows["control"] == {"completed": 1, "failed": 0, "ignored": 0}


async def test_only_the_first_channel(desktop: Desktop) -> None:
    await desktop.upload("1.0.0")
    params = {"channel": "beta"}
    for version in ("1.1.0", "1.2.0"):
        path = f"{REST}/builds/{version}/windows/amd64"
        await desktop.service.call("PUT", path, key="write", data=version.encode(), params=params, status=201)
    for agent in (None, "0.9.0"):
        assert await latest(desktop, "c", agent=agent) == "1.0.0"
        assert await latest(desktop, "c", agent=agent, channel="beta") == "1.0.0"
    assert await belongs_on(desktop, "1.0.0") == "1.0.0"
    await post(desktop, "1.1.0", "promote", {"channel": "stable"})
    assert await latest(desktop, "c") == "1.1.0"
    await post(desktop, "1.2.0", "promote", {"channel": "stable", "rollout": {"percent": 0}})
    assert await latest(desktop, "c") == "1.1.0"
