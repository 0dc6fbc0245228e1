"""Which release does a feed show this client? PURE: no clock, no randomness, no I/O.

A feed says which builds are complete for it (its judge), and renders what was chosen; everything between is here:

1. Candidates are the active releases of the client's channel, not above `max_version`, whose build is complete for the
   feed. A release that is not for all clients is one only for clients in its cohort.
2. A client of a known version gets the newest candidate above it whose minimum it meets. That is new to it; where there
   is none, the newest candidate not above it is shown.
3. A client of an unknown version is shown the newest candidate whose minimum every published release of the target
   meets, else the oldest: nobody is led across a gap unseen.

So a client outside a rollout sees the newest release that it may have, and never an empty feed. Architectures that one
feed lists together are asked as one: the release counts as a whole, and its minimum is the highest of its builds'.

Source: ARCHITECTURE.md, "Feeds".
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import NamedTuple

from updater.catalog.model import Application, Build, BuildFile, ReleaseStatus
from updater.catalog.platforms import ARCHITECTURES, Target
from updater.catalog.versions import Scheme, Version, parse_version
from updater.offers.cohorts import Chance, is_offered
from updater.offers.decision import NO_COHORT, Cohort
from updater.rollouts.dice import Dice
from updater.rollouts.model import Rollout

RELEASES_SHOWN = 50
"""How many of the newest releases of a target a feed looks at."""


@dataclass(frozen=True, slots=True)
class FeedBuild:
    """A build with its files: the primary one first, then by name."""

    build: Build
    files: tuple[BuildFile, ...]


@dataclass(frozen=True, slots=True)
class FeedSnapshot:
    """One application as feeds see it: the builds of its newest releases by target, newest first.

    `rollouts` are those of releases that are not complete, by release id. `lowest_keys` has the sort key of the lowest
    release that was ever published for a target: clients from there on may be installed.
    """

    application: Application
    builds: Mapping[Target, tuple[FeedBuild, ...]]
    rollouts: Mapping[int, Rollout] = field(default_factory=dict)
    lowest_keys: Mapping[Target, str] = field(default_factory=dict)


class FeedStatus(StrEnum):
    """Whether a feed lists a build, and if not why: the first of these that applies."""

    LISTED = "listed"
    DRAFT = "draft"
    WITHDRAWN = "withdrawn"
    MISSING_SIGNATURE = "missing signature"
    MISSING_ZIP = "missing zip"
    DIGEST_PENDING = "digest pending"
    DAMAGED = "damaged"
    MAKING_ZSYNC = "making zsync"
    NOT_SEMANTIC = "version is not semantic"
    ABOVE_MAX_VERSION = "above max_version"


class Judgement(NamedTuple):
    """What a feed says of a build: complete or not, and the files that it lists, in its order."""

    status: FeedStatus
    files: tuple[BuildFile, ...] = ()


Judge = Callable[[FeedBuild], Judgement | None]
"""Judges the files of a build alone; None when they have nothing to do with the feed."""


class Shape(Enum):
    """What of a choice an answer holds."""

    NEW = "the new release, or that there is none"
    SHOWN = "the release that is shown"
    LIST = "the release that is shown, and those below it"


class FeedClient(NamedTuple):
    """Who asks: its version if it is known, the position of its channel, whether it takes pre-releases."""

    current: Version | None = None
    channel: int = 0
    allow_prerelease: bool = False


class Listed(NamedTuple):
    """A build, and the files of it that a feed lists."""

    build: Build
    files: tuple[BuildFile, ...]
    all_files: tuple[BuildFile, ...]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A release on one platform that is complete for a feed; its builds are in the order of architectures."""

    version: Version
    release_id: int
    complete: bool
    minimum: Version | None
    required: bool
    builds: tuple[Listed, ...]


