"""Documents 000 and 001 by HTTP, on a real site."""

from __future__ import annotations

import asyncio
import re
import shutil
from typing import Any

import pytest

from tests.actors import TESTER
from tests.conftest import KEYS, Service
from tests.deployments.site import Site
from tests.web.people import cookie_of, start_with
from tests.web.updates.tokens import SECRET, token

CHECK, EXECUTE = "/api/system/update/check", "/api/system/update/execute"
UPDATE, STATUS = "/admin/update/", "/admin/status/"
JSON = {"Content-Type": "application/json"}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


@pytest.fixture
async def service(start_service: Any, site: Site) -> Service:
    return await start_with(start_service, site, access={"jwt": {"secret": SECRET}})


@pytest.fixture
async def admin(service: Service) -> dict[str, str]:
    return await cookie_of(service, "admin")


@pytest.fixture
async def staff(service: Service) -> dict[str, str]:
    return await cookie_of(service, "staff")


async def serving(site: Site, version: str) -> None:
    async with asyncio.timeout(30):
        while await asyncio.to_thread(site.serving) != version:
            await asyncio.sleep(0.1)


async def settled(service: Service) -> None:
    """Wait until no run is on."""
    deployments = service.services.deployments
    async with asyncio.timeout(30):
        while await deployments.runs.is_running(deployments.get()):
            await asyncio.sleep(0.05)


async def test_check_lists_what_is_incoming(service: Service, site: Site, admin: dict[str, str]) -> None:
    """Decision 44."""
    nothing = await service.call("GET", CHECK, headers=admin, status=200)
    assert nothing == {"currentVersion": site.first, "latestVersion": site.first, "hasUpdate": False, "commits": []}
    two, three = site.push("two"), site.push("three", "Version three\n\nand why")
    found = await service.call("GET", CHECK, headers=admin, status=200)
    assert set(found) == {"currentVersion", "latestVersion", "hasUpdate", "commits"}
    assert (found["currentVersion"], found["latestVersion"], found["hasUpdate"]) == (site.first, three, True)
    assert [set(commit) for commit in found["commits"]] == [{"hash", "message", "date"}] * 2
    assert [commit["hash"] for commit in found["commits"]] == [three, two]
    assert [commit["message"] for commit in found["commits"]] == ["Version three", "Version two"]
    assert all(TIME.fullmatch(commit["date"]) for commit in found["commits"])
    assert site.head() == site.first


async def test_execute_answers_at_once(service: Service, site: Site, admin: dict[str, str]) -> None:
    site.push("two")
    answer = await service.call("POST", EXECUTE, headers=admin, status=200)
    assert answer == {"status": "started", "message": "Update process initiated"}
    await serving(site, "two")


async def test_update_answers_with_every_step(service: Service, site: Site, staff: dict[str, str]) -> None:
    """Decisions 42 and 46."""
    site.push("two")
    answer = await service.call("POST", UPDATE, headers=staff | JSON, status=200)
    assert set(answer) == {"success", "message", "steps"}
    assert answer["success"] is True
    names = ["git_fetch", "git_pull", "dependencies", "restart", "health"]
    assert [step["name"] for step in answer["steps"]] == names
    for step in answer["steps"]:
        assert set(step) == {"name", "status", "duration_s", "output"}
        assert step["status"] == "completed"
    assert site.serving() == "two"


async def test_a_failed_step_is_named(start_service: Any, site: Site) -> None:
    steps = [
        {"name": "dependencies", "command": ["sh", "-c", "echo no network; exit 3"]},
        {"name": "migrations", "command": ["true"]},
    ]
    service = await start_with(start_service, site, {"steps": steps})
    site.push("two")
    staff = await cookie_of(service, "staff")
    answer = await service.call("POST", UPDATE, headers=staff | JSON, status=500)
    assert set(answer) == {"success", "error", "step"}
    assert (answer["success"], answer["step"]) == (False, "dependencies")
    assert "no network" in answer["error"]
    assert (site.serving(), site.head()) == ("one", site.first)


