"""One application as clients see it: immutable, in memory, swapped whole after each change. PURE.

Per target there is a ladder without pre-releases for clients of the first channel, and one with them for each channel
(`ladders`). A client sees the releases of its channel and of all more stable ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from updater.catalog.model import Application, Build, Release
from updater.catalog.platforms import Target
from updater.offers.ladders import Candidates, Ladder
from updater.rollouts.model import Rollout


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
    candidates: Candidates,
    releases: Iterable[Release] = (),
    rollouts: Iterable[Rollout] = (),
) -> Snapshot:
    """Assemble a snapshot from what could be offered, and from releases and rollouts in any order.

    A channel without builds sees what the one before it sees.
    """
    stable, by_position = candidates.all_ladders()
    with_prereleases: list[dict[Target, Ladder]] = []
    for position in range(len(application.channels)):
        with_prereleases.append(by_position[position] if position in by_position else with_prereleases[-1])
    builds = {
        (rung.build.version.text, target): rung.build
        for ladders in (*with_prereleases, stable)
        for target, ladder in ladders.items()
        for rung in ladder
    }
    newest_first = tuple(sorted(releases, key=lambda each: each.version.sort_key, reverse=True))
    open_rollouts = {each.release_id: each for each in rollouts}
    return Snapshot(application, stable, tuple(with_prereleases), builds, newest_first, open_rollouts)