@dataclass(frozen=True, slots=True)
class Candidates:
    """What a client could be shown but for rollouts, newest first."""

    application: Application
    platform: str
    releases: tuple[Candidate, ...]
    rollouts: Mapping[int, Rollout]
    lowest_key: str | None

    def is_open(self, each: Candidate) -> bool:
        """Tell whether some clients see a release and others do not."""
        rollout = self.rollouts.get(each.release_id)
        return not each.complete and rollout is not None and is_offered(rollout, self.platform)

    def seen_by(self, cohort: Cohort) -> tuple[Candidate, ...]:
        """Return the releases that exist for clients of a cohort."""
        return tuple(
            each for each in self.releases if each.complete or (each.release_id in cohort and self.is_open(each))
        )

    def takes_everybody(self, each: Candidate) -> bool:
        """Tell whether no published release lies below a minimum: every client may move to the release."""
        return each.minimum is None or self.lowest_key is None or each.minimum.sort_key <= self.lowest_key


@dataclass(frozen=True, slots=True)
class Choice:
    """What a client is shown.

    `new` is above its known version; without one, or for an unknown version, it is None. `shown` is `new` or what is
    shown in its place, None when there is nothing. `below` are the further candidates that it sees, newest first, and
    `way` those above its version up to `shown` (of an unknown version: all from `shown` down).
    """

    new: Candidate | None = None
    shown: Candidate | None = None
    below: tuple[Candidate, ...] = ()
    way: tuple[Candidate, ...] = ()
    required: bool = False

    @property
    def listed(self) -> tuple[Candidate, ...]:
        """Return what is shown and what is below it, newest first; at most 50 releases."""
        return () if self.shown is None else (self.shown, *self.below)[:RELEASES_SHOWN]


NOTHING = Choice()
_LISTED = frozenset({FeedStatus.LISTED})


def status_of(application: Application, each: FeedBuild, judge: Judge) -> Judgement | None:
    """Return what a feed does with a build in any status; None when its files have nothing to do with the feed."""
    judgement = judge(each)
    if judgement is None:
        return None
    build = each.build
    if build.status is ReleaseStatus.DRAFT:
        return Judgement(FeedStatus.DRAFT)
    if build.status is ReleaseStatus.WITHDRAWN:
        return Judgement(FeedStatus.WITHDRAWN)
    if judgement.status is not FeedStatus.LISTED:
        return judgement
    if not _is_semantic(application, build.version):
        return Judgement(FeedStatus.NOT_SEMANTIC)
    ceiling = application.config["max_version"]
    if ceiling and build.version.sort_key > parse_version(ceiling, application.scheme).sort_key:
        return Judgement(FeedStatus.ABOVE_MAX_VERSION)
    return judgement


def is_on_channel(build: Build, client: FeedClient) -> bool:
    """Tell whether a client of a channel gets a build: from its own or a more stable one, pre-releases if it may."""
    if build.channel_position > client.channel:
        return False
    return not build.version.prerelease or client.allow_prerelease or client.channel > 0


def find_candidates(
    snapshot: FeedSnapshot,
    targets: Iterable[Target],
    judge: Judge,
    client: FeedClient,
    statuses: Collection[FeedStatus] = _LISTED,
) -> Candidates:
    """Return the candidates for targets of one platform, which are asked as one, whatever rollouts say.

    `statuses` are those that count as complete.
    """
    targets = tuple(targets)
    found: dict[int, list[Listed]] = {}
    for target in sorted(targets, key=lambda each: ARCHITECTURES.index(each.architecture)):
        for each in snapshot.builds.get(target, ()):
            if not is_on_channel(each.build, client):
                continue
            judgement = status_of(snapshot.application, each, judge)
            if judgement is not None and judgement.status in statuses:
                listed = Listed(each.build, judgement.files, each.files)
                found.setdefault(each.build.release_id, []).append(listed)
    releases = sorted(map(_candidate, found.values()), key=lambda each: each.version.sort_key, reverse=True)
    lowest = min((snapshot.lowest_keys[each] for each in targets if each in snapshot.lowest_keys), default=None)
    return Candidates(snapshot.application, targets[0].platform, tuple(releases), snapshot.rollouts, lowest)


