"""The decisions the contracts leave to us, 27 to 36, each by its number."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from sqlalchemy import select

from tests.actors import TESTER
from tests.conftest import KEYS, StartService
from tests.web.desktop.conftest import PREFIX, Desktop, form
from tests.web.raw import request, send
from updater.database.tables import report

SIX = {"error", "message", "code", "details", "timestamp", "request_id"}
CLIENT = ("GET /latest", "GET /compatibility/1.0.0", "GET /download/1.2.3/win32-x64", "POST /status")
ADMIN = ("POST /upload", "GET /admin/list", "DELETE /9.9.9")
STATUS = {"current_version": "1.1.0", "target_version": "1.2.3", "platform": "win32-x64", "status": "failed"}


def agent(version: str, platform: str = "win32-x64") -> dict[str, str]:
    return {"User-Agent": f"BKGT-Manager/{version} ({platform})"}


def body_of(endpoint: str) -> dict[str, Any]:
    if endpoint == "POST /upload":
        return {"data": form(version="2.0.0", platform="win32-x64")}
    return {"json": STATUS} if endpoint == "POST /status" else {}


# -- 27: errors and levels


async def test_27_without_a_known_key_401(desktop: Desktop) -> None:
    bearer = {"Authorization": f"Bearer {KEYS['admin']}"}
    for endpoint in CLIENT + ADMIN:
        method, path = endpoint.split()
        for key in (None, "", "unknown-key-0123456789", "x" * 300):
            response, _ = await desktop.exchange(method, path, key=key, headers=bearer, status=401, **body_of(endpoint))
            answer = await response.json()
            assert set(answer) == SIX
            assert answer["code"] == "UNAUTHORIZED"
            assert "Bearer" not in response.headers["WWW-Authenticate"]
    assert await desktop.blobs() == set()


async def test_27_two_keys_at_once_400(desktop: Desktop) -> None:
    port = int(desktop.service.url.rpartition(":")[2])
    lines = [f"X-API-Key: {KEYS[level]}" for level in ("admin", "read")]
    answer = await send(f"http://127.0.0.1:{port}", request("GET", f"{PREFIX}/admin/list", *lines))
    assert answer.status == 400


async def test_27_administration_needs_level_admin(desktop: Desktop) -> None:
    for endpoint in ADMIN:
        method, path = endpoint.split()
        for level in ("read", "write"):
            answer = await desktop.call(method, path, key=level, status=403, **body_of(endpoint))
            assert answer["code"] == "FORBIDDEN"
    assert await desktop.blobs() == set()


async def test_27_any_valid_key_serves_clients(desktop: Desktop) -> None:
    await desktop.upload("1.2.3")
    for endpoint in CLIENT:
        method, path = endpoint.split()
        for level in KEYS:
            await desktop.exchange(method, path, key=level, status=200, **body_of(endpoint))


async def test_27_a_key_of_another_application_403(desktop: Desktop) -> None:
    access = desktop.service.services.access
    _, mine = await access.create_key("mine", "admin", application="bkgt-manager", actor=TESTER)
    _, other = await access.create_key("other", "admin", application="other-app", actor=TESTER)
    await desktop.upload("1.2.3")
    for endpoint in CLIENT + ADMIN:
        method, path = endpoint.split()
        answer = await desktop.call(method, path, key=other, status=403, **body_of(endpoint))
        assert answer["code"] == "FORBIDDEN"
        response, _ = await desktop.exchange(method, path, key=mine, **body_of(endpoint))
        assert response.status in (200, 201, 404)


async def test_27_a_revoked_key_is_unknown_at_once(desktop: Desktop) -> None:
    access = desktop.service.services.access
    key, text = await access.create_key("ci", "admin", actor=TESTER)
    await desktop.call("GET", "/admin/list", key=text, status=200)
    assert key.id is not None
    await access.revoke_key(key.id, actor=TESTER)
    await desktop.call("GET", "/admin/list", key=text, status=401)


async def test_27_too_large_413(start_service: StartService) -> None:
    desktop = Desktop(await start_service(desktop=[{}], storage={"max_upload_bytes": 1000}))
    await desktop.upload("1.0.0", content=b"x" * 1001, status=413)
    assert await desktop.blobs() == set()
    assert (await desktop.listed())["updates"] == []


async def test_27_too_many_429(start_service: StartService) -> None:
    limits = {"enabled": True, "authenticated_per_minute": 2, "anonymous_per_minute": 2}
    desktop = Desktop(await start_service(desktop=[{}], rate_limit=limits))
    for _ in range(2):
        await desktop.latest(status=404)
    response, _ = await desktop.exchange("GET", "/latest", status=429)
    assert int(response.headers["Retry-After"]) >= 1
    await desktop.exchange("GET", "/latest", key="admin", status=404)
    for status in (401, 401, 429):
        await desktop.exchange("GET", "/latest", key=None, status=status)


async def test_27_open_when_access_control_is_off(start_service: StartService) -> None:
    desktop = Desktop(await start_service(desktop=[{}], access={"enabled": False}))
    await desktop.exchange("GET", "/admin/list", key=None, status=200)


# -- 28: three numbers


async def test_28_versions_have_at_most_20_characters(desktop: Desktop) -> None:
    longest, longer = "1234567.123456.12345", "1234567.123456.123456"
    await desktop.upload(longest, minimum_version=longest)
    for given in ({"version": longer}, {"version": "9.9.9", "minimum_version": longer}):
        data = form(platform="win32-x64", **given)
        found = await desktop.call("POST", "/upload", key="admin", data=data, status=400)
        assert list(found["details"]) == [list(given)[-1]]
    await desktop.download(longest, status=200)
    await desktop.download(longer, status=400)
    await desktop.compatibility(longer, status=400)
    await desktop.call("DELETE", f"/{longer}", key="admin", status=400)


async def test_28_a_minimum_above_the_version_is_refused(desktop: Desktop) -> None:
    data = form(platform="win32-x64", version="1.2.3", minimum_version="1.2.4")
    found = await desktop.call("POST", "/upload", key="admin", data=data, status=400)
    assert list(found["details"]) == ["minimum_version"]


async def test_28_versions_are_exactly_three_numbers(desktop: Desktop) -> None:
    for version in ("1.2", "1.2.3.4", "v1.2.3", "1.2.3-beta", "1.2.3+5", "01.2.3", "1.2.x", "1.2. 3", "1..3", "-1.2.3"):
        await desktop.upload(version, status=400)
        await desktop.upload("1.0.0", minimum_version=version, status=400)
        await desktop.call("POST", "/status", json={**STATUS, "target_version": version}, status=400)
        await desktop.call("POST", "/status", json={**STATUS, "current_version": version}, status=400)
        quoted = version.replace("+", "%2B").replace(" ", "%20")
        await desktop.compatibility(quoted, status=400)
        await desktop.exchange("GET", f"/download/{quoted}/win32-x64", status=400)
        await desktop.call("DELETE", f"/{quoted}", key="admin", status=400)
    assert await desktop.blobs() == set()


# -- 29: latest


async def test_29_latest_is_the_highest_not_the_newest(desktop: Desktop) -> None:
    for version in ("1.9.0", "1.10.0", "1.2.0"):
        await desktop.upload(version)
    assert (await desktop.latest())["version"] == "1.10.0"


async def test_29_latest_over_all_platforms(desktop: Desktop) -> None:
    await desktop.upload("1.0.0", "win32-x64")
    await desktop.upload("2.0.0", "linux-x64")
    latest = await desktop.latest()
    assert (latest["version"], list(latest["platforms"])) == ("2.0.0", ["linux-x64"])
    filtered = await desktop.latest(platform="win32-x64")
    assert (filtered["version"], list(filtered["platforms"])) == ("1.0.0", ["win32-x64"])
    await desktop.latest(platform="darwin-x64", status=404)


async def test_29_addresses_are_absolute_on_the_public_origin(start_service: StartService) -> None:
    desktop = Desktop(await start_service(desktop=[{}], server={"public_url": "https://updates.example.com/"}))
    uploaded = await desktop.upload("1.2.3")
    base = f"https://updates.example.com{PREFIX}/download/1.2.3"
    assert uploaded["download_url"] == f"{base}/win32-x64"
    assert (await desktop.latest())["download_url"] == base


# -- 30: file names


@pytest.mark.parametrize(
    ("sent", "suffix"),
    [
        ("setup.exe", ".exe"),
        ("My App 1.0.AppImage", ".AppImage"),
        ("../../etc/passwd.tar.gz", ".tar.gz"),
        ("mkcert-v1.4.4", ""),
        ("C:\\temp\\setup.msi", ".msi"),
        ("setup", ""),
        ("setup.", ""),
        ("setup.e-e", ""),
        ("setup.ex\u00e9", ""),
        ("setup.e\u202ee", ""),
        ('setup.exe"; x="', ""),
        ("setup." + "x" * 40, ""),
    ],
)
async def test_30_file_names_are_generated(desktop: Desktop, sent: str, suffix: str) -> None:
    data = form(b"content", sent, version="1.2.3", platform="win32-x64")
    await desktop.call("POST", "/upload", key="admin", data=data, status=201)
    name = f"BKGT-Manager-1.2.3-win32-x64{suffix}"
    assert (await desktop.latest())["platforms"]["win32-x64"]["filename"] == name
    response, _ = await desktop.download("1.2.3", status=200)
    assert response.headers["Content-Disposition"] == f'attachment; filename="{name}"'


async def test_30_the_configured_pattern_is_sanitised(start_service: StartService) -> None:
    pattern = '../My App "{version}"\r\n/{platform}{suffix}'
    desktop = Desktop(await start_service(desktop=[{"file_name": pattern}]))
    await desktop.upload("1.2.3")
    assert (await desktop.latest())["platforms"]["win32-x64"]["filename"] == "_My_App_1.2.3_win32-x64.exe"


# -- 31: compatibility, and the same rule for latest and download


async def test_31_nothing_active(desktop: Desktop) -> None:
    assert await desktop.compatibility("1.0.0") == {
        "compatible": False,
        "latest_compatible_version": None,
        "requires_update": False,
        "reason": "There is no active version",
    }


async def test_31_below_every_minimum(desktop: Desktop) -> None:
    await desktop.upload("2.0.0", minimum_version="1.5.0")
    answer = await desktop.compatibility("1.0.0")
    assert answer.pop("reason")
    assert answer == {"compatible": False, "latest_compatible_version": None, "requires_update": False}


async def test_31_stepping_stone(desktop: Desktop) -> None:
    await desktop.upload("1.5.0", minimum_version="1.0.0")
    await desktop.upload("2.0.0", minimum_version="1.5.0")
    await desktop.upload("3.0.0", minimum_version="2.0.0")
    for current, wanted in (("1.0.0", "1.5.0"), ("1.4.9", "1.5.0"), ("1.5.0", "2.0.0"), ("2.0.0", "3.0.0")):
        answer = await desktop.compatibility(current)
        assert (answer["compatible"], answer["latest_compatible_version"]) == (True, wanted)
        assert answer["requires_update"] is True
        assert (await desktop.latest(current))["version"] == wanted


async def test_31_on_the_latest(desktop: Desktop) -> None:
    await desktop.upload("2.0.0")
    answer = await desktop.compatibility("2.0.0")
    assert (answer["compatible"], answer["requires_update"]) == (True, False)
    assert answer["latest_compatible_version"] == "2.0.0"
    assert (await desktop.latest("2.0.0"))["version"] == "2.0.0"


async def test_31_ahead_of_the_latest_is_never_moved_down(desktop: Desktop) -> None:
    await desktop.upload("1.0.0")
    answer = await desktop.compatibility("2.0.0")
    assert (answer["compatible"], answer["requires_update"]) == (True, False)
    assert answer["latest_compatible_version"] is None
    assert (await desktop.latest("2.0.0", status=404))["code"] == "NOT_FOUND"
    await desktop.exchange("GET", "/download/1.0.0/win32-x64", headers=agent("2.0.0"), status=409)


async def test_31_between_an_old_release_and_a_gap(desktop: Desktop) -> None:
    await desktop.upload("1.0.0")
    await desktop.upload("3.0.0", minimum_version="2.5.0")
    answer = await desktop.compatibility("2.0.0")
    assert (answer["compatible"], answer["latest_compatible_version"]) == (False, None)
    assert "2.0.0" in answer["reason"]
    assert "3.0.0" in answer["reason"]
    await desktop.latest("2.0.0", status=404)
    assert (await desktop.compatibility("1.0.0"))["latest_compatible_version"] == "1.0.0"


async def test_31_downloads_hold_to_it_when_a_version_is_stated(desktop: Desktop) -> None:
    await desktop.upload("1.0.0")
    await desktop.upload("2.0.0", minimum_version="1.5.0")
    path = "/download/2.0.0/win32-x64"
    refused = await desktop.call("GET", path, headers=agent("1.0.0"), status=409)
    assert refused["details"] == {"version": "2.0.0", "current_version": "1.0.0", "minimum_version": "1.5.0"}
    await desktop.exchange("HEAD", path, headers=agent("1.0.0"), status=409)
    for stated in (agent("1.5.0"), agent("2.0.0"), {"User-Agent": "curl/8.5.0"}, {"User-Agent": "BKGT-Manager/1.0"}):
        await desktop.exchange("GET", path, headers=stated, status=200)


async def test_31_the_highest_minimum_of_a_versions_packages_holds(desktop: Desktop) -> None:
    """Packages published through the other interface may differ; no platform's clients are led across its gap."""
    await desktop.upload("1.0.0")
    path = "/api/v1/updates/bkgt-manager/builds/2.0.0"
    for target, minimum in (("windows/amd64", "1.0.0"), ("linux/amd64", "1.5.0")):
        params = {"minimum_version": minimum}
        await desktop.service.call("PUT", f"{path}/{target}", key="write", data=b"x", params=params, status=201)
    assert (await desktop.latest())["minimum_version"] == "1.5.0"
    assert (await desktop.compatibility("1.2.0"))["compatible"] is False
    assert (await desktop.compatibility("1.5.0"))["latest_compatible_version"] == "2.0.0"