async def test_a_step_that_hangs_is_ended(start_service: Any, site: Site) -> None:
    steps = [{"name": "dependencies", "command": ["sleep", "600"], "timeout_s": 1}]
    service = await start_with(start_service, site, {"steps": steps}, access={"jwt": {"secret": SECRET}})
    site.push("two")
    staff = await cookie_of(service, "staff")
    answer = await service.call("POST", UPDATE, headers=staff, status=500)
    assert answer["step"] == "dependencies"
    # Decision 46, in this document's words and at the other doors.
    assert "timed out after 1 s" in answer["error"]
    state = await service.call("GET", "/api/v1/deployments/web", headers=staff, status=200)
    assert "timed out after 1 s" in state["last_run"]["error"]
    assert [step["status"] for step in state["last_run"]["steps"]][-1] == "timed-out"
    log = await service.call("GET", f"/api/v1/deployments/web/runs/{state['last_run']['run']}/log", headers=staff)
    assert any(line["message"].startswith("timed out after 1 s") for line in log["logs"])
    site.push("three")
    await service.services.deployments.check(actor=TESTER)
    number = (await service.call("GET", "/api/updates", key=token(), status=200))[0]["id"]
    applied = await service.call("POST", f"/api/updates/{number}/apply", key=token(), status=200)
    assert (applied["status"], "timed out after 1 s" in applied["message"]) == ("failed", True)
    logs = await service.call("GET", f"/api/updates/{number}/logs?level=error", key=token(), status=200)
    assert "timed out after 1 s" in logs["logs"][0]["message"]


async def test_status_says_how_things_stand(service: Service, site: Site, staff: dict[str, str]) -> None:
    """Decision 47."""
    answer = await service.call("GET", STATUS, headers=staff, status=200)
    assert set(answer) == {"success", "git_status", "server_status"}
    assert answer["git_status"] == {
        "branch": "main",
        "commit": site.first,
        "local_changes": False,
        "remote_updates": [],
        "updates_available": False,
    }
    assert answer["server_status"] == "running"
    two = site.push("two")
    (site.checkout / "app.py").write_text("changed here")
    status = (await service.call("GET", STATUS, headers=staff, status=200))["git_status"]
    assert (status["local_changes"], status["updates_available"]) == (True, True)
    assert [each["hash"] for each in status["remote_updates"]] == [two]
    refused = await service.call("POST", UPDATE, headers=staff | JSON, status=500)
    assert refused["step"] == "git_pull"
    assert "app.py" in refused["error"]


async def test_busy_and_already_running(start_service: Any, site: Site) -> None:
    """Decision 45: work in progress and another run are 409 with different texts."""
    flag = site.folder / "rendering"
    record = {
        "busy": [{"command": ["test", "-e", str(flag)]}],
        "steps": [{"name": "dependencies", "command": ["sleep", "2"]}],
    }
    service = await start_with(start_service, site, record)
    admin = await cookie_of(service, "admin")
    site.push("two")
    flag.touch()
    assert await service.call("POST", EXECUTE, headers=admin, status=409) == {"error": "Active renders in progress"}
    busy = await service.call("POST", UPDATE, headers=admin, status=409)
    assert busy == {"success": False, "error": "Active renders in progress", "step": None}
    flag.unlink()
    answers = await asyncio.gather(
        *(service.exchange("POST", EXECUTE, headers=admin) for _ in range(5)),
        service.exchange("POST", UPDATE, headers=admin),
    )
    assert sorted(response.status for response, _ in answers) == [200, 409, 409, 409, 409, 409]
    assert all(b"Active renders" not in body for _, body in answers)
    assert (await service.call("GET", STATUS, headers=admin, status=200))["server_status"] in ("updating", "running")
    await settled(service)


async def test_trouble_with_git_is_told_flatly(service: Service, site: Site, admin: dict[str, str]) -> None:
    shutil.rmtree(site.remote)
    for path, keys in ((CHECK, {"error"}), (STATUS, {"success", "error", "step"})):
        answer = await service.call("GET", path, headers=admin, status=503)
        assert set(answer) == keys
        assert "git fetch failed" in answer["error"]


