"""Velopack's list of packages: `releases.{channel}.json`. PURE.

Source: Velopack, `VelopackAsset.cs` and `SimpleWebSource.cs`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import orjson

from updater.catalog.platforms import Target
from updater.feeds import packages
from updater.feeds.model import JSON, Feed, OneTarget, Page, Rendered
from updater.feeds.notes import to_html
from updater.feeds.packages import Package
from updater.offers.feed_choice import FeedBuild, Judgement, Shape

# What Velopack calls targets.
_SYSTEMS: Final = {"win": "windows", "osx": "darwin", "linux": "linux"}
_ARCHITECTURES: Final = {"x64": "amd64", "arm64": "arm64", "x86": "386"}
TARGETS: Final = {
    f"{system}-{word}": Target(platform, architecture)
    for system, platform in _SYSTEMS.items()
    for word, architecture in _ARCHITECTURES.items()
}
_WORDS: Final = {target: word for word, target in TARGETS.items()}


@dataclass(frozen=True, slots=True)
class VelopackReleases(OneTarget):
    """The question for the list of packages."""

    @property
    def shape(self) -> Shape:
        """Return the shape."""
        return Shape.LIST

    def judge(self, each: FeedBuild) -> Judgement | None:
        """Judge a build."""
        return judge(each)

    def render(self, page: Page) -> Rendered:
        """Return the assets, newest first; without any, a list without any."""
        assets = [_asset(each) for _, found in packages.packages_of(page.choice) for each in found]
        return Rendered(orjson.dumps({"Assets": assets}), JSON)


def is_list(name: str) -> bool:
    """Tell whether a name is that of the list, for whatever channel the client thinks it is on."""
    lower = name.lower()
    return lower.startswith("releases.") and lower.endswith(".json") and len(lower) > len("releases..json")


def judge(each: FeedBuild) -> Judgement | None:
    """Return what the feed says of a build."""
    return packages.judge(each) if each.build.target in _WORDS else None


def _asset(each: Package) -> dict[str, Any]:
    build, file, is_delta = each
    return {
        "PackageId": _package_id(file.name, build.version.text),
        "Version": build.version.text,
        "Type": "Delta" if is_delta else "Full",
        "FileName": file.name,
        "SHA1": (file.sha1 or "").upper(),
        "SHA256": file.digest.upper(),
        "Size": file.size_bytes,
        "NotesMarkdown": build.notes,
        "NotesHTML": to_html(build.notes),
    }


def _package_id(name: str, version: str) -> str:
    """Return the name up to the version."""
    return name[:at] if (at := name.lower().find(f"-{version.lower()}")) > 0 else name.partition("-")[0]


def _url(target: Target) -> str | None:
    word = _WORDS.get(target)
    return None if word is None else f"velopack/{word}"


FEED: Final = Feed("velopack", judge, _url)
