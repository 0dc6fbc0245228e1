"""Electron's autoUpdater and Velopack: what is new, lists of packages, and the packages beside them.

Controls: fractions of seconds left in `pub_date`, lines newest first, deltas listed although one is missing on the
way, the name of a package compared as it is: each turns red.
"""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from tests.actors import TESTER
from tests.feeds.filing import publish, set_blob
from updater.catalog.platforms import Target

SQUIRREL = "/feeds/my-app/stable/squirrel"
VELOPACK = "/feeds/my-app/stable/velopack"
WINDOWS, MAC, MAC_ARM = Target("windows", "amd64"), Target("darwin", "amd64"), Target("darwin", "arm64")
LINUX = Target("linux", "amd64")


def full(version: str) -> str:
    return f"MyApp-{version}-full.nupkg"


def delta(version: str) -> str:
    return f"MyApp-{version}-delta.nupkg"


async def packages(feeds: Any, version: str, *, with_delta: bool = True, target: Target = WINDOWS, **more: Any) -> Any:
    files = {full(version): f"full {version}".encode()}
    if with_delta:
        files[delta(version)] = f"delta {version}".encode()
    return await publish(feeds, version, target, files, **more)


def line(name: str, content: str) -> str:
    return f"{hashlib.sha1(content.encode()).hexdigest().upper()} {name} {len(content)}"


async def names(feeds: Any, path: str) -> list[str]:
    _, body = await feeds.exchange("GET", f"{SQUIRREL}/{path}", status=200)
    return [each.split(" ")[1] for each in body.decode().splitlines()]


async def test_what_is_new_or_nothing(feeds: Any) -> None:
    await publish(feeds, "1.1.0", MAC, {"App.dmg": b"dmg", "My App.zip": b"zip"}, notes="Größer")
    for target in ("darwin-x64", "darwin", "darwin-universal"):
        answer = await feeds.call("GET", f"{SQUIRREL}/{target}/1.0.0", status=200)
        pub_date = answer.pop("pub_date")
        assert len(pub_date) == 25 and pub_date.endswith("+00:00")
        url = f"{feeds.url}/api/v1/updates/my-app/download/1.1.0/darwin/amd64/My%20App.zip"
        assert answer == {"url": url, "name": "1.1.0", "notes": "Größer"}
    for path in ("darwin-x64/1.1.0", "darwin-x64/2.0.0", "darwin-arm64/1.0.0", "win32-x64/1.0.0"):
        response, body = await feeds.exchange("GET", f"{SQUIRREL}/{path}", status=204)
        assert (body, response.headers["Cache-Control"]) == (b"", "no-cache")
        assert "ETag" not in response.headers
    for path in ("darwin-x64/1.0", "darwin-x64/nonsense", "darwin-x64/1.0.0%0a", "darwin-x64/.."):
        response, _ = await feeds.exchange("GET", f"{SQUIRREL}/{path}")
        assert response.status in (404, 422), path
    assert (await feeds.call("GET", f"{SQUIRREL}/darwin-x64/nonsense", status=422))["errors"].keys() == {"version"}
    for path in ("beos-x64/1.0.0", "DARWIN/1.0.0", "linux-x64/1.0.0"):
        await feeds.exchange("GET", f"{SQUIRREL}/{path}", status=404)


async def test_msix_is_an_update_of_windows(feeds: Any) -> None:
    await publish(feeds, "1.1.0", WINDOWS, {"Setup.exe": b"exe", "App.msix": b"msix"})
    answer = await feeds.call("GET", f"{SQUIRREL}/win32-x64/1.0.0", status=200)
    assert answer["url"].endswith("/windows/amd64/App.msix")
    await feeds.exchange("GET", f"{SQUIRREL}/win32-x64/RELEASES", status=404)


async def test_releases_to_the_letter(feeds: Any) -> None:
    for version in ("1.0.0", "1.1.0"):
        await packages(feeds, version, with_delta=version != "1.0.0")
    response, body = await feeds.exchange("GET", f"{SQUIRREL}/win32-x64/RELEASES", status=200)
    assert response.headers["Content-Type"].partition(";")[0] == "text/plain"
    assert body.decode().splitlines() == [
        line(full("1.0.0"), "full 1.0.0"),
        line(full("1.1.0"), "full 1.1.0"),
        line(delta("1.1.0"), "delta 1.1.0"),
    ]
    assert body.endswith(b"\n") and b"\r" not in body
    for path in ("win32/releases", "win32-x64/1.0.0/RELEASES", "win32-x64/1.0.0/releases", "win32/Releases"):
        _, other = await feeds.exchange("GET", f"{SQUIRREL}/{path}?id=MyApp&localVersion=1.0.0&arch=amd64", status=200)
        assert other == body, path
    await feeds.exchange("GET", f"{SQUIRREL}/win32-arm64/RELEASES", status=404)
    await feeds.exchange("GET", f"{SQUIRREL}/win32/nonsense/RELEASES", status=422)
    await feeds.exchange("GET", f"{SQUIRREL}/win32/1.0.0/OTHER", status=404)


