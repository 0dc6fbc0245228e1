"""The decision against its own words, over all builds of many small catalogs, and by examples. No database."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import pytest

from tests.builds import LINUX, a_build
from updater.catalog.model import Build, Release, gather_releases
from updater.catalog.platforms import Target
from updater.catalog.versions import Scheme, Version, parse_version
from updater.offers.cohorts import (
    Chance,
    chances_of_check,
    chances_of_family,
    chances_of_latest,
    cohort_of,
    is_offered,
)
from updater.offers.decision import (
    ClientStanding,
    NoUpdate,
    Offer,
    Reason,
    RequiredBecause,
    UpdateQuery,
    UpgradeBlock,
    assess,
    decide,
    find_upgrade_block,
    latest,
    newest_release,
    why_required,
)
from updater.offers.ladders import Candidates
from updater.offers.snapshot import Snapshot
from updater.rollouts.dice import Dice
from updater.rollouts.model import RolloutState

WINDOWS = Target("windows", "amd64")
FREE = {"required_update": False, "min_version": ""}


def snapshot_of(
    builds: list[Build],
    config: dict[str, Any] | None = None,
    rollouts: dict[int, Any] | None = None,
    releases: tuple[Release, ...] = (),
) -> Snapshot:
    candidates = Candidates(builds)
    for each in builds:
        if each.required and each.complete:
            candidates.require(each.target, (each.channel_position, each.version.prerelease), each.version.sort_key)
    stable, by_position = candidates.all_ladders()
    ladders = [by_position[0]]
    for position in (1, 2):
        ladders.append(by_position.get(position, ladders[-1]))
    application: Any = SimpleNamespace(config=config or FREE, scheme=Scheme.SEMVER, channels=("stable", "beta", "edge"))
    return Snapshot(application, stable, tuple(ladders), {}, releases, rollouts or {})


def a_release(
    number: int, text: str, *, complete: bool = True, minimum: str = "", targets: tuple[Target, ...] = (LINUX,)
) -> Release:
    lowest = parse_version(minimum) if minimum else None
    build = a_build(number, parse_version(text), complete=complete, minimum=lowest)
    (release,) = gather_releases([replace(build, target=each) for each in targets])
    return release


@dataclass
class Words:
    """The rules of the decision, word by word, over all builds."""

    builds: list[Build]
    config: dict[str, Any]

    def visible(self, query: UpdateQuery, cohort: frozenset[int]) -> list[Build]:
        return [
            each
            for each in self.builds
            if each.target == query.target
            and (each.complete or each.release_id in cohort)
            and each.channel_position <= query.channel
            and (query.allow_prerelease or query.channel or not each.version.prerelease)
        ]

    def answer(self, query: UpdateQuery, cohort: frozenset[int]) -> tuple[Any, RequiredBecause | None]:
        key = query.current.sort_key
        visible = self.visible(query, cohort)
        newer = [each for each in visible if each.version.sort_key > key]
        taking = [each for each in newer if each.minimum is None or each.minimum.sort_key <= key]
        if not taking:
            return (Reason.BELOW_MINIMUM if newer else Reason.CURRENT if visible else Reason.NO_BUILDS), None
        best = max(taking, key=lambda each: each.version.sort_key)
        if best.required:
            return best, RequiredBecause.BUILD
        if any(each.required and each.version.sort_key < best.version.sort_key for each in newer):
            return best, RequiredBecause.SKIPPED
        if self.config["required_update"]:
            return best, RequiredBecause.APPLICATION
        floor = self.config["min_version"]
        if floor and parse_version(floor).sort_key > key:
            return best, RequiredBecause.MIN_VERSION
        return best, None


def catalog(dice: random.Random) -> list[Build]:
    builds = []
    for number in range(dice.randrange(9)):
        text = f"1.{number}.0" + dice.choice(["", "", "-rc.1"])
        minimum = parse_version(f"1.{dice.randrange(number + 1)}.0") if dice.random() < 0.5 else None
        build = a_build(
            number,
            parse_version(text),
            complete=dice.random() < 0.6,
            required=dice.random() < 0.25,
            minimum=minimum,
        )
        target = dice.choice([LINUX, LINUX, LINUX, WINDOWS])
        builds.append(replace(build, id=100 - number, channel_position=dice.choice([0, 0, 1, 2]), target=target))
    return builds


@pytest.mark.parametrize("seed", range(8))
def test_the_decision_is_that_of_its_words(seed: int) -> None:
    dice = random.Random(seed)
    for _ in range(60):
        builds = catalog(dice)
        config = {"required_update": dice.random() < 0.2, "min_version": dice.choice(["", "", "1.4.0"])}
        snapshot, words = snapshot_of(builds, config), Words(builds, config)
        for _ in range(12):
            current = parse_version(f"{dice.choice('01')}.{dice.randrange(9)}.0" + dice.choice(["", "", "-rc.1"]))
            query = UpdateQuery(
                current, dice.choice([LINUX, LINUX, WINDOWS]), dice.random() < 0.5, dice.choice([0, 0, 1, 2])
            )
            cohort = frozenset(each.release_id for each in builds if not each.complete and dice.random() < 0.5)
            found, wanted = decide(snapshot, query, cohort), words.answer(query, cohort)
            because = None
            if isinstance(found, Offer):
                because = why_required(snapshot, query, found, cohort)
                assert found.required == (because is not None)
            assert (found.build if isinstance(found, Offer) else found.reason, because) == wanted
            newest = latest(
                snapshot,
                query.target,
                allow_prerelease=query.allow_prerelease,
                channel=query.channel,
                cohort=cohort,
            )
            visible = words.visible(query, cohort)
            assert newest == max(visible, key=lambda each: each.version.sort_key, default=None)


def test_a_question_is_of_the_first_channel_and_without_pre_releases_unless_it_says_so() -> None:
    builds = [a_build(1, parse_version("1.0.0"), complete=True), a_build(2, parse_version("2.0.0-rc.1"), complete=True)]
    builds.append(replace(a_build(3, parse_version("3.0.0"), complete=True), channel_position=1))
    snapshot = snapshot_of(builds)
    query = UpdateQuery(parse_version("0.1.0"), LINUX)
    assert (query.allow_prerelease, query.channel) == (False, 0)
    assert decide(snapshot, query) == Offer(builds[0], required=False)
    assert latest(snapshot, LINUX) == builds[0]
    assert latest(snapshot, LINUX, allow_prerelease=True) == builds[1]
    assert latest(snapshot, LINUX, channel=1) == builds[2]
    assert latest(snapshot, WINDOWS) is None
    assert decide(snapshot, UpdateQuery(parse_version("0.1.0"), WINDOWS)) == NoUpdate(Reason.NO_BUILDS)


def test_a_minimum_version_of_an_application_is_of_its_own_scheme() -> None:
    snapshot = snapshot_of(
        [a_build(1, parse_version("9.0.0"), complete=True)], {"required_update": False, "min_version": "1.2"}
    )
    snapshot = replace(snapshot, application=SimpleNamespace(config=snapshot.application.config, scheme=Scheme.PEP440))  # type: ignore[arg-type]
    below, at = (decide(snapshot, UpdateQuery(version, LINUX)) for version in pep440("1.1", "1.2.0"))
    assert isinstance(below, Offer)
    assert isinstance(at, Offer)
    assert (below.required, at.required) == (True, False)


def pep440(*texts: str) -> list[Version]:
    return [parse_version(text, Scheme.PEP440) for text in texts]


def test_standings_of_a_family() -> None:
    old = a_release(1, "1.0.0")
    new = a_release(2, "3.0.0", minimum="2.0.0")
    hidden = a_release(3, "4.0.0", complete=False)
    other = a_release(4, "1.5.0", targets=(WINDOWS,))
    snapshot = snapshot_of([], releases=(hidden, new, other, old))

    def stands(text: str, target: Target | None = LINUX, *cohort: int) -> tuple[Any, Any, Any]:
        found = assess(snapshot, parse_version(text), target, frozenset(cohort))
        return found.standing, found.release, found.newest

    assert stands("0.9.0") == (ClientStanding.BEHIND, old, new)
    assert stands("1.0.0") == (ClientStanding.CURRENT, old, new)
    assert stands("1.1.0") == (ClientStanding.STRANDED, None, new)
    assert stands("1.1.0", None) == (ClientStanding.BEHIND, other, new)
    assert stands("2.0.0") == (ClientStanding.BEHIND, new, new)
    assert stands("3.0.0") == (ClientStanding.CURRENT, new, new)
    assert stands("3.0.1") == (ClientStanding.AHEAD, None, new)
    assert stands("3.0.1", LINUX, 3) == (ClientStanding.BEHIND, hidden, hidden)
    assert stands("1.0.0", Target("darwin", "arm64")) == (ClientStanding.NO_RELEASES, None, None)
    assert newest_release(snapshot) == new
    assert newest_release(snapshot, WINDOWS) == other
    assert newest_release(snapshot, None, frozenset({3})) == hidden
    assert newest_release(snapshot_of([])) is None


@pytest.mark.parametrize(
    ("current", "block"),
    [("1.9.9", UpgradeBlock.GAP), ("2.0.0", None), ("3.0.0", None), ("3.0.1", UpgradeBlock.DOWN)],
)
def test_what_keeps_a_client_from_moving(current: str, block: UpgradeBlock | None) -> None:
    assert find_upgrade_block(a_release(1, "3.0.0", minimum="2.0.0"), parse_version(current)) is block


def under(number: int, hundredths: int = 5_000, halted: tuple[str, ...] = (), state: Any = RolloutState.ACTIVE) -> Any:
    return SimpleNamespace(salt=str(number), hundredths=hundredths, halted=halted, state=state)


@pytest.mark.parametrize(
    ("rollout", "offered"),
    [
        (under(1, 1), True),
        (under(1, 0), False),
        (under(1, halted=("linux",)), False),
        (under(1, halted=("windows",)), True),
        (under(1, state=RolloutState.PAUSED), False),
        (under(1, state=RolloutState.COMPLETE), False),
    ],
)
def test_who_may_see_a_release_under_rollout(rollout: Any, offered: bool) -> None:
    assert is_offered(rollout, "linux") is offered


def test_chances_of_a_check_are_those_that_could_change_its_answer() -> None:
    builds = [
        a_build(1, parse_version("1.0.0"), complete=False, required=True),
        a_build(2, parse_version("2.0.0"), complete=False),
        a_build(3, parse_version("3.0.0"), complete=False, required=True),
        a_build(4, parse_version("4.0.0"), complete=True),
        a_build(5, parse_version("5.0.0"), complete=False, minimum=parse_version("1.0.0")),
        a_build(6, parse_version("6.0.0"), complete=False, minimum=parse_version("1.0.1")),
        replace(a_build(7, parse_version("7.0.0-rc.1"), complete=False)),
        replace(a_build(8, parse_version("8.0.0"), complete=False), channel_position=1),
    ]
    snapshot = snapshot_of(builds, rollouts={number: under(number) for number in (1, 2, 3, 5, 6, 7, 8)})

    def chances(text: str, **more: Any) -> list[tuple[int, bool, bool]]:
        found = chances_of_check(snapshot, UpdateQuery(parse_version(text), LINUX, **more))
        assert all(each.dice == Dice.of(str(each.release_id), 5_000) for each in found)
        return [(each.release_id, each.settles, each.required) for each in found]

    assert chances("1.0.0") == [(5, True, False), (3, False, True)]
    assert chances("1.0.1") == [(6, True, False), (5, True, False), (3, False, True)]
    assert chances("0.9.0") == [(3, False, True), (1, False, True)]
    assert chances("4.0.0") == [(6, True, False), (5, True, False)]
    assert chances("5.0.0", allow_prerelease=True) == [(7, True, False), (6, True, False)]
    assert chances("6.0.0", channel=1) == [(8, True, False), (7, True, False)]
    assert chances_of_check(replace(snapshot, rollouts={}), UpdateQuery(parse_version("1.0.0"), LINUX)) == ()
    settled = chances_of_check(snapshot, UpdateQuery(parse_version("1.0.1"), LINUX))
    assert cohort_of(settled, "any", manual=True) == {6, 3}
    assert cohort_of(settled[1:], "any", manual=True) == {5, 3}
    assert cohort_of([Chance(9, Dice.of("", 0))], "any") == frozenset()


def test_chances_of_the_latest_end_at_what_is_for_everybody() -> None:
    builds = [
        a_build(1, parse_version("1.0.0"), complete=False),
        a_build(2, parse_version("2.0.0"), complete=True),
        a_build(3, parse_version("3.0.0"), complete=False, minimum=parse_version("2.9.0"), required=True),
        a_build(4, parse_version("4.0.0-rc.1"), complete=False),
        replace(a_build(5, parse_version("5.0.0"), complete=False), channel_position=1),
        a_build(6, parse_version("6.0.0"), complete=False),
    ]
    rollouts = {1: under(1), 3: under(3), 4: under(4), 5: under(5), 6: under(6, halted=("linux",))}
    snapshot = snapshot_of(builds, rollouts=rollouts)

    def chances(**more: Any) -> list[tuple[int, bool, bool]]:
        found = chances_of_latest(snapshot, LINUX, **{"allow_prerelease": False, "channel": 0, **more})
        return [(each.release_id, each.settles, each.required) for each in found]

    assert chances() == [(3, True, False)]
    assert chances(allow_prerelease=True) == [(4, True, False), (3, True, False)]
    assert chances(channel=1) == [(5, True, False), (4, True, False), (3, True, False)]
    assert chances_of_latest(snapshot, WINDOWS, allow_prerelease=True, channel=1) == ()
    assert chances_of_latest(replace(snapshot, rollouts={}), LINUX, allow_prerelease=False, channel=0) == ()


def test_chances_of_a_family() -> None:
    releases = (
        a_release(6, "6.0.0", complete=False),  # without a rollout: withdrawn meanwhile
        a_release(5, "5.0.0", complete=False),
        a_release(4, "4.0.0", complete=False),
        a_release(3, "3.0.0"),
        a_release(2, "2.0.0", complete=False),
        a_release(1, "1.0.0", complete=False),
    )
    rollouts = {1: under(1), 2: under(2, 0), 3: under(3), 4: under(4, halted=("windows",)), 5: under(5)}
    snapshot = snapshot_of([], rollouts=rollouts, releases=releases)
    family = ("linux", "windows")

    def chances(target: Target | None, current: str = "") -> tuple[list[int], frozenset[int]]:
        version = parse_version(current) if current else None
        seen, own = chances_of_family(snapshot, target, family, version)
        assert seen == tuple(Chance(each.release_id, Dice.of(str(each.release_id), 5_000)) for each in seen)
        return [each.release_id for each in seen], own

    assert chances(None) == ([5, 1], frozenset())
    assert chances(WINDOWS) == ([5, 1], frozenset())
    assert chances(LINUX) == ([5, 4, 1], frozenset())
    assert chances(LINUX, "2.0.0+b") == ([5, 4, 1], frozenset({2}))
    assert chances(WINDOWS, "5.0.0") == ([1], frozenset({5}))
    assert chances_of_family(replace(snapshot, rollouts={}), None, family) == ((), frozenset())