async def test_31_a_platform_leaves_versions_that_have_it(desktop: Desktop) -> None:
    await desktop.upload("1.0.0", "win32-x64")
    await desktop.upload("2.0.0", "linux-x64")
    assert (await desktop.compatibility("1.0.0", platform="win32-x64"))["requires_update"] is False
    assert (await desktop.compatibility("1.0.0"))["latest_compatible_version"] == "2.0.0"


# -- 32: a second platform


async def test_32_a_second_platform_keeps_what_the_first_said(desktop: Desktop) -> None:
    first = await desktop.upload("1.0.0", "win32-x64", changelog="First", critical="true", minimum_version="0.5.0")
    second = await desktop.upload("1.0.0", "linux-x64", changelog="Second", critical="false", minimum_version="0.9.0")
    assert first["update_id"] == second["update_id"]
    latest = await desktop.latest(platform="linux-x64")
    assert (latest["changelog"], latest["critical"], latest["minimum_version"]) == ("First", True, "0.5.0")
    asked = {"current_version": "0.5.0", "platform": "linux", "architecture": "amd64"}
    check = await desktop.service.call(
        "GET", "/api/v1/updates/bkgt-manager/check", key="read", params=asked, status=200
    )
    assert (check["release_notes"], check["required"], check["minimum_version"]) == ("First", True, "0.5.0")


