"""electron-updater's files, field for field.

Controls: the order of architectures turned, `?arch=` appended always, the dmg listed without a zip: each turns red.
"""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

from tests.feeds.filing import publish, set_blob
from updater.catalog.platforms import Target

BASE = "/feeds/my-app/stable/electron"
LINUX, LINUX_ARM = Target("linux", "amd64"), Target("linux", "arm64")
WINDOWS, WINDOWS_ARM, WINDOWS_32 = Target("windows", "amd64"), Target("windows", "arm64"), Target("windows", "386")
MAC, MAC_ARM = Target("darwin", "amd64"), Target("darwin", "arm64")


def sha512(content: bytes) -> str:
    return base64.b64encode(hashlib.sha512(content).digest()).decode()


async def get(feeds: Any, name: str, base: str = BASE, **more: Any) -> dict[str, Any]:
    response, body = await feeds.exchange("GET", f"{base}/{name}", status=200, **more)
    assert response.headers["Content-Type"] == "text/yaml; charset=utf-8"
    assert "Content-Encoding" not in response.headers
    found: dict[str, Any] = json.loads(body)
    return found


async def test_windows_to_the_letter(feeds: Any) -> None:
    files = {"My App Setup 1.1.0+b1.exe": b"setup", "My App 1.1.0.exe": b"portable", "notes.txt": b"x"}
    meta = {"electron": {"minimumSystemVersion": "10.0", "stagingPercentage": 5, "version": "9", "packages": {}}}
    await publish(feeds, "1.1.0+b1", WINDOWS, files, notes="# Neu: größer", metadata=meta, required=True)
    answer = await get(feeds, "latest.yml")
    download = f"{feeds.url}/api/v1/updates/my-app/download/1.1.0+b1/windows/amd64"
    date = answer.pop("releaseDate")
    assert len(date) == 24 and date.endswith("Z") and date[19] == "."
    url = f"{download}/My%20App%20Setup%201.1.0+b1.exe"
    assert answer == {
        "version": "1.1.0+b1",
        "files": [
            {"url": url, "sha512": sha512(b"setup"), "size": 5},
            {"url": f"{download}/My%20App%201.1.0.exe", "sha512": sha512(b"portable"), "size": 8},
        ],
        "path": url,
        "sha512": sha512(b"setup"),
        "releaseName": "1.1.0+b1",
        "releaseNotes": "# Neu: größer",
        "required": True,
        "minimumSystemVersion": "10.0",
    }
    _, body = await feeds.exchange("GET", f"{BASE}/latest.yml")
    assert "größer".encode() in body


async def test_architectures_of_windows_are_found_by_their_word(feeds: Any) -> None:
    for target, name in ((WINDOWS_32, "ia32"), (WINDOWS_ARM, "arm64"), (WINDOWS, "x64")):
        await publish(feeds, "1.0.0", target, {"Setup.exe": name.encode()})
    urls = [each["url"].partition("/windows/")[2] for each in (await get(feeds, "latest.yml"))["files"]]
    assert urls == ["amd64/Setup.exe?arch=x64", "arm64/Setup.exe", "386/Setup.exe?arch=ia32"]
    assert (await get(feeds, "latest.yml"))["path"].endswith("amd64/Setup.exe?arch=x64")


async def test_mac_lists_zips_before_images_and_a_universal_one_once(feeds: Any) -> None:
    await publish(feeds, "1.0.0", MAC, {"App.dmg": b"dmg", "App.zip": b"zip"})
    await publish(feeds, "1.0.0", MAC_ARM, {"App-arm64.dmg": b"arm dmg", "App.zip": b"zip"})
    urls = [each["url"].partition("/darwin/")[2] for each in (await get(feeds, "latest-mac.yml"))["files"]]
    assert urls == ["amd64/App.zip", "amd64/App.dmg", "arm64/App-arm64.dmg"]
    await publish(feeds, "1.1.0", MAC, {"App.dmg": b"only an image"})
    assert (await get(feeds, "latest-mac.yml"))["version"] == "1.0.0"
    await publish(feeds, "1.2.0", MAC_ARM, {"App.zip": b"arm alone"})
    assert (await get(feeds, "latest-mac.yml"))["version"] == "1.2.0"


