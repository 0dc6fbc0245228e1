"""Squirrel.Windows' own Update.exe, which checks, downloads, patches and installs; and Squirrel.Mac by its rules."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.field.made import content, package, sha256, squirrel_delta
from tests.field.readers import ask_squirrel_mac
from tests.field.relay import Relay
from tests.field.running import run
from tests.field.shop import Clients, Shop
from tests.field.squirrel import ID, Install

APP = "squirrel-app"


@pytest.fixture(scope="module")
def clients(shop: Shop) -> Clients:
    """Publish 1.0.0 and 1.1.0 (with a delta) for everybody, 1.2.0 for 30 %, and 2.0.0-beta1 as a beta."""
    shop.open(APP)
    releases: dict[str, dict[str, Any]] = {"1.0.0": {}, "1.1.0": {"release_notes": "Neu"}, "1.2.0": {"rollout": 30}}
    for version, more in {**releases, "2.0.0-beta1": {"channel": "beta"}}.items():
        shop.put(APP, version, "windows/amd64", f"Field Setup {version}.exe", content("setup", version), **more)
        shop.add(APP, version, "windows/amd64", f"{ID}-{version}-full.nupkg", package(ID, version))
        shop.put(APP, version, "darwin/amd64", f"Field-{version}.zip", content("zip", version), **more)
    delta = squirrel_delta(ID, "1.0.0", "1.1.0")
    shop.add(APP, "1.1.0", "windows/amd64", f"{ID}-1.1.0-delta.nupkg", delta, delta_from="1.0.0")
    return shop.clients_of(APP, "1.2.0")


def feed(relay: Relay, client: str, channel: str = "stable", target: str = "win32-x64") -> str:
    return f"{relay.url}/feeds/{APP}/{channel}/squirrel/{target}?client_id={client}"


def test_update_by_a_delta(install: Install, relay: Relay, clients: Clients) -> None:
    app = install("1.0.0")
    app.update_exe("--update", feed(relay, clients.outside))
    assert app.versions()["1.1.0"] == sha256(content("package", "1.1.0"))
    fetched = [each.path.rpartition("/")[2] for each in relay.of(".nupkg")]
    assert fetched == [f"{ID}-1.1.0-delta.nupkg"]
    assert relay.sent_bytes(".nupkg") < 0.2 * len(package(ID, "1.1.0"))


def test_full_update(install: Install, relay: Relay, clients: Clients) -> None:
    app = install("1.1.0")
    assert app.check(feed(relay, clients.inside))["futureVersion"] == "1.2.0"
    app.update_exe("--update", feed(relay, clients.inside))
    assert app.versions()["1.2.0"] == sha256(content("package", "1.2.0"))


def test_up_to_date_and_outside_the_rollout(install: Install, relay: Relay, clients: Clients) -> None:
    app = install("1.1.0")
    told = app.check(feed(relay, clients.outside))
    assert told["futureVersion"] == "1.1.0"
    assert told["releasesToApply"] == []
    app.update_exe("--update", feed(relay, clients.outside))
    assert list(app.versions()) == ["1.1.0"]
    assert not relay.of(".nupkg")


def test_nobody_goes_down(install: Install, relay: Relay, clients: Clients) -> None:
    app = install("1.2.0")
    app.update_exe("--update", feed(relay, clients.outside))
    assert list(app.versions()) == ["1.2.0"]


def test_beta(install: Install, relay: Relay, clients: Clients) -> None:
    app = install("1.1.0")
    app.update_exe("--update", feed(relay, clients.outside, "beta"))
    assert app.versions()["2.0.0-beta1"] == sha256(content("package", "2.0.0-beta1"))


def test_with_the_version_in_the_path(install: Install, relay: Relay, clients: Clients) -> None:
    """As Electron's documentation has it for both systems: setFeedURL(server + platform + version)."""
    app = install("1.0.0")
    app.update_exe("--update", feed(relay, clients.outside, target="win32-x64/1.0.0"))
    assert app.versions()["1.1.0"] == sha256(content("package", "1.1.0"))


def test_with_a_feed_key_in_the_path(install: Install, shop: Shop, relay: Relay) -> None:
    """A key in a query would be lost on the way to the package."""
    name = "squirrel-private"
    shop.open(name)
    for version in ("1.0.0", "1.1.0"):
        shop.put(name, version, "windows/amd64", f"{ID}-{version}-full.nupkg", package(ID, version))
    key = shop.hide(name)
    app = install("1.0.0")
    app.update_exe("--update", f"{relay.url}/k/{key}/feeds/{name}/stable/squirrel/win32-x64")
    assert app.versions()["1.1.0"] == sha256(content("package", "1.1.0"))


def test_squirrel_mac(relay: Relay, clients: Clients) -> None:
    found = ask_squirrel_mac(feed(relay, clients.outside, target="darwin-x64/1.0.0"))
    assert found is not None
    assert (found.name, found.notes) == ("1.1.0", "Neu")
    assert found.zip == content("zip", "1.1.0")
    assert ask_squirrel_mac(feed(relay, clients.outside, target="darwin-x64/1.1.0")) is None
    assert ask_squirrel_mac(feed(relay, clients.outside, target="darwin-x64/1.2.0")) is None
    found = ask_squirrel_mac(feed(relay, clients.inside, target="darwin-x64/1.1.0"))
    assert found is not None
    assert found.zip == content("zip", "1.2.0")
    beta = ask_squirrel_mac(feed(relay, clients.outside, "beta", "darwin-x64/1.1.0"))
    assert beta is not None
    assert beta.name == "2.0.0-beta1"


def test_releases_are_as_squirrel_writes_them(relay: Relay, clients: Clients) -> None:
    """Some readers of RELEASES split at single spaces and know no empty line."""
    ran = run(["curl", "-sS", f"{relay.url}/feeds/{APP}/stable/squirrel/win32-x64/RELEASES"])
    assert re.fullmatch(r"(?:[0-9A-F]{40} \S+-(?:full|delta)\.nupkg \d+\n)+", ran.stdout)