async def test_deltas_are_listed_only_when_none_is_missing_on_the_way(feeds: Any) -> None:
    for version in ("1.0.0", "1.1.0", "1.2.0", "1.3.0"):
        await packages(feeds, version, with_delta=version in ("1.1.0", "1.3.0"))
    everything = [full("1.0.0"), full("1.1.0"), delta("1.1.0"), full("1.2.0"), full("1.3.0"), delta("1.3.0")]
    fulls = [full(f"1.{number}.0") for number in range(4)]
    assert await names(feeds, "win32/RELEASES") == everything
    assert await names(feeds, "win32/1.2.0/RELEASES") == everything
    assert await names(feeds, "win32/RELEASES?localVersion=1.2.0") == everything
    assert await names(feeds, "win32/1.1.0/RELEASES") == fulls
    assert await names(feeds, "win32/RELEASES?localVersion=1.1.0") == fulls
    assert await names(feeds, "win32/1.3.0/RELEASES") == everything
    await set_blob(feeds, b"delta 1.3.0", sha1=None)
    assert await names(feeds, "win32/1.2.0/RELEASES") == fulls, "a delta without its digest is none"
    await set_blob(feeds, b"full 1.3.0", sha1=None)
    assert await names(feeds, "win32/1.2.0/RELEASES") == [full("1.0.0"), full("1.1.0"), delta("1.1.0"), full("1.2.0")]


async def test_fifty_releases_are_listed(feeds: Any) -> None:
    for number in range(53):
        await packages(feeds, f"1.{number}.0", with_delta=number > 1)
    listed = [each for each in await names(feeds, "win32/RELEASES") if "delta" not in each]
    assert listed == [full(f"1.{number}.0") for number in range(3, 53)]
    assert await names(feeds, "win32/1.0.0/RELEASES") == listed, "1.1.0, on the way, is not looked at and has no delta"
    body = await feeds.call("GET", f"{VELOPACK}/win-x64/releases.win.json", status=200)
    versions = [each["Version"] for each in body["Assets"] if each["Type"] == "Full"]
    assert versions == [f"1.{number}.0" for number in reversed(range(3, 53))]
    _, oldest = await feeds.exchange("GET", f"{SQUIRREL}/win32/{full('1.0.0')}", status=200)
    assert oldest == b"full 1.0.0", "what is older than that is still there"


@pytest.mark.parametrize("base", [f"{SQUIRREL}/win32-x64", f"{SQUIRREL}/win32/1.0.0", f"{VELOPACK}/win-x64"])
async def test_packages_lie_beside_their_list(feeds: Any, base: str) -> None:
    await packages(feeds, "1.1.0+b1", channel="beta")
    await publish(feeds, "1.2.0", WINDOWS, {"Setup.exe": b"exe"})
    for name in (full("1.1.0+b1"), full("1.1.0+b1").lower(), "MYAPP-1.1.0%2BB1-FULL.NUPKG"):
        response, body = await feeds.exchange("GET", f"{base}/{name}?x=1", status=200)
        assert body == b"full 1.1.0+b1"
        assert "immutable" in response.headers["Cache-Control"]
    headers = {"Range": "bytes=0-3"}
    _, body = await feeds.exchange("GET", f"{base}/{delta('1.1.0+b1')}", status=206, headers=headers)
    assert body == b"delt"
    for name in ("Setup.exe", "other.nupkg", "..%2f..%2fsecret.nupkg", "%00.nupkg", "a%ff.nupkg"):
        response, _ = await feeds.exchange("GET", f"{base}/{name}")
        assert response.status in (400, 404, 422), name
    await feeds.services.releases.withdraw("my-app", "1.1.0+b1", actor=TESTER)
    await feeds.exchange("GET", f"{base}/{full('1.1.0+b1')}", status=404)


async def test_velopack_to_the_letter(feeds: Any) -> None:
    await packages(feeds, "1.0.0", with_delta=False)
    name = "My.App-1.1.0-win-full.nupkg"
    await publish(feeds, "1.1.0", WINDOWS, {name: b"full", delta("1.1.0"): b"delta"}, notes="# Neu\n<b>")
    path = f"{VELOPACK}/win-x64/releases.win.json?localVersion=1.0.0&id=MyApp&stagingId=abc"
    assets = (await feeds.call("GET", path, status=200))["Assets"]
    assert assets[0] == {
        "PackageId": "My.App",
        "Version": "1.1.0",
        "Type": "Full",
        "FileName": name,
        "SHA1": hashlib.sha1(b"full").hexdigest().upper(),
        "SHA256": hashlib.sha256(b"full").hexdigest().upper(),
        "Size": 4,
        "NotesMarkdown": "# Neu\n<b>",
        "NotesHTML": "<h1>Neu</h1>\n<p>&lt;b&gt;</p>\n",
    }
    assert [(each["Version"], each["Type"]) for each in assets] == [
        ("1.1.0", "Full"),
        ("1.1.0", "Delta"),
        ("1.0.0", "Full"),
    ]
    for name in ("releases.stable.json", "RELEASES.WIN.JSON", "releases.linux-arm64.json"):
        assert (await feeds.call("GET", f"{VELOPACK}/win-x64/{name}", status=200))["Assets"]
    for rid in ("osx-arm64", "linux-x64", "win-x86"):
        assert await feeds.call("GET", f"{VELOPACK}/{rid}/releases.win.json", status=200) == {"Assets": []}
    for path in ("win-riscv/releases.win.json", "win/releases.win.json", "win-x64/assets.win.json", "win-x64/RELEASES"):
        await feeds.exchange("GET", f"{VELOPACK}/{path}", status=404)


async def test_velopack_waits_for_a_digest(feeds: Any) -> None:
    await packages(feeds, "1.0.0", with_delta=False, target=LINUX)
    await set_blob(feeds, b"full 1.0.0", sha1=None)
    response, _ = await feeds.exchange("GET", f"{VELOPACK}/linux-x64/releases.linux.json", status=503)
    assert response.headers["Retry-After"] == "30"
