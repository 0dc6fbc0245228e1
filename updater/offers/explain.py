"""Why does this client get that? Each release looked at in turn, with the first reason that keeps it away. PURE."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from updater.catalog.model import Build, ReleaseStatus
from updater.catalog.versions import parse_version
from updater.offers.cohorts import is_offered
from updater.offers.decision import UpdateQuery
from updater.offers.snapshot import Snapshot
from updater.rollouts.dice import Dice, as_fraction
from updater.rollouts.model import Rollout, RolloutState
from updater.times import rfc3339

MAX_CANDIDATES = 100


@dataclass(frozen=True, slots=True)
class Candidate:
    """A release that was looked at: the verdict, its facts as JSON values, and both as a sentence."""

    version: str
    channel: str
    verdict: str
    text: str
    facts: dict[str, Any] = field(default_factory=dict)


def trace(
    snapshot: Snapshot, query: UpdateQuery, builds: Iterable[Build], identity: str, *, manual: bool
) -> list[Candidate]:
    """Look at builds for the query's target, newest first, up to the one that is offered or is not newer.

    At most 100 are looked at.
    """
    found: list[Candidate] = []
    for build in builds:
        if len(found) == MAX_CANDIDATES:
            break
        verdict, facts, why = _judge(snapshot, query, build, identity, manual=manual)
        text = f"{build.version.text}: {why}"
        found.append(Candidate(build.version.text, build.channel, verdict, text, facts))
        if verdict in ("offered", "not_newer"):
            break
    return found


_Verdict = tuple[str, dict[str, Any], str]


def _judge(snapshot: Snapshot, query: UpdateQuery, build: Build, identity: str, *, manual: bool) -> _Verdict:
    current_key, config = query.current.sort_key, snapshot.application.config
    ceiling = config["max_version"]
    if build.version.sort_key <= current_key:
        return "not_newer", {}, f"it is not above the client's version {query.current.text}"
    if build.status is not ReleaseStatus.ACTIVE:
        return build.status.value, {}, f"the release is {build.status.value}"
    if build.quarantined:
        return "quarantined", {}, "its file is damaged"
    if ceiling and build.version.sort_key > parse_version(ceiling, snapshot.application.scheme).sort_key:
        facts = {"max_version": ceiling}
        return "above_max_version", facts, f"the application's max_version is {ceiling}"
    if build.channel_position > query.channel:
        asked = snapshot.application.channels[query.channel]
        return "other_channel", {}, f"it is on channel {build.channel}, the client on {asked}"
    if build.version.prerelease and not (query.allow_prerelease or query.channel):
        return "prerelease", {}, "the client takes no pre-releases"
    if build.minimum is not None and build.minimum.sort_key > current_key:
        facts = {"minimum_version": build.minimum.text}
        return "below_minimum", facts, f"the client is below its minimum version {build.minimum.text}"
    rollout = snapshot.rollouts.get(build.release_id)
    if build.complete or rollout is None:
        return "offered", {}, "it is for everybody"
    return _judge_rollout(rollout, query.target.platform, identity, manual=manual)


def _judge_rollout(rollout: Rollout, platform: str, identity: str, *, manual: bool) -> _Verdict:
    if rollout.state is RolloutState.SCHEDULED:
        start_at = "" if rollout.plan.start_at is None else rfc3339(rollout.plan.start_at)
        return "scheduled", {"start_at": start_at}, f"the rollout begins at {start_at}"
    if rollout.state is RolloutState.PAUSED:
        return "paused", {}, "the rollout is paused"
    if platform in rollout.halted:
        return "halted", {"platform": platform}, f"the rollout is halted on {platform}"
    if not is_offered(rollout, platform):
        return "zero_percent", {}, "the rollout is at 0 percent"
    dice, named = Dice.of(rollout.salt, rollout.hundredths), identity.encode()
    facts = {"position": as_fraction(dice.position_of(named)), "share": rollout.hundredths / 10_000}
    stands = f"this client stands at {facts['position']}, the rollout is at {facts['share']}"
    if dice.take(named):
        return "offered", facts, stands
    return ("offered", facts, f"{stands}, and it asks by hand") if manual else ("outside", facts, stands)
