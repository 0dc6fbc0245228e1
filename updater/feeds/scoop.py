"""Scoop: the manifest of an application. PURE.

Source: Scoop, `schema.json`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

from updater.catalog.files import name_key
from updater.catalog.model import Application
from updater.catalog.platforms import ARCHITECTURES, Target
from updater.feeds.model import Feed, Page, Rendered, fitting_files, judge_files
from updater.offers.feed_choice import FeedBuild, Judgement, Shape

MEDIA_TYPE: Final = "application/json"
_WORDS: Final = {"amd64": "64bit", "386": "32bit", "arm64": "arm64"}
# The best first.
_ENDINGS: Final = (".zip", ".7z", ".exe", ".msi")
# Archives that hold an installer for Tauri's updater, and no application.
_WRAPPED: Final = (".nsis.zip", ".msi.zip")


@dataclass(frozen=True, slots=True)
class ScoopManifest:
    """The question: the one file of an application."""

    @property
    def groups(self) -> tuple[tuple[Target, ...], ...]:
        """Return all architectures of windows, asked as one."""
        return (tuple(Target("windows", each) for each in ARCHITECTURES if each in _WORDS),)

    @property
    def shape(self) -> Shape:
        """Return the shape: the client compares versions itself."""
        return Shape.SHOWN

    def judge(self, each: FeedBuild) -> Judgement | None:
        """Judge a build."""
        return judge(each)

    def render(self, page: Page) -> Rendered | None:
        """Return the manifest."""
        shown = page.choice.shown
        if shown is None:
            return None
        urls: dict[tuple[str, str], str] = {}
        files = {}
        for listed in shown.builds:
            file = listed.files[0]
            # One file for several architectures has one address.
            url = urls.setdefault((name_key(file.name), file.digest), page.file_url(listed.build, file))
            files[_WORDS[listed.build.target.architecture]] = {"url": url, "hash": file.digest}
        said = _said(page.application, homepage=_origin_of(next(iter(urls.values()))))
        return Rendered(orjson.dumps({"version": shown.version.text, **said, "architecture": files}), MEDIA_TYPE)


def judge(each: FeedBuild) -> Judgement | None:
    """Return what the feed says of a build: the first archive or installer that Scoop can take."""
    target = each.build.target
    if target.platform != "windows" or target.architecture not in _WORDS:
        return None
    found = next((file for file in fitting_files(each, _ENDINGS) if not file.name.lower().endswith(_WRAPPED)), None)
    return None if found is None else judge_files((found,))


def _said(application: Application, homepage: str) -> dict[str, Any]:
    """Return what the application says of itself; Scoop asks for the first three."""
    given = application.feeds.get("scoop")
    said: Mapping[str, Any] = given if isinstance(given, Mapping) else {}
    always = {
        "description": application.description or application.name,
        "homepage": homepage,
        "license": "Unknown",
    }
    return {key: said.get(key, value) for key, value in always.items()} | {
        key: said[key] for key in ("bin", "shortcuts") if key in said
    }


def _origin_of(url: str) -> str:
    scheme, host, *_ = urlsplit(url)
    return f"{scheme}://{host}/"


FEED: Final = Feed(
    "scoop",
    judge,
    lambda target: "scoop/{app_id}.json" if target.platform == "windows" else None,
    together=("windows",),
)
