"""Private applications: every door that installed clients use asks for a credential, and nothing else changes.

Control: `require_application` without its `authorize` turns the refusals into answers.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from yarl import URL

from tests.actors import TESTER
from tests.conftest import KEYS, Service
from tests.stored import last_row, rows_since, told
from tests.web.people import cookie_of
from updater.cli.exits import Exit
from updater.clock import utc_now
from updater.errors import Invalid
from updater_client import InstallReport, Target, UpdateClient, UpdateError

HERE = {"platform": "linux", "architecture": "amd64"}
BODY = {"application_id": "my-app", "current_version": "0.9.0", **HERE}
REPORT = {"current_version": "0.9.0", "target_version": "1.0.0", "status": "completed", **HERE}
EXTERNAL = {
    "application_id": "my-app", "version": "2.0.0", "platform": "windows", "architecture": "amd64",
    "download_url": "https://files.example.com/x.exe", "checksum": "ab", "checksum_type": "md5",
}  # fmt: skip
U = "/api/v1/updates/my-app"
DOWNLOAD = f"{U}/download/1.0.0/linux/amd64"
Door = tuple[str, str, dict[str, Any], int]
DOORS: dict[str, Door] = {
    "check": ("GET", f"{U}/check", {"params": {"current_version": "0.9.0", **HERE}}, 200),
    "check of HEAD": ("HEAD", f"{U}/check", {"params": {"current_version": "0.9.0", **HERE}}, 200),
    "check by body": ("POST", "/api/v1/check", {"json": BODY}, 200),
    "latest": ("GET", f"{U}/latest", {"params": HERE}, 200),
    "latest by query": ("GET", "/api/v1/latest", {"params": {"application_id": "my-app", **HERE}}, 200),
    "latest by alias": ("GET", "/api/v1/latest", {"params": {"app_id": "my-app", **HERE}}, 200),
    "download": ("GET", DOWNLOAD, {}, 200),
    "download of HEAD": ("HEAD", DOWNLOAD, {}, 200),
    "download of a range": ("GET", DOWNLOAD, {"headers": {"Range": "bytes=1-2"}}, 206),
    "download of ranges": ("GET", DOWNLOAD, {"headers": {"Range": "bytes=0-0,2-3"}}, 206),
    "download of what is known": (
        "GET", DOWNLOAD, {"headers": {"If-None-Match": f'"{hashlib.sha256(b"bytes").hexdigest()}"'}}, 304,
    ),
    "download elsewhere": ("GET", f"{U}/download/2.0.0/windows/amd64", {}, 302),
    "download of nothing": ("GET", f"{U}/download/9.0.0/linux/amd64", {}, 404),
    "download of no target": ("GET", f"{U}/download/1.0.0/beos/amd64", {}, 422),
    "report": ("POST", f"{U}/status", {"json": REPORT}, 200),
}  # fmt: skip
EVERY_DOOR = pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)


@pytest.fixture
async def shop(start_service: Callable[..., Any]) -> Service:
    """Return a service with the private `my-app`, and the public `other-app`."""
    service: Service = await start_service()
    await service.application(private=True)
    await service.application("other-app")
    await service.publish()
    await service.call("POST", f"{U}/register", key="write", json=EXTERNAL, status=201)
    return service


async def feed_key(service: Service, application: str = "my-app") -> str:
    path = f"/api/v1/applications/{application}/feed-keys"
    made = await service.call("POST", path, key="admin", json={"name": "laptops"}, status=201)
    assert set(made) == {"feed_key", "name", "created_at"}
    assert re.fullmatch("[a-z0-9]{40}", made["feed_key"])
    return str(made["feed_key"])


async def knock(service: Service, door: Door, key: str | None, status: int) -> Any:
    method, path, more, _ = door
    answer, body = await service.exchange(method, path, key=key, status=status, **more)
    return answer, body


@EVERY_DOOR
async def test_every_door_asks(shop: Service, door: Door) -> None:
    ok = door[3]
    other = await feed_key(shop, "other-app")
    bound = (await shop.services.access.create_key("bound", "admin", application="other-app", actor=TESTER))[1]
    await knock(shop, door, None, 401)
    await knock(shop, door, "no-key-of-this-service", 401)
    await knock(shop, door, other, 403)
    await knock(shop, door, bound, 403)
    for key in (await feed_key(shop), "read", "write", "admin"):
        answer, _ = await knock(shop, door, key, ok)
        assert "public" not in answer.headers["Cache-Control"]
        assert {"private", "no-store"} & set(answer.headers["Cache-Control"].split(", "))


async def test_what_no_cache_may_keep_says_so_as_that_of_public_applications(shop: Service) -> None:
    await shop.publish(b"a draft", "9.0.0", draft="true")
    await shop.publish(b"for some", "8.0.0", rollout="50", file_name="App.AppImage")
    asked = {"current_version": "0.1.0", "platform": "linux", "architecture": "amd64"}
    for path, query in (
        ("/api/v1/updates/my-app/download/9.0.0/linux/amd64", {}),
        ("/api/v1/updates/my-app/check", asked),
        ("/feeds/my-app/stable/electron/latest-linux.yml", {"manual": "true"}),
    ):
        answer, _ = await shop.exchange("GET", path, key="read", params=query, status=200)
        assert answer.headers["Cache-Control"] == "private, no-store", path


@EVERY_DOOR
async def test_what_is_public_stays_open_to_everybody(shop: Service, door: Door) -> None:
    await shop.call("PUT", "/api/v1/applications/my-app", key="admin", json={"private": False}, status=200)
    other = await feed_key(shop, "other-app")
    for key in (None, "no-key-of-this-service", other, await feed_key(shop), "read"):
        answer, _ = await knock(shop, door, key, door[3])
        assert "private" not in answer.headers.get("Cache-Control", "")


async def test_sessions_stand_with_keys(shop: Service) -> None:
    for role, status in (("staff", 200), ("user", 403)):
        headers = await cookie_of(shop, role)
        for door in (DOORS["check"], DOORS["download"]):
            await shop.exchange(door[0], door[1], headers=headers, status=status, **door[2])


async def test_order_of_refusals(shop: Service) -> None:
    """Whoever may not ask learns no more than that the application is there."""
    query = {"current_version": "0.9.0", **HERE}
    unknown = await shop.call("GET", "/api/v1/updates/nope/check", params=query, status=404)
    assert unknown["code"] == "APPLICATION_NOT_FOUND"
    for path in (f"{U}/check?platform=beos", f"{U}/download/x/y/z", f"{U}/download/9.0.0/linux/amd64"):
        assert (await shop.call("GET", path, status=401))["code"] == "UNAUTHORIZED"
    assert (await shop.call("POST", f"{U}/status", data=b"no JSON", status=401))["code"] == "UNAUTHORIZED"
    # Only the body tells which application is meant.
    assert (await shop.call("POST", "/api/v1/check", json={"application_id": "my-app"}, status=422))["errors"]


async def test_the_cache_of_answers_asks_too(shop: Service) -> None:
    key = await feed_key(shop)
    for _ in range(3):
        first = await knock(shop, DOORS["check"], key, 200)
        await knock(shop, DOORS["check"], None, 401)
        assert (await knock(shop, DOORS["check"], "read", 200))[1] == first[1]


async def test_private_is_created_shown_changed_and_audited(service: Service) -> None:
    async def shown() -> Any:
        return (await service.call("GET", "/api/v1/applications/my-app", key="read", status=200))["private"]

    last = await last_row(service)
    assert await shown() is False
    for private in (True, True, False):
        await service.call("PUT", "/api/v1/applications/my-app", key="admin", json={"private": private}, status=200)
        assert await shown() is private
        # Another change leaves it.
        await service.call("PUT", "/api/v1/applications/my-app", key="admin", json={"name": "Mine"}, status=200)
        assert await shown() is private
    for wrong in ("true", 1, None):
        path = "/api/v1/applications/my-app"
        answer = await service.call("PUT", path, key="admin", json={"private": wrong}, status=422)
        assert set(answer["errors"]) == {"private"}
    changes = [told(row) for row in await rows_since(service, last)]
    assert [(before, after) for _, _, before, after in changes if "private" in after] == [
        ({"private": False}, {"private": True}),
        ({"private": True}, {"private": False}),
    ]


# -- feed keys

CLOSED = [
    ("GET", "/api/v1/applications"), ("GET", "/api/v1/applications/my-app"),
    ("GET", "/api/v1/applications/my-app/figures"), ("GET", f"{U}/releases"), ("GET", f"{U}/history"),
    ("POST", f"{U}/register"), ("POST", f"{U}/upload"), ("PUT", f"{U}/builds/3.0.0/linux/amd64"),
    ("DELETE", f"{U}/releases/1.0.0/linux/amd64"), ("PUT", "/api/v1/applications/my-app"),
    ("DELETE", "/api/v1/applications/my-app"), ("POST", "/api/v1/applications"),
    ("POST", "/api/v1/applications/my-app/feed-keys"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), CLOSED)
async def test_a_feed_key_opens_nothing_else(shop: Service, method: str, path: str) -> None:
    assert (await shop.call(method, path, key=await feed_key(shop), status=403))["code"] == "FORBIDDEN"


async def test_a_feed_key_learns_nothing_of_the_service(shop: Service) -> None:
    health = await shop.call("GET", "/health", key=await feed_key(shop), status=200)
    assert set(health) == {"status", "timestamp"}


async def test_feed_keys_are_kept_as_other_keys(shop: Service) -> None:
    text, access = await feed_key(shop), shop.services.access
    (key,) = [each for each in await access.list_keys() if each.name == "laptops"]
    assert (key.level.word, key.application) == ("feed", "my-app")
    await access.revoke_key(key.id or 0, actor=TESTER)
    await knock(shop, DOORS["check"], text, 401)
    _, short = await access.create_key(
        "short", "feed", application="my-app", expires_at=utc_now() + timedelta(days=1), actor=TESTER
    )
    await knock(shop, DOORS["check"], short, 200)
    now = access._clock()
    access._clock = lambda: now + timedelta(days=2)
    await knock(shop, DOORS["check"], short, 401)


async def test_a_feed_key_is_for_one_application(shop: Service) -> None:
    with pytest.raises(Invalid) as caught:
        await shop.services.access.create_key("loose", "feed", actor=TESTER)
    assert set(caught.value.fields) == {"application"}
    path = "/api/v1/applications/nope/feed-keys"
    assert (await shop.call("POST", path, key="admin", json={"name": "x"}, status=404))[
        "code"
    ] == "APPLICATION_NOT_FOUND"
    path = "/api/v1/applications/my-app/feed-keys"
    for body, field in (({}, "name"), ({"name": ""}, "name"), ({"name": "a\nb"}, "name"), ({"name": "x", "y": 1}, "y")):
        assert set((await shop.call("POST", path, key="admin", json=body, status=422))["errors"]) == {field}


async def test_a_feed_key_of_the_settings(start_service: Callable[..., Any]) -> None:
    text = "a-feed-key-of-the-settings"
    own = {"name": "laptops", "key": text, "permissions": ["feed"], "application": "my-app"}
    keys = [{"name": level, "key": key, "permissions": [level]} for level, key in KEYS.items()]
    service = await start_service(access={"api_keys": [own, *keys]})
    await service.application(private=True)
    await service.publish()
    await knock(service, DOORS["download"], text, 200)
    await service.call("GET", f"{U}/releases", key=text, status=403)


# -- with our own client


async def test_the_client_takes_a_feed_key_along(shop: Service, tmp_path: Path) -> None:
    target = Target("linux", "amd64")
    async with UpdateClient(shop.url, await feed_key(shop)) as client:
        found = await client.check("my-app", "0.9.0", target)
        assert found.build is not None
        fetched = await client.fetch(found.build, tmp_path / "file")
        assert fetched.path.read_bytes() == b"bytes"
        assert (await client.get_release("my-app", "1.0.0", target)).checksum == found.build.checksum
        assert await client.find_file_name(found.build)
        await client.report("my-app", InstallReport("0.9.0", "1.0.0", target, "completed"))
    async with UpdateClient(shop.url) as nobody:
        with pytest.raises(UpdateError) as caught:
            await nobody.check("my-app", "0.9.0", target)
        assert caught.value.status == 401
        with pytest.raises(UpdateError) as caught:
            await nobody.fetch(found.build, tmp_path / "other")
        assert caught.value.status == 401
    assert Exit.FORBIDDEN == 4


async def test_applications_of_the_desktop_api_are_private_from_the_first_start(
    start_service: Callable[..., Any],
) -> None:
    service = await start_service(desktop=[{"prefix": "/desktop", "application": "my-app"}])
    path = "/api/v1/applications/my-app"
    assert (await service.call("GET", path, key="read", status=200))["private"] is True
    await knock(service, DOORS["latest"], None, 401)
    own, other = (
        await feed_key(service),
        (await service.services.access.create_key("other", "feed", application="other-app", actor=TESTER))[1],
    )
    await service.publish()
    for key, status in ((None, 401), (own, 200), (other, 403)):
        headers = {} if key is None else {"X-API-Key": key}
        for question in ("latest", "compatibility/0.9.0", "download/1.0.0/linux-x64"):
            await service.exchange("GET", f"/desktop/{question}", headers=headers, status=status)
    await service.exchange("GET", "/desktop/admin/list", headers={"X-API-Key": own}, status=403)
    # What an operator opens stays open.
    await service.call("PUT", path, key="admin", json={"private": False}, status=200)
    await service.services.catalog.ensure_application(
        "my-app", name="x", platforms=("linux",), private=True, actor=TESTER
    )
    await knock(service, DOORS["latest"], None, 200)


# -- keys in paths


@EVERY_DOOR
async def test_a_feed_key_may_stand_in_the_path(shop: Service, door: Door) -> None:
    method, path, more, ok = door
    own, other = await feed_key(shop), await feed_key(shop, "other-app")
    for key, status in ((own, ok), (other, 403), ("0" * 40, 401)):
        await shop.exchange(method, f"/k/{key}{path}", status=status, **more)
    # What stands in the path counts alone.
    await shop.exchange(method, f"/k/{other}{path}", key="admin", status=403, **more)
    await shop.exchange(method, f"/k/{own}{path}", key="no-key-of-this-service", status=ok, **more)


async def test_links_in_answers_begin_as_the_question_did(shop: Service) -> None:
    first, second = await feed_key(shop), await feed_key(shop)
    for key in (first, second, first):
        for name in ("check", "latest", "check by body"):
            method, path, more, _ = DOORS[name]
            answer = await shop.call(method, f"/k/{key}{path}", status=200, **more)
            assert answer["download_url"] == f"{shop.url}/k/{key}{DOWNLOAD}"
    assert (await shop.call("GET", f"{U}/latest", key="read", params=HERE))["download_url"] == shop.url + DOWNLOAD


async def test_a_key_stays_in_addresses_of_the_cdn(start_service: Callable[..., Any]) -> None:
    cdn = await start_service(storage={"cdn_url": "https://cdn.example.com"})
    await cdn.application("app", private=True)
    await cdn.call("PUT", "/api/v1/updates/app/builds/1.0.0/linux/amd64", key="write", data=b"x", status=201)
    key = await feed_key(cdn, "app")
    found = await cdn.call("GET", f"/k/{key}/api/v1/updates/app/latest", params=HERE, status=200)
    assert found["download_url"] == f"https://cdn.example.com/k/{key}/api/v1/updates/app/download/1.0.0/linux/amd64"


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/applications", f"{U}/releases", f"{U}/history", "/health", "/metrics", "/api/v1/openapi.json",
        "/admin/sign-in/", "/api/updates", "/desktop/latest", "", "/", "/k/{key}" + U + "/latest", "/nothing",
    ],
)  # fmt: skip
async def test_nothing_else_may_follow_a_key(start_service: Callable[..., Any], path: str) -> None:
    service = await start_service(desktop=[{"prefix": "/desktop", "application": "my-app"}])
    key = await feed_key(service)
    for credential in (None, "admin"):
        answer = await service.call("GET", f"/k/{key}{path.format(key=key)}", key=credential, status=404)
        assert answer["code"] == "NOT_FOUND"


@pytest.mark.parametrize("key", ["0" * 39, "0" * 41, "A" * 40, "", "%30" * 40, "-", "..", "0" * 20 + "%2f" + "0" * 19])
async def test_what_has_not_the_form_of_a_key_leads_nowhere(shop: Service, key: str) -> None:
    address = f"{shop.url}/k/{key}{U}/latest?platform=linux&architecture=amd64"
    async with shop.session.get(URL(address, encoded=True)) as got:
        assert got.status in (401, 404)


async def test_another_method_below_a_key_is_answered_as_without_it(shop: Service) -> None:
    key = await feed_key(shop)
    for path in {path for _, path, _, _ in DOORS.values()}:
        for method in ("DELETE", "PATCH", "PUT"):
            found = []
            for before in (f"/k/{key}", ""):
                async with shop.session.request(method, shop.url + before + path) as answer:
                    told = await answer.json()
                    found.append((answer.status, answer.headers.get("Allow"), told["code"], told["message"]))
            assert found[0] == found[1] and found[0][0] == 405, (method, path)


async def test_keys_in_paths_are_hidden(start_service: Callable[..., Any]) -> None:
    service = await start_service(logging={"access": True})
    await service.application(private=True)
    key = await feed_key(service)
    with capture_logs() as logs:
        await service.exchange("GET", f"/k/{key}{U}/latest", params=HERE, status=404)
        await service.exchange("GET", f"/k/{key}/nothing", status=404)
        await service.exchange("GET", f"/k/{key[:-1]}/nothing", status=404)
        await service.exchange("POST", f"/k/{key}{U}/latest", status=405)
        await asyncio.sleep(0.3)
    _, metrics = await service.exchange("GET", "/metrics", status=200)
    said = repr(logs)
    assert f"/k/-{U}/latest" in said
    assert key[:-1] not in said + metrics.decode()
