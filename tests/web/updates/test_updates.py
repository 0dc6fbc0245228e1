"""Updates by HTTP: document 003, endpoints 1 to 5, on a real site."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from tests.actors import TESTER
from tests.conftest import KEYS, Service
from tests.deployments.site import Site
from tests.web.people import cookie_of, start_with
from tests.web.updates.tokens import SECRET, token

KEYS_OF_AN_UPDATE = {
    "id", "title", "description", "status", "version", "created_at", "updated_at", "applied_at", "rollback_possible",
}  # fmt: skip
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
JWT = {"jwt": {"secret": SECRET}}


@pytest.fixture
async def service(start_service: Any, site: Site) -> Service:
    return await start_with(start_service, site, access=JWT)


async def call(service: Service, method: str, path: str, status: int = 200, **more: Any) -> Any:
    return await service.call(method, path, key=token(), status=status, **more)


async def incoming(service: Service, site: Site, version: str) -> int:
    """Push a version and check for it; return the id of its update."""
    site.push(version)
    await service.services.deployments.check(actor=TESTER)
    newest = (await call(service, "GET", "/api/updates"))[0]
    return int(newest["id"])


async def test_apply_and_roll_back(service: Service, site: Site) -> None:
    assert await call(service, "GET", "/api/updates") == []
    number = await incoming(service, site, "two")
    update = await call(service, "GET", f"/api/updates/{number}")
    assert set(update) == KEYS_OF_AN_UPDATE
    assert (update["status"], update["applied_at"], update["rollback_possible"]) == ("pending", None, True)
    assert update["title"] == "Version two"
    assert isinstance(update["description"], str)
    assert TIME.fullmatch(update["created_at"])
    assert await call(service, "GET", "/api/updates") == [update]

    applied = await call(service, "POST", f"/api/updates/{number}/apply")
    assert set(applied) == {"message", "status", "applied_at"}
    assert applied["status"] == "completed"
    assert site.serving() == "two"
    update = await call(service, "GET", f"/api/updates/{number}")
    assert (update["status"], update["applied_at"]) == ("completed", applied["applied_at"])
    again = await call(service, "POST", f"/api/updates/{number}/apply", 409)
    assert again["code"] == "CONFLICT"

    back = await call(service, "POST", f"/api/updates/{number}/rollback")
    assert set(back) == {"message", "status", "rolled_back_at"}
    assert back["status"] == "completed"
    assert site.serving() == "one"
    update = await call(service, "GET", f"/api/updates/{number}")
    assert (update["status"], update["applied_at"]) == ("pending", None)
    await call(service, "POST", f"/api/updates/{number}/rollback", 409)


async def test_a_failed_apply_is_200_with_error_logs(service: Service, site: Site) -> None:
    """Decision 39."""
    number = await incoming(service, site, "sick")
    answer = await call(service, "POST", f"/api/updates/{number}/apply")
    assert answer["status"] == "failed"
    assert TIME.fullmatch(answer["applied_at"])
    assert site.serving() == "one"
    update = await call(service, "GET", f"/api/updates/{number}")
    assert (update["status"], update["applied_at"]) == ("failed", None)
    page = await call(service, "GET", f"/api/updates/{number}/logs?level=error")
    assert page["total_count"] == len(page["logs"]) > 0
    assert {line["level"] for line in page["logs"]} == {"error"}
    await call(service, "POST", f"/api/updates/{number}/apply", 409)
    await call(service, "POST", f"/api/updates/{number}/rollback", 409)


async def test_only_the_newest_that_allows_it_is_rolled_back(service: Service, site: Site) -> None:
    first = await incoming(service, site, "two")
    await call(service, "POST", f"/api/updates/{first}/apply")
    site.push("three")
    announced = await service.services.deployments.announce(
        version="3.0.0", title="Three", irreversible=True, actor=TESTER
    )
    assert (await call(service, "GET", f"/api/updates/{announced.id}"))["rollback_possible"] is False
    await call(service, "POST", f"/api/updates/{announced.id}/apply")
    assert site.serving() == "three"
    await call(service, "POST", f"/api/updates/{first}/rollback", 409)
    await call(service, "POST", f"/api/updates/{announced.id}/rollback", 409)
    assert [each["id"] for each in await call(service, "GET", "/api/updates")] == [announced.id, first]


async def test_logs_are_paged_newest_first(service: Service, site: Site) -> None:
    number = await incoming(service, site, "two")
    empty = await call(service, "GET", f"/api/updates/{number}/logs")
    assert empty == {"logs": [], "total_count": 0, "limit": 50, "offset": 0}
    await call(service, "POST", f"/api/updates/{number}/apply")
    page = await call(service, "GET", f"/api/updates/{number}/logs?limit=3&offset=1")
    everything = await call(service, "GET", f"/api/updates/{number}/logs?limit=1000")
    assert (page["limit"], page["offset"], len(page["logs"])) == (3, 1, 3)
    assert page["logs"] == everything["logs"][1:4]
    assert page["total_count"] == everything["total_count"] == len(everything["logs"])
    ids = [line["id"] for line in everything["logs"]]
    assert ids == sorted(ids, reverse=True)
    for line in everything["logs"]:
        assert set(line) == {"id", "timestamp", "level", "message", "component"}
        assert TIME.fullmatch(line["timestamp"])
    assert {"git_fetch", "git_pull", "restart"} <= {line["component"] for line in everything["logs"]}
    for level in ("info", "warning", "error", "critical"):
        lines = (await call(service, "GET", f"/api/updates/{number}/logs?level={level}"))["logs"]
        assert all(line["level"] == level for line in lines)


async def test_a_query_that_does_not_fit_is_400(service: Service) -> None:
    update = await service.services.deployments.announce(version="2.0.0", actor=TESTER)
    for query in (
        *("level=debug", "level=INFO", "level=", "limit=", "limit=0", "limit=1001", "limit=-1", "limit=x", "limit=1e2"),
        *("offset=-1", "offset=x", "offset=99999999999999999999"),
    ):
        answer = await call(service, "GET", f"/api/updates/{update.id}/logs?{query}", 400)
        assert set(answer["errors"]) == {query.partition("=")[0]}
        await call(service, "GET", f"/api/updates/{update.id + 1}/logs?{query}", 404)


async def test_unknown_updates(service: Service) -> None:
    for number in ("0", "999", "-1", "abc", "1.0", "9" * 30, "%2e%2e", "1%00"):
        for method, path in (("GET", ""), ("POST", "/apply"), ("POST", "/rollback"), ("GET", "/logs")):
            assert (await call(service, method, f"/api/updates/{number}{path}", 404))["code"] == "NOT_FOUND"


async def test_who_may_not(service: Service, site: Site) -> None:
    update = await service.services.deployments.announce(version="2.0.0", actor=TESTER)
    routes = [("GET", path) for path in ("", "/{id}", "/{id}/logs")]
    routes += [("POST", path) for path in ("/{id}/apply", "/{id}/rollback")]
    refused = (
        {},
        {"Authorization": f"Bearer {KEYS['admin']}"},
        {"Authorization": f"Bearer {token(lasts_s=-61)}"},
        {"X-API-Key": KEYS["admin"]},
        await cookie_of(service, "admin"),
    )
    for method, path in routes:
        for headers in refused:
            for number in (update.id, 999):
                place = f"/api/updates{path.format(id=number)}"
                assert (await service.call(method, place, headers=headers, status=401))["code"] == "UNAUTHORIZED"
    assert site.head() == site.first


async def test_updates_of_other_deployments_are_unknown(start_service: Any, site: Site) -> None:
    records = [site.record(), site.record(id="other")]
    service = await start_service(deployments=records, access=JWT)
    theirs = await service.services.deployments.announce("other", version="9.0.0", actor=TESTER)
    assert await call(service, "GET", "/api/updates") == []
    await call(service, "GET", f"/api/updates/{theirs.id}", 404)
    await call(service, "POST", f"/api/updates/{theirs.id}/apply", 404)


async def test_two_applies_at_once_are_one(service: Service, site: Site) -> None:
    number = await incoming(service, site, "two")
    path = f"{service.url}/api/updates/{number}/apply"
    headers = {"Authorization": f"Bearer {token()}"}

    async def apply() -> int:
        async with service.session.post(path, headers=headers) as response:
            return response.status

    assert sorted(await asyncio.gather(*(apply() for _ in range(4)))) == [200, 409, 409, 409]
    assert site.serving() == "two"


async def test_without_a_deployment(start_service: Any) -> None:
    service = await start_service(access=JWT)
    assert await call(service, "GET", "/api/updates") == []
    await call(service, "GET", "/api/updates/1", 404)


async def test_a_service_that_stops_first_says_so(start_service: Any, site: Site) -> None:
    record = {"steps": [{"name": "dependencies", "command": ["sleep", "3"]}]}
    service = await start_with(start_service, site, record, access=JWT)
    number = await incoming(service, site, "two")
    waiting = asyncio.create_task(call(service, "POST", f"/api/updates/{number}/apply", 503))
    async with asyncio.timeout(30):
        while (await call(service, "GET", f"/api/updates/{number}"))["status"] != "in-progress":
            await asyncio.sleep(0.05)
    service.services.deployments.runs.release()
    assert "restarted" in (await waiting)["message"]
    async with asyncio.timeout(30):
        while await asyncio.to_thread(site.serving) != "two":
            await asyncio.sleep(0.1)


async def test_only_a_token_with_the_named_claim_deploys(start_service: Any, site: Site) -> None:
    claim = {"name": "realm_access.roles", "values": ["deployer"]}
    service = await start_with(start_service, site, access={"jwt": {"secret": SECRET, "deploy_claim": claim}})
    site.push("two")
    await service.services.deployments.check(actor=TESTER)
    user, deployer = token(), token(realm_access={"roles": ["user", "deployer"]})
    number = (await service.call("GET", "/api/updates", key=user, status=200))[0]["id"]
    for verb in ("apply", "rollback"):
        refused = await service.call("POST", f"/api/updates/{number}/{verb}", key=user, status=403)
        assert refused["code"] == "FORBIDDEN"
        assert (await service.call("POST", f"/api/updates/99/{verb}", key=user, status=403))["code"] == "FORBIDDEN"
    assert site.serving() == "one"
    await service.call("POST", f"/api/updates/{number}/apply", key=deployer, status=200)
    assert site.serving() == "two"
    # What the document gives to every token stays open.
    for path in (f"/api/updates/{number}", f"/api/updates/{number}/logs", "/api/7/tasks"):
        await service.call("GET", path, key=user, status=200)
    await service.call("POST", f"/api/updates/{number}/rollback", key=deployer, status=200)


@pytest.mark.parametrize("claims", [{"sub": None}, {"sub": "alice"}, {"sub": "7.0"}, {"sub": None, "id": ""}])
async def test_a_token_that_names_nobody_is_401_everywhere(
    start_service: Any, site: Site, claims: dict[str, Any]
) -> None:
    """Decision 37."""
    service = await start_with(start_service, site, access=JWT)
    for method, path in (
        ("GET", "/api/updates"), ("GET", "/api/updates/1"), ("POST", "/api/updates/1/apply"),
        ("POST", "/api/updates/1/rollback"), ("GET", "/api/updates/1/logs"), ("GET", "/api/7/tasks"),
        ("POST", "/api/7/tasks"), ("PATCH", "/api/7/tasks/1/complete"),
    ):  # fmt: skip
        assert (await service.call(method, path, key=token(**claims), status=401))["code"] == "UNAUTHORIZED"
