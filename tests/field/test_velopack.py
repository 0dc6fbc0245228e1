"""Velopack's SDKs for Python and for Node.js."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.field.conftest import Npm
from tests.field.made import content, package, sha256, velopack_delta
from tests.field.relay import Relay
from tests.field.running import drive_python
from tests.field.shop import Shop

APP, ID = "velopack-app", "Field.App"
NOTES = "# Neu\n\nSchöner\n"


@pytest.fixture(scope="module", autouse=True)
def releases(shop: Shop) -> None:
    """Publish 1.0.0 and 1.1.0 (with a delta) for everybody, 1.2.0 for nobody yet, and 2.0.0-beta.1 as a beta."""
    shop.open(APP)
    plans: dict[str, dict[str, Any]] = {"1.0.0": {}, "1.1.0": {"release_notes": NOTES}, "1.2.0": {"rollout": 0}}
    for version, more in {**plans, "2.0.0-beta.1": {"channel": "beta"}}.items():
        publish(shop, APP, version, **more)
    delta = velopack_delta(ID, "1.0.0", "1.1.0")
    shop.add(APP, "1.1.0", "linux/amd64", f"{ID}-1.1.0-linux-delta.nupkg", delta, delta_from="1.0.0")


def publish(shop: Shop, app: str, version: str, **more: Any) -> None:
    shop.put(app, version, "linux/amd64", f"Field-{version}.AppImage", content("image", version), **more)
    shop.add(app, version, "linux/amd64", full(version), package(ID, version))


def full(version: str) -> str:
    return f"{ID}-{version}-linux-full.nupkg"


def feed(relay: Relay, channel: str = "stable", app: str = APP) -> str:
    return f"{relay.url}/feeds/{app}/{channel}/velopack/linux-x64"


Check = Callable[..., dict[str, Any]]


@pytest.fixture(params=["python", "node"])
def check(request: pytest.FixtureRequest, npm: Npm, tmp_path: Path) -> Check:
    """Return a function that checks and downloads, as an installed version that may have kept its own package."""

    def run(url: str, version: str, *, base: bool = False) -> dict[str, Any]:
        folder = tmp_path / "app"
        asked = {"url": url, "folder": str(folder), "version": version, "package_id": ID}
        drive_python("velopack_app.py", {**asked, "install_only": True})
        if base:
            (folder / "packages" / full(version)).write_bytes(package(ID, version))
        if request.param == "python":
            return drive_python("velopack_app.py", asked)
        return npm.drive("velopack_app.js", **asked)

    return run


def test_full_update(check: Check, relay: Relay) -> None:
    told = check(feed(relay), "1.0.0")
    assert told["error"] is None
    assert (told["offered"]["PackageId"], told["offered"]["Version"]) == (ID, "1.1.0")
    assert told["offered"]["NotesMarkdown"] == NOTES
    assert told["files"][full("1.1.0")]["sha256"] == sha256(package(ID, "1.1.0"))


def test_update_by_a_delta(check: Check, relay: Relay, request: pytest.FixtureRequest) -> None:
    """The SDK for Node.js knows no deltas yet, and takes the whole package."""
    told = check(feed(relay), "1.0.0", base=True)
    assert told["error"] is None
    deltas = [f"{ID}-1.1.0-linux-delta.nupkg"] if "python" in request.node.name else []
    assert told["deltas"] == deltas
    assert told["files"][full("1.1.0")]["sha256"] == sha256(package(ID, "1.1.0"))
    assert [each.path.rpartition("/")[2] for each in relay.of(".nupkg")] == (deltas or [full("1.1.0")])
    if deltas:
        assert relay.sent_bytes(".nupkg") < 0.2 * len(package(ID, "1.1.0"))


def test_up_to_date_and_outside_the_rollout(check: Check, relay: Relay) -> None:
    told = check(feed(relay), "1.1.0")
    assert told["error"] is None
    assert told["offered"] is None


def test_nobody_goes_down(check: Check, relay: Relay) -> None:
    told = check(feed(relay), "1.2.0")
    assert told["error"] is None
    assert told["offered"] is None


def test_beta(check: Check, relay: Relay) -> None:
    told = check(feed(relay, "beta"), "1.1.0")
    assert told["offered"]["Version"] == "2.0.0-beta.1"
    assert told["files"][full("2.0.0-beta.1")]["sha256"] == sha256(package(ID, "2.0.0-beta.1"))


def test_an_application_without_releases(
    check: Check, shop: Shop, relay: Relay, request: pytest.FixtureRequest
) -> None:
    app = f"velopack-empty-{request.node.callspec.id}"
    shop.open(app)
    told = check(feed(relay, app=app), "1.0.0")
    assert told["offered"] is None
    assert relay.asked[0].status == 200


def test_with_a_feed_key_in_the_path(check: Check, shop: Shop, relay: Relay, request: pytest.FixtureRequest) -> None:
    app = f"velopack-private-{request.node.callspec.id}"
    shop.open(app)
    publish(shop, app, "1.1.0")
    key = shop.hide(app)
    assert check(feed(relay, app=app), "1.0.0")["offered"] is None
    told = check(feed(relay, app=app).replace("/feeds/", f"/k/{key}/feeds/"), "1.0.0")
    assert told["error"] is None
    assert told["files"][full("1.1.0")]["sha256"] == sha256(package(ID, "1.1.0"))


@pytest.mark.parametrize("inside", [True, False])
def test_the_identity_that_the_sdk_sends(shop: Shop, relay: Relay, tmp_path: Path, *, inside: bool) -> None:
    """Only the newer SDKs send one; the others are told apart by their address."""
    app = f"velopack-{inside}".lower()
    shop.open(app)
    publish(shop, app, "1.0.0")
    publish(shop, app, "1.1.0", rollout=30)
    clients = shop.clients_of(app, "1.1.0")
    (tmp_path / "packages").mkdir()
    (tmp_path / "packages" / ".betaId").write_text(clients.inside if inside else clients.outside)
    asked = {"url": feed(relay, app=app), "folder": str(tmp_path), "version": "1.0.0", "package_id": ID}
    told = drive_python("velopack_app.py", asked)
    assert (told["offered"] is not None) is inside
