"""The origin of addresses: as the request came, the public one, the CDN's."""

from __future__ import annotations

from typing import Any

import pytest

ASK = {"platform": "linux", "architecture": "amd64"}
PATH = "/api/v1/updates/my-app/download/1.0.0/linux/amd64"


@pytest.mark.parametrize(
    ("sections", "origin"),
    [
        ({}, None),
        ({"server": {"public_url": "https://updates.example.com/"}}, "https://updates.example.com"),
        ({"storage": {"cdn_url": "https://cdn.example.com/u/"}}, "https://cdn.example.com/u"),
        (
            {
                "server": {"public_url": "https://updates.example.com"},
                "storage": {"cdn_url": "https://cdn.example.com"},
            },
            "https://cdn.example.com",
        ),
    ],
)
async def test_origin_of_download_links(start_service: Any, sections: Any, origin: str | None) -> None:
    service = await start_service(**sections)
    await service.application()
    wanted = (origin or service.url) + PATH
    assert (await service.publish())["download_url"] == wanted
    asked = {**ASK, "current_version": "0.9.0"}
    assert (await service.call("GET", "/api/v1/updates/my-app/check", params=asked))["download_url"] == wanted
    assert (await service.call("GET", "/api/v1/updates/my-app/latest", params=ASK))["download_url"] == wanted
    listed = await service.call("GET", "/api/v1/updates/my-app/releases", key="read")
    assert [each["download_url"] for each in listed["releases"]] == [wanted]


async def test_external_addresses_stay(start_service: Any) -> None:
    service = await start_service(storage={"cdn_url": "https://cdn.example.com"})
    await service.application()
    url = "https://elsewhere.example.com/a.bin"
    body = {**ASK, "application_id": "my-app", "version": "1.0.0", "download_url": url, "checksum": "ab" * 32}
    body["checksum_type"] = "sha256"
    await service.call("POST", "/api/v1/updates/my-app/register", key="write", json=body, status=201)
    assert (await service.call("GET", "/api/v1/updates/my-app/latest", params=ASK))["download_url"] == url
