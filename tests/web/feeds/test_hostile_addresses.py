"""Addresses of feeds as strangers write them: an answer of the documents each time, and never a failure of ours."""

from __future__ import annotations

from typing import Any

import pytest

from tests.feeds.filing import publish, sign
from tests.feeds.values import ED25519, MINISIGN
from updater.catalog.platforms import Target

BASE = "/feeds/my-app/stable"
WORDS = (
    "%00",
    "%2e%2e",
    "%2F..%2F",
    "%0d%0aX:1",
    "%ff%fe",
    "%F0%9F%92%A9",
    "x" * 3_000,
    "{{target}}",
    "$%7B7*7%7D",
    "';--",
    "%3Cscript%3E",
    "x86_64%00",
    "MACOS",
    "1.0.0%20",
    "con",
)
ADDRESSES = (
    "tauri/{}/x86_64/1.0.0",
    "tauri/linux/{}/1.0.0",
    "tauri/linux/x86_64/{}",
    "tauri/linux/x86_64/1.0.0?bundle={}",
    "tauri/linux/x86_64/1.0.0?bundle_type={}&client_id={}&manual={}",
    "tauri/latest.json?current_version={}",
    "appcast/{}.xml",
    "appcast/linux.xml?current_version={}&{}={}",
    "appimage/{}.zsync",
    "scoop/{}.json",
    "winget/packageManifests/{}",
    "winget/packageManifests/Example.MyApp?Version={}",
)


@pytest.mark.parametrize("address", ADDRESSES)
async def test_no_word_in_an_address_is_our_failure(feeds: Any, address: str) -> None:
    made = await publish(feeds, "1.1.0", Target("linux", "amd64"), {"a.AppImage": b"a"})
    await sign(feeds, made, "a.AppImage", "minisign", MINISIGN)
    await sign(feeds, made, "a.AppImage", "ed25519", ED25519)
    for word in WORDS:
        path = f"{BASE}/{address.replace('{}', word)}"
        response, body = await feeds.exchange("GET", path)
        assert response.status in (200, 204, 400, 404, 422), (path[:100], response.status, body[:200])
        assert response.headers["Content-Type" if body else "Server"]
        if response.status >= 400:
            assert set(await response.json()) - {"errors"} == {
                "error",
                "message",
                "code",
                "details",
                "timestamp",
                "request_id",
            }