async def test_32_the_same_again_409_and_nothing_changes(desktop: Desktop) -> None:
    await desktop.upload("1.0.0", content=b"first")
    for content in (b"first", b"second"):
        assert (await desktop.upload("1.0.0", content=content, status=409))["code"] == "CONFLICT"
    assert await desktop.blobs() == {hashlib.sha256(b"first").hexdigest()}
    assert (await desktop.download("1.0.0", status=200))[1] == b"first"


async def test_32_a_deactivated_version_takes_nothing_more(desktop: Desktop) -> None:
    await desktop.upload("1.0.0")
    await desktop.deactivate("1.0.0")
    await desktop.upload("1.0.0", "linux-x64", status=409)
    await desktop.upload("1.0.0", "win32-x64", status=409)


# -- 33: deactivation


async def test_33_not_offered_and_not_downloadable_at_once_but_kept(desktop: Desktop) -> None:
    await desktop.upload("1.0.0", content=b"old")
    await desktop.upload("2.0.0", content=b"new")
    etag = (await desktop.exchange("GET", "/latest", status=200))[0].headers["ETag"]
    await desktop.exchange("GET", "/latest", headers={"If-None-Match": etag}, status=304)
    await desktop.deactivate("2.0.0")
    response, _ = await desktop.exchange("GET", "/latest", headers={"If-None-Match": etag}, status=200)
    assert (await response.json())["version"] == "1.0.0"
    assert (await desktop.compatibility("1.0.0"))["requires_update"] is False
    for method in ("GET", "HEAD"):
        await desktop.exchange(method, "/download/2.0.0/win32-x64", status=404)
    rest = "/api/v1/updates/bkgt-manager"
    asked = {"current_version": "1.0.0", "platform": "windows", "architecture": "amd64"}
    check = await desktop.service.call("GET", f"{rest}/check", key="read", params=asked, status=200)
    assert check["update_available"] is False
    await desktop.service.call("GET", f"{rest}/download/2.0.0/windows/amd64", key="read", status=404)
    assert hashlib.sha256(b"new").hexdigest() in await desktop.blobs()
    assert [(each["version"], each["status"]) for each in (await desktop.listed())["updates"]] == [
        ("2.0.0", "inactive"),
        ("1.0.0", "active"),
    ]


