"""Electron's autoUpdater: Squirrel.Mac and MSIX, which ask for one update, and Squirrel.Windows. PURE.

Source: Electron's documentation of autoUpdater, "Update server specification"; Squirrel.Windows, `ReleaseEntry.cs`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import orjson

from updater.catalog.platforms import Target
from updater.feeds import packages
from updater.feeds.electron import missing_zip
from updater.feeds.model import JSON, NOTHING_NEW, Feed, OneTarget, Page, Rendered, fitting_files, judge_files
from updater.offers.feed_choice import FeedBuild, FeedStatus, Judgement, Shape

# What Node.js calls targets; a universal application is listed as that of amd64.
TARGETS: Final = {
    "darwin": Target("darwin", "amd64"),
    "darwin-universal": Target("darwin", "amd64"),
    "darwin-x64": Target("darwin", "amd64"),
    "darwin-arm64": Target("darwin", "arm64"),
    "win32": Target("windows", "amd64"),
    "win32-x64": Target("windows", "amd64"),
    "win32-arm64": Target("windows", "arm64"),
    "win32-ia32": Target("windows", "386"),
}
_WORDS: Final = {target: word for word, target in TARGETS.items() if "-" in word and "universal" not in word}
_ENDINGS: Final = {"darwin": ".zip", "windows": ".msix"}


@dataclass(frozen=True, slots=True)
class SquirrelUpdate(OneTarget):
    """The question for one update. The client installs whatever it is given, so it is given what is new, or nothing."""

    @property
    def shape(self) -> Shape:
        """Return the shape."""
        return Shape.NEW

    def judge(self, each: FeedBuild) -> Judgement | None:
        """Judge a build by its zip or MSIX package."""
        return _judge_update(each)

    def render(self, page: Page) -> Rendered:
        """Return the update, or that there is none."""
        new = page.choice.new
        if new is None:
            return NOTHING_NEW
        build, files, _ = new.builds[0]
        answer = {
            "url": page.file_url(build, files[0]),
            "name": build.version.text,
            "notes": build.notes,
            "pub_date": _date(build.released_at),
        }
        return Rendered(orjson.dumps(answer), JSON)


@dataclass(frozen=True, slots=True)
class SquirrelReleases(OneTarget):
    """The question for the list of packages."""

    @property
    def shape(self) -> Shape:
        """Return the shape."""
        return Shape.LIST

    def judge(self, each: FeedBuild) -> Judgement | None:
        """Judge a build by its package."""
        return _judge_packages(each)

    def render(self, page: Page) -> Rendered | None:
        """Return the lines, oldest first; None without any: an empty list is an error to the client."""
        lines = [
            f"{(each.file.sha1 or '').upper()} {each.file.name} {each.file.size_bytes}\n"
            for _, found in reversed(packages.packages_of(page.choice))
            for each in found
        ]
        return Rendered("".join(lines).encode(), "text/plain") if lines else None


def judge(each: FeedBuild) -> Judgement | None:
    """Return what the feed says of a build: on darwin its zip counts, on windows a package or an MSIX package."""
    found = [judgement for judgement in (_judge_packages(each), _judge_update(each)) if judgement is not None]
    listed = (judgement for judgement in found if judgement.status is FeedStatus.LISTED)
    return next(listed, found[0] if found else None)


def _judge_update(each: FeedBuild) -> Judgement | None:
    platform = each.build.target.platform
    if platform not in _ENDINGS:
        return None
    fitting = fitting_files(each, (_ENDINGS[platform],))
    if fitting:
        return judge_files(fitting[:1])
    return missing_zip(each) if platform == "darwin" else None


def _judge_packages(each: FeedBuild) -> Judgement | None:
    return packages.judge(each) if each.build.target.platform == "windows" else None


def _date(at: datetime) -> str:
    """Return a time as the client reads it: without a fraction of a second."""
    return at.astimezone(UTC).replace(microsecond=0).isoformat()


def _url(target: Target) -> str | None:
    word = _WORDS.get(target)
    return None if word is None else f"squirrel/{word}"


FEED: Final = Feed("squirrel", judge, _url)
