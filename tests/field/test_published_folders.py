"""From the folder that a build tool leaves, by `updater publish`, to the updater that installs it."""

from __future__ import annotations

import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.client.folder import makers
from tests.field.conftest import Npm
from tests.field.made import content, package, sha256
from tests.field.readers import fetch, sparkle
from tests.field.relay import Relay
from tests.field.running import drive_python, run
from tests.field.shop import Shop
from tests.field.squirrel import Install
from tests.field.test_tauri import ASKS

VERSION = "1.2.0"
Publish = Callable[..., None]


@pytest.fixture
def publish(shop: Shop) -> Publish:
    """Return a function that publishes a folder as a user does, in a process of its own."""

    def send(app: str, folder: Path, *words: str, **fields: Any) -> None:
        shop.open(app, **fields)
        command = [
            sys.executable,
            "-W",
            "error",
            "-m",
            "updater",
            "publish",
            str(folder),
            "--app",
            app,
            "--yes",
            *words,
        ]
        ran = run(command, UPDATER_SERVER=shop.url, UPDATER_KEY=shop.key)
        assert ran.returncode == 0, ran.stdout + ran.stderr

    return send


@pytest.mark.parametrize(
    ("kind", "arch", "name"),
    [
        ("AppImage", "x64", f"my-app-{VERSION}.AppImage"),
        ("Nsis", "x64", f"My App Setup {VERSION}.exe"),
        ("Mac", "x64", f"My App-{VERSION}-mac.zip"),
        ("Mac", "arm64", f"My App-{VERSION}-arm64-mac.zip"),
    ],
)
def test_electron_builder(
    publish: Publish, npm: Npm, relay: Relay, tmp_path: Path, kind: str, arch: str, name: str
) -> None:
    folder = makers.electron(tmp_path / "dist", releaseNotes="Faster")
    app = f"electron-{kind}-{'intel' if arch == 'x64' else 'arms'}".lower()
    publish(app, folder)
    feed = {"provider": "generic", "url": f"{relay.url}/feeds/{app}/stable/electron"}
    asked = {"feed": feed, "version": "1.1.0", "cache": str(tmp_path / "cache"), "arch": arch}
    if kind == "Mac":  # latest-mac.yml says the least version of the system
        assert not npm.drive("electron.js", kind=kind, **asked, system="20.6.0")["available"]
        asked["system"] = "21.6.0"
    told = npm.drive("electron.js", kind=kind, **asked)
    assert told["error"] is None
    assert (told["offered"]["version"], told["offered"]["releaseNotes"]) == (VERSION, "Faster")
    assert told["file"]["sha256"] == sha256((folder / name).read_bytes())


def test_tauri(publish: Publish, relay: Relay, display: str, tmp_path: Path) -> None:
    key = makers.MinisignKey()
    folder = makers.tauri(tmp_path / "bundle", key)
    publish("tauri-folder", folder, keys={"minisign": [key.tauri_public_key], "ed25519": []})
    image = tmp_path / "my-app.AppImage"
    image.write_bytes(b"old")
    image.chmod(0o755)
    endpoint = f"{relay.url}/feeds/tauri-folder/stable/tauri/{ASKS}"
    asked = {"endpoint": endpoint, "pubkey": key.tauri_public_key, "version": "1.1.0", "folder": str(tmp_path / "src")}
    home = {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}
    told = drive_python("tauri_app.py", asked, DISPLAY=display, APPIMAGE=str(image), **home)
    assert told["error"] is None
    assert image.read_bytes() == (folder / "appimage" / f"my-app_{VERSION}_amd64.AppImage").read_bytes()


def test_velopack(publish: Publish, relay: Relay, tmp_path: Path) -> None:
    folder = makers.velopack(tmp_path / "Releases", word="linux")
    publish("velopack-folder", folder)
    url = f"{relay.url}/feeds/velopack-folder/stable/velopack/linux-x64"
    asked = {"url": url, "folder": str(tmp_path / "app"), "version": "1.0.0", "package_id": "My.App"}
    told = drive_python("velopack_app.py", asked)
    assert told["error"] is None
    assert told["offered"]["NotesMarkdown"] == f"# News of {VERSION}"
    name = f"My.App-{VERSION}-linux-full.nupkg"
    assert told["files"][name]["sha256"] == sha256((folder / name).read_bytes())


def test_electron_winstaller(publish: Publish, install: Install, relay: Relay, tmp_path: Path) -> None:
    folder = tmp_path / "installers"
    full = makers.place(folder, f"Field-{VERSION}-full.nupkg", package("Field", VERSION))
    makers.place(folder, f"Field-{VERSION} Setup.exe")
    makers.place(folder, "RELEASES", f"\ufeff{makers.sha1(full)} {full.name} {full.stat().st_size}")
    publish("squirrel-folder", folder)
    app = install("1.1.0")
    app.update_exe("--update", f"{relay.url}/feeds/squirrel-folder/stable/squirrel/win32-x64")
    assert app.versions()[VERSION] == sha256(content("package", VERSION))


def test_sparkle(publish: Publish, relay: Relay, tmp_path: Path) -> None:
    key = makers.SparkleKey()
    folder = makers.sparkle(tmp_path / "updates", key)
    publish("sparkle-folder", folder, "--version", "2.0.0", keys={"minisign": [], "ed25519": [key.public_text]})
    with urllib.request.urlopen(f"{relay.url}/feeds/sparkle-folder/stable/appcast/macos.xml", timeout=30) as answer:
        feed = answer.read()
    for installed, name in (("1007", "MyApp2042-1007.delta"), ("900", "MyApp-2.0.zip")):
        offer = sparkle(feed, installed)
        assert offer is not None
        assert (offer.version, offer.delta) == ("2042", installed == "1007")
        assert "<h2>News</h2>" in offer.notes
        assert fetch(offer, key.public_text) == (folder / name).read_bytes()
