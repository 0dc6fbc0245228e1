"""electron-updater's generic provider: `latest.yml` and its like. PURE.

Source: electron-updater 6.8, `GenericProvider`, `Provider.ts` (`findFile`, `getChannelFilename`).
"""

from __future__ import annotations

import base64
import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from updater.catalog.model import Build, BuildFile
from updater.catalog.platforms import ARCHITECTURES, Target
from updater.feeds.model import Feed, Page, Rendered, files_of, fitting_files, judge_files
from updater.offers.feed_choice import FeedBuild, FeedStatus, Judgement, Shape

MEDIA_TYPE: Final = "text/yaml; charset=utf-8"
# What is listed, in this order; the client takes the first that it can install.
_LISTED: Final = {"windows": (".exe",), "darwin": (".zip", ".dmg"), "linux": (".appimage", ".deb", ".rpm", ".pacman")}
# The words by which the client finds the installer of its architecture in an address.
_WORDS: Final = {"amd64": "x64", "arm64": "arm64", "386": "ia32"}
# The server decides who is staged, and names no packages.
_NEVER_PASSED: Final = frozenset({"stagingPercentage", "packages"})
_NAME: Final = re.compile(r"(?P<word>.+?)(?P<suffix>-mac|-linux(?:-arm64|-arm|-ia32)?)?\.yml", re.DOTALL)
_LINUX: Final = {"-linux": "amd64", "-linux-arm64": "arm64", "-linux-arm": "arm", "-linux-ia32": "386"}


@dataclass(frozen=True, slots=True)
class ElectronYml:
    """The question of one file: a platform, and on linux the architecture."""

    platform: str
    architecture: str | None = None

    @property
    def groups(self) -> tuple[tuple[Target, ...], ...]:
        """Return the architectures that the file is for."""
        each = (self.architecture,) if self.architecture is not None else ARCHITECTURES
        return (tuple(Target(self.platform, architecture) for architecture in each),)

    @property
    def shape(self) -> Shape:
        """Return the shape: the client compares versions itself."""
        return Shape.SHOWN

    def judge(self, each: FeedBuild) -> Judgement | None:
        """Judge a build."""
        return judge(each)

    def render(self, page: Page) -> Rendered | None:
        """Return the file: JSON, which is YAML."""
        shown = page.choice.shown
        if shown is None:
            return None
        listed = list(files_of(shown))
        several = len({build.target for build, _ in listed}) > 1
        files = [_entry(page, build, each, several=several) for build, each in listed]
        first = shown.builds[0].build
        body = {
            "version": shown.version.text,
            "files": files,
            "path": files[0]["url"],
            "sha512": files[0]["sha512"],
            "releaseName": shown.version.text,
            "releaseNotes": first.notes,
            "releaseDate": _date(first.released_at),
            "required": page.choice.required,
        }
        passed = first.metadata.get("electron")
        if isinstance(passed, Mapping):
            body |= {key: value for key, value in passed.items() if key not in body and key not in _NEVER_PASSED}
        return Rendered(orjson.dumps(body), MEDIA_TYPE)


@functools.lru_cache(256)  # a question that is the same object is found sooner
def read_name(name: str) -> tuple[str | None, ElectronYml] | None:
    """Return the channel that a file's name asks for (None: the address's) and the question; None for another file."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    word, suffix = found["word"], found["suffix"]
    if suffix is None:
        question = ElectronYml("windows")
    elif suffix == "-mac":
        question = ElectronYml("darwin")
    else:
        question = ElectronYml("linux", _LINUX[suffix])
    return None if word == "latest" else word, question


def judge(each: FeedBuild) -> Judgement | None:
    """Return what the feed says of a build: `.exe` on windows, `.zip` on darwin, any package on linux."""
    platform = each.build.target.platform
    endings = _LISTED.get(platform, ())
    # Their order is that of the endings; within one it stays: the primary first, then by name.
    found = fitting_files(each, endings)
    if platform == "darwin" and not any(file.name.lower().endswith(".zip") for file in found):
        return missing_zip(each)
    if not found:
        return None
    return judge_files(found, digest="sha512")


def missing_zip(each: FeedBuild) -> Judgement | None:
    """Return the judgement about a build of darwin without a zip: an image alone cannot be installed by itself."""
    return Judgement(FeedStatus.MISSING_ZIP) if fitting_files(each, (".dmg", ".pkg")) else None


def _entry(page: Page, build: Build, each: BuildFile, *, several: bool) -> dict[str, Any]:
    url = page.file_url(build, each)
    word = _WORDS.get(build.target.architecture)
    if several and build.target.platform == "windows" and word is not None and word not in url:
        url += f"?arch={word}"
    sha512 = "" if each.sha512 is None else base64.b64encode(bytes.fromhex(each.sha512)).decode()
    entry: dict[str, Any] = {"url": url, "sha512": sha512, "size": each.size_bytes}
    if "block_map_size" in each.facts:
        entry["blockMapSize"] = each.facts["block_map_size"]
    return entry


def _date(at: datetime) -> str:
    """Return a time as JavaScript writes it. Source: ECMA-262, Date.prototype.toISOString."""
    return f"{at.astimezone(UTC).strftime('%Y-%m-%dT%H:%M:%S')}.{at.microsecond // 1000:03d}Z"


FEED: Final = Feed(
    "electron",
    judge,
    lambda target: "electron" if target.platform in _LISTED else None,
    together=("windows", "darwin"),
)
