"""Tauri's updater: the answer for one client, and the static `latest.json`. PURE.

Source: tauri-plugin-updater 2, `updater.rs` (`RemoteRelease`, `get_updater_target`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import orjson

from updater.artifacts.signatures import render_tauri
from updater.catalog.model import BuildFile
from updater.catalog.platforms import Target
from updater.feeds.model import NOTHING_NEW, Feed, OneTarget, Page, Rendered, fitting_files, judge_files
from updater.offers.feed_choice import FeedBuild, FeedStatus, Judgement, Listed, Shape
from updater.times import rfc3339

MEDIA_TYPE: Final = "application/json"
ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64", "i686": "386", "armv7": "arm"}
"""The architectures in the words of Tauri, and in those of the catalog."""
# How an application was bundled, and the endings of what updates it: the first that is there and signed counts.
_BUNDLES: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "linux": {"appimage": (".appimage", ".appimage.tar.gz"), "deb": (".deb",), "rpm": (".rpm",)},
    "windows": {"nsis": (".exe", ".nsis.zip"), "msi": (".msi", ".msi.zip")},
    "darwin": {"app": (".app.tar.gz",)},
}
_SCHEME: Final = "minisign"


@dataclass(frozen=True, slots=True)
class TauriUpdate(OneTarget):
    """The question of one client. `bundle` is how it was bundled; None when that is not known."""

    bundle: str | None = None

    @property
    def shape(self) -> Shape:
        """Return the shape: whatever is given is installed."""
        return Shape.NEW

    def judge(self, each: FeedBuild) -> Judgement | None:
        """Judge a build, by the files of the bundle alone when that is known."""
        return judge(each, self.bundle)

    def render(self, page: Page) -> Rendered:
        """Return the update, or 204."""
        new = page.choice.new
        if new is None:
            return NOTHING_NEW
        listed = new.builds[0]
        answer = {
            "version": new.version.text,
            **_source(page, listed, listed.files[0]),
            "notes": listed.build.notes,
            "pub_date": rfc3339(listed.build.released_at),
            "required": page.choice.required,
        }
        return Rendered(orjson.dumps(answer), MEDIA_TYPE)


@dataclass(frozen=True, slots=True)
class TauriLatest:
    """The question of the static file: all targets at once."""

    @property
    def groups(self) -> tuple[tuple[Target, ...], ...]:
        """Return all targets, each for itself."""
        return tuple(
            (Target(platform, architecture),) for platform in _BUNDLES for architecture in ARCHITECTURES.values()
        )

    @property
    def shape(self) -> Shape:
        """Return the shape: the client compares versions itself."""
        return Shape.SHOWN

    def judge(self, each: FeedBuild) -> Judgement | None:
        """Judge a build."""
        return judge(each)

    def render(self, page: Page) -> Rendered | None:
        """Return the file: the newest release that any target is shown, for those that are shown it."""
        shown = [choice.shown for choice in page.choices if choice.shown is not None]
        if not shown:
            return None
        newest = max((each.version for each in shown), key=lambda version: version.sort_key)
        listed = [each.builds[0] for each in shown if each.version.sort_key == newest.sort_key]
        first = listed[0].build
        answer = {
            "version": newest.text,
            "notes": first.notes,
            "pub_date": rfc3339(first.released_at),
            "platforms": {name: source for each in listed for name, source in _platforms(page, each)},
        }
        return Rendered(orjson.dumps(answer), MEDIA_TYPE)


def read_update(target: str, architecture: str, bundle: str | None) -> TauriUpdate | None:
    """Return the question of a client; None for words that Tauri does not have.

    A bundle of another kind of platform, or one that is not known, counts as not told: some versions of the plugin send
    the placeholder itself.
    """
    if target not in _BUNDLES or architecture not in ARCHITECTURES:
        return None
    return TauriUpdate(Target(target, ARCHITECTURES[architecture]), bundle if bundle in _BUNDLES[target] else None)


def judge(each: FeedBuild, bundle: str | None = None) -> Judgement | None:
    """Return what the feed says of a build: for each way of bundling, the first file that is signed with minisign."""
    bundles = _BUNDLES.get(each.build.target.platform, {})
    endings = [bundles[bundle]] if bundle is not None else list(bundles.values())
    fitting = [fitting_files(each, ends) for ends in endings]
    signed = [[file for file in files if _SCHEME in file.signatures] for files in fitting]
    if any(signed):
        return judge_files(files[0] for files in signed if files)
    return Judgement(FeedStatus.MISSING_SIGNATURE) if any(fitting) else None


def _source(page: Page, listed: Listed, file: BuildFile) -> dict[str, Any]:
    return {"url": page.file_url(listed.build, file), "signature": render_tauri(file.signatures[_SCHEME])}


def _platforms(page: Page, listed: Listed) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give the entries of a target: the preferred file under its plain name, then one for each way of bundling."""
    target = listed.build.target
    word = next(word for word, architecture in ARCHITECTURES.items() if architecture == target.architecture)
    plain = f"{target.platform}-{word}"
    yield plain, _source(page, listed, listed.files[0])
    for bundle, endings in _BUNDLES[target.platform].items():
        for file in listed.files:
            if file.name.lower().endswith(endings):
                yield f"{plain}-{bundle}", _source(page, listed, file)


def _url(target: Target) -> str | None:
    return "tauri/{{target}}/{{arch}}/{{current_version}}" if target.platform in _BUNDLES else None


FEED: Final = Feed("tauri", judge, _url)
