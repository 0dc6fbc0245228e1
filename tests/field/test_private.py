"""Private applications: clients that send headers give a key as Bearer, the others have one in the path."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.field.conftest import Npm
from tests.field.made import SparkleKey, content, package, sha256
from tests.field.minisigning import Minisign
from tests.field.readers import ask_squirrel_mac, fetch, sparkle
from tests.field.relay import Relay
from tests.field.running import drive_python, run
from tests.field.shop import Shop

APP, ID, SPARKLE = "private-app", "Field", SparkleKey()


@pytest.fixture(scope="module")
def feed_key(shop: Shop, minisign: Minisign) -> str:
    """Publish 1.0.0 and 1.1.0 for all clients; return a feed key."""
    shop.open(APP)
    for version in ("1.0.0", "1.1.0"):
        image, archive = content("image", version), content("zip", version)
        signed = {"minisign": minisign.sign(image)}
        shop.put(APP, version, "linux/amd64", f"Field-{version}.AppImage", image, **signed)
        shop.put(APP, version, "windows/amd64", f"Field-{version}.exe", content("exe", version))
        shop.add(APP, version, "windows/amd64", f"{ID}-{version}-full.nupkg", package(ID, version))
        shop.put(APP, version, "darwin/amd64", f"Field-{version}.zip", archive, ed25519=SPARKLE.sign(archive))
    shop.await_files(APP, "1.1.0", "Field-1.1.0.AppImage.zsync")
    return shop.hide(APP)


@pytest.fixture
def path(relay: Relay, feed_key: str) -> str:
    """Return the address of all feeds, with the key."""
    return f"{relay.url}/k/{feed_key}/feeds/{APP}/stable"


@pytest.fixture
def bearer(relay: Relay, feed_key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {feed_key}"}


def test_electron_with_a_header(npm: Npm, relay: Relay, bearer: dict[str, str], tmp_path: Path) -> None:
    feed = {"provider": "generic", "url": f"{relay.url}/feeds/{APP}/stable/electron"}
    asked = {"kind": "Nsis", "feed": feed, "version": "1.0.0", "cache": str(tmp_path)}
    told = npm.drive("electron.js", **asked, headers=bearer)
    assert told["error"] is None
    assert told["file"]["sha256"] == sha256(content("exe", "1.1.0"))


def test_velopack_with_a_header(relay: Relay, bearer: dict[str, str], tmp_path: Path) -> None:
    url = f"{relay.url}/feeds/{APP}/stable/velopack/win-x64"
    asked = {"url": url, "folder": str(tmp_path), "version": "1.0.0", "package_id": ID, "headers": bearer}
    told = drive_python("velopack_app.py", asked)
    assert told["error"] is None
    assert told["files"][f"{ID}-1.1.0-full.nupkg"]["sha256"] == sha256(package(ID, "1.1.0"))


@pytest.mark.parametrize("way", ["header", "path"])
def test_tauri(
    relay: Relay, path: str, bearer: dict[str, str], display: str, minisign: Minisign, tmp_path: Path, way: str
) -> None:
    image = tmp_path / "image"
    image.write_bytes(content("image", "1.0.0"))
    start, headers = (path, {}) if way == "path" else (f"{relay.url}/feeds/{APP}/stable", bearer)
    endpoint = f"{start}/tauri/{{{{target}}}}/{{{{arch}}}}/{{{{current_version}}}}"
    asked = {"endpoint": endpoint, "pubkey": minisign.public, "version": "1.0.0", "folder": str(tmp_path / "src")}
    home = {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}
    told = drive_python("tauri_app.py", {**asked, "headers": headers}, DISPLAY=display, APPIMAGE=str(image), **home)
    assert told["error"] is None
    assert image.read_bytes() == content("image", "1.1.0")


def test_zsync(program: Callable[[str], str], relay: Relay, path: str, tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(content("image", "1.0.0"))
    ran = run([program("zsync"), "-i", "old", "-o", "new", f"{path}/appimage/x86_64.zsync"], cwd=tmp_path)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert (tmp_path / "new").read_bytes() == content("image", "1.1.0")
    assert relay.sent_bytes("/download/") < 0.1 * len(content("image", "1.1.0"))


def test_sparkle_and_squirrel_mac(path: str) -> None:
    with urllib.request.urlopen(f"{path}/appcast/macos.xml", timeout=30) as answer:
        assert answer.headers["Cache-Control"] == "private, no-cache"
        offer = sparkle(answer.read(), "1.0.0")
    assert offer is not None
    assert fetch(offer, SPARKLE.public) == content("zip", "1.1.0")
    update = ask_squirrel_mac(f"{path}/squirrel/darwin-x64/1.0.0")
    assert update is not None
    assert update.zip == content("zip", "1.1.0")


@pytest.mark.parametrize(
    "feed",
    ["electron/latest.yml", "squirrel/darwin-x64/1.0.0", "velopack/win-x64/releases.win.json", "appcast/macos.xml"],
)
def test_without_a_key(relay: Relay, feed_key: str, feed: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{relay.url}/feeds/{APP}/stable/{feed}", timeout=30)
    refused.value.close()
    assert refused.value.code == 401