async def test_33_again_changes_nothing_and_unknown_is_404(desktop: Desktop) -> None:
    await desktop.upload("1.0.0")
    await desktop.deactivate("1.0.0")
    await desktop.deactivate("1.0.0")
    assert (await desktop.call("DELETE", "/7.7.7", key="admin", status=404))["code"] == "NOT_FOUND"


async def test_33_it_holds_after_a_restart(desktop: Desktop) -> None:
    await desktop.upload("1.0.0")
    await desktop.deactivate("1.0.0")
    await desktop.service.services.offers.load()
    await desktop.latest(status=404)
    await desktop.download("1.0.0", status=404)


# -- 34: null minimum, paging


@pytest.mark.parametrize("more", [{}, {"minimum_version": ""}])
async def test_34_no_minimum_is_null(desktop: Desktop, more: dict[str, str]) -> None:
    await desktop.upload("1.0.0", **more)
    assert (await desktop.latest())["minimum_version"] is None


async def test_34_pages(desktop: Desktop) -> None:
    for patch in range(5):
        await desktop.upload(f"1.0.{patch}")
    pages = [await desktop.listed(page=str(page), per_page="2") for page in (1, 2, 3, 4)]
    assert [[each["version"] for each in page["updates"]] for page in pages] == [
        ["1.0.4", "1.0.3"],
        ["1.0.2", "1.0.1"],
        ["1.0.0"],
        [],
    ]
    assert pages[1]["pagination"] == {"page": 2, "per_page": 2, "total": 5}


