"""Which build does this client get? PURE: no clock, no randomness, no I/O. "No update" is a value.

The rules, in order:

1. Only active builds for the client's platform and architecture; pre-releases only when asked for.
2. Nothing at or below the client's version is ever offered.
3. The newest build whose `minimum` the client meets is offered: a client below the newest build's minimum
   gets a stepping stone, or nothing when there is none.
4. The offer is required when the build is, when the client would skip a required build on the way, when the
   application requires all updates, or when the client is below the application's `min_version`.

Desktop clients ask about releases as a whole. For them the release of their own version counts as well, and a
release is offered to those who meet its minimum and would not move down.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from updater.catalog.index import ApplicationIndex
from updater.catalog.model import Build, Release
from updater.catalog.platforms import Target
from updater.catalog.versions import Version, parse_version


@dataclass(frozen=True, slots=True)
class UpdateQuery:
    """What a client asks: its version, what it runs on, and whether it takes pre-releases."""

    current: Version
    target: Target
    allow_prerelease: bool = False


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


def decide(index: ApplicationIndex, question: UpdateQuery) -> Offer | NoUpdate:
    """Choose the build for a client."""
    ladder = index.ladder(question.target, allow_prerelease=question.allow_prerelease)
    if not ladder:
        return NoUpdate(Reason.NO_BUILDS)
    current_key = question.current.sort_key
    for rung in ladder:
        build = rung.build
        if build.version.sort_key <= current_key:
            break
        if build.minimum is not None and build.minimum.sort_key > current_key:
            continue
        skips_required = rung.required_key is not None and rung.required_key > current_key
        return Offer(build, skips_required or _application_requires(index, question.current))
    newer = ladder[0].build.version.sort_key > current_key
    return NoUpdate(Reason.BELOW_MINIMUM if newer else Reason.CURRENT)


def latest(index: ApplicationIndex, target: Target, *, allow_prerelease: bool = False) -> Build | None:
    """Return the highest active build for a target, whatever its minimum."""
    ladder = index.ladder(target, allow_prerelease=allow_prerelease)
    return ladder[0].build if ladder else None


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


def newest_release(index: ApplicationIndex, target: Target | None = None) -> Release | None:
    """Return the highest active release, of those with a build for `target` if given."""
    return next(_releases(index, target), None)


def assess(index: ApplicationIndex, current: Version, target: Target | None = None) -> Compatibility:
    """Find the newest release whose minimum a client meets and that is not below it."""
    newest = newest_release(index, target)
    if newest is None:
        return Compatibility(ClientStanding.NO_RELEASES)
    if newest.version.sort_key < current.sort_key:
        return Compatibility(ClientStanding.AHEAD, newest=newest)
    for release in _releases(index, target):
        if find_upgrade_block(release, current) is None:
            behind = release.version.sort_key > current.sort_key
            return Compatibility(ClientStanding.BEHIND if behind else ClientStanding.CURRENT, release, newest)
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


def _releases(index: ApplicationIndex, target: Target | None) -> Iterator[Release]:
    return (each for each in index.releases if target is None or target in each.builds)


def _application_requires(index: ApplicationIndex, current: Version) -> bool:
    config = index.application.config
    if config["required_update"]:
        return True
    floor = config["min_version"]
    return bool(floor) and parse_version(floor, index.application.scheme).sort_key > current.sort_key
