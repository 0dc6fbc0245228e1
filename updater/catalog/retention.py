"""Which releases need not be kept? PURE: no clock, no I/O.

A release goes when every rule that is set lets it go: it is not among the newest, and it is old. These stay
whatever the rules say:

* the highest active build of each platform, and each stepping stone: a build that some client, on some version,
  would be offered, with or without pre-releases;
* releases that are not for all clients, and whatever the other clients get instead; a withdrawn one too, which is
  restored with the rollout that it had;
* with them all other builds of the same release.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from updater.catalog.model import DEFAULT_CHANNELS, ReleaseStatus
from updater.catalog.platforms import Target
from updater.catalog.versions import Version


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """How many of the newest releases, and how many days, to keep; None does not limit."""

    keep_releases: int | None = None
    keep_days: int | None = None

    def __bool__(self) -> bool:
        return self.keep_releases is not None or self.keep_days is not None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A release, with the lowest version (`""`: any) that each of its builds takes, by the sort key."""

    release_id: int
    version: Version
    status: ReleaseStatus
    complete: bool
    created_at: datetime
    minimum_keys: tuple[tuple[Target, str], ...]
    channel: str = DEFAULT_CHANNELS[0]
    channel_position: int = 0


def select_removable(
    candidates: Sequence[Candidate], offered: Collection[int], policy: RetentionPolicy, now: datetime
) -> list[Candidate]:
    """Return the releases of one application that may go, oldest version first.

    `candidates` are all releases of the application; `offered` are the ids of those that some client is
    offered, which depends on more than is known here (quarantine, the application's limits).
    """
    if not policy:
        return []
    under_rollout = {each.release_id for each in candidates if not each.complete}
    kept = {*offered, *stepping_stones(candidates), *under_rollout}
    if policy.keep_releases is not None:
        kept |= _newest(candidates, policy.keep_releases)
    if policy.keep_days is not None:
        since = now - timedelta(days=policy.keep_days)
        kept |= {each.release_id for each in candidates if each.created_at >= since}
    # Drafts have a rule of their own.
    kept |= {each.release_id for each in candidates if each.status is ReleaseStatus.DRAFT}
    gone = [each for each in candidates if each.release_id not in kept]
    return sorted(gone, key=lambda each: each.version.sort_key)


def stepping_stones(candidates: Sequence[Candidate]) -> set[int]:
    """Return the ids of active releases that hold the highest build for a target, or a step on the way to it.

    From the newest down, a build is a step when it takes versions that no newer one takes. A release that is not for
    all clients is kept, and takes nothing from those below it: other clients get these.
    """
    offered = [each for each in candidates if each.status is ReleaseStatus.ACTIVE]
    found = {each.release_id for each in offered if not each.complete}
    active = sorted((each for each in offered if each.complete), key=lambda each: each.version.sort_key, reverse=True)
    positions = sorted({0, *(each.channel_position for each in active)})
    # Who asks: a client of the first channel without pre-releases, then one of each channel with them.
    for position, prereleases in ((0, False), *((each, True) for each in positions)):
        taken_from: dict[Target, str] = {}
        for each in active:
            if each.channel_position > position or (each.version.prerelease and not prereleases):
                continue
            for target, minimum_key in each.minimum_keys:
                if target not in taken_from or minimum_key < taken_from[target]:
                    taken_from[target] = minimum_key
                    found.add(each.release_id)
    return found


def _newest(candidates: Sequence[Candidate], count: int) -> set[int]:
    """Return the newest active releases and whatever is above the last of them.

    Pre-releases are counted by themselves: a nightly build each day must not push the stable ones out.
    """
    found: set[int] = set()
    for prerelease in (False, True):
        kind = sorted(
            (each for each in candidates if each.version.prerelease is prerelease),
            key=lambda each: each.version.sort_key,
            reverse=True,
        )
        active = 0
        for each in kind:
            if active == count:
                break
            active += each.status is ReleaseStatus.ACTIVE
            found.add(each.release_id)
    return found
