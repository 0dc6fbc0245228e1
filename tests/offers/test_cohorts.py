"""Dice by the contract's words, and cohorts without those dice that can no longer change an answer.

Controls: a bound rounded down instead of up; `each.required` left out of `cohort_of`; `settles` for every chance.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.builds import LINUX, a_build
from updater.catalog.versions import parse_version
from updater.offers.cohorts import chances_of_check, cohort_of
from updater.offers.decision import Offer, UpdateQuery, decide
from updater.offers.ladders import Rung
from updater.offers.snapshot import Snapshot
from updater.rollouts.dice import Dice, as_fraction
from updater.rollouts.model import RolloutState

IDENTITIES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)


def position(salt: str, identity: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{salt}:{identity}".encode()).digest()[:8], "big")


@given(salt=st.sampled_from(["0" * 32, "f" * 32]), identity=IDENTITIES, hundredths=st.integers(0, 10_000))
def test_dice_are_those_of_the_contract(salt: str, identity: str, hundredths: int) -> None:
    dice, u = Dice.of(salt, hundredths), position(salt, identity)
    assert dice.take(identity.encode()) == (u * 10_000 < hundredths * 2**64)
    assert dice.position_of(identity.encode()) == u
    assert as_fraction(u) == int(u / 2**64 * 10**6) / 10**6 or abs(as_fraction(u) - u / 2**64) < 2e-6


@given(hundredths=st.integers(1, 9_999), rest=st.binary(min_size=24, max_size=24))
def test_the_bound_is_exact(hundredths: int, rest: bytes) -> None:
    """The last position inside is inside, and the next one is not, whatever follows in the digest."""
    bound = Dice.of("", hundredths).bound
    first_outside = int.from_bytes(bound, "big")
    assert (first_outside - 1) * 10_000 < hundredths * 2**64 <= first_outside * 10_000
    assert (first_outside - 1).to_bytes(8, "big") + rest < bound
    assert not first_outside.to_bytes(8, "big") + rest < bound


def test_nobody_and_everybody() -> None:
    none, all_of_them = Dice.of("", 0).bound, Dice.of("", 10_000).bound
    assert not bytes(32) < none
    assert all_of_them > b"\xff" * 32


@st.composite
def snapshots(draw: Any) -> Snapshot:
    """Return releases 1.0.0 to 1.9.0; some are under rollout, required, or only for clients above a minimum."""
    rungs, rollouts = [], {}
    required_key = None
    for number in range(10):
        version = parse_version(f"1.{number}.0")
        is_open = draw(st.booleans()) and number > 0
        required = draw(st.integers(0, 4)) == 0
        minimum = parse_version(f"1.{draw(st.integers(0, number))}.0") if draw(st.booleans()) else None
        build = a_build(number, version, complete=not is_open, required=required, minimum=minimum)
        if required and not is_open:
            required_key = version.sort_key
        rungs.append(Rung(build, required_key))
        if is_open:
            salt, hundredths = str(number), draw(st.sampled_from([0, 1_000, 5_000, 10_000]))
            rollouts[number] = SimpleNamespace(
                salt=salt,
                hundredths=hundredths,
                state=RolloutState.ACTIVE,
                halted=draw(st.sampled_from([(), ("linux",)])),
            )
    application: Any = SimpleNamespace(config={"required_update": False, "min_version": ""}, scheme="semver")
    ladder: Any = {LINUX: tuple(reversed(rungs))}
    return Snapshot(application, ladder, (ladder,), {}, (), rollouts)  # type: ignore[arg-type]


@given(snapshot=snapshots(), current=st.integers(0, 9), identity=IDENTITIES, manual=st.booleans())
def test_dice_that_are_not_thrown_change_no_answer(
    snapshot: Snapshot, current: int, identity: str, manual: bool
) -> None:
    query = UpdateQuery(parse_version(f"1.{current}.0"), LINUX)
    chances = chances_of_check(snapshot, query)
    by_chances = decide(snapshot, query, cohort_of(chances, identity, manual=manual))
    visible = frozenset(
        id_
        for id_, each in snapshot.rollouts.items()
        if each.hundredths
        and not each.halted
        and (manual or position(each.salt, identity) * 10_000 < each.hundredths * 2**64)
    )
    by_all = decide(snapshot, query, visible)
    assert isinstance(by_chances, Offer) == isinstance(by_all, Offer)
    if isinstance(by_chances, Offer) and isinstance(by_all, Offer):
        assert (by_chances.build.release_id, by_chances.required) == (by_all.build.release_id, by_all.required)


def test_a_client_inside_the_newest_is_asked_no_further() -> None:
    """Eight releases for everybody inside: one pair of dice."""
    rungs = []
    rollouts: dict[int, Any] = {}
    for number in range(8):
        build = a_build(number, parse_version(f"2.{number}.0"), complete=False)
        rungs.append(Rung(build, None))
        rollouts[number] = SimpleNamespace(salt=str(number), hundredths=10_000, state=RolloutState.ACTIVE, halted=())
    ladder: Any = {LINUX: tuple(reversed(rungs))}
    application: Any = SimpleNamespace(config={}, scheme="semver")
    snapshot = Snapshot(application, ladder, (ladder,), {}, (), rollouts)
    chances = chances_of_check(snapshot, UpdateQuery(parse_version("1.0.0"), LINUX))
    assert [each.release_id for each in chances] == list(reversed(range(8)))
    assert cohort_of(chances, "c-1") == {7}
    assert cohort_of([replace(each, settles=False) for each in chances], "c-1") == set(range(8))