async def test_34_pages_that_are_none_400(desktop: Desktop) -> None:
    pages = ("0", "-1", "x", "1.5", "9" * 30, "")
    sizes = ("0", "101", "100000", "\u0661")
    for name, value in (*(("page", each) for each in pages), *(("per_page", each) for each in sizes)):
        answer = await desktop.call("GET", "/admin/list", key="admin", params={name: value}, status=400)
        assert name in answer["errors"]


# -- 35: reports


async def stored(desktop: Desktop) -> list[Any]:
    async with desktop.service.services.health._database.read() as connection:
        return list(await connection.execute(select(report)))


async def test_35_a_report_keeps_the_hash_of_the_key_never_the_key(desktop: Desktop) -> None:
    await desktop.call("POST", "/status", json={**STATUS, "error_message": "no space"}, status=200)
    await desktop.call("POST", "/status", key="admin", json=STATUS, status=200)
    first, second = await stored(desktop)
    assert len(first.key_hash) == 64
    assert first.key_hash != second.key_hash
    assert not any(key in str(row) for row in (first, second) for key in KEYS.values())
    assert first.key_hash != hashlib.sha256(KEYS["read"].encode()).hexdigest(), "a plain hash could be looked up"
    assert (first.application_id, first.platform, first.architecture) == ("bkgt-manager", "windows", "amd64")
    assert (first.status, first.error_message, first.install_time_seconds) == ("failed", "no space", None)