async def test_without_a_deployment(start_service: Any) -> None:
    service = await start_service()
    admin = await cookie_of(service, "admin")
    assert set(await service.call("GET", CHECK, headers=admin, status=404)) == {"error"}
    assert set(await service.call("POST", UPDATE, headers=admin, status=404)) == {"success", "error", "step"}


@pytest.mark.parametrize(
    ("method", "path", "refusal"),
    [
        ("GET", CHECK, {"error": "Admin access required"}),
        ("POST", EXECUTE, {"error": "Admin access required"}),
        ("GET", STATUS, {"success": False, "error": "Staff access required", "step": None}),
        ("POST", UPDATE, {"success": False, "error": "Staff access required", "step": None}),
    ],
)
async def test_who_may_not(service: Service, site: Site, method: str, path: str, refusal: Any) -> None:
    """Decision 43: anonymous and without the right are both 403, in the shape of the document."""
    site.push("two")
    staff, user = await cookie_of(service, "staff"), await cookie_of(service, "user")
    await cookie_of(service, "admin")  # the last administrator stays
    off = await cookie_of(service, "admin", "off")
    await service.services.accounts.change_user("off", disabled=True, actor=TESTER)
    out = await cookie_of(service, "admin", "out")
    await service.services.people.sign_out(out["Cookie"].partition("=")[2])
    refused: list[dict[str, str]] = [
        {},
        user,
        off,
        out,
        {"Cookie": "sessionid="},
        {"Cookie": "sessionid=" + "x" * 43},
        {"Cookie": "session=x"},
        {"Authorization": f"Bearer {KEYS['admin']}"},
        {"X-API-Key": KEYS["admin"]},
        {"Authorization": f"Bearer {token()}"},
    ]
    if path.startswith("/api/system"):
        refused.append(staff)
    for headers in refused:
        assert await service.call(method, path, headers=headers, status=403) == refusal
    for headers in (out, {}):
        where = (
            f"{path}?sessionid={(await cookie_of(service, 'admin', f'q{len(headers)}'))['Cookie'].partition('=')[2]}"
        )
        assert await service.call(method, where, headers=headers, status=403) == refusal
    twice = {"Cookie": f"{staff['Cookie']}; {user['Cookie']}"}
    await service.call(method, path, headers=twice, status=400)
    assert site.head() == site.first


async def test_switching_keys_off_does_not_open_the_engine(start_service: Any, site: Site) -> None:
    service = await start_with(start_service, site, access={"enabled": False})
    for method, path in (("GET", CHECK), ("POST", EXECUTE), ("GET", STATUS), ("POST", UPDATE)):
        await service.call(method, path, headers=JSON if method == "POST" else {}, status=403)


async def test_wrong_methods_and_unknown_paths(service: Service, admin: dict[str, str]) -> None:
    response, body = await service.exchange("GET", EXECUTE, headers=admin, status=405)
    assert (response.headers["Allow"], body) == ("POST", b'{"error":"Method not allowed"}')
    answer = await service.call("PUT", STATUS, headers=admin, status=405)
    assert set(answer) == {"success", "error", "step"}
    for path in ("/api/system/update/other", "/admin/update/x", "/api/system"):
        answer = await service.call("GET", path, headers=admin, status=404)
        assert answer["code"] == "NOT_FOUND", "an unknown route is answered in the REST document's shape"


# -- requests that another site's page makes a browser send