async def test_linux_has_a_file_for_each_architecture(feeds: Any) -> None:
    files = {"app.pacman": b"p", "app.rpm": b"r", "app.deb": b"d", "b.AppImage": b"b", "a.AppImage": b"a"}
    await publish(feeds, "1.0.0", LINUX, files, facts={"b.AppImage": {"facts": {"block_map_size": 77}}})
    await publish(feeds, "1.1.0", LINUX_ARM, {"arm.deb": b"arm"})
    answer = await get(feeds, "latest-linux.yml")
    names = [each["url"].rpartition("/")[2] for each in answer["files"]]
    assert names == ["a.AppImage", "b.AppImage", "app.deb", "app.rpm", "app.pacman"]
    assert [each.get("blockMapSize") for each in answer["files"]] == [None, 77, None, None, None]
    assert (await get(feeds, "latest-linux-arm64.yml"))["version"] == "1.1.0"
    for name in ("latest-linux-arm.yml", "latest-linux-ia32.yml", "latest.yml", "latest-mac.yml"):
        assert (await feeds.call("GET", f"{BASE}/{name}", status=404))["code"] == "NOT_FOUND"
    for name in ("latest.yaml", "app.deb", ".yml", "latest-linux-riscv.yml.sig"):
        assert (await feeds.call("GET", f"{BASE}/{name}", status=404))["code"] == "NOT_FOUND"


async def test_a_word_is_a_channel(feeds: Any) -> None:
    await publish(feeds, "1.0.0", LINUX, {"a.AppImage": b"1"})
    await publish(feeds, "1.1.0-beta.1", LINUX, {"a.AppImage": b"2"}, channel="beta")
    for path, version in (
        ("stable/electron/latest-linux.yml", "1.0.0"),
        ("stable/electron/beta-linux.yml", "1.1.0-beta.1"),
        ("beta/electron/latest-linux.yml", "1.1.0-beta.1"),
        ("beta/electron/stable-linux.yml", "1.0.0"),
        ("gone/electron/latest-linux.yml", "1.0.0"),
        ("beta/electron/gone-linux.yml", "1.0.0"),
    ):
        base, _, name = path.rpartition("/")
        assert (await get(feeds, name, f"/feeds/my-app/{base}"))["version"] == version, path


async def test_a_digest_that_is_pending_is_passed_over_or_worth_waiting_for(feeds: Any) -> None:
    await publish(feeds, "1.0.0", LINUX, {"a.AppImage": b"1"})
    await set_blob(feeds, b"1", sha512=None)
    response, _ = await feeds.exchange("GET", f"{BASE}/latest-linux.yml", status=503)
    assert response.headers["Retry-After"] == "30"
    await set_blob(feeds, b"1", sha512="ab" * 64)
    await publish(feeds, "1.1.0", LINUX, {"a.AppImage": b"2"})
    await set_blob(feeds, b"2", sha512=None)
    assert (await get(feeds, "latest-linux.yml"))["version"] == "1.0.0"


async def test_entity_tags_heads_and_limits_of_keeping(feeds: Any) -> None:
    await publish(feeds, "1.0.0", LINUX, {"a.AppImage": b"1"})
    response, body = await feeds.exchange("GET", f"{BASE}/latest-linux.yml", status=200)
    assert response.headers["Cache-Control"] == "no-cache"
    assert response.headers["Content-Length"] == str(len(body))
    etag = response.headers["ETag"]
    assert not etag.startswith("W/")
    response, nothing = await feeds.exchange("HEAD", f"{BASE}/latest-linux.yml", status=200)
    assert (response.headers["ETag"], response.headers["Content-Length"], nothing) == (etag, str(len(body)), b"")
    for method in ("GET", "HEAD"):
        headers = {"If-None-Match": etag}
        response, nothing = await feeds.exchange(method, f"{BASE}/latest-linux.yml", status=304, headers=headers)
        assert (response.headers["ETag"], nothing) == (etag, b"")
    await publish(feeds, "1.1.0", LINUX, {"a.AppImage": b"2"})
    await feeds.exchange("GET", f"{BASE}/latest-linux.yml", status=200, headers={"If-None-Match": etag})
