"""The index answers as a naive look at all builds would: the ladder in the database leaves out nothing that counts.

`test_candidates.py` holds the pure part to its rule in detail. Controls: with `>` turned into `<` in `_kept`, without
the ceiling, with the minimums of all releases instead of the complete ones, without what is not complete, or without
the cohort in `_is_skipping`, the two differ within a few examples.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, update

from tests.actors import TESTER
from tests.builds import register
from updater.catalog.platforms import Target
from updater.catalog.retention import RetentionPolicy
from updater.catalog.versions import parse_version
from updater.database import tables
from updater.offers.decision import NoUpdate, Offer, UpdateQuery

LINUX, WINDOWS = Target("linux", "amd64"), Target("windows", "amd64")
VERSIONS = [
    "0.9.0",
    "1.0.0-rc.1",
    "1.0.0",
    "1.1.0-1",
    "1.1.0",
    "1.1.1",
    "1.10.0",
    "2.0.0-beta",
    "2.0.0",
    "2.1.0",
    "3.0.0",
]
TEXTS = st.sampled_from(VERSIONS)
CHANNELS = ("stable", "beta", "nightly")
# Where versions are; those that are not named are on the first channel.
PLACES = st.dictionaries(TEXTS, st.integers(0, len(CHANNELS) - 1), max_size=6)


@dataclass(frozen=True)
class Published:
    version: str
    target: Target
    minimum: str | None
    required: bool
    state: str  # kept, deleted, withdrawn, quarantined


def published(version: str, target: Target, minimum: str | None, required: bool, state: str) -> Published:
    """Return a build; a minimum above its own version would be refused."""
    fits = minimum is not None and parse_version(minimum).sort_key <= parse_version(version).sort_key
    return Published(version, target, minimum if fits else None, required, state)


PUBLISHED = st.builds(
    published,
    TEXTS,
    st.sampled_from([LINUX, LINUX, LINUX, WINDOWS]),
    st.none() | TEXTS,
    st.booleans(),
    st.sampled_from(["kept", "kept", "kept", "kept", "deleted", "withdrawn", "quarantined"]),
)
CATALOGS = st.lists(PUBLISHED, max_size=9, unique_by=lambda each: (each.version, each.target))


def key(text: str) -> str:
    return parse_version(text).sort_key


def naive(
    builds: list[Published], config: dict[str, Any], places: dict[str, int], question: UpdateQuery
) -> tuple[str, bool] | None:
    """Decide over all builds, by the words of the contract."""
    withdrawn = {each.version for each in builds if each.state == "withdrawn"}
    ceiling = config["max_version"]
    fitting = [
        each
        for each in builds
        if each.state == "kept"
        and each.version not in withdrawn
        and each.target == question.target
        and places.get(each.version, 0) <= question.channel
        and (question.allow_prerelease or question.channel or "-" not in each.version)
        and (not ceiling or key(each.version) <= key(ceiling))
    ]
    newer = [each for each in fitting if key(each.version) > question.current.sort_key]
    met = [each for each in newer if each.minimum is None or key(each.minimum) <= question.current.sort_key]
    if not met:
        return None
    best = max(met, key=lambda each: key(each.version))
    skipped = any(each.required for each in newer if key(each.version) <= key(best.version))
    floor = config["min_version"]
    below = bool(floor) and key(floor) > question.current.sort_key
    return best.version, skipped or config["required_update"] or below


async def fill(
    service: Any, name: str, builds: list[Published], config: dict[str, Any], limited: set[str], places: dict[str, int]
) -> dict[str, int]:
    """Make an application with these builds; return its releases' ids by version."""
    services = service.services
    catalog = services.catalog
    extra = {"config": config, "channels": CHANNELS}
    await catalog.create_application(name, name=name, platforms=("linux", "windows"), extra=extra, actor=TESTER)
    made = {}
    for number, each in enumerate(builds):
        made[number] = await register(
            services.publishing,
            each.version,
            each.target,
            name,
            required=each.required,
            minimum_version=each.minimum,
            channel=CHANNELS[places.get(each.version, 0)],
        )
    async with catalog._database.write() as connection:
        for number, each in enumerate(builds):
            release = tables.release.c.id == made[number].release_id
            if each.state == "withdrawn":
                await connection.execute(update(tables.release).where(release).values(status="withdrawn"))
            if each.version in limited:
                await connection.execute(update(tables.release).where(release).values(complete=False))
            if each.state == "quarantined":
                digest = f"{name}{number}".rjust(64, "0")
                now = made[number].created_at
                row = {"digest": digest, "size_bytes": 1, "created_at": now, "quarantined_at": now}
                await connection.execute(insert(tables.blob).values(row))
                file = {"build_id": made[number].id, "name": "x", "name_key": "x", "kind": "other", "digest": digest}
                file |= {"is_primary": True, "made_by": "developer", "created_at": now}
                await connection.execute(insert(tables.file).values(file))
    for each in builds:
        if each.state == "deleted":
            await catalog.delete_build(name, each.version, each.target, actor=TESTER)
    await services.offers.load()
    return {each.version.text: each.release_id for each in made.values()}


