"""Which releases under rollout does this client see? PURE.

A question has chances: the releases under rollout that could change its answer, whoever asks. Identity only decides
which of them fall to a client, so answers are kept by question and cohort, and never by client.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from updater.catalog.platforms import Target
from updater.catalog.versions import Version
from updater.offers.decision import Cohort, Offer, UpdateQuery, decide
from updater.offers.snapshot import Snapshot
from updater.rollouts.dice import Dice
from updater.rollouts.model import Rollout, RolloutState


@dataclass(frozen=True, slots=True)
class Chance:
    """A release under rollout that some clients see.

    `settles`: who is inside gets this release unless a newer one, so of those below it only `required` ones matter.
    """

    release_id: int
    dice: Dice
    settles: bool = False
    required: bool = False


def is_offered(rollout: Rollout, platform: str) -> bool:
    """Tell whether some client on a platform may see the release: it is under way, not at 0 %, and not halted there."""
    return rollout.state is RolloutState.ACTIVE and rollout.hundredths > 0 and platform not in rollout.halted


def chances_of_check(snapshot: Snapshot, query: UpdateQuery) -> tuple[Chance, ...]:
    """Return the releases under rollout that could change the answer to a check, newest first.

    Those that take the client but for the dice, and are above what everybody gets; and required ones above the client,
    which make the update required for those that see them.
    """
    if not snapshot.rollouts:
        return ()
    everybody = decide(snapshot, query)
    everybody_key = everybody.build.version.sort_key if isinstance(everybody, Offer) else ""
    current_key = query.current.sort_key
    found = []
    for rung in snapshot.ladder(query.target, allow_prerelease=query.allow_prerelease, channel=query.channel):
        build = rung.build
        key = build.version.sort_key
        if key <= current_key:
            break
        takes = key > everybody_key and (build.minimum is None or build.minimum.sort_key <= current_key)
        if takes or build.required:
            found.append((build.release_id, takes, build.required))
    return _chances(snapshot, query.target.platform, found)


def chances_of_latest(
    snapshot: Snapshot, target: Target, *, allow_prerelease: bool, channel: int
) -> tuple[Chance, ...]:
    """Return the releases under rollout that could be the latest for somebody, newest first."""
    if not snapshot.rollouts:
        return ()
    found = []
    for rung in snapshot.ladder(target, allow_prerelease=allow_prerelease, channel=channel):
        if rung.build.complete:
            break
        found.append((rung.build.release_id, True, False))
    return _chances(snapshot, target.platform, found)


def chances_of_family(
    snapshot: Snapshot, target: Target | None, platforms: Iterable[str], current: Version | None = None
) -> tuple[tuple[Chance, ...], Cohort]:
    """Return what a client of a release family may see: its chances, and what it sees in any case.

    Without a target, a release that is halted on any of the family's `platforms` is not seen. The release of the
    client's own version is, whatever its rollout says.
    """
    if not snapshot.rollouts:
        return (), frozenset()
    asked = (target.platform,) if target is not None else tuple(platforms)
    seen, own = [], set()
    for each in snapshot.releases:
        rollout = snapshot.rollouts.get(each.id)
        if each.complete or rollout is None:
            continue
        if current is not None and each.version.sort_key == current.sort_key:
            own.add(each.id)
        elif all(is_offered(rollout, platform) for platform in asked):
            seen.append(Chance(each.id, Dice.of(rollout.salt, rollout.hundredths)))
    return tuple(seen), frozenset(own)


def cohort_of(chances: Sequence[Chance], identity: str, *, manual: bool = False) -> Cohort:
    """Return which of the chances fall to a client, newest first, as far as they matter; to one that asks by hand, all.

    At most one hash for each; the dice are not thrown for what can no longer change the answer.
    """
    named = identity.encode()
    cohort, is_settled = [], False
    for each in chances:
        if (each.required or not is_settled) and (manual or each.dice.take(named)):
            cohort.append(each.release_id)
            is_settled = is_settled or each.settles
    return frozenset(cohort)


def _chances(snapshot: Snapshot, platform: str, found: Iterable[tuple[int, bool, bool]]) -> tuple[Chance, ...]:
    rollouts = ((snapshot.rollouts.get(id_), id_, settles, required) for id_, settles, required in found)
    return tuple(
        Chance(id_, Dice.of(rollout.salt, rollout.hundredths), settles, required)
        for rollout, id_, settles, required in rollouts
        if rollout is not None and is_offered(rollout, platform)
    )
