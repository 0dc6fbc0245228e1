"""The lines that the documentation tells people to paste, followed by the clients themselves."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.documents.pages import ALL
from tests.field.conftest import Npm
from tests.field.made import SparkleKey, content, package, sha256
from tests.field.minisigning import Minisign
from tests.field.readers import ask_squirrel_mac, fetch, net_sparkle, sparkle, win_sparkle
from tests.field.relay import Relay
from tests.field.running import drive_python, run
from tests.field.shop import Shop
from tests.field.squirrel import ID

APP, SPARKLE = "my-app", SparkleKey()
_FEED = re.compile(r"https://updates\.example\.com/feeds/my-app/stable/((?:\{\{\w+\}\}|[\w/.?=-])+)")
# WinGet's sources are served over https alone; TUF has tests of its own.
_ELSEWHERE = {"winget", "tuf/metadata/", "tuf/targets/"}
FEEDS = sorted({found for path in ALL for found in _FEED.findall(path.read_text())})


@pytest.fixture(scope="module", autouse=True)
def releases(shop: Shop, minisign: Minisign) -> None:
    """Publish 1.1.0 for all clients."""
    shop.open(APP)
    image, setup, archive = content("image", "1.1.0"), content("exe", "1.1.0"), content("zip", "1.1.0")
    shop.put(APP, "1.1.0", "linux/amd64", "my-app.AppImage", image, minisign=minisign.sign(image))
    shop.put(APP, "1.1.0", "windows/amd64", "my-app.exe", setup, ed25519=SPARKLE.sign(setup))
    shop.add(APP, "1.1.0", "windows/amd64", f"{ID}-1.1.0-full.nupkg", package(ID, "1.1.0"))
    shop.put(APP, "1.1.0", "darwin/amd64", "my-app.zip", archive, ed25519=SPARKLE.sign(archive))
    shop.await_files(APP, "1.1.0", "my-app.AppImage.zsync")


@pytest.fixture
def base(relay: Relay) -> str:
    return f"{relay.url}/feeds/{APP}/stable/"


def read(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=30) as answer:
        data: bytes = answer.read()
        return data


def address(start: str, base: str) -> str:
    """Return the one documented address that starts like this, at the relay."""
    found = [feed for feed in FEEDS if feed.startswith(start)]
    assert len(found) == 1, found
    return base + found[0]


def test_each_is_tried_here() -> None:
    tried = {
        *("electron", "squirrel/", "velopack/win-x64", "appimage/x86_64.zsync", "scoop/my-app.json"),
        *("appcast/macos.xml", "appcast/windows.xml", "appcast/win.xml", "tauri/latest.json"),
        "tauri/{{target}}/{{arch}}/{{current_version}}?bundle={{bundle_type}}",
    }
    assert set(FEEDS) == tried | _ELSEWHERE


def test_electron_updater(npm: Npm, base: str, tmp_path: Path) -> None:
    feed = {"provider": "generic", "url": address("electron", base)}
    told = npm.drive("electron.js", kind="Nsis", feed=feed, version="1.0.0", cache=str(tmp_path))
    assert told["file"]["sha256"] == sha256(content("exe", "1.1.0"))


def test_auto_updater(base: str) -> None:
    found = ask_squirrel_mac(address("squirrel", base) + "darwin-x64/1.0.0")
    assert found is not None
    assert found.zip == content("zip", "1.1.0")


def test_velopack(base: str, tmp_path: Path) -> None:
    asked = {"url": address("velopack", base), "folder": str(tmp_path), "version": "1.0.0", "package_id": ID}
    assert drive_python("velopack_app.py", asked)["offered"]["Version"] == "1.1.0"


@pytest.mark.parametrize("start", ["tauri/{{target}}", "tauri/latest.json"])
def test_tauri(base: str, display: str, minisign: Minisign, tmp_path: Path, start: str) -> None:
    image = tmp_path / "image"
    image.write_bytes(b"old")
    asked = {"pubkey": minisign.public, "version": "1.0.0", "folder": str(tmp_path / "src-tauri")}
    home = {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path), "DISPLAY": display, "APPIMAGE": str(image)}
    told = drive_python("tauri_app.py", {**asked, "endpoint": address(start, base)}, **home)
    assert told["error"] is None
    assert image.read_bytes() == content("image", "1.1.0")


def test_appcasts(base: str) -> None:
    taken = {
        "zip": sparkle(read(address("appcast/macos.", base)), "1.0.0"),
        "exe": win_sparkle(read(address("appcast/windows.", base)), "1.0.0"),
    }
    for kind, offer in taken.items():
        assert offer is not None
        assert fetch(offer, SPARKLE.public) == content(kind, "1.1.0")
    assert net_sparkle(read(address("appcast/win.", base)), "1.0.0", "windows") == taken["exe"]


def test_appimage(program: Callable[[str], str], base: str, tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(content("image", "1.0.0"))
    ran = run([program("zsync"), "-i", "old", "-o", "new", address("appimage", base)], cwd=tmp_path)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert (tmp_path / "new").read_bytes() == content("image", "1.1.0")


def test_scoop(base: str) -> None:
    told = json.loads(read(address("scoop", base)))["architecture"]["64bit"]
    assert sha256(read(told["url"].partition("#")[0])) == told["hash"] == sha256(content("exe", "1.1.0"))