CURRENT = (*VERSIONS, "0.0.1", "9.0.0")


@pytest.mark.timeout(300)
async def test_the_ladder_answers_as_all_builds_would(service: Any) -> None:
    """Channels, minimum versions, required, pre-releases, floor, ceiling, deleted, withdrawn and quarantined builds.

    And releases that are not for all clients: each client sees some of them, and gets what it would get if the others
    did not exist. What it gets, retention keeps.
    """
    loop = asyncio.get_running_loop()
    count = iter(range(10**6))
    offers = service.services.offers

    def run(work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(30)

    async def removable(name: str) -> list[str]:
        policy = RetentionPolicy(keep_releases=0)
        removed: list[str] = await service.services.catalog.retire(
            name, policy, offers.still_offered, actor=TESTER, dry_run=True
        )
        return removed

    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
    @given(CATALOGS, st.just("") | TEXTS, st.just("") | TEXTS, st.booleans(), st.sets(TEXTS), st.sets(TEXTS), PLACES)
    def compare(
        builds: list[Published],
        floor: str,
        ceiling: str,
        forced: bool,
        limited: set[str],
        seen: set[str],
        places: dict[str, int],
    ) -> None:
        name = f"app-{next(count)}"
        config = {"min_version": floor, "max_version": ceiling, "required_update": forced}
        ids = run(fill(service, name, builds, config, limited, places))
        cohort = frozenset(ids[version] for version in seen & limited if version in ids)
        visible = [each for each in builds if each.version not in limited or each.version in seen]
        gone = run(removable(name))
        for current in CURRENT:
            for channel, allow in ((0, False), (0, True), (1, False), (2, False)):
                query = UpdateQuery(parse_version(current), LINUX, allow, channel)
                decided = offers.check(name, query, cohort)
                ours = None if isinstance(decided, NoUpdate) else (decided.build.version.text, decided.required)
                assert isinstance(decided, Offer | NoUpdate)
                assert ours == naive(visible, config, places, query), (current, allow, channel)
                assert ours is None or ours[0] not in gone

    await asyncio.to_thread(compare)


async def test_a_ladder_does_not_grow_with_complete_releases(service: Any) -> None:
    """It holds one rung for each distinct minimum, and one for each release that is not for all clients."""
    publishing, offers = service.services.publishing, service.services.offers
    made = [await register(publishing, f"1.{number}.0") for number in range(30)]
    ladder = offers.snapshot_of("my-app").ladder(LINUX, allow_prerelease=False)
    assert [rung.build.version.text for rung in ladder] == ["1.29.0"]
    async with service.services.catalog._database.write() as connection:
        under_rollout = tables.release.c.id.in_([made[29].release_id, made[27].release_id])
        await connection.execute(update(tables.release).where(under_rollout).values(complete=False))
    await offers.load()
    ladder = offers.snapshot_of("my-app").ladder(LINUX, allow_prerelease=False)
    assert [rung.build.version.text for rung in ladder] == ["1.29.0", "1.28.0", "1.27.0"]
