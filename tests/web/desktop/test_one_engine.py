"""One engine: what one interface publishes, the other one sees; and each request leaves its line in the access log."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import pytest
import structlog

from tests.actors import TESTER
from tests.conftest import StartService
from tests.web.desktop.conftest import Desktop

REST = "/api/v1/updates/bkgt-manager"
STATUS = {"current_version": "1.1.0", "target_version": "1.2.3", "platform": "win32-x64", "status": "failed"}


async def test_an_upload_here_is_seen_there(desktop: Desktop) -> None:
    await desktop.upload(
        "1.2.3", "darwin-arm64", b"bytes", changelog="Faster", critical="true", minimum_version="1.0.0"
    )
    params = {"current_version": "1.0.0", "platform": "darwin", "architecture": "arm64"}
    offer = await desktop.service.call("GET", f"{REST}/check", key="read", params=params, status=200)
    assert (offer["latest_version"], offer["release_notes"], offer["required"]) == ("1.2.3", "Faster", True)
    assert offer["checksum"] == hashlib.sha256(b"bytes").hexdigest()
    _, body = await desktop.service.exchange("GET", f"{REST}/download/1.2.3/darwin/arm64", key="read", status=200)
    assert body == b"bytes"


async def test_an_upload_there_is_seen_here(desktop: Desktop) -> None:
    path = f"{REST}/builds/2.0.0/linux/amd64"
    params = {"file_name": "a.AppImage", "release_notes": "New", "minimum_version": "1.0.0"}
    await desktop.service.call("PUT", path, key="write", data=b"bytes", params=params, status=201)
    latest = await desktop.latest()
    assert (latest["version"], latest["changelog"], latest["minimum_version"]) == ("2.0.0", "New", "1.0.0")
    assert latest["platforms"]["linux-x64"]["filename"] == "BKGT-Manager-2.0.0-linux-x64.AppImage"
    assert (await desktop.download("2.0.0", "linux-x64", status=200))[1] == b"bytes"


async def test_versions_and_platforms_without_a_word_here_are_not_seen(desktop: Desktop) -> None:
    await desktop.upload("1.0.0")
    for path in (
        "2.0.0-beta.1/windows/amd64",
        "2.0.0%2Bbuild.5/windows/amd64",
        "3.0.0/windows/arm64",
        "3.0.1/linux/386",
    ):
        await desktop.service.call("PUT", f"{REST}/builds/{path}", key="write", data=b"x", status=201)
    assert (await desktop.latest())["version"] == "1.0.0"
    assert (await desktop.compatibility("1.0.0"))["requires_update"] is False
    listed = await desktop.listed()
    assert ([each["version"] for each in listed["updates"]], listed["pagination"]["total"]) == (["1.0.0"], 1)


async def test_an_external_build_is_offered_and_redirected_to(desktop: Desktop) -> None:
    url = "https://downloads.example.com/setup.exe"
    body = {"application_id": "bkgt-manager", "version": "1.0.0", "platform": "windows", "architecture": "amd64"}
    body |= {"download_url": url, "checksum": "ab" * 64, "checksum_type": "sha512"}
    await desktop.service.call("POST", f"{REST}/register", key="write", json=body, status=201)
    package = (await desktop.latest())["platforms"]["win32-x64"]
    assert package == {"filename": "BKGT-Manager-1.0.0-win32-x64", "size": 0, "hash": f"sha512:{'ab' * 64}"}
    response, _ = await desktop.download("1.0.0", status=302)
    assert response.headers["Location"] == url


async def test_a_quarantined_package_is_not_offered(desktop: Desktop) -> None:
    await desktop.upload("1.0.0")
    await desktop.upload("2.0.0", "win32-x64", b"good")
    await desktop.upload("2.0.0", "linux-x64", b"bad")
    services = desktop.service.services
    path: Any = services.artifacts.blobs.locate(hashlib.sha256(b"bad").hexdigest())
    path.chmod(0o600)
    path.write_bytes(b"BAD")
    _ = [each async for each in services.artifacts.verify(actor=TESTER)]
    assert list((await desktop.latest())["platforms"]) == ["win32-x64"]
    assert (await desktop.latest(status=404, platform="linux-x64"))["code"] == "NOT_FOUND"
    await desktop.download("2.0.0", "linux-x64", status=503)
    assert (await desktop.listed())["updates"][0]["platforms"] == ["win32-x64", "linux-x64"]


async def test_the_ceiling_of_the_application_holds_here_too(desktop: Desktop) -> None:
    await desktop.upload("1.0.0")
    await desktop.upload("2.0.0")
    config = {"config": {"max_version": "1.5.0"}}
    await desktop.service.call("PUT", "/api/v1/applications/bkgt-manager", key="admin", json=config, status=200)
    assert (await desktop.latest())["version"] == "1.0.0"


async def test_downloads_are_counted_once_however_many_requests(desktop: Desktop) -> None:
    await desktop.upload("1.0.0", "win32-x64", b"x" * 1000)
    await desktop.upload("1.0.0", "linux-x64", b"y" * 1000)
    for part in ("bytes=0-499", "bytes=500-999"):
        await desktop.download("1.0.0", headers={"Range": part}, status=206)
    await desktop.download("1.0.0", "linux-x64", status=200)
    await desktop.exchange("HEAD", "/download/1.0.0/linux-x64", status=200)
    await desktop.service.exchange("GET", f"{REST}/download/1.0.0/linux/amd64", key="read", status=200)
    assert (await desktop.listed())["updates"][0]["download_count"] == 3


@pytest.fixture
def access_log() -> Any:
    with structlog.testing.capture_logs() as lines:
        yield lines


async def requests_in(access_log: list[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """Return so many lines of the access log, which is gathered for a moment."""
    async with asyncio.timeout(30):
        while True:
            found = [line for each in access_log if each["event"] == "request" for line in each["lines"]]
            if len(found) >= count:
                return found
            await asyncio.sleep(0.02)


async def test_the_access_log_names_key_client_version_platform_and_outcome(
    start_service: StartService, access_log: list[dict[str, Any]]
) -> None:
    desktop = Desktop(await start_service(desktop=[{}], logging={"access": True}))
    agent = {"User-Agent": "BKGT-Manager/1.1.0 (win32-x64)"}
    await desktop.upload("1.2.3")
    await desktop.exchange("GET", "/latest", headers=agent)
    await desktop.exchange("GET", "/compatibility/1.2.3", headers=agent)
    await desktop.exchange("GET", "/compatibility/2.0.0", headers=agent)
    await desktop.exchange("GET", "/download/1.2.3/win32-x64", headers=agent)
    await desktop.exchange("POST", "/status", json=STATUS, headers=agent)
    await desktop.exchange("GET", "/latest", key=None, headers=agent)
    await desktop.exchange("GET", "/admin/list", headers=agent)
    await desktop.exchange("GET", "/admin/list", key="admin")
    await desktop.deactivate("1.2.3")
    lines = await requests_in(access_log, 10)
    assert [(each["key"], each["outcome"], each["status"]) for each in lines] == [
        ("admin key", "published", 201),
        ("read key", "offered", 200),
        ("read key", "current", 200),
        ("read key", "ahead", 200),
        ("read key", "complete", 200),
        ("read key", "recorded", 200),
        (None, "UNAUTHORIZED", 401),
        ("read key", "FORBIDDEN", 403),
        ("admin key", "listed", 200),
        ("admin key", "deactivated", 200),
    ]
    assert {each["application"] for each in lines} == {"bkgt-manager"}
    assert {(each["agent_version"], each["agent_platform"]) for each in lines[1:8]} == {("1.1.0", "win32-x64")}
    assert (lines[0]["agent_version"], lines[0]["agent_platform"]) == (None, None)
