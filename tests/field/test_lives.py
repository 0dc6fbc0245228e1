"""The life of a release, as one client of each kind sees it: a draft, live, a stepping stone, withdrawn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.field.conftest import Npm
from tests.field.made import content, package
from tests.field.minisigning import Minisign
from tests.field.relay import Relay
from tests.field.running import drive_python, run
from tests.field.shop import Shop
from tests.field.squirrel import ID, Install

Ask = Callable[[str, str], str | None]
"""Ask as an installed version (of an application, a version); return the version that is offered, or None."""


@pytest.fixture
def asks_electron(npm: Npm, relay: Relay, tmp_path: Path) -> Ask:
    def ask(app: str, version: str) -> str | None:
        # electron-builder bakes the address into each build, and so the version.
        url = f"{relay.url}/feeds/{app}/stable/electron?current_version={version}"
        feed = {"provider": "generic", "url": url}
        told = npm.drive("electron.js", kind="Nsis", feed=feed, version=version, cache=str(tmp_path / "cache"))
        assert told["error"] is None
        return told["offered"]["version"] if told["available"] else None

    return ask


@pytest.fixture
def asks_squirrel(install: Install, relay: Relay) -> Ask:
    made = {}

    def ask(app: str, version: str) -> str | None:
        if version not in made:
            made[version] = install(version)
        found = made[version].check(f"{relay.url}/feeds/{app}/stable/squirrel/win32-x64")["futureVersion"]
        return None if found == version else str(found)

    return ask


@pytest.fixture
def asks_velopack(relay: Relay, tmp_path: Path) -> Ask:
    def ask(app: str, version: str) -> str | None:
        url = f"{relay.url}/feeds/{app}/stable/velopack/win-x64"
        asked = {"url": url, "folder": str(tmp_path / version), "version": version, "package_id": ID}
        told = drive_python("velopack_app.py", asked)
        assert told["error"] is None
        return told["offered"] and str(told["offered"]["Version"])

    return ask


@pytest.fixture
def asks_tauri(relay: Relay, display: str, tmp_path: Path, minisign: Minisign) -> Ask:
    def ask(app: str, version: str) -> str | None:
        endpoint = f"{relay.url}/feeds/{app}/stable/tauri/{{{{target}}}}/{{{{arch}}}}/{{{{current_version}}}}"
        image = tmp_path / "image"
        image.write_bytes(b"old")
        asked = {"endpoint": endpoint, "pubkey": minisign.public, "version": version, "folder": str(tmp_path / "src")}
        home = {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}
        told = drive_python("tauri_app.py", asked, DISPLAY=display, APPIMAGE=str(image), **home)
        assert told["error"] is None
        return told["offered"] and str(told["offered"]["version"])

    return ask


@pytest.fixture
def asks_zsync(program: Callable[[str], str], relay: Relay, tmp_path: Path) -> Ask:
    """It installs whatever the address leads to, so the image of another version is what is offered."""

    def ask(app: str, version: str) -> str | None:
        old, new = tmp_path / "old", tmp_path / "new"
        old.write_bytes(content("image", version))
        url = f"{relay.url}/feeds/{app}/stable/appimage/x86_64.zsync?current_version={version}"
        ran = run([program("zsync"), "-i", str(old), "-o", str(new), url], cwd=tmp_path)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        image = new.read_bytes()
        found = next(each for each in ("1.0.0", "1.1.0", "2.0.0") if image == content("image", each))
        return None if found == version else found

    return ask


@pytest.fixture(params=["electron", "squirrel", "velopack", "tauri", "zsync"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def ask(kind: str, request: pytest.FixtureRequest) -> Ask:
    found: Ask = request.getfixturevalue(f"asks_{kind}")
    return found


def publish(shop: Shop, kind: str, app: str, version: str, minisign: Minisign, **more: object) -> None:
    """Publish what the client of this kind takes."""
    image = content("image", version)
    if kind in ("squirrel", "velopack"):
        shop.put(app, version, "windows/amd64", f"{ID}-{version}-full.nupkg", package(ID, version), **more)
    elif kind == "electron":
        shop.put(app, version, "windows/amd64", f"Field {version}.exe", image, **more)
    else:
        name = f"Field-{version}.AppImage"
        shop.put(app, version, "linux/amd64", name, image, minisign=minisign.sign(image), **more)
        if kind == "zsync" and "draft" not in more:
            shop.await_files(app, version, f"{name}.zsync")


def test_a_draft_is_published_and_withdrawn(shop: Shop, kind: str, ask: Ask, minisign: Minisign) -> None:
    app = f"draft-{kind}"
    shop.open(app)
    publish(shop, kind, app, "1.0.0", minisign)
    publish(shop, kind, app, "1.1.0", minisign, draft=True)
    assert ask(app, "1.0.0") is None
    shop.ask("POST", f"/updates/{app}/releases/1.1.0/publish", {})
    if kind == "zsync":
        shop.await_files(app, "1.1.0", "Field-1.1.0.AppImage.zsync")
    assert ask(app, "1.0.0") == "1.1.0"
    assert ask(app, "1.1.0") is None
    shop.ask("POST", f"/updates/{app}/releases/1.1.0/withdraw", {"reason": "crashes"})
    assert ask(app, "1.0.0") is None
    # Nobody goes down, but for who compares bytes alone.
    assert ask(app, "1.1.0") == ("1.0.0" if kind == "zsync" else None)


def test_nobody_passes_over_a_stepping_stone(shop: Shop, kind: str, ask: Ask, minisign: Minisign) -> None:
    app = f"stones-{kind}"
    shop.open(app)
    publish(shop, kind, app, "1.0.0", minisign)
    publish(shop, kind, app, "1.1.0", minisign)
    publish(shop, kind, app, "2.0.0", minisign, minimum_version="1.1.0")
    assert ask(app, "1.0.0") == "1.1.0"
    assert ask(app, "1.1.0") == "2.0.0"
    assert ask(app, "2.0.0") is None
