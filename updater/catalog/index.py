"""The immutable in-memory index of one application: everything a check needs, and no more. PURE.

Per target there are two ladders, one with and one without pre-releases. A ladder holds only the builds that
some client could be offered. A build is off the ladder when a newer build takes every client it could take,
so the index stays small however many releases an application has; the database computes the ladders, and a
property test compares their answers with those over all builds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from updater.catalog.model import Application, Build, Release
from updater.catalog.platforms import Target


@dataclass(frozen=True, slots=True)
class Rung:
    """One build that may be offered.

    `required_key` is the sort key of the highest required build at or below this one: a client below it would
    skip something it must not skip.
    """

    build: Build
    required_key: str | None


Ladder = tuple[Rung, ...]
"""Rungs of one target, newest first."""


@dataclass(frozen=True)
class ApplicationIndex:
    """One application as the check path sees it. Swapped whole after each write.

    `answers` caches rendered check answers by the raw query, `downloads` builds and their file names by the path
    that names them; both live and die with this snapshot.
    """

    application: Application
    stable: Mapping[Target, Ladder]
    any: Mapping[Target, Ladder]
    builds: Mapping[tuple[str, Target], Build] = field(repr=False)
    # Those with a three-number version that some desktop client could be offered, newest first.
    releases: tuple[Release, ...] = ()
    answers: dict[str, Any] = field(default_factory=dict, repr=False)
    downloads: dict[str, tuple[Build, str]] = field(default_factory=dict, repr=False)

    def ladder(self, target: Target, *, allow_prerelease: bool) -> Ladder:
        """Return the rungs for a target, newest first; empty when there are none."""
        return (self.any if allow_prerelease else self.stable).get(target, ())


def build_index(
    application: Application,
    stable: Iterable[Rung],
    with_prereleases: Iterable[Rung],
    releases: Iterable[Release] = (),
) -> ApplicationIndex:
    """Assemble an index from rungs and releases in any order."""
    stable_ladders, any_ladders = _ladders(stable), _ladders(with_prereleases)
    builds = {
        (rung.build.version.text, target): rung.build
        for ladders in (any_ladders, stable_ladders)
        for target, ladder in ladders.items()
        for rung in ladder
    }
    newest_first = tuple(sorted(releases, key=lambda each: each.version.sort_key, reverse=True))
    return ApplicationIndex(application, stable_ladders, any_ladders, builds, newest_first)


def gather_releases(builds: Iterable[Build]) -> list[Release]:
    """Put builds together by release; the releases are in the order of their first mention."""
    grouped: dict[int, list[Build]] = {}
    for build in builds:
        grouped.setdefault(build.release_id, []).append(build)
    return [_release(sorted(each, key=lambda build: build.id)) for each in grouped.values()]


def _release(builds: list[Build]) -> Release:
    first = builds[0]
    minimums = [build.minimum for build in builds if build.minimum is not None]
    return Release(
        id=first.release_id,
        version=first.version,
        active=first.active,
        notes=first.notes,
        required=any(build.required for build in builds),
        minimum=max(minimums, key=lambda version: version.sort_key, default=None),
        created_at=first.created_at,
        builds={build.target: build for build in builds},
    )


def _ladders(rungs: Iterable[Rung]) -> dict[Target, Ladder]:
    grouped: dict[Target, list[Rung]] = {}
    for rung in rungs:
        grouped.setdefault(rung.build.target, []).append(rung)
    for ladder in grouped.values():
        ladder.sort(key=lambda rung: (rung.build.version.sort_key, rung.build.id), reverse=True)
    return {target: tuple(ladder) for target, ladder in grouped.items()}
