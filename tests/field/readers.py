"""Updaters that run on no Linux, as small readers by their own rules: what they take, and whether they trust it.

Sources: Sparkle 2, SUAppcastDriver.m, SUAppcastItem.m and SUStandardVersionComparator.m; WinSparkle, appcast.cpp and
updatechecker.cpp; NetSparkle, AppCastHelper.cs and AppCastItem.cs; Electron's documentation of autoUpdater, and
Squirrel.Mac's README.
"""

from __future__ import annotations

import base64
import functools
import json
import re
import urllib.request
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import zip_longest

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

SPARKLE = "{http://www.andymatuschak.org/xml-namespaces/sparkle}"
FETCH_S = 30


@dataclass(frozen=True)
class Offer:
    """An update that an updater would show its user."""

    version: str
    shown_version: str
    notes: str
    url: str
    length: int
    signature: str | None
    critical: bool
    major: bool = False
    delta: bool = False


def fetch(offer: Offer, public_key: str) -> bytes:
    """Download as they all do, refuse another length or signature, and return the bytes.

    Raises: ValueError when the file is not what the feed and the key of the application say.
    """
    with urllib.request.urlopen(offer.url, timeout=FETCH_S) as answer:
        data: bytes = answer.read()
    if len(data) != offer.length:
        raise ValueError(f"{len(data)} bytes instead of {offer.length}")
    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key))
        key.verify(base64.b64decode(offer.signature or ""), data)
    except InvalidSignature:
        raise ValueError("the signature is by another key") from None
    return data


def sparkle(feed: bytes, installed: str, system: str = "14.0", *, processor: str = "arm64") -> Offer | None:
    """Return what Sparkle 2 offers: the highest version for this system; one without disturbance first."""

    def fits(item: _Item) -> bool:
        return (
            item.os in (None, "macos")
            and item.text("channel") is None  # without allowedChannels
            and (item.text("phasedRolloutInterval") is None)
            and compare(item.text("minimumSystemVersion") or "0", system) <= 0
            and compare(item.text("maximumSystemVersion") or system, system) >= 0
            and compare(item.text("minimumUpdateVersion") or "0", installed) <= 0
            and (item.text("hardwareRequirements") or processor) == processor
        )

    newer = [item for item in _items(feed) if fits(item) and compare(item.version, installed) > 0]
    minor = [item for item in newer if compare(item.text("minimumAutoupdateVersion") or "0", installed) <= 0]
    found = _highest(minor) or _highest(newer)
    return None if found is None else found.offer(installed, major=found not in minor)


def win_sparkle(feed: bytes, installed: str, processor: str = "x64") -> Offer | None:
    """Return what WinSparkle offers: of the first item for Windows, no channels, and of no such item the first."""
    items = _items(feed)
    fitting = [item for item in items if item.os in ("windows", f"windows-{processor}")] or items
    if not fitting or compare(fitting[0].version, installed) <= 0:
        return None
    return fitting[0].offer(installed)


def net_sparkle(feed: bytes, installed: str, system: str) -> Offer | None:
    """Return what NetSparkle offers on `windows`, `macos` or `linux`: the highest version that is signed."""
    words = {"windows": ("windows", "win", None), "macos": ("macos", "osx", "mac"), "linux": ("linux",)}[system]
    fitting = [item for item in _items(feed) if item.os in words and item.signature]
    newer = [item for item in fitting if _like_semver(item.version) > _like_semver(installed)]
    found = max(newer, key=lambda item: _like_semver(item.version), default=None)
    return None if found is None else found.offer(installed)


@dataclass(frozen=True)
class _Item:
    element: ElementTree.Element

    def text(self, name: str) -> str | None:
        found = self.element.find(SPARKLE + name)
        return None if found is None else (found.text or "").strip()

    @property
    def _enclosure(self) -> ElementTree.Element:
        found = self.element.find("enclosure")
        assert found is not None, "an item without an enclosure"
        return found

    @property
    def os(self) -> str | None:
        return self._enclosure.get(SPARKLE + "os")

    @property
    def signature(self) -> str | None:
        return self._enclosure.get(SPARKLE + "edSignature")

    @property
    def version(self) -> str:
        # Older WinSparkles join the element and the attribute, so one of them must be absent.
        assert self._enclosure.get(SPARKLE + "version") is None
        return self.text("version") or ""

    def offer(self, installed: str, *, major: bool = False) -> Offer:
        taken, delta = self._enclosure, False
        for patch in self.element.iterfind(f"{SPARKLE}deltas/enclosure"):
            if patch.get(SPARKLE + "deltaFrom") == installed:
                taken, delta = patch, True
        critical = self.element.find(SPARKLE + "criticalUpdate")
        below = None if critical is None else critical.get(SPARKLE + "version")
        return Offer(
            self.version,
            self.text("shortVersionString") or self.version,
            self.element.findtext("description") or "",
            taken.attrib["url"],
            int(taken.attrib["length"]),
            taken.get(SPARKLE + "edSignature"),
            critical is not None and (below is None or compare(installed, below) < 0),
            major,
            delta,
        )


def _items(feed: bytes) -> list[_Item]:
    return [_Item(element) for element in ElementTree.fromstring(feed).iterfind("channel/item")]


def _highest(items: Iterable[_Item]) -> _Item | None:
    order: Callable[[_Item, _Item], int] = lambda one, other: compare(one.version, other.version)  # noqa: E731
    # The first of equal ones, as they stand in the feed.
    return max(items, key=functools.cmp_to_key(order), default=None)


def compare(one: str, other: str) -> int:
    """Compare as Sparkle does: runs of digits are numbers, and a word is below a number and below an end."""
    for mine, theirs in zip_longest(*(re.findall(r"\d+|\.|[^\d.]+", each) for each in (one, other))):
        if mine == theirs:
            continue
        if mine is None or theirs is None:
            longer = 1 if theirs is None else -1
            return longer if (mine or theirs)[0] in ".0123456789" else -longer
        kinds = [0 if each[0].isdigit() else 1 if each == "." else 2 for each in (mine, theirs)]
        if kinds[0] != kinds[1]:
            return -1 if kinds[0] > kinds[1] else 1
        if kinds[0] == 0 and int(mine) == int(theirs):
            continue
        mine_first = int(mine) < int(theirs) if kinds[0] == 0 else mine < theirs
        return -1 if mine_first else 1
    return 0


def _like_semver(version: str) -> tuple[tuple[int, ...], bool, str]:
    found = re.fullmatch(r"(\d+(?:\.\d+)*)(.*)", version)
    assert found is not None, version
    return tuple(int(each) for each in found[1].split(".")), not found[2], found[2]


@dataclass(frozen=True)
class MacUpdate:
    """What Squirrel.Mac got; it installs that, whatever its version."""

    name: str
    notes: str | None
    zip: bytes


def ask_squirrel_mac(url: str) -> MacUpdate | None:
    """Check and download as Squirrel.Mac does: 204 is "nothing", `url` is a must, `pub_date` has no fraction."""
    request = urllib.request.Request(url, headers={"Accept": "application/json"})
    with urllib.request.urlopen(request, timeout=FETCH_S) as answer:
        if answer.status == 204:
            return None
        told = json.loads(answer.read())
    datetime.strptime(told["pub_date"], "%Y-%m-%dT%H:%M:%S%z")
    with urllib.request.urlopen(told["url"], timeout=FETCH_S) as answer:
        return MacUpdate(told["name"], told["notes"], answer.read())
