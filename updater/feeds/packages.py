"""Packages in the format of NuGet, which Squirrel.Windows and Velopack install. PURE.

A client applies the deltas from its version up to the newest one after another, so one that is missing makes the
others useless: then it is told of full packages alone, and fetches one.
"""

from __future__ import annotations

from typing import NamedTuple

from updater.catalog.files import FileKind
from updater.catalog.model import Build, BuildFile
from updater.feeds.model import judge_files
from updater.offers.feed_choice import RELEASES_SHOWN, Candidate, Choice, FeedBuild, Judgement


class Package(NamedTuple):
    """A package of a release, full or a delta."""

    build: Build
    file: BuildFile
    is_delta: bool


def judge(each: FeedBuild) -> Judgement | None:
    """Return what a feed of packages says of a build: it needs a full package. Deltas are left out if not whole."""
    full = next((file for file in each.files if file.kind is FileKind.PACKAGE and _is_readable(file)), None)
    return None if full is None else judge_files((full,), digest="sha1")


def packages_of(choice: Choice) -> list[tuple[Candidate, list[Package]]]:
    """Return the packages of the releases that are listed, newest first: of each the full one, then its deltas."""
    deltas = {each.release_id: _deltas_of(each) for each in choice.listed}
    # Below the oldest release that a feed looks at there may be more on the client's way, without deltas.
    is_seen = len(choice.way) < RELEASES_SHOWN and all(deltas.get(each.release_id) for each in choice.way)
    complete = choice.new is None or is_seen
    listed = []
    for each in choice.listed:
        build, files, _ = each.builds[0]
        packages = [Package(build, file, is_delta=False) for file in files]
        listed.append((each, [*packages, *(deltas[each.release_id] if complete else ())]))
    return listed


def _deltas_of(candidate: Candidate) -> list[Package]:
    build, _, files = candidate.builds[0]
    return [
        Package(build, each, is_delta=True)
        for each in files
        if each.kind is FileKind.DELTA and _is_readable(each) and each.sha1 is not None and not each.quarantined
    ]


def _is_readable(file: BuildFile) -> bool:
    """Tell whether clients read a file's name: white space ends it in their lists."""
    return file.name.lower().endswith(".nupkg") and not any(each.isspace() for each in file.name)
