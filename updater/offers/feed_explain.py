"""Why does a feed show what it shows, and what did it pass over? PURE.

Source: ARCHITECTURE.md, "Feeds".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from updater.catalog.platforms import Target
from updater.offers.decision import Cohort
from updater.offers.feed_choice import (
    Candidates,
    FeedBuild,
    FeedClient,
    FeedSnapshot,
    FeedStatus,
    Judge,
    choose,
    find_candidates,
    is_on_channel,
    status_of,
)
from updater.rollouts.model import Rollout, RolloutState

_ALL_HUNDREDTHS = 10_000


class PassedOver(NamedTuple):
    """A release that is newer than what is shown, and why it is not."""

    version: str
    reason: str


class FeedView(NamedTuple):
    """What a feed shows for a target, None for nothing, and the newer releases that it passes over, newest first."""

    version: str | None
    passed_over: tuple[PassedOver, ...]


def view_feed(
    snapshot: FeedSnapshot, target: Target, together: Iterable[Target], judge: Judge, channel: int
) -> FeedView | None:
    """Return what a client of unknown version is shown that is outside every partial rollout.

    None when the feed has nothing to do with any build of the target. `snapshot` has builds in any status.

    Args:
        snapshot: the application.
        target: the target that is looked at.
        together: the targets that its feed asks as one.
        judge: what the feed says of a build.
        channel: the position of the client's channel.
    """
    client = FeedClient(channel=channel)
    mine = [each for each in snapshot.builds.get(target, ()) if is_on_channel(each.build, client)]
    if all(judge(each) is None for each in snapshot.builds.get(target, ())):
        return None
    found = find_candidates(snapshot, together, judge, client)
    shown = choose(found, client, _cohort_of_all(snapshot)).shown
    passed_over = []
    for each in mine:
        if shown is not None and each.build.version.sort_key <= shown.version.sort_key:
            break
        reason = _reason(snapshot, found, each, judge)
        if reason is not None:
            passed_over.append(PassedOver(each.build.version.text, reason))
    return FeedView(None if shown is None else shown.version.text, tuple(passed_over))


def _cohort_of_all(snapshot: FeedSnapshot) -> Cohort:
    """Return the releases that are under rollout, and for everybody all the same."""
    return frozenset(id_ for id_, each in snapshot.rollouts.items() if each.hundredths >= _ALL_HUNDREDTHS)


def _reason(snapshot: FeedSnapshot, found: Candidates, each: FeedBuild, judge: Judge) -> str | None:
    """Return why a release above the one that is shown is not; None when the feed has nothing to do with it."""
    build, judgement = each.build, status_of(snapshot.application, each, judge)
    if judgement is None or judgement.status is not FeedStatus.LISTED:
        return None if judgement is None else judgement.status.value
    if not build.complete:
        rollout = snapshot.rollouts.get(build.release_id)
        hidden = "rollout at 0 %" if rollout is None else _hidden_by(rollout, build.target.platform)
        if hidden is not None:
            return hidden
    candidate = next((other for other in found.releases if other.release_id == build.release_id), None)
    if candidate is None or candidate.minimum is None:
        return None
    return f"minimum_version {candidate.minimum.text}: the version is unknown"


def _hidden_by(rollout: Rollout, platform: str) -> str | None:
    text = f"rollout at {rollout.hundredths / 100:g} %"
    if rollout.state is RolloutState.PAUSED:
        return f"{text}, paused"
    if platform in rollout.halted:
        return f"{text}, halted on {platform}"
    return None if rollout.hundredths >= _ALL_HUNDREDTHS else text