def forged(url: str) -> list[tuple[str, dict[str, str], dict[str, Any]]]:
    form, plain = "application/x-www-form-urlencoded", "text/plain"
    return [
        ("another origin", JSON | {"Origin": "https://evil.example.com"}, {"data": b"{}"}),
        ("null origin", JSON | {"Origin": "null"}, {"data": b"{}"}),
        ("a subdomain's look-alike", JSON | {"Origin": url + ".evil.example.com"}, {"data": b"{}"}),
        ("another port", JSON | {"Origin": url.rpartition(":")[0] + ":1"}, {"data": b"{}"}),
        ("two origins", JSON | {"Origin": f"{url}, https://evil.example.com"}, {"data": b"{}"}),
        ("cross-site", JSON | {"Sec-Fetch-Site": "cross-site"}, {"data": b"{}"}),
        ("same-site, another host", JSON | {"Sec-Fetch-Site": "same-site"}, {"data": b"{}"}),
        ("typed or a bookmark", JSON | {"Sec-Fetch-Site": "none"}, {"data": b"{}"}),
        ("our origin, but cross-site", JSON | {"Origin": url, "Sec-Fetch-Site": "cross-site"}, {"data": b"{}"}),
        ("JSON as text", {"Content-Type": plain}, {"data": b"{}"}),
        ("JSON as text, with charset", {"Content-Type": f"{plain}; charset=application/json"}, {"data": b"{}"}),
        ("a form without token", {"Content-Type": form}, {"data": b"a=b"}),
        ("an empty form", {"Content-Type": form}, {}),
        ("empty text", {"Content-Type": plain}, {}),
        ("a form of parts", {"Content-Type": "multipart/form-data; boundary=x"}, {"data": b"--x--"}),
        ("a form with a wrong token", {"Content-Type": form, "X-CSRF-Token": "0" * 64}, {"data": b"a=b"}),
        ("a form with the token in the body alone", {"Content-Type": form}, {"data": b"csrf_token=" + b"0" * 64}),
        ("octets", {"Content-Type": "application/octet-stream"}, {"data": b"{}"}),
        ("method override", {"Content-Type": form, "X-HTTP-Method-Override": "POST"}, {"data": b"_method=POST"}),
    ]


@pytest.mark.parametrize("path", [UPDATE, EXECUTE, "/api/v1/deployments/web/update"])
async def test_what_another_site_sends_changes_nothing(service: Service, site: Site, path: str) -> None:
    """Control: without `require_same_origin` the first nine start an update, else the others do."""
    site.push("two")
    cookie = await cookie_of(service, "admin")
    other = await cookie_of(service, "admin", "other")
    token_of_other = service.services.people.form_token(other["Cookie"].partition("=")[2])
    cases = forged(service.url)
    kind = {"Content-Type": "application/x-www-form-urlencoded", "X-CSRF-Token": token_of_other}
    cases.append(("the token of another session", kind, {"data": b"a=b"}))
    for name, headers, more in cases:
        response, body = await service.exchange("POST", path, headers=cookie | headers, **more)
        assert response.status == 403, name
        assert b"does not come from" in body, name
    for method in ("GET", "PUT", "PATCH", "DELETE"):
        await service.exchange(method, path, headers=cookie | JSON | {"X-HTTP-Method-Override": "POST"}, status=405)
    assert (site.head(), site.serving()) == (site.first, "one")
    assert await service.services.deployments.list_updates() == []


async def test_what_our_own_clients_send_works(start_service: Any, site: Site) -> None:
    """Only users that may start an update learn that work is in progress."""
    service = await start_with(start_service, site, {"busy": [{"command": ["true"]}]})
    cookie = await cookie_of(service, "staff")
    token_of_session = service.services.people.form_token(cookie["Cookie"].partition("=")[2])
    own = {"Origin": service.url}
    for headers in (
        JSON,  # as document 001 shows it for curl
        {},
        JSON | own,
        JSON | own | {"Sec-Fetch-Site": "same-origin"},
        own | {"Content-Type": "application/x-www-form-urlencoded", "X-CSRF-Token": token_of_session},
    ):
        answer = await service.call("POST", UPDATE, headers=cookie | headers, status=409)
        assert answer["error"] == "Active renders in progress"


async def test_behind_a_proxy_with_tls(start_service: Any, site: Site) -> None:
    public = {"public_url": "https://updates.example.com"}
    service = await start_with(start_service, site, {"busy": [{"command": ["true"]}]}, server=public)
    cookie = await cookie_of(service, "admin")
    for origin, status in (("https://updates.example.com", 409), ("http://updates.example.com", 403)):
        headers = cookie | JSON | {"Origin": origin, "Host": "127.0.0.1:3000"}
        await service.call("POST", UPDATE, headers=headers, status=status)
