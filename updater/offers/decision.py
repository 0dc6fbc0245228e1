"""Which build does this client get? PURE: no clock, no randomness, no I/O. "No update" is a value.

The rules, in order:

1. Only active builds for the client's platform and architecture; pre-releases only when asked for. A release that is
   not for all clients exists for the client only when it is in the client's cohort.
2. Nothing at or below the client's version is ever offered.
3. The newest build whose `minimum` the client meets is offered: a client below the newest build's minimum
   gets a stepping stone, or nothing when there is none.
4. The offer is required when the build is, when the client would skip a required build on the way, when the
   application requires all updates, or when the client is below the application's `min_version`.

Clients of a release family ask about releases as a whole. For them the release of their own version counts as well,
and a release is offered to those that meet its minimum and would not move down.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from updater.catalog.model import Build, Release
from updater.catalog.platforms import Target
from updater.catalog.versions import Version, parse_version
from updater.offers.ladders import Ladder, Rung
from updater.offers.snapshot import Snapshot

Cohort = frozenset[int]
"""The releases, by id, that are not for all clients and that this client sees all the same."""
NO_COHORT: Cohort = frozenset()


@dataclass(frozen=True, slots=True)
class UpdateQuery:
    """What a client asks: its version, what it runs on, whether it takes pre-releases, and its channel's position."""

    current: Version
    target: Target
    allow_prerelease: bool = False
    channel: int = 0


@dataclass(frozen=True, slots=True)
class Offer:
    """The build to install, and whether the client must."""

    build: Build
    required: bool


class Reason(StrEnum):
    """Why there is no update."""

    NO_BUILDS = "no builds for this platform and architecture"
    CURRENT = "nothing newer"
    BELOW_MINIMUM = "no newer build takes a version this old"


@dataclass(frozen=True, slots=True)
class NoUpdate:
    """Nothing to install."""

    reason: Reason


def decide(snapshot: Snapshot, query: UpdateQuery, cohort: Cohort = NO_COHORT) -> Offer | NoUpdate:
    """Choose the build for a client."""
    ladder = snapshot.ladder(query.target, allow_prerelease=query.allow_prerelease, channel=query.channel)
    current_key = query.current.sort_key
    newest_key: str | None = None
    for rung in ladder:
        build = rung.build
        if not _is_visible(build, cohort):
            continue
        newest_key = newest_key or build.version.sort_key
        if build.version.sort_key <= current_key:
            break
        if build.minimum is not None and build.minimum.sort_key > current_key:
            continue
        required = _is_skipping(ladder, rung, current_key, cohort)
        return Offer(build, required or _application_requires(snapshot, query.current))
    if newest_key is None:
        return NoUpdate(Reason.NO_BUILDS)
    return NoUpdate(Reason.BELOW_MINIMUM if newest_key > current_key else Reason.CURRENT)


class RequiredBecause(StrEnum):
    """Why an offer is required: the first that applies."""

    BUILD = "build"
    SKIPPED = "skipped"
    APPLICATION = "application"
    MIN_VERSION = "min_version"


def why_required(
    snapshot: Snapshot, query: UpdateQuery, offer: Offer, cohort: Cohort = NO_COHORT
) -> RequiredBecause | None:
    """Tell why a client must take an offer; None when it need not."""
    if not offer.required:
        return None
    if offer.build.required:
        return RequiredBecause.BUILD
    ladder = snapshot.ladder(query.target, allow_prerelease=query.allow_prerelease, channel=query.channel)
    rung = next(each for each in ladder if each.build is offer.build)
    if _is_skipping(ladder, rung, query.current.sort_key, cohort):
        return RequiredBecause.SKIPPED
    if snapshot.application.config["required_update"]:
        return RequiredBecause.APPLICATION
    return RequiredBecause.MIN_VERSION


def latest(
    snapshot: Snapshot,
    target: Target,
    *,
    allow_prerelease: bool = False,
    channel: int = 0,
    cohort: Cohort = NO_COHORT,
) -> Build | None:
    """Return the highest active build for a target, whatever its minimum; None when there is none."""
    ladder = snapshot.ladder(target, allow_prerelease=allow_prerelease, channel=channel)
    return next((rung.build for rung in ladder if _is_visible(rung.build, cohort)), None)


class ClientStanding(StrEnum):
    """Where a client stands among the releases."""

    BEHIND = "a newer release takes it"
    CURRENT = "it has the newest release that takes it"
    AHEAD = "it is above every release"
    STRANDED = "no release that takes it is at or above it"
    NO_RELEASES = "there are no releases"


@dataclass(frozen=True, slots=True)
class Compatibility:
    """Where a client stands; `release` is the one it belongs on, `newest` the highest of all."""

    standing: ClientStanding
    release: Release | None = None
    newest: Release | None = None


def newest_release(snapshot: Snapshot, target: Target | None = None, cohort: Cohort = NO_COHORT) -> Release | None:
    """Return the highest active release, of those with a build for `target` if given; None when there is none."""
    return next(_releases(snapshot, target, cohort), None)


def assess(
    snapshot: Snapshot, current: Version, target: Target | None = None, cohort: Cohort = NO_COHORT
) -> Compatibility:
    """Find the newest release whose minimum a client meets and that is not below it."""
    newest = newest_release(snapshot, target, cohort)
    if newest is None:
        return Compatibility(ClientStanding.NO_RELEASES)
    if newest.version.sort_key < current.sort_key:
        return Compatibility(ClientStanding.AHEAD, newest=newest)
    for release in _releases(snapshot, target, cohort):
        if find_upgrade_block(release, current) is None:
            behind = release.version.sort_key > current.sort_key
            standing = ClientStanding.BEHIND if behind else ClientStanding.CURRENT
            return Compatibility(standing, release, newest)
    return Compatibility(ClientStanding.STRANDED, newest=newest)


class UpgradeBlock(StrEnum):
    """Why a client may not move to a version."""

    DOWN = "it would move down"
    GAP = "it is below the minimum"


def find_upgrade_block(wanted: Release | Build, current: Version) -> UpgradeBlock | None:
    """Tell what keeps a client from moving to a release or build; None when nothing does."""
    if wanted.version.sort_key < current.sort_key:
        return UpgradeBlock.DOWN
    if wanted.minimum is not None and wanted.minimum.sort_key > current.sort_key:
        return UpgradeBlock.GAP
    return None


def _is_visible(each: Build | Release, cohort: Cohort) -> bool:
    """Tell whether a release exists for a client."""
    release_id = each.release_id if isinstance(each, Build) else each.id
    return each.complete or release_id in cohort


def _releases(snapshot: Snapshot, target: Target | None, cohort: Cohort) -> Iterator[Release]:
    visible: Iterable[Release] = (each for each in snapshot.releases if _is_visible(each, cohort))
    return (each for each in visible if target is None or target in each.builds)


def _is_skipping(ladder: Ladder, offered: Rung, current_key: str, cohort: Cohort) -> bool:
    """Tell whether a release that the client sees, up to the offered one, is required and above the client."""
    if offered.required_key is not None and offered.required_key > current_key:
        return True
    if not cohort:
        return False
    return any(
        each.build.required
        and each.build.release_id in cohort
        and current_key < each.build.version.sort_key <= offered.build.version.sort_key
        for each in ladder
    )


def _application_requires(snapshot: Snapshot, current: Version) -> bool:
    config = snapshot.application.config
    if config["required_update"]:
        return True
    floor = config["min_version"]
    return bool(floor) and parse_version(floor, snapshot.application.scheme).sort_key > current.sort_key
