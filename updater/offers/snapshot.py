"""One application as clients see it: immutable, in memory, swapped whole after each change. PURE.

Per target there is a ladder without pre-releases for clients of the first channel, and one with them for each channel.
A client sees the releases of its channel and of all more stable ones. A ladder holds the builds that some client
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
from updater.rollouts.model import Rollout


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

    `any` has the ladders with pre-releases, by the position of the client's channel. `rollouts` are those of active
    releases that are not complete, by release id. `releases` are those of the application's family that some client of
    the family could be offered, newest first; empty for an application that no family is read for.
    """

    application: Application
    stable: Mapping[Target, Ladder]
    any: tuple[Mapping[Target, Ladder], ...]
    builds: Mapping[tuple[str, Target], Build] = field(repr=False)
    releases: tuple[Release, ...] = ()
    rollouts: Mapping[int, Rollout] = field(default_factory=dict)

    def ladder(self, target: Target, *, allow_prerelease: bool, channel: int = 0) -> Ladder:
        """Return the rungs for a target, newest first; empty when there are none.

        `channel` is the position of the client's channel; on any but the first, clients get pre-releases always.
        """
        ladders = self.any[channel] if allow_prerelease or channel else self.stable
        return ladders.get(target, ())


def build_snapshot(
    application: Application,
    stable: Iterable[Rung],
    with_prereleases: Mapping[int, Iterable[Rung]],
    releases: Iterable[Release] = (),
    rollouts: Iterable[Rollout] = (),
) -> Snapshot:
    """Assemble a snapshot from rungs and releases in any order.

    `with_prereleases` has rungs by the position of the client's channel. A channel without any sees what the one before
    it sees.
    """
    stable_ladders = _ladders(stable)
    any_ladders: list[dict[Target, Ladder]] = []
    for position in range(len(application.channels)):
        if position in with_prereleases or not any_ladders:
            any_ladders.append(_ladders(with_prereleases.get(position, ())))
        else:
            any_ladders.append(any_ladders[-1])
    builds = {
        (rung.build.version.text, target): rung.build
        for ladders in (*any_ladders, stable_ladders)
        for target, ladder in ladders.items()
        for rung in ladder
    }
    newest_first = tuple(sorted(releases, key=lambda each: each.version.sort_key, reverse=True))
    open_rollouts = {each.release_id: each for each in rollouts}
    return Snapshot(application, stable_ladders, tuple(any_ladders), builds, newest_first, open_rollouts)


def _ladders(rungs: Iterable[Rung]) -> dict[Target, Ladder]:
    grouped: dict[Target, list[Rung]] = {}
    for rung in rungs:
        grouped.setdefault(rung.build.target, []).append(rung)
    for ladder in grouped.values():
        ladder.sort(key=lambda rung: (rung.build.version.sort_key, rung.build.id), reverse=True)
    return {target: tuple(ladder) for target, ladder in grouped.items()}
