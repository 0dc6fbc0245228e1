"""Ladders as the rule says, and the same from the few builds that the database names.

Controls, each seen to fail: `is_seen` without the channel, without pre-releases; steps of parts that are not seen;
minimums of releases that are not complete; `<` for `<=`; a place one lower.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builds import LINUX, a_build
from updater.catalog.model import Build
from updater.catalog.versions import parse_version
from updater.offers.ladders import Candidates, Rung

COUNT = 8


@st.composite
def catalogs(draw: Any) -> list[Build]:
    builds = []
    for number in range(COUNT):
        version = parse_version(f"1.{number}.0{draw(st.sampled_from(['', '', '-rc.1']))}")
        minimum = draw(st.sampled_from([None, "0.1.0", "0.2.0", "0.3.0"]))
        build = a_build(
            number,
            version,
            complete=draw(st.booleans()) or draw(st.booleans()),
            required=draw(st.integers(0, 2)) == 0,
            minimum=parse_version(minimum) if minimum else None,
        )
        builds.append(replace(build, channel_position=draw(st.integers(0, 2))))
    return draw(st.permutations(builds[: draw(st.integers(0, COUNT))]))


def by_the_rule(builds: list[Build], position: int, prereleases: bool) -> list[Rung]:
    """Look at each build, and from each at all others."""
    seen = [
        each for each in builds if each.channel_position <= position and (prereleases or not each.version.prerelease)
    ]
    seen.sort(key=lambda each: each.version.sort_key, reverse=True)
    complete = [each for each in seen if each.complete]
    rungs = []
    for build in seen:
        key = build.version.sort_key
        takes_all = [each for each in complete if each.version.sort_key > key and least(each) <= least(build)]
        required = [each.version.sort_key for each in complete if each.required and each.version.sort_key <= key]
        if not build.complete or not takes_all:
            rungs.append(Rung(build, max(required, default=None)))
    return rungs


def least(build: Build) -> str:
    return build.minimum.sort_key if build.minimum else ""


def named(builds: list[Build]) -> list[Build]:
    """Return the newest complete build of each part and minimum, and those that are not complete."""
    newest: dict[Any, Build] = {}
    for each in sorted(builds, key=lambda each: each.version.sort_key):
        if each.complete:
            newest[each.channel_position, each.version.prerelease, least(each)] = each
    return [*newest.values(), *(each for each in builds if not each.complete)]


@settings(max_examples=500)
@given(builds=catalogs(), few=st.booleans())
def test_ladders_are_those_of_the_rule(builds: list[Build], few: bool) -> None:
    candidates = Candidates(named(builds) if few else builds)
    for each in builds:
        if each.required and each.complete:
            candidates.require(LINUX, (each.channel_position, each.version.prerelease), each.version.sort_key)
    for position in range(3):
        for prereleases in (False, True):
            ladder = candidates.ladders(position, prereleases=prereleases).get(LINUX, ())
            assert list(ladder) == by_the_rule(builds, position, prereleases)
