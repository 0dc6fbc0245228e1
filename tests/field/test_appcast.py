"""Sparkle, WinSparkle and NetSparkle by their rules, and feedparser, which reads any RSS."""

from __future__ import annotations

import urllib.request
from typing import Any

import feedparser
import pytest

from tests.field.made import SparkleKey, content
from tests.field.readers import Offer, fetch, net_sparkle, sparkle, win_sparkle
from tests.field.relay import Relay
from tests.field.shop import Clients, Shop

APP = "appcast-app"
KEY = SparkleKey()
NOTES = "# Neu\n\n* Schöner <script>alert(1)</script> ]]> & mehr\n"
FILES = {
    "darwin/amd64": "Field App {}.zip",
    "windows/amd64": "Field Setup {}.exe",
    "linux/amd64": "field_{}.AppImage",
}


@pytest.fixture(scope="module")
def clients(shop: Shop) -> Clients:
    """Publish 1.0.0 and 1.1.0 (with a delta) for everybody, 1.2.0 for 30 %, 1.3.0 unsigned, 2.0.0-beta.1 as a beta."""
    shop.open(APP, keys={"minisign": [], "ed25519": [KEY.public]})
    releases: dict[str, dict[str, Any]] = {
        "1.0.0": {},
        "1.1.0": {"release_notes": NOTES, "required": True},
        "1.2.0": {"rollout": 30},
        "1.3.0": {},
        "2.0.0-beta.1": {"channel": "beta"},
    }
    for version, more in releases.items():
        for target, name in FILES.items():
            data = content(target, version)
            signed = {} if version == "1.3.0" else {"ed25519": KEY.sign(data)}
            shop.put(APP, version, target, name.format(version), data, **signed, **more)
    delta = content("delta", "1.1.0")[:50_000]
    signed = {"ed25519": KEY.sign(delta)}
    shop.add(APP, "1.1.0", "darwin/amd64", "Field-1.0.0-1.1.0.delta", delta, delta_from="1.0.0", **signed)
    return shop.clients_of(APP, "1.2.0")


def read(relay: Relay, client: str, name: str, channel: str = "stable", **query: str) -> bytes:
    more = "".join(f"&{key}={value}" for key, value in query.items())
    url = f"{relay.url}/feeds/{APP}/{channel}/appcast/{name}.xml?client_id={client}{more}"
    with urllib.request.urlopen(url, timeout=30) as answer:
        assert answer.headers["Content-Type"] == "application/rss+xml; charset=utf-8"
        data: bytes = answer.read()
        return data


READERS = {
    "Sparkle": ("macos", "darwin/amd64", lambda feed, version: sparkle(feed, version)),
    "WinSparkle": ("windows", "windows/amd64", lambda feed, version: win_sparkle(feed, version)),
    "WinSparkle x64": ("windows-x64", "windows/amd64", lambda feed, version: win_sparkle(feed, version)),
    "NetSparkle on Windows": ("win", "windows/amd64", lambda feed, version: net_sparkle(feed, version, "windows")),
    "NetSparkle on macOS": ("macos", "darwin/amd64", lambda feed, version: net_sparkle(feed, version, "macos")),
    "NetSparkle on Linux": ("linux", "linux/amd64", lambda feed, version: net_sparkle(feed, version, "linux")),
}


class Reader:
    """One updater: what it takes of the feed, and of which build the file must be."""

    def __init__(self, relay: Relay, name: str) -> None:
        self._relay = relay
        self.feed, self.target, self._choose = READERS[name]

    def offered(self, version: str, client: str, channel: str = "stable") -> Offer | None:
        found: Offer | None = self._choose(read(self._relay, client, self.feed, channel), version)
        return found


@pytest.fixture(params=list(READERS))
def reader(request: pytest.FixtureRequest, relay: Relay) -> Reader:
    return Reader(relay, request.param)


def test_update(reader: Reader, clients: Clients) -> None:
    offer = reader.offered("0.9.0", clients.outside)
    assert offer is not None
    assert (offer.version, offer.shown_version, offer.critical) == ("1.1.0", "1.1.0", True)
    assert fetch(offer, KEY.public) == content(reader.target, "1.1.0")
    assert "<h1>Neu</h1>" in offer.notes
    assert "<script" not in offer.notes


def test_up_to_date_and_outside_the_rollout(reader: Reader, clients: Clients) -> None:
    """1.3.0 has no signature: nobody is shown it."""
    assert reader.offered("1.1.0", clients.outside) is None


def test_inside_the_rollout(reader: Reader, clients: Clients) -> None:
    offer = reader.offered("1.1.0", clients.inside)
    assert offer is not None
    assert offer.version == "1.2.0"
    assert fetch(offer, KEY.public) == content(reader.target, "1.2.0")


def test_beta(reader: Reader, clients: Clients) -> None:
    offer = reader.offered("1.1.0", clients.outside, "beta")
    assert offer is not None
    assert offer.version == "2.0.0-beta.1"
    assert fetch(offer, KEY.public) == content(reader.target, "2.0.0-beta.1")


def test_an_application_with_another_key(reader: Reader, clients: Clients) -> None:
    offer = reader.offered("1.0.0", clients.outside)
    assert offer is not None
    with pytest.raises(ValueError, match="another key"):
        fetch(offer, SparkleKey(b"other").public)


def test_a_signature_by_another_key_is_refused(shop: Shop, clients: Clients) -> None:
    name = FILES["linux/amd64"].format("1.3.0")
    path = f"/updates/{APP}/builds/1.3.0/linux/amd64/files/{name}/signatures"
    signature = SparkleKey(b"other").sign(content("linux/amd64", "1.3.0"))
    assert "ed25519" in str(shop.ask("PUT", path, {"ed25519": signature}, status=422)["details"])


def test_sparkle_takes_the_delta(relay: Relay, clients: Clients) -> None:
    offer = sparkle(read(relay, clients.outside, "macos"), "1.0.0")
    assert offer is not None
    assert (offer.version, offer.delta) == ("1.1.0", True)
    assert fetch(offer, KEY.public) == content("delta", "1.1.0")[:50_000]


def test_critical_only_below_the_required_version(relay: Relay, clients: Clients) -> None:
    feed = read(relay, clients.inside, "macos")
    below, above = sparkle(feed, "1.0.0"), sparkle(feed, "1.1.0")
    assert below is not None
    assert above is not None
    assert (below.version, below.critical) == (above.version, True) == ("1.2.0", True)
    assert not above.critical


@pytest.mark.parametrize("name", ["macos", "windows-x64", "linux"])
def test_feedparser(relay: Relay, clients: Clients, name: str) -> None:
    parsed = feedparser.parse(read(relay, clients.outside, name))
    assert not parsed.bozo
    assert parsed.version == "rss20"
    assert [entry.sparkle_version for entry in parsed.entries] == ["1.1.0", "1.0.0"]
    entry = parsed.entries[0]
    assert entry.published_parsed is not None
    assert entry.enclosures[0].type == "application/octet-stream"
