"""All seven endpoints to the letter, and a whole flow for each platform."""

from __future__ import annotations

import hashlib
import os
import re
from typing import Any

import pytest

from tests.actors import TESTER
from tests.conftest import StartService
from tests.web.desktop.conftest import PLATFORMS, PREFIX, SUFFIXES, Desktop

TIME = re.compile(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")


async def test_the_application_is_made_with_all_platforms_of_the_document(desktop: Desktop) -> None:
    made = await desktop.service.call("GET", "/api/v1/applications/bkgt-manager", key="read", status=200)
    assert sorted(made["platforms"]) == ["darwin", "linux", "windows"]


async def test_upload_answers_as_documented(desktop: Desktop) -> None:
    content = os.urandom(300_000)
    answer = await desktop.upload("1.2.3", "win32-x64", content, changelog="Fixed", critical="false")
    update_id = answer.pop("update_id")
    assert type(update_id) is int
    assert answer == {
        "message": "Update package uploaded successfully",
        "version": "1.2.3",
        "platform": "win32-x64",
        "file_hash": f"sha256:{hashlib.sha256(content).hexdigest()}",
        "download_url": f"{desktop.service.url}{PREFIX}/download/1.2.3/win32-x64",
    }


async def test_latest_answers_as_documented(desktop: Desktop) -> None:
    fields = {"changelog": "Fixed equipment update issues\n- faster", "critical": "true", "minimum_version": "1.0.0"}
    for platform in PLATFORMS:
        await desktop.upload("1.2.3", platform, platform.encode(), **fields)
    answer = await desktop.latest()
    assert list(answer) == [
        "version",
        "release_date",
        "download_url",
        "changelog",
        "critical",
        "platforms",
        "minimum_version",
    ]
    assert TIME.fullmatch(answer.pop("release_date"))
    assert answer == {
        "version": "1.2.3",
        "download_url": f"{desktop.service.url}{PREFIX}/download/1.2.3",
        "changelog": fields["changelog"],
        "critical": True,
        "minimum_version": "1.0.0",
        "platforms": {
            platform: {
                "filename": f"BKGT-Manager-1.2.3-{platform}{SUFFIXES[platform]}",
                "size": len(platform),
                "hash": f"sha256:{hashlib.sha256(platform.encode()).hexdigest()}",
            }
            for platform in PLATFORMS
        },
    }


async def test_download_answers_as_documented(desktop: Desktop) -> None:
    content = os.urandom(100_000)
    await desktop.upload("1.2.3", content=content)
    response, body = await desktop.download("1.2.3", status=200)
    digest = hashlib.sha256(content).hexdigest()
    assert body == content
    assert response.headers["Content-Type"] == "application/octet-stream"
    disposition = response.headers["Content-Disposition"]
    assert disposition.startswith('attachment; filename="BKGT-Manager-1.2.3-win32-x64.exe"')
    assert response.headers["X-File-Hash"] == f"sha256:{digest}"
    assert response.headers["ETag"] == f'"{digest}"'
    assert response.headers["Cache-Control"] == "public, no-cache"


async def test_download_by_head_ranges_and_conditions(desktop: Desktop) -> None:
    content = os.urandom(100_000)
    await desktop.upload("1.2.3", content=content)
    path = "/download/1.2.3/win32-x64"
    head, body = await desktop.exchange("HEAD", path, status=200)
    assert (head.headers["Content-Length"], body) == ("100000", b"")
    assert head.headers["X-File-Hash"] == f"sha256:{hashlib.sha256(content).hexdigest()}"
    part, body = await desktop.exchange("GET", path, headers={"Range": "bytes=10-19"}, status=206)
    assert body == content[10:20]
    assert part.headers["X-File-Hash"] == head.headers["X-File-Hash"]
    etag = head.headers["ETag"]
    await desktop.exchange("GET", path, headers={"If-None-Match": etag}, status=304)
    _, body = await desktop.exchange("GET", path, headers={"Range": "bytes=10-19", "If-Range": '"other"'}, status=200)
    assert body == content
    await desktop.exchange("GET", path, headers={"Range": "bytes=100000-"}, status=416)


async def test_compatibility_answers_as_documented(desktop: Desktop) -> None:
    await desktop.upload("1.2.3")
    assert await desktop.compatibility("1.1.0") == {
        "compatible": True,
        "latest_compatible_version": "1.2.3",
        "requires_update": True,
        "reason": "Version 1.1.0 can update to 1.2.3",
    }


async def test_status_answers_as_documented(desktop: Desktop) -> None:
    body = {
        "current_version": "1.1.0",
        "target_version": "1.2.3",
        "platform": "win32-x64",
        "status": "completed",
        "error_message": "Optional error description",
        "install_time_seconds": 45,
    }
    answer = await desktop.call("POST", "/status", json=body, status=200)
    assert answer == {"recorded": True, "message": "Update status recorded successfully"}


async def test_list_answers_as_documented(desktop: Desktop) -> None:
    first = await desktop.upload("1.2.3", "darwin-x64", critical="true")
    await desktop.upload("1.2.3", "win32-x64")
    await desktop.download("1.2.3", "win32-x64")
    answer = await desktop.listed()
    assert TIME.fullmatch(answer["updates"][0].pop("release_date"))
    assert answer == {
        "updates": [
            {
                "id": first["update_id"],
                "version": "1.2.3",
                "critical": True,
                "platforms": ["win32-x64", "darwin-x64"],
                "download_count": 1,
                "status": "active",
            }
        ],
        "pagination": {"page": 1, "per_page": 20, "total": 1},
    }


async def test_deactivation_answers_as_documented(desktop: Desktop) -> None:
    await desktop.upload("1.2.3")
    answer = await desktop.call("DELETE", "/1.2.3", key="admin", status=200)
    assert answer == {"message": "Update version 1.2.3 deactivated successfully"}


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_the_flow_for_each_platform(desktop: Desktop, platform: str) -> None:
    """Upload, be told, ask whether it fits, download by the link, verify, report, be counted, be taken back."""
    content = os.urandom(200_000)
    agent = {"User-Agent": f"BKGT-Manager/1.1.0 ({platform})"}
    await desktop.upload("1.1.0", platform)
    uploaded = await desktop.upload("1.2.0", platform, content, minimum_version="1.0.0")
    latest = await desktop.call("GET", "/latest", headers=agent, status=200)
    assert latest["version"] == "1.2.0"
    assert (await desktop.compatibility("1.1.0"))["requires_update"] is True
    link = f"{latest['download_url']}/{platform}"
    assert link == uploaded["download_url"]
    path = link.removeprefix(desktop.service.url + PREFIX)
    response, body = await desktop.exchange("GET", path, headers=agent, status=200)
    package = latest["platforms"][platform]
    assert len(body) == package["size"]
    assert f"sha256:{hashlib.sha256(body).hexdigest()}" == package["hash"] == response.headers["X-File-Hash"]
    assert package["filename"] in response.headers["Content-Disposition"]
    report = {"current_version": "1.1.0", "target_version": "1.2.0", "platform": platform, "status": "completed"}
    await desktop.call("POST", "/status", json=report, headers=agent, status=200)
    newest = (await desktop.listed())["updates"][0]
    assert (newest["version"], newest["download_count"], newest["status"]) == ("1.2.0", 1, "active")
    await desktop.deactivate("1.2.0")
    assert (await desktop.call("GET", "/latest", headers=agent, status=200))["version"] == "1.1.0"
    await desktop.exchange("GET", path, headers=agent, status=404)


async def test_two_mounted_interfaces_know_nothing_of_each_other(start_service: StartService) -> None:
    one = {"prefix": "/one", "application": "app-one"}
    two = {"prefix": "/one-more", "application": "app-two", "file_name": "{application}_{version}_{platform}"}
    service = await start_service(desktop=[one, two])
    first, second = Desktop(service, "/one"), Desktop(service, "/one-more")
    await first.upload("1.0.0")
    assert (await second.latest(status=404))["code"] == "NOT_FOUND"
    await second.upload("2.0.0")
    assert (await first.latest())["version"] == "1.0.0"
    packages: Any = (await second.latest())["platforms"]
    assert packages["win32-x64"]["filename"] == "app-two_2.0.0_win32-x64"


async def test_nothing_is_mounted_without_an_entry(start_service: StartService) -> None:
    service = await start_service()
    await Desktop(service).exchange("GET", "/latest", key="admin", status=404)
    await service.call("GET", "/api/v1/applications/bkgt-manager", key="read", status=404)


async def test_the_application_stays_as_it_is_when_it_is_there(start_service: StartService, tmp_path: Any) -> None:
    service = await start_service(desktop=[{}])
    await service.call("PUT", "/api/v1/applications/bkgt-manager", key="admin", json={"name": "Mine"}, status=200)
    added = await service.services.catalog.ensure_application(
        "bkgt-manager", name="x", platforms=("windows",), private=True, actor=TESTER
    )
    assert not added
    assert (await service.call("GET", "/api/v1/applications/bkgt-manager", key="read"))["name"] == "Mine"
