"""electron-updater 6.8 as AppImage, NSIS and macOS application."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.field.conftest import Npm
from tests.field.made import app_image, content, sha256
from tests.field.relay import Relay
from tests.field.shop import Clients, Shop

APP = "electron-app"
NOTES = "# Neu\n\nSchöner: „ja“ & <b>mehr</b>\n"


@dataclass(frozen=True)
class Kind:
    """An updater, and what electron-builder leaves for it."""

    updater: str
    target: str
    name: str
    make: Callable[[str], bytes]


KINDS = {
    "AppImage": Kind("AppImage", "linux/amd64", "Field-{}.AppImage", app_image),
    "Nsis": Kind("Nsis", "windows/amd64", "Field App Setup {}.exe", lambda version: content("exe", version)),
    "Mac": Kind("Mac", "darwin/amd64", "Field App-{}-mac.zip", lambda version: content("zip", version)),
}
Check = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def clients(shop: Shop) -> Clients:
    """Publish 1.0.0 and 1.1.0 for everybody, 1.2.0 for 30 %, and 2.0.0-beta.1 as a beta."""
    shop.open(APP)
    releases: dict[str, dict[str, Any]] = {"1.0.0": {}, "1.1.0": {"release_notes": NOTES}, "1.2.0": {"rollout": 30}}
    for version, more in {**releases, "2.0.0-beta.1": {"channel": "beta"}}.items():
        for kind in KINDS.values():
            shop.put(APP, version, kind.target, kind.name.format(version), kind.make(version), **more)
    return shop.clients_of(APP, "1.2.0")


@pytest.fixture(scope="module")
def block_maps(shop: Shop, clients: Clients) -> None:
    """Wait for what the server makes for differential updates."""
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        shop.await_files(APP, version, *(f"{KINDS[each].name.format(version)}.blockmap" for each in ("Nsis", "Mac")))


@pytest.fixture(params=list(KINDS))
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


@pytest.fixture
def check(npm: Npm, relay: Relay, tmp_path: Path, kind: Kind) -> Check:
    """Return a function that checks and downloads, with the installed file of a version where the updater keeps it."""

    def run(version: str, *, old: str | None = None, channel: str = "stable", **more: Any) -> dict[str, Any]:
        if old is not None:
            (tmp_path / "old").write_bytes(kind.make(old))
            more["old"] = str(tmp_path / "old")
        feed = {"provider": "generic", "url": f"{relay.url}/feeds/{APP}/{channel}/electron"}
        cache = str(tmp_path / "cache")
        return npm.drive("electron.js", kind=kind.updater, feed=feed, version=version, cache=cache, **more)

    return run


def test_full_update(check: Check, kind: Kind, clients: Clients) -> None:
    told = check("1.0.0", stagingId=clients.outside)
    assert told["error"] is None
    assert told["offered"]["version"] == "1.1.0"
    assert told["offered"]["releaseNotes"] == NOTES
    assert told["file"]["sha256"] == sha256(kind.make("1.1.0"))
    assert told["file"]["name"] == kind.name.format("1.1.0")
    if kind.updater == "Mac":  # and Squirrel.Mac got it from electron-updater's own server
        assert told["native"]["sha256"] == told["file"]["sha256"]


@pytest.mark.usefixtures("block_maps")
def test_differential_update(check: Check, kind: Kind, clients: Clients, relay: Relay) -> None:
    told = check("1.0.0", old="1.0.0", stagingId=clients.outside)
    assert told["error"] is None
    assert told["file"]["sha256"] == sha256(kind.make("1.1.0"))
    assert not [line for line in told["log"] if line.startswith("error")]
    assert relay.sent_bytes("/download/") < 0.2 * len(kind.make("1.1.0"))
    assert max(each.headers.get("range", "").count("-") for each in relay.asked) == 3


def test_up_to_date(check: Check, clients: Clients) -> None:
    told = check("1.1.0", stagingId=clients.outside)
    assert told["error"] is None
    assert not told["available"]
    assert told["offered"]["version"] == "1.1.0"


def test_inside_the_rollout(check: Check, kind: Kind, clients: Clients) -> None:
    told = check("1.1.0", old="1.1.0", stagingId=clients.inside)
    assert told["offered"]["version"] == "1.2.0"
    assert told["file"]["sha256"] == sha256(kind.make("1.2.0"))


def test_nobody_goes_down(check: Check, clients: Clients) -> None:
    told = check("1.2.0", stagingId=clients.outside)
    assert not told["available"]
    assert told["error"] is None


def test_beta_by_the_address(check: Check, kind: Kind, clients: Clients) -> None:
    told = check("1.1.0", channel="beta", stagingId=clients.outside)
    assert told["offered"]["version"] == "2.0.0-beta.1"
    assert told["file"]["sha256"] == sha256(kind.make("2.0.0-beta.1"))


def test_beta_by_the_option(npm: Npm, relay: Relay, tmp_path: Path, kind: Kind, clients: Clients) -> None:
    feed = {"provider": "generic", "url": f"{relay.url}/feeds/{APP}/stable/electron", "channel": "beta"}
    told = npm.drive("electron.js", kind=kind.updater, feed=feed, version="1.1.0", cache=str(tmp_path / "cache"))
    assert told["offered"]["version"] == "2.0.0-beta.1"
    assert told["file"]["sha256"] == sha256(kind.make("2.0.0-beta.1"))


@pytest.mark.parametrize("arch", ["x64", "arm64"])
def test_each_processor_gets_its_own(npm: Npm, shop: Shop, relay: Relay, tmp_path: Path, arch: str) -> None:
    """The names do not tell the architectures apart, so the addresses must."""
    app = {"x64": "electron-intel", "arm64": "electron-arms"}[arch]  # the updater searches the whole address for words
    shop.open(app)
    for target in ("amd64", "arm64"):
        shop.put(app, "1.1.0", f"windows/{target}", "Field Setup 1.1.0.exe", content(target, "1.1.0"))
    shop.put(app, "1.1.0", "darwin/amd64", "Field-1.1.0.zip", content("universal", "1.1.0"), also="arm64")
    wanted = {"Nsis": content("amd64" if arch == "x64" else "arm64", "1.1.0"), "Mac": content("universal", "1.1.0")}
    for name, data in wanted.items():
        feed = {"provider": "generic", "url": f"{relay.url}/feeds/{app}/stable/electron"}
        cache = str(tmp_path / name)
        told = npm.drive("electron.js", kind=name, feed=feed, version="1.0.0", arch=arch, cache=cache)
        assert told["error"] is None
        assert told["file"]["sha256"] == sha256(data)


def test_with_a_feed_key_in_the_path(npm: Npm, shop: Shop, relay: Relay, tmp_path: Path) -> None:
    app = "electron-private"
    shop.open(app)
    key = shop.hide(app)
    for version in ("1.0.0", "1.1.0"):
        shop.put(app, version, "windows/amd64", f"Field-{version}.exe", content("exe", version))
        shop.await_files(app, version, f"Field-{version}.exe.blockmap")
    (tmp_path / "old").write_bytes(content("exe", "1.0.0"))
    asked = {"kind": "Nsis", "version": "1.0.0", "cache": str(tmp_path / "cache"), "old": str(tmp_path / "old")}
    feed = {"provider": "generic", "url": f"{relay.url}/feeds/{app}/stable/electron"}
    assert "401" in npm.drive("electron.js", feed=feed, **asked)["error"]
    feed["url"] = f"{relay.url}/k/{key}/feeds/{app}/stable/electron"
    told = npm.drive("electron.js", feed=feed, **asked)
    assert told["error"] is None
    assert told["file"]["sha256"] == sha256(content("exe", "1.1.0"))
    assert relay.sent_bytes("/download/") < 0.2 * len(content("exe", "1.1.0"))
    assert all(each.path.startswith(f"/k/{key}/") for each in relay.of("/download/"))
