"""The index answers as a naive look at all builds would: the ladder in the database leaves out nothing that counts.

Control: with `own_minimum <= newer_minimum` turned into `own_minimum < ""` in `_rungs`, or without the ceiling,
the two differ within a few examples.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, update

from updater.catalog.decision import NoUpdate, Offer, UpdateQuery
from updater.catalog.model import Checksum, Draft, ExternalFile
from updater.catalog.platforms import Target
from updater.catalog.versions import parse_version
from updater.database import tables

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


@dataclass(frozen=True)
class Published:
    version: str
    target: Target
    minimum: str | None
    required: bool
    state: str  # kept, deleted, inactive, quarantined


PUBLISHED = st.builds(
    Published,
    TEXTS,
    st.sampled_from([LINUX, LINUX, LINUX, WINDOWS]),
    st.none() | TEXTS,
    st.booleans(),
    st.sampled_from(["kept", "kept", "kept", "kept", "deleted", "inactive", "quarantined"]),
)
CATALOGS = st.lists(PUBLISHED, max_size=9, unique_by=lambda each: (each.version, each.target))


def key(text: str) -> str:
    return parse_version(text).sort_key


def naive(builds: list[Published], config: dict[str, Any], question: UpdateQuery) -> tuple[str, bool] | None:
    """Decide over all builds, by the words of the contract."""
    inactive = {each.version for each in builds if each.state == "inactive"}
    ceiling = config["max_version"]
    fitting = [
        each
        for each in builds
        if each.state == "kept"
        and each.version not in inactive
        and each.target == question.target
        and (question.allow_prerelease or "-" not in each.version)
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


async def fill(service: Any, name: str, builds: list[Published], config: dict[str, Any]) -> None:
    catalog = service.services.catalog
    await catalog.create_application(name, name=name, platforms=("linux", "windows"), extra={"config": config})
    made = {}
    for number, each in enumerate(builds):
        minimum = parse_version(each.minimum) if each.minimum else None
        draft = Draft(parse_version(each.version), each.target, required=each.required, minimum=minimum)
        made[number] = await catalog.register_build(
            name, draft, ExternalFile("https://x/y", Checksum("md5", "x"), None)
        )
    async with catalog._database.write() as connection:
        for number, each in enumerate(builds):
            release = tables.release.c.id == made[number].release_id
            if each.state == "inactive":
                await connection.execute(update(tables.release).where(release).values(status="inactive"))
            if each.state == "quarantined":
                digest = f"{name}{number}".rjust(64, "0")
                now = made[number].created_at
                row = {"digest": digest, "size_bytes": 1, "created_at": now, "quarantined_at": now}
                await connection.execute(insert(tables.blob).values(row))
                build = tables.build.c.id == made[number].id
                await connection.execute(update(tables.build).where(build).values(digest=digest))
    for number, each in enumerate(builds):
        if each.state == "deleted":
            await catalog.delete_build(name, made[number].version, each.target)
    await catalog.reload_all()


@pytest.mark.timeout(300)
async def test_the_ladder_answers_as_all_builds_would(service: Any) -> None:
    """Minimum versions, required, pre-releases, floor and ceiling, deleted, inactive and quarantined builds."""
    loop = asyncio.get_running_loop()
    count = iter(range(10**6))

    @settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
    @given(CATALOGS, st.just("") | TEXTS, st.just("") | TEXTS, st.booleans())
    def compare(builds: list[Published], floor: str, ceiling: str, forced: bool) -> None:
        name = f"app-{next(count)}"
        config = {"min_version": floor, "max_version": ceiling, "required_update": forced}
        asyncio.run_coroutine_threadsafe(fill(service, name, builds, config), loop).result(30)
        for current in (*VERSIONS, "0.0.1", "9.0.0"):
            for allow in (False, True):
                question = UpdateQuery(parse_version(current), LINUX, allow)
                decided = service.services.catalog.check(name, question)
                ours = None if isinstance(decided, NoUpdate) else (decided.build.version.text, decided.required)
                assert isinstance(decided, Offer | NoUpdate)
                assert ours == naive(builds, config, question), (current, allow)

    await asyncio.to_thread(compare)
