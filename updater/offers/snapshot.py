"""One application as clients see it: immutable, in memory, swapped whole after each change. PURE.

Per target there are two ladders, one with and one without pre-releases. A ladder holds the builds that some client
could be offered: a build is left out when a newer one, of a complete release, takes every client that it could take.
Releases that are not for all clients take nothing from those below them, so whatever they are hidden from still finds
its build here. A ladder thus grows with the distinct minimums of an application and with its releases under rollout,
which are few, and not with its releases. The database computes the ladders; a property test compares their answers
with those over all builds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from updater.catalog.model import Application, Build, Release
from updater.catalog.platforms import Target


@dataclass(frozen=True, slots=True)
class Rung:
    """One build that may be offered.

    `required_key` is the sort key of the highest required build of a complete release at or below this one: a client
    below it would skip something it must not skip.
    """

    build: Build
    required_key: str | None


Ladder = tuple[Rung, ...]
"""Rungs of one target, newest first."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One application: its settings, its ladders, and the builds on them by version and target.

    `releases` are those of the application's family that some client of the family could be offered, newest first;
    empty for an application that no family is read for.
    """

    application: Application
    stable: Mapping[Target, Ladder]
    any: Mapping[Target, Ladder]
    builds: Mapping[tuple[str, Target], Build] = field(repr=False)
    releases: tuple[Release, ...] = ()

    def ladder(self, target: Target, *, allow_prerelease: bool) -> Ladder:
        """Return the rungs for a target, newest first; empty when there are none."""
        return (self.any if allow_prerelease else self.stable).get(target, ())


def build_snapshot(
    application: Application,
    stable: Iterable[Rung],
    with_prereleases: Iterable[Rung],
    releases: Iterable[Release] = (),
) -> Snapshot:
    """Assemble a snapshot from rungs and releases in any order."""
    stable_ladders, any_ladders = _ladders(stable), _ladders(with_prereleases)
    builds = {
        (rung.build.version.text, target): rung.build
        for ladders in (any_ladders, stable_ladders)
        for target, ladder in ladders.items()
        for rung in ladder
    }
    newest_first = tuple(sorted(releases, key=lambda each: each.version.sort_key, reverse=True))
    return Snapshot(application, stable_ladders, any_ladders, builds, newest_first)


def _ladders(rungs: Iterable[Rung]) -> dict[Target, Ladder]:
    grouped: dict[Target, list[Rung]] = {}
    for rung in rungs:
        grouped.setdefault(rung.build.target, []).append(rung)
    for ladder in grouped.values():
        ladder.sort(key=lambda rung: (rung.build.version.sort_key, rung.build.id), reverse=True)
    return {target: tuple(ladder) for target, ladder in grouped.items()}