async def test_35_what_fits(desktop: Desktop) -> None:
    for status in ("completed", "failed", "cancelled"):
        body = {**STATUS, "status": status, "error_message": "\u00e9" * 4000, "install_time_seconds": 0, "more": [1]}
        await desktop.call("POST", "/status", json=body, status=200)
        body = {**STATUS, "status": status, "error_message": None, "install_time_seconds": None}
        await desktop.call("POST", "/status", json=body, status=200)


WRONG: dict[str, tuple[Any, ...]] = {
    "install_time_seconds": (-1, 10**9, 2**70, "45 s", "", True, [45]),
    "error_message": (True, ["x"], {}),
    "platform": ("windows", "win32-arm64", "", None, 1),
    "status": ("done", None, 1),
    "target_version": (None, 1, "", "1.2.\n3", "9" * 12 + ".0.0"),
}


async def test_35_what_does_not_fit_or_is_missing_400(desktop: Desktop) -> None:
    for field, values in WRONG.items():
        for value in values:
            answer = await desktop.call("POST", "/status", json={**STATUS, field: value}, status=400)
            assert field in answer["errors"]
    for field in STATUS:
        body = {key: value for key, value in STATUS.items() if key != field}
        assert field in (await desktop.call("POST", "/status", json=body, status=400))["errors"]
    assert await stored(desktop) == []


# -- 36: behind a CDN


async def test_36_download_links_are_on_the_cdn(start_service: StartService) -> None:
    sections = {"server": {"public_url": "https://u.example.com"}, "storage": {"cdn_url": "https://cdn.example.com"}}
    desktop = Desktop(await start_service(desktop=[{}], **sections))
    uploaded = await desktop.upload("1.2.3")
    assert uploaded["download_url"] == f"https://cdn.example.com{PREFIX}/download/1.2.3/win32-x64"
    assert (await desktop.latest())["download_url"] == f"https://cdn.example.com{PREFIX}/download/1.2.3"


async def test_36_caches_ask_before_they_answer(desktop: Desktop) -> None:
    await desktop.upload("1.2.3")
    for path in ("/latest", "/compatibility/1.0.0", "/download/1.2.3/win32-x64"):
        response, _ = await desktop.exchange("GET", path, status=200)
        assert "no-cache" in response.headers["Cache-Control"]
        etag = response.headers["ETag"]
        again, body = await desktop.exchange("GET", path, headers={"If-None-Match": f'"x", W/{etag}'}, status=304)
        assert (again.headers["ETag"], body) == (etag, b"")
        await desktop.exchange("GET", path, headers={"If-None-Match": '"other"'}, status=200)
        await desktop.exchange("GET", path, key=None, headers={"If-None-Match": etag}, status=401)
    assert (await desktop.exchange("GET", "/latest"))[0].headers["Vary"] == "User-Agent"
