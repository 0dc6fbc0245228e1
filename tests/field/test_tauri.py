"""tauri-plugin-updater in a Tauri application, on a display that nobody sees."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.field.made import content, sha256
from tests.field.minisigning import Minisign
from tests.field.relay import Relay
from tests.field.running import drive_python
from tests.field.shop import Clients, Shop

APP, TARGET = "tauri-app", "linux/amd64"
NOTES = "# Neu\n\nSchöner\n"
ASKS = "{{target}}/{{arch}}/{{current_version}}?bundle={{bundle_type}}"

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.uname().machine != "x86_64", reason="pytauri-wheel is for Linux on x86_64 here"
)


@pytest.fixture(scope="module")
def clients(shop: Shop, minisign: Minisign) -> Clients:
    """Publish 1.0.0 and 1.1.0 for everybody, 1.2.0 for 30 %, 1.3.0 unsigned, and 2.0.0-beta.1 as a beta."""
    shop.open(APP, keys={"minisign": [minisign.public], "ed25519": []})
    releases: dict[str, dict[str, Any]] = {
        "1.0.0": {},
        "1.1.0": {"release_notes": NOTES},
        "1.2.0": {"rollout": 30},
        "1.3.0": {},
    }
    for version, more in {**releases, "2.0.0-beta.1": {"channel": "beta"}}.items():
        image = content("image", version)
        signed = {} if version == "1.3.0" else {"minisign": minisign.sign(image)}
        shop.put(APP, version, TARGET, f"field_{version}_amd64.AppImage", image, **signed, **more)
    return shop.clients_of(APP, "1.2.0")


Check = Callable[..., dict[str, Any]]


@pytest.fixture
def check(relay: Relay, display: str, tmp_path: Path, minisign: Minisign) -> Check:
    """Return a function that checks and installs over the image that runs."""
    pytest.importorskip("pytauri_wheel")

    def ask(
        version: str, client: str, *, channel: str = "stable", public: str = minisign.public, asks: str = ASKS
    ) -> dict[str, Any]:
        image = tmp_path / "field.AppImage"
        image.write_bytes(content("image", version))
        image.chmod(0o755)
        endpoint = f"{relay.url}/feeds/{APP}/{channel}/tauri/{asks}&client_id={client}"
        asked = {"endpoint": endpoint, "pubkey": public, "version": version, "folder": str(tmp_path / "src-tauri")}
        home = {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}
        told = drive_python("tauri_app.py", asked, DISPLAY=display, APPIMAGE=str(image), **home)
        return {**told, "image": sha256(image.read_bytes())}

    return ask


def test_full_update(check: Check, clients: Clients, minisign: Minisign) -> None:
    told = check("1.0.0", clients.outside)
    assert told["error"] is None
    assert (told["offered"]["version"], told["offered"]["body"]) == ("1.1.0", NOTES)
    assert told["installed"]
    assert told["image"] == sha256(content("image", "1.1.0"))
    minisign.verify(content("image", "1.1.0"), told["offered"]["rawJson"]["signature"])


def test_the_static_document(check: Check, clients: Clients) -> None:
    """The application compares the versions itself, and finds its own target."""
    assert check("1.0.0", clients.outside, asks="latest.json?")["image"] == sha256(content("image", "1.1.0"))
    told = check("1.1.0", clients.outside, asks="latest.json?")
    assert (told["offered"], told["error"]) == (None, None)


def test_up_to_date_and_outside_the_rollout(check: Check, clients: Clients, relay: Relay) -> None:
    told = check("1.1.0", clients.outside)
    assert (told["offered"], told["error"]) == (None, None)
    assert [each.status for each in relay.asked] == [204]


def test_inside_the_rollout(check: Check, clients: Clients) -> None:
    told = check("1.1.0", clients.inside)
    assert told["image"] == sha256(content("image", "1.2.0"))


def test_beta(check: Check, clients: Clients) -> None:
    told = check("1.1.0", clients.outside, channel="beta")
    assert told["offered"]["version"] == "2.0.0-beta.1"
    assert told["image"] == sha256(content("image", "2.0.0-beta.1"))


def test_an_application_with_another_key(check: Check, clients: Clients, tmp_path: Path, minisign: Minisign) -> None:
    other = Minisign(minisign.program, tmp_path / "other")
    told = check("1.0.0", clients.outside, public=other.public)
    assert "different key" in told["error"]
    assert not told["installed"]
    assert told["image"] == sha256(content("image", "1.0.0"))


def test_a_signature_by_another_key_is_refused(
    shop: Shop, clients: Clients, tmp_path: Path, minisign: Minisign
) -> None:
    other = Minisign(minisign.program, tmp_path / "other")
    path = f"/updates/{APP}/builds/1.3.0/{TARGET}/files/field_1.3.0_amd64.AppImage/signatures"
    refused = shop.ask("PUT", path, {"minisign": other.sign(content("image", "1.3.0"))}, status=422)
    assert "minisign" in str(refused["details"])
