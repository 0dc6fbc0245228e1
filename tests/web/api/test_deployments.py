"""Deployments over the REST API, on real checkouts: how they stand, update, rollback, runs, log, events."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.actors import TESTER
from tests.conftest import Service
from tests.deployments.site import Site
from tests.web.people import cookie_of

ALL = "/api/v1/deployments"
WEB = f"{ALL}/web"


@pytest.fixture
async def service(start_service: Any, site: Site, tmp_path: Path) -> Service:
    """Return a service with a working deployment, one that is busy, and one that is not there."""
    other = Site(tmp_path / "other")
    busy = [
        {"command": ["echo", "3 renders\x1b[2J are on"]},
        {"url": f"http://127.0.0.1:{other.port}/busy?token=secret"},
    ]
    records = [site.record(), other.record(id="busy", busy=busy), {"id": "gone", "path": str(tmp_path / "nowhere")}]
    started: Service = await start_service(deployments=records)
    return started


async def finished(service: Service, run: str) -> Any:
    async with asyncio.timeout(60):
        while True:
            found = await service.call("GET", f"{WEB}/runs/{run}", key="admin")
            if found.get("finished_at") and not (await service.call("GET", WEB, key="admin"))["running"]:
                return found
            await asyncio.sleep(0.1)


async def test_how_all_stand(service: Service, site: Site) -> None:
    found = (await service.call("GET", ALL, key="admin", status=200))["deployments"]
    assert [each["id"] for each in found] == ["web", "busy", "gone"]
    web, busy, gone = found
    assert (web["commit"], web["updates_available"], web["busy"], web["probes"]) == (site.first, 0, False, [])
    assert (web["problem"], web["running"], web["last_run"], web["rollback"]) == (None, None, None, None)
    assert busy["busy"] is True
    assert (busy["probes"][0]["probe"], busy["probes"][0]["busy"]) == ("echo", True)
    assert "renders" in busy["probes"][0]["said"]
    assert busy["probes"][0]["said"].isprintable()
    assert busy["probes"][1]["busy"] is False
    assert "secret" not in json.dumps(busy)
    assert "does not exist" in gone["problem"]
    assert gone["commit"] is None
    assert await service.call("GET", f"{ALL}/gone", key="admin", status=200) == {**gone, "incoming": []}
    await service.call("GET", f"{ALL}/none", key="admin", status=404)


async def test_forward_and_back(service: Service, site: Site) -> None:
    two = site.push("two", "The second version")
    checked = await service.call("POST", f"{WEB}/check", key="admin", status=200)
    assert (checked["latest"], checked["has_update"], checked["diverged"]) == (two, True, False)
    shown = await service.call("GET", WEB, key="admin")
    assert [each["message"] for each in shown["incoming"]] == ["The second version"]
    begun = await service.call("POST", f"{WEB}/update", key="admin", status=202)
    answer, body = await service.exchange("GET", f"{WEB}/runs/{begun['run']}/events", key="admin", status=200)
    assert answer.content_type == "text/event-stream"
    events = [json.loads(line[6:]) for line in body.decode().splitlines() if line.startswith("data: {")][1:]
    assert events[-1]["kind"] == "end"
    assert [each["number"] for each in events] == list(range(1, len(events) + 1))
    seen = {"Last-Event-ID": str(events[-2]["number"])}
    _, rest = await service.exchange("GET", f"{WEB}/runs/{begun['run']}/events", key="admin", headers=seen)
    assert rest.decode().count("id: ") == 1, "only what is new since the last one that was seen"
    done = await finished(service, begun["run"])
    assert (done["outcome"], done["from_commit"], done["to_commit"]) == ("succeeded", site.first, two)
    assert [each["name"] for each in done["steps"]] == ["git_fetch", "git_pull", "dependencies", "restart", "health"]
    async with asyncio.timeout(20):  # what a run did is read into the database soon after its end
        while (shown := await service.call("GET", WEB, key="admin"))["rollback"] is None:
            await asyncio.sleep(0.1)
    assert shown["rollback"]["previous_commit"] == site.first
    back = await service.call("POST", f"{WEB}/rollback", key="admin", status=202)
    assert (await finished(service, back["run"]))["kind"] == "rollback"
    assert site.serving() == "one"
    runs = await service.call("GET", f"{WEB}/runs", key="admin", status=200)
    assert [each["run"] for each in runs["runs"]] == [back["run"], begun["run"]]
    second = await service.call("GET", f"{WEB}/runs?limit=1&offset=1", key="admin")
    assert ([each["run"] for each in second["runs"]], second["total_count"]) == ([begun["run"]], 2)
    log = await service.call("GET", f"{WEB}/runs/{begun['run']}/log?limit=3", key="admin", status=200)
    assert log["logs"][0]["message"].startswith("done: ")
    assert log["total_count"] > 3
    errors = await service.call("GET", f"{WEB}/runs/{begun['run']}/log?level=error", key="admin")
    assert errors["logs"] == []
    await service.call("GET", f"{WEB}/runs/{begun['run']}/log?level=loud", key="admin", status=422)
    for path in ("", "/log", "/events"):
        await service.call("GET", f"{ALL}/busy/runs/{begun['run']}{path}", key="admin", status=404)
        await service.call("GET", f"{WEB}/runs/20200101T000000Z-00000000{path}", key="admin", status=404)
    await service.call("POST", f"{WEB}/rollback", key="admin", status=409)


async def test_a_busy_or_broken_one_is_left_alone(service: Service) -> None:
    assert "in progress" in (await service.call("POST", f"{ALL}/busy/update", key="admin", status=409))["message"]
    assert (await service.call("POST", f"{ALL}/gone/check", key="admin", status=409))["code"] == "CONFLICT"
    await service.call("POST", f"{ALL}/none/update", key="admin", status=404)


async def test_who_may(service: Service) -> None:
    """Keys of administrators and staff that is signed in; a key that publishes restarts no server."""
    _, bound = await service.services.access.create_key("own", "admin", application="my-app", actor=TESTER)
    for method, path in (("GET", ALL), ("GET", WEB), ("POST", f"{WEB}/update"), ("POST", f"{WEB}/rollback")):
        await service.call(method, path, status=401)
        for key in ("read", "write", bound):
            await service.call(method, path, key=key, status=403)
    staff, user = await cookie_of(service, "staff"), await cookie_of(service, "user")
    await service.call("GET", ALL, headers=staff, status=200)
    await service.call("GET", ALL, headers=user, status=403)
    await service.call("POST", f"{ALL}/busy/update", headers=staff, status=409)
    await service.call("POST", f"{WEB}/update", headers={**staff, "Origin": "https://evil.example"}, status=403)
    form = {**staff, "Content-Type": "application/x-www-form-urlencoded"}
    await service.call("POST", f"{WEB}/update", headers=form, data=b"a=b", status=403)
    described = (await service.call("GET", "/api/v1/openapi.json"))["paths"][
        "/api/v1/deployments/{deployment_id}/update"
    ]
    assert described["post"]["description"].endswith("Needs `admin` permission, or a session with `write` permission.")


async def test_a_probe_that_hangs_keeps_nobody_waiting(start_service: Any, site: Site, monkeypatch: Any) -> None:
    monkeypatch.setattr("updater.deployments.service.PROBE_S", 0.3)
    service = await start_service(deployments=[site.record(busy=[{"command": ["sleep", "30"], "timeout_s": 60}])])
    async with asyncio.timeout(5):
        found = await service.call("GET", WEB, key="admin", status=200)
    assert (found["busy"], found["probes"][0]["said"]) == (None, "no answer within 0.3 s")
    async with asyncio.timeout(5):
        while site.sleepers():
            await asyncio.sleep(0.05)


async def test_access_that_is_switched_off_opens_no_deployment(start_service: Any, site: Site) -> None:
    """What changes this machine asks for a person or a key, whatever the settings say of other endpoints.

    Control: red when `admin_keys` lets in whom `AccessService.identify` lets in.
    """
    service: Service = await start_service(deployments=[site.record()], access={"enabled": False})
    for key in (None, "admin"):
        for method, path in (("GET", ALL), ("GET", WEB), ("POST", f"{WEB}/update"), ("POST", f"{WEB}/rollback")):
            await service.exchange(method, path, key=key, status=401)
    staff = await cookie_of(service, "staff")
    await service.exchange("GET", WEB, headers=staff, status=200)
    assert await service.services.deployments.list_updates() == []
