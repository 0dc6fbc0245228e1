"""Explain, check and the contract's own words agree, whatever the catalog, its channels, plans, states and clients.

Controls: with the verdicts of `offers.explain` in another order, with `manual` going past 0 percent, or with the cohort
left out of `decide`, they differ within a few examples.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import update

from tests.actors import TESTER
from tests.offers.test_ladders import (
    CHANNELS,
    LINUX,
    VERSIONS,
    WINDOWS,
    Published,
    fill,
    key,
    naive,
    published,
)
from updater.catalog.versions import parse_version
from updater.database.rollout_tables import rollout_platform
from updater.offers.decision import UpdateQuery

START = datetime.now(UTC) + timedelta(days=2)
START_AT = START.strftime("%Y-%m-%dT%H:%M:%SZ")
HALT: dict[str, Any] = {"reason": "above_max_failure_rate"}


@dataclass(frozen=True)
class Ruled:
    """A rollout: its percent, and what was done to it."""

    percent: float
    state: str  # active, paused, scheduled, halted
    salt: str = ""

    @property
    def plan(self) -> dict[str, Any]:
        """A last stage at 100 percent is watched, so that it is not complete."""
        stage = {"percent": self.percent, **({"for_s": 3_600} if self.percent == 100 else {})}
        return {"stages": [stage], **({"start_at": START} if self.state == "scheduled" else {})}

    def position(self, identity: str) -> int:
        return int.from_bytes(hashlib.sha256(f"{self.salt}:{identity}".encode()).digest()[:8], "big")

    def is_inside(self, identity: str) -> bool:
        return self.position(identity) * 10_000 < round(100 * self.percent) * 2**64

    def shows_to(self, identity: str, manual: bool) -> bool:
        return self.state == "active" and self.percent > 0 and (manual or self.is_inside(identity))


def draw(dice: random.Random) -> tuple[list[Published], dict[str, Any], dict[str, Ruled], dict[str, int], list[Any]]:
    """Return a catalog, its settings, its rollouts, where its versions are, and questions."""
    some = lambda: dice.choice(VERSIONS)  # noqa: E731
    states = ("kept", "kept", "kept", "kept", "kept", "deleted", "withdrawn", "quarantined")
    targets = dice.sample([*((each, LINUX) for each in VERSIONS), *((each, WINDOWS) for each in VERSIONS[-3:])], 9)
    builds = [
        published(version, target, dice.choice([None, None, some()]), dice.random() < 0.3, dice.choice(states))
        for version, target in targets
    ]
    config = {
        "min_version": dice.choice(["", "", some()]),
        "max_version": dice.choice(["", "", some()]),
        "required_update": dice.random() < 0.3,
    }
    percents, ways = (0, 12.5, 50, 50, 87.5, 100), ("active", "active", "active", "paused", "scheduled", "halted")
    ruled = {
        each: Ruled(dice.choice(percents), dice.choice(ways)) for each in dice.sample(VERSIONS, dice.randint(0, 6))
    }
    places = {each: dice.randint(0, 2) for each in dice.sample(VERSIONS, 4)}
    questions = [
        (
            dice.choice(("0.0.1", "0.0.1", *VERSIONS, "9.0.0")),
            dice.choice((*CHANNELS, None, "betta")),
            dice.random() < 0.5,
            dice.random() < 0.3,
            f"client-{dice.randint(0, 9)}",
        )
        for _ in range(6)
    ]
    return builds, config, ruled, places, questions


async def rule(service: Any, name: str, builds: list[Published], wanted: dict[str, Ruled]) -> dict[str, Ruled]:
    """Give the releases that are there their rollouts; return these, with their salts."""
    services, made = service.services, {}
    there = {each.version for each in builds if each.state != "deleted"}
    withdrawn = {each.version for each in builds if each.state == "withdrawn"}
    for version, each in wanted.items():
        if version not in there - withdrawn:
            continue
        shown = await services.rollouts.set_plan(name, version, each.plan, actor=TESTER)
        made[version] = Ruled(each.percent, each.state, shown["salt"])
        if each.state == "paused":
            await services.rollouts.pause(name, version, actor=TESTER)
        if each.state == "halted":
            async with services.catalog._database.write() as connection:
                release_id = services.offers.snapshot_of(name).rollouts
                (mine,) = (id_ for id_, rollout in release_id.items() if rollout.version == version)
                row = rollout_platform.c.release_id == mine
                values = {"halted_at": datetime.now(UTC), "halt": HALT}
                await connection.execute(update(rollout_platform).where(row).values(values))
    await services.offers.load()
    return made


def verdicts(
    builds: list[Published],
    config: dict[str, Any],
    places: dict[str, int],
    rules: dict[str, Ruled],
    question: UpdateQuery,
    identity: str,
    manual: bool,
) -> list[tuple[str, str, dict[str, Any]]]:
    """Judge all releases by the words of the contract: the first that applies, with its facts."""
    withdrawn = {each.version for each in builds if each.state == "withdrawn"}
    there = [each for each in builds if each.state != "deleted" and each.target == question.target]
    ceiling, found = config["max_version"], []
    for each in sorted(there, key=lambda each: key(each.version), reverse=True):
        own = rules.get(each.version)
        share = None
        if own is not None:
            share = {"position": own.position(identity) * 10**6 // 2**64 / 10**6, "share": own.percent / 100}
        applies: list[tuple[str, Any, dict[str, Any]]] = [
            ("not_newer", key(each.version) <= question.current.sort_key, {}),
            ("withdrawn", each.version in withdrawn, {}),
            ("quarantined", each.state == "quarantined", {}),
            ("above_max_version", ceiling and key(each.version) > key(ceiling), {"max_version": ceiling}),
            ("other_channel", places.get(each.version, 0) > question.channel, {}),
            ("prerelease", "-" in each.version and not (question.allow_prerelease or question.channel), {}),
            (
                "below_minimum",
                each.minimum and key(each.minimum) > question.current.sort_key,
                {"minimum_version": each.minimum},
            ),
            ("scheduled", own and own.state == "scheduled", {"start_at": START_AT}),
            ("paused", own and own.state == "paused", {}),
            ("halted", own and own.state == "halted", {"platform": question.target.platform}),
            ("zero_percent", own and own.percent == 0, {}),
            ("outside", own and not manual and not own.is_inside(identity), share or {}),
            ("offered", True, share or {}),
        ]
        verdict, facts = next((name, facts) for name, holds, facts in applies if holds)
        found.append((each.version, verdict, facts))
        if verdict in ("not_newer", "offered"):
            break
    return found


async def test_explain_check_and_the_words_of_the_contract_agree(service: Any) -> None:
    seen: set[str] = set()
    for seed in range(24):
        builds, config, ruled, places, questions = draw(random.Random(seed))
        name = f"app-{seed}"
        await fill(service, name, builds, config, set(), places)
        rules = await rule(service, name, builds, ruled)
        for current, channel, allow, manual, identity in questions:
            asked = {"current_version": current, **LINUX._asdict(), "allow_prerelease": str(allow).lower()}
            asked |= {"client_id": identity, "manual": str(manual).lower(), **({"channel": channel} if channel else {})}
            path = f"/api/v1/updates/{name}"
            explained = await service.call("GET", f"{path}/explain", key="read", params=asked, status=200)
            checked = await service.call("GET", f"{path}/check", params=asked, status=200)
            position = CHANNELS.index(channel) if channel in CHANNELS else 0
            query = UpdateQuery(parse_version(current), LINUX, allow, position)
            visible = [
                each for each in builds if each.version not in rules or rules[each.version].shows_to(identity, manual)
            ]
            expected = naive(visible, config, places, query)
            assert explained["answer"] == checked
            offer = (checked["latest_version"], checked["required"]) if checked["update_available"] else None
            assert offer == expected, (seed, asked)
            told = [(each["version"], each["verdict"], each["facts"]) for each in explained["candidates"]]
            assert told == verdicts(builds, config, places, rules, query, identity, manual), (seed, asked)
            offered = [version for version, verdict, _ in told if verdict == "offered"]
            assert offered == ([] if expected is None else [expected[0]])
            because = explained["required_because"]
            assert because == reason_in_words(visible, config, places, query, expected), (seed, asked)
            seen.update(verdict for _, verdict, _ in told)
            seen.add(f"because {because}")
    every = {"not_newer", "withdrawn", "quarantined", "above_max_version", "other_channel", "prerelease", "scheduled"}
    every |= {"below_minimum", "paused", "halted", "zero_percent", "outside", "offered"}
    every |= {f"because {each}" for each in ("build", "skipped", "application", "min_version", None)}
    assert every - seen == set(), "each verdict and each reason came up"


def reason_in_words(
    visible: list[Published],
    config: dict[str, Any],
    places: dict[str, int],
    question: UpdateQuery,
    expected: tuple[str, bool] | None,
) -> str | None:
    """Return why the offer is required, the first that applies."""
    if expected is None or not expected[1]:
        return None
    mine = {each.version: each for each in visible if each.target == question.target}
    if mine[expected[0]].required:
        return "build"
    calm = {**config, "required_update": False, "min_version": ""}
    skipped = naive(visible, calm, places, question)
    if skipped is not None and skipped[1]:
        return "skipped"
    return "application" if config["required_update"] else "min_version"