def choose(found: Candidates, client: FeedClient, cohort: Cohort = NO_COHORT) -> Choice:
    """Choose what a client is shown."""
    seen, current = found.seen_by(cohort), client.current
    if not seen:
        return NOTHING
    if current is None:
        shown = next((each for each in seen if found.takes_everybody(each)), seen[-1])
        rest = seen[seen.index(shown) :]
        required = shown.required or bool(found.application.config["required_update"])
        return Choice(None, shown, rest[1:], rest, required)
    new = next((each for each in seen if _is_new(each, current)), None)
    at_most = (each for each in seen if each.version.sort_key <= current.sort_key)
    top = new if new is not None else next(at_most, None)
    if top is None:
        return NOTHING
    rest = seen[seen.index(top) :]
    way = tuple(each for each in rest if each.version.sort_key > current.sort_key)
    required = any(each.required for each in way) or _application_requires(found.application, current)
    return Choice(new, top, rest[1:], way, required)


def chances_of(found: Candidates, client: FeedClient, shape: Shape) -> tuple[Chance, ...]:
    """Return the releases under rollout that could change the answer for some client, newest first."""
    opened = [each for each in found.releases if found.is_open(each)]
    if not opened:
        return ()
    everybody = choose(found, client)
    most = choose(found, client, frozenset(each.release_id for each in opened))
    chances = []
    for each in opened:
        key, required = each.version.sort_key, False
        if client.current is not None and each.required and most.shown is not None:
            required = client.current.sort_key < key <= most.shown.version.sort_key
        changes, settles = _effect_of(found, client, shape, each, everybody)
        if shape is Shape.LIST:
            changes, settles = changes or _is_at_most(each, most.shown, everybody.shown), False
        if changes or required:
            rollout = found.rollouts[each.release_id]
            chances.append(Chance(each.release_id, Dice.of(rollout.salt, rollout.hundredths), settles, required))
    return tuple(chances)


def _effect_of(
    found: Candidates, client: FeedClient, shape: Shape, each: Candidate, everybody: Choice
) -> tuple[bool, bool]:
    """Tell whether a release could be what is shown to somebody, and whether it is to all who see it and none newer."""
    current = client.current
    if current is None:
        takes, shown = found.takes_everybody(each), everybody.shown
        if shown is None or not found.takes_everybody(shown):  # else the oldest: one below it could be that
            return takes or shown is None or not _is_above(each, shown), takes
        return (takes and _is_above(each, shown),) * 2
    if each.version.sort_key > current.sort_key:
        return (_is_new(each, current) and _is_above(each, everybody.new),) * 2
    return (shape is not Shape.NEW and everybody.new is None and _is_above(each, everybody.shown),) * 2


def _is_new(each: Candidate, current: Version) -> bool:
    is_met = each.minimum is None or each.minimum.sort_key <= current.sort_key
    return is_met and each.version.sort_key > current.sort_key


def _is_above(each: Candidate, other: Candidate | None) -> bool:
    return other is None or each.version.sort_key > other.version.sort_key


def _is_at_most(each: Candidate, *others: Candidate | None) -> bool:
    return any(other is not None and each.version.sort_key <= other.version.sort_key for other in others)


def _is_semantic(application: Application, version: Version) -> bool:
    if application.scheme is Scheme.SEMVER:
        return True
    try:
        parse_version(version.text, Scheme.SEMVER)
    except ValueError:
        return False
    return True


def _application_requires(application: Application, current: Version) -> bool:
    if application.config["required_update"]:
        return True
    floor = application.config["min_version"]
    return bool(floor) and parse_version(floor, application.scheme).sort_key > current.sort_key


def _candidate(builds: list[Listed]) -> Candidate:
    first = builds[0].build
    minimums = [each.build.minimum for each in builds if each.build.minimum is not None]
    return Candidate(
        version=first.version,
        release_id=first.release_id,
        complete=first.complete,
        minimum=max(minimums, key=lambda each: each.sort_key, default=None),
        required=any(each.build.required for each in builds),
        builds=tuple(builds),
    )
