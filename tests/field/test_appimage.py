"""zsync and pyzsync: the AppImage's way, which compares bytes and no versions."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.field.made import content
from tests.field.relay import Relay
from tests.field.running import drive_python, run
from tests.field.shop import Clients, Shop

APP = "appimage-app"


@pytest.fixture(scope="module")
def clients(shop: Shop) -> Clients:
    """Publish 1.0.0 and 1.1.0 for everybody, 1.2.0 for 30 %, and 2.0.0-beta.1 as a beta."""
    shop.open(APP)
    for version, more in VERSIONS.items():
        shop.put(APP, version, "linux/amd64", name(version), content("image", version), **more)
    for version in VERSIONS:
        shop.await_files(APP, version, f"{name(version)}.zsync")
    return shop.clients_of(APP, "1.2.0")


VERSIONS: dict[str, dict[str, object]] = {
    "1.0.0": {},
    "1.1.0": {},
    "1.2.0": {"rollout": 30},
    "2.0.0-beta.1": {"channel": "beta"},
}
Update = Callable[..., bytes]


def name(version: str) -> str:
    return f"Field+App-{version}-x86_64.AppImage"


@pytest.fixture(params=["zsync", "pyzsync"])
def update(request: pytest.FixtureRequest, program: Callable[[str], str], relay: Relay, tmp_path: Path) -> Update:
    """Return a function that updates an image of a version, and returns the new one."""

    def change(version: str, client: str, channel: str = "stable") -> bytes:
        old, new = tmp_path / "old", tmp_path / "new"
        old.write_bytes(content("image", version))
        url = f"{relay.url}/feeds/{APP}/{channel}/appimage/x86_64.zsync?client_id={client}"
        if request.param == "pyzsync":
            told = drive_python("zsync_app.py", {"url": url, "old": str(old), "new": str(new)})
            assert told["error"] is None
        else:
            ran = run([program("zsync"), "-i", str(old), "-o", str(new), url], cwd=tmp_path)
            assert ran.returncode == 0, ran.stdout + ran.stderr
        return new.read_bytes()

    return change


def test_differential_update(update: Update, clients: Clients, relay: Relay) -> None:
    assert update("1.0.0", clients.outside) == content("image", "1.1.0")
    assert relay.sent_bytes("/download/") < 0.1 * len(content("image", "1.1.0"))
    assert max(each.headers.get("range", "").count("-") for each in relay.asked) >= 3


def test_up_to_date(update: Update, clients: Clients, relay: Relay) -> None:
    assert update("1.1.0", clients.outside) == content("image", "1.1.0")
    assert relay.sent_bytes("/download/") == 0


def test_inside_the_rollout(update: Update, clients: Clients) -> None:
    assert update("1.1.0", clients.inside) == content("image", "1.2.0")


def test_outside_the_rollout_is_the_image_before(update: Update, clients: Clients) -> None:
    assert update("1.2.0", clients.outside) == content("image", "1.1.0")


def test_beta(update: Update, clients: Clients) -> None:
    assert update("1.1.0", clients.outside, "beta") == content("image", "2.0.0-beta.1")


def test_pyzsync_on_the_file_beside_the_image(relay: Relay, clients: Clients, tmp_path: Path) -> None:
    """Its command looks for the image beside the zsync file, whatever address stands in there."""
    (tmp_path / name("1.1.0")).write_bytes(content("image", "1.0.0"))
    url = f"{relay.url}/api/v1/updates/{APP}/download/1.1.0/linux/amd64/{name('1.1.0')}.zsync"
    ran = run([sys.executable, "-m", "pyzsync", "zsync", url], cwd=tmp_path)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert (tmp_path / name("1.1.0")).read_bytes() == content("image", "1.1.0")
