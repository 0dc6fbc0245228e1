"""Retention beside releases that are not for all clients: no client notices, whichever of them it sees.

Controls: the releases that are not complete left out of `stepping_stones`, or counted there as complete ones.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from updater.catalog.model import ReleaseStatus
from updater.catalog.platforms import Target
from updater.catalog.retention import Candidate, RetentionPolicy, select_removable, stepping_stones
from updater.catalog.versions import parse_version

NOW = datetime(2026, 6, 1, tzinfo=UTC)
LINUX, WINDOWS = Target("linux", "amd64"), Target("windows", "amd64")
NOTHING = RetentionPolicy(keep_releases=0)


class Drawn(NamedTuple):
    active: bool
    complete: bool
    prerelease: bool
    minimums: dict[Target, int | None]


def candidates(drawn: list[Drawn]) -> list[Candidate]:
    """Return releases 1.0.0, 1.1.0 and so on."""
    made = []
    for number, each in enumerate(drawn):
        version = parse_version(f"1.{number}.0" + ("-rc.1" if each.prerelease else ""))
        keys = ((t, "" if m is None else parse_version(f"1.{m}.0").sort_key) for t, m in each.minimums.items())
        status = ReleaseStatus.ACTIVE if each.active else ReleaseStatus.WITHDRAWN
        made.append(Candidate(number, version, status, each.complete, NOW, tuple(keys)))
    return made


def offer(releases: list[Candidate], target: Target, current_key: str, prereleases: bool, seen: set[int]) -> int | None:
    """Choose by the rules alone, over all releases that exist for a client."""
    fits = [
        each
        for each in releases
        if each.status is ReleaseStatus.ACTIVE
        and (each.complete or each.release_id in seen)
        and (prereleases or not each.version.prerelease)
        and each.version.sort_key > current_key
        and dict(each.minimum_keys).get(target, "~") <= current_key
    ]
    return max(fits, key=lambda each: each.version.sort_key).release_id if fits else None


DRAWN = st.builds(
    Drawn,
    st.booleans() | st.just(True),
    st.booleans(),
    st.booleans(),
    st.dictionaries(st.sampled_from((LINUX, WINDOWS)), st.none() | st.integers(0, 10), min_size=1),
)
CURRENT = [parse_version(f"1.{number}.0{suffix}").sort_key for number in range(10) for suffix in ("-a", "", "-rc.1")]


@given(st.lists(DRAWN, max_size=9), st.sets(st.integers(0, 9)))
@settings(deadline=None, max_examples=200)
def test_no_client_notices_whichever_rollouts_it_sees(drawn: list[Drawn], seen: set[int]) -> None:
    before = candidates(drawn)
    gone = select_removable(before, (), NOTHING, NOW)
    left = [each for each in before if each not in gone]
    assert not [each for each in gone if each.status is ReleaseStatus.ACTIVE and not each.complete]
    for target in (LINUX, WINDOWS):
        for prereleases in (False, True):
            for current_key in CURRENT:
                wanted = offer(before, target, current_key, prereleases, seen)
                assert offer(left, target, current_key, prereleases, seen) == wanted


def drawn(*, complete: bool = True, active: bool = True, minimum: int | None = None) -> Drawn:
    return Drawn(active, complete, False, {LINUX: minimum})


def test_the_last_good_release_below_a_rollout_is_a_stone() -> None:
    releases = [drawn(), drawn(), drawn(complete=False), drawn(complete=False)]
    assert stepping_stones(candidates(releases)) == {1, 2, 3}


def test_a_rollout_below_the_last_good_release_stays_as_well() -> None:
    assert stepping_stones(candidates([drawn(), drawn(complete=False), drawn()])) == {1, 2}


def test_a_rollout_takes_no_client_from_a_stone_below_it() -> None:
    releases = [drawn(), drawn(minimum=0), drawn(complete=False)]
    assert stepping_stones(candidates(releases)) == {0, 1, 2}


def test_a_withdrawn_rollout_is_no_stone() -> None:
    assert stepping_stones(candidates([drawn(), drawn(complete=False, active=False)])) == {0}
    assert stepping_stones([]) == set()


def test_releases_without_builds_go() -> None:
    releases = candidates([drawn(), Drawn(True, True, False, {})])
    assert [each.release_id for each in select_removable(releases, (), NOTHING, NOW)] == [1]
    assert select_removable(releases, (), RetentionPolicy(), NOW) == []
