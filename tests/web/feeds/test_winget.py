"""WinGet's REST source, as `winget source add` and its commands ask it.

Controls: http let in, `feeds.winget` taken for granted, 200 with no data for no match: each turns red.
"""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from tests.actors import TESTER
from tests.conftest import Service, StartService
from tests.feeds.filing import publish
from updater.catalog.platforms import Target

BASE = "/feeds/my-app/stable/winget"
SAID = {
    "package_identifier": "Example.MyApp",
    "publisher": "Example Inc",
    "license": "MIT",
    "short_description": "Does things",
}
WINDOWS = Target("windows", "amd64")


@pytest.fixture
async def source(start_service: StartService) -> Service:
    """Return a service that is reached over https, with `my-app` and its package."""
    started = await start_service(server={"public_url": "https://updates.example.com"})
    await started.application(channels=["stable", "beta"], feeds={"winget": SAID})
    return started


async def search(source: Any, body: dict[str, Any], status: int = 200) -> Any:
    return await source.call("POST", f"{BASE}/manifestSearch", json=body, status=status)


async def test_a_source_is_asked(source: Any) -> None:
    data = (await source.call("GET", f"{BASE}/information", status=200))["Data"]
    assert data["SourceIdentifier"] == "updater.my-app.stable" and "1.4.0" in data["ServerSupportedVersions"]
    await search(source, {"FetchAllManifests": True}, 204)
    await source.exchange("GET", f"{BASE}/packageManifests/Example.MyApp", status=404)
    await publish(source, "1.0.0", WINDOWS, {"Setup.exe": b"one"})
    await publish(source, "1.1.0", WINDOWS, {"Setup.exe": b"two", "App.msi": b"msi"}, notes="* **New**")
    found = await search(source, {"Query": {"KeyWord": "my app", "MatchType": "Substring"}, "MaximumResults": 5})
    assert found["Data"] == [
        {
            "PackageIdentifier": "Example.MyApp",
            "PackageName": "My App",
            "Publisher": "Example Inc",
            "Versions": [{"PackageVersion": "1.1.0"}, {"PackageVersion": "1.0.0"}],
        }
    ]
    _, body = await source.exchange(
        "POST", f"{BASE}/manifestSearch", json={"Query": {"KeyWord": "other", "MatchType": "Substring"}}, status=204
    )
    assert body == b""
    data = (await source.call("GET", f"{BASE}/packageManifests/example.myapp?Version=1.1.0", status=200))["Data"]
    (version,) = data["Versions"]
    download = "https://updates.example.com/api/v1/updates/my-app/download/1.1.0/windows/amd64"
    assert [(each["InstallerType"], each["InstallerUrl"]) for each in version["Installers"]] == [
        ("nullsoft", f"{download}/Setup.exe"),
        ("wix", f"{download}/App.msi"),
    ]
    assert version["Installers"][0]["InstallerSha256"] == hashlib.sha256(b"two").hexdigest().upper()
    assert version["DefaultLocale"]["ReleaseNotes"] == "- New"
    everything = (await source.call("GET", f"{BASE}/packageManifests/Example.MyApp"))["Data"]["Versions"]
    assert [each["PackageVersion"] for each in everything] == ["1.1.0", "1.0.0"]
    for path in ("Example.MyApp?Version=9.0.0", "Example.Other", "my-app"):
        await source.exchange("GET", f"{BASE}/packageManifests/{path}", status=404)


async def test_entity_tags_of_one_version(source: Any) -> None:
    await publish(source, "1.0.0", WINDOWS, {"Setup.exe": b"one"})
    for query in ("", "?Version=1.0.0"):
        path = f"{BASE}/packageManifests/Example.MyApp{query}"
        response, _ = await source.exchange("GET", path, status=200)
        assert response.headers["Content-Type"] == "application/json"
        await source.exchange("GET", path, headers={"If-None-Match": response.headers["ETag"]}, status=304)


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"Query": "x"}, 422, "Query"),
        ({"Query": {"KeyWord": "x" * 256}}, 422, "Query.KeyWord"),
        ({"Filters": [{"PackageMatchField": 1}]}, 422, "Filters.0.PackageMatchField"),
        ({"Inclusions": [{}] * 101}, 422, "Inclusions"),
        ({"Query": None, "Inclusions": None, "Filters": None, "FetchAllManifests": None, "Other": 1}, 204, None),
    ],
)
async def test_searches_that_are_none(source: Any, body: dict[str, Any], status: int, field: str | None) -> None:
    answer = await search(source, body, status)
    if field is not None:
        assert field in answer["details"]


async def test_a_search_is_small_and_is_json(source: Any) -> None:
    large = b'{"Query": {"KeyWord": "' + b"x" * 70_000 + b'"}}'
    json = {"Content-Type": "application/json"}
    await source.exchange("POST", f"{BASE}/manifestSearch", data=large, headers=json, status=413)
    await source.exchange("POST", f"{BASE}/manifestSearch", data=b"[", headers=json, status=400)
    await source.exchange("POST", f"{BASE}/manifestSearch", data=b"{}", status=415)


async def test_without_https_there_is_no_source(feeds: Any) -> None:
    await feeds.services.catalog.update_application("my-app", {"feeds": {"winget": SAID}}, actor=TESTER)
    answer = await feeds.call("GET", f"{BASE}/information", status=404)
    assert "https" in answer["message"]


async def test_without_settings_there_is_no_source(source: Any) -> None:
    await source.services.catalog.update_application("my-app", {"feeds": {}}, actor=TESTER)
    for method, path in (("GET", "information"), ("POST", "manifestSearch"), ("GET", "packageManifests/Example.MyApp")):
        more = {"json": {}} if method == "POST" else {}
        answer = await source.call(method, f"{BASE}/{path}", status=404, **more)
        assert "feeds.winget" in answer["message"]


async def test_a_private_source_has_its_key_in_the_path(source: Any) -> None:
    await source.services.catalog.update_application("my-app", {"private": True}, actor=TESTER)
    await publish(source, "1.0.0", WINDOWS, {"Setup.exe": b"one"})
    await search(source, {}, 401)
    _, key = await source.services.access.create_key("laptops", "feed", application="my-app", actor=TESTER)
    found = await source.call("POST", f"/k/{key}{BASE}/manifestSearch", json={}, status=200)
    assert found["Data"][0]["PackageIdentifier"] == "Example.MyApp"
    data = (await source.call("GET", f"/k/{key}{BASE}/packageManifests/Example.MyApp"))["Data"]
    url = data["Versions"][0]["Installers"][0]["InstallerUrl"]
    assert url.startswith(f"https://updates.example.com/k/{key}/api/v1/updates/my-app/download/")
