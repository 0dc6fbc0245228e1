"""How builds become ladders: what clients of each channel could be offered, newest first. PURE.

A build is left out when a newer one, of a complete release that the same clients see, takes every client that it could
take. Releases that are not for all clients take nothing from those below them, so whatever they are hidden from still
finds its build here. A ladder thus grows with the distinct minimums of an application and with its releases under
rollout, which are few, and not with its releases.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass

from updater.catalog.model import Build
from updater.catalog.platforms import Target

Part = tuple[int, bool]
"""What decides who sees a release: the position of its channel, and whether it is a pre-release."""


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


class Candidates:
    """The builds of one application that could be on a ladder, and which required ones stand below them.

    Of each part and target it needs, at least: every build of a release that is not complete, and every build of
    a complete one that no newer complete one of its own part takes all clients from. More do not change a ladder.
    """

    def __init__(self, builds: Iterable[Build] = ()) -> None:
        self._builds: dict[Target, list[Build]] = {}
        for build in sorted(builds, key=lambda each: (each.version.sort_key, each.id)):
            self._builds.setdefault(build.target, []).append(build)
        self._keys = {target: [each.version.sort_key for each in builds] for target, builds in self._builds.items()}
        # For each build, from the lowest up: the highest required key of each part above the build before.
        self._steps: dict[Target, list[dict[Part, str]]] = {
            target: [{} for _ in keys] for target, keys in self._keys.items()
        }

    def require(self, target: Target, part: Part, sort_key: str) -> None:
        """Take note of a required build of a complete release; all of them must be noted, in any order."""
        keys = self._keys.get(target, ())
        place = bisect_left(keys, sort_key)
        if place < len(keys):
            step = self._steps[target][place]
            step[part] = max(step.get(part, ""), sort_key)

    def positions(self) -> set[int]:
        """Return the positions of the channels that the builds are on."""
        return {each.channel_position for builds in self._builds.values() for each in builds}

    def ladders(self, position: int, *, prereleases: bool) -> dict[Target, Ladder]:
        """Return the ladders of clients whose channel has a position, without pre-releases or with them."""
        found = {target: self._ladder(target, position, prereleases) for target in self._builds}
        return {target: ladder for target, ladder in found.items() if ladder}

    def all_ladders(self) -> tuple[dict[Target, Ladder], dict[int, dict[Target, Ladder]]]:
        """Return the ladders without pre-releases, and those with them by position: 0, and those that have builds."""
        with_prereleases = {each: self.ladders(each, prereleases=True) for each in {0, *self.positions()}}
        return self.ladders(0, prereleases=False), with_prereleases

    def _ladder(self, target: Target, position: int, prereleases: bool) -> Ladder:
        def is_seen(part: Part) -> bool:
            return part[0] <= position and (prereleases or not part[1])

        rungs: list[Rung] = []
        highest: str | None = None
        for build, step in zip(self._builds[target], self._steps[target], strict=True):
            highest = max((key for part, key in step.items() if is_seen(part)), default=highest)
            if is_seen((build.channel_position, build.version.prerelease)):
                rungs.append(Rung(build, highest))
        kept: list[Rung] = []
        lowest: str | None = None  # of the minimums of complete releases so far, from the newest down
        for rung in reversed(rungs):
            minimum = "" if rung.build.minimum is None else rung.build.minimum.sort_key
            if rung.build.complete:
                if lowest is not None and lowest <= minimum:
                    continue
                lowest = minimum
            kept.append(rung)
        return tuple(kept)
