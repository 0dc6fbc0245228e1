"""Tauri's two addresses, as the plugin asks them.

Controls: `bundle` handed on unread, the signature as it was stored, 200 for what is not new: each turns red.
"""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.feeds.filing import publish, sign
from tests.feeds.values import MINISIGN
from tests.web.feeds.rollouts import half
from updater.catalog.platforms import Target

BASE = "/feeds/my-app/stable/tauri"
LINUX, MAC = Target("linux", "amd64"), Target("darwin", "arm64")


async def publish_signed(feeds: Any, version: str, target: Target, *names: str, **more: Any) -> None:
    made = await publish(feeds, version, target, {name: f"{version} {name}".encode() for name in names}, **more)
    for name in names:
        await sign(feeds, made, name, "minisign", MINISIGN)


async def test_a_client_gets_what_is_new_to_it(feeds: Any) -> None:
    await publish_signed(feeds, "1.1.0+b1", LINUX, "My App.AppImage", "my-app.deb", notes="# Größer", required=True)
    response, _ = await feeds.exchange("GET", f"{BASE}/linux/x86_64/1.0.0", status=200)
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["Cache-Control"] == "no-cache"
    assert "Content-Encoding" not in response.headers
    answer = await feeds.call("GET", f"{BASE}/linux/x86_64/1.0.0")
    assert answer.pop("pub_date").endswith("Z")
    assert answer == {
        "version": "1.1.0+b1",
        "url": f"{feeds.url}/api/v1/updates/my-app/download/1.1.0+b1/linux/amd64/My%20App.AppImage",
        "signature": base64.b64encode(MINISIGN.encode()).decode(),
        "notes": "# Größer",
        "required": True,
    }
    for current in ("1.1.0", "1.1.0+b1", "2.0.0-beta.1"):
        response, body = await feeds.exchange("GET", f"{BASE}/linux/x86_64/{current}", status=204)
        assert body == b"" and response.headers["Cache-Control"] == "no-cache"
    deb = await feeds.call("GET", f"{BASE}/linux/x86_64/1.0.0?bundle=deb", status=200)
    assert deb["url"].endswith("/my-app.deb")
    assert (await feeds.call("GET", f"{BASE}/linux/x86_64/1.0.0?bundle_type=deb"))["url"] == deb["url"]
    assert (await feeds.call("GET", f"{BASE}/linux/x86_64/1.0.0?bundle=&bundle_type=deb"))["url"] == deb["url"]
    # What versions of the plugin send that do not know the placeholder.
    for told in ("{{bundle_type}}", "unknown", ""):
        found = await feeds.call("GET", f"{BASE}/linux/x86_64/1.0.0?bundle={told}", status=200)
        assert found["url"].endswith("AppImage")


async def test_head_and_entity_tag(feeds: Any) -> None:
    await publish_signed(feeds, "1.1.0", LINUX, "a.AppImage")
    response, body = await feeds.exchange("GET", f"{BASE}/linux/x86_64/1.0.0", status=200)
    etag = response.headers["ETag"]
    head, nothing = await feeds.exchange("HEAD", f"{BASE}/linux/x86_64/1.0.0", status=200)
    assert nothing == b"" and head.headers["Content-Length"] == str(len(body))
    await feeds.exchange("GET", f"{BASE}/linux/x86_64/1.0.0", headers={"If-None-Match": etag}, status=304)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("linux/amd64/1.0.0", 404),
        ("macos/x86_64/1.0.0", 404),
        ("linux/x86_64/one", 422),
        ("linux/x86_64/1.0", 422),
        ("linux/x86_64/%2e%2e%2f", 422),
        ("linux/x86_64", 404),
        ("linux/x86_64/1.0.0/deb", 404),
        ("latest.yml", 404),
    ],
)
async def test_other_addresses(feeds: Any, path: str, status: int) -> None:
    await feeds.exchange("GET", f"{BASE}/{path}", status=status)


async def test_the_static_file(feeds: Any) -> None:
    await feeds.exchange("GET", f"{BASE}/latest.json", status=404)
    await publish_signed(feeds, "1.0.0", LINUX, "a.AppImage")
    await publish_signed(feeds, "1.0.0", MAC, "a.app.tar.gz")
    assert set((await feeds.call("GET", f"{BASE}/latest.json"))["platforms"]) == {
        "linux-x86_64", "linux-x86_64-appimage", "darwin-aarch64", "darwin-aarch64-app"
    }  # fmt: skip
    await publish_signed(feeds, "1.1.0", MAC, "a.app.tar.gz", notes="new")
    answer = await feeds.call("GET", f"{BASE}/latest.json")
    assert (answer["version"], answer["notes"]) == ("1.1.0", "new")
    assert set(answer["platforms"]) == {"darwin-aarch64", "darwin-aarch64-app"}
    assert set(answer["platforms"]["darwin-aarch64"]) == {"url", "signature"}


async def test_outside_the_rollout_there_is_nothing_new(feeds: Any) -> None:
    await publish_signed(feeds, "1.0.0", LINUX, "a.AppImage")
    await publish_signed(feeds, "1.1.0", LINUX, "a.AppImage", rollout=half(feeds))
    seen = set()
    for number in range(24):
        response, body = await feeds.exchange("GET", f"{BASE}/linux/x86_64/1.0.0?client_id=laptop-{number}")
        assert response.headers["Cache-Control"] == "private, no-store"
        seen.add((response.status, b"1.1.0" in body))
    assert seen == {(200, True), (204, False)}
    manual = await feeds.call("GET", f"{BASE}/linux/x86_64/1.0.0?manual=true", status=200)
    assert manual["version"] == "1.1.0"


async def test_channels(feeds: Any) -> None:
    await publish_signed(feeds, "1.1.0-beta.1", LINUX, "a.AppImage", channel="beta")
    await feeds.exchange("GET", f"{BASE}/linux/x86_64/1.0.0", status=204)
    beta = await feeds.call("GET", f"{BASE.replace('stable', 'beta')}/linux/x86_64/1.0.0", status=200)
    assert beta["version"] == "1.1.0-beta.1"
    await feeds.exchange("GET", f"{BASE.replace('stable', 'gone')}/linux/x86_64/1.0.0", status=204)
