"""What desktop clients are offered, from the database's few rows, against a naive decision over all builds."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

import updater.offers.decision as decision
from updater.catalog.model import CONFIG_DEFAULTS
from updater.catalog.platforms import Target
from updater.catalog.versions import Scheme, Version, parse_version
from updater.database.engine import Database
from updater.database.opening import open_database
from updater.database.tables import application, blob, build, file, release
from updater.offers.decision import ClientStanding, UpgradeBlock
from updater.offers.store import OfferStore
from updater.web.desktop.words import FAMILY
from updater.web.desktop.words import TARGETS as DESKTOP_TARGETS

AT = datetime(2026, 1, 1, tzinfo=UTC)
TARGETS = (*DESKTOP_TARGETS.values(), Target("windows", "arm64"), Target("ios", "arm64"))
SUFFIXES = ("",) * 6 + ("-beta", "+build")
CATALOGS = 120


@dataclass
class Row:
    """One build as the naive decision sees it."""

    version: Version
    target: Target
    minimum: Version | None
    active: bool
    quarantined: bool
    complete: bool = True


def versions(chance: random.Random) -> list[Version]:
    numbers = [
        f"{chance.randrange(3)}.{chance.randrange(3)}.{chance.randrange(12)}" for _ in range(chance.randrange(9))
    ]
    return [parse_version(text + chance.choice(SUFFIXES)) for text in dict.fromkeys(numbers)]


def rows_of(chance: random.Random) -> list[Row]:
    made = []
    for version in versions(chance):
        active, complete = chance.random() < 0.85, chance.random() < 0.8
        for target in chance.sample(TARGETS, chance.randrange(1, 5)):
            minimum = parse_version(f"{chance.randrange(3)}.{chance.randrange(3)}.0") if chance.random() < 0.5 else None
            made.append(Row(version, target, minimum, active, chance.random() < 0.1, complete))
    return made


async def fill(database: Database, application_id: str, rows: list[Row], scheme: Scheme = Scheme.SEMVER) -> None:
    async with database.write() as connection:
        product = {"id": application_id, "name": "x", "description": "", "platforms": [], "config": CONFIG_DEFAULTS}
        product |= {"scheme": scheme.value, "ceiling_key": None, "created_at": AT, "updated_at": AT}
        await connection.execute(insert(application), [product])
        ids: dict[str, int] = {}
        for row in rows:
            if row.version.text not in ids:
                values = {"application_id": application_id, "version": row.version.text, "created_at": AT}
                values |= {"sort_key": row.version.sort_key, "prerelease": row.version.prerelease}
                values |= {"status": "active" if row.active else "withdrawn", "complete": row.complete}
                values |= {"numbers": row.version.numbers}
                made = await connection.scalar(insert(release).values(values).returning(release.c.id))
                ids[row.version.text] = int(made or 0)
            digest = "bad" if row.quarantined else "good"
            values = {"release_id": ids[row.version.text], "platform": row.target.platform, "notes": ""}
            values |= {"architecture": row.target.architecture, "required": False, "metadata": {}, "created_at": AT}
            if row.minimum is not None:
                values |= {"minimum_version": row.minimum.text, "minimum_key": row.minimum.sort_key}
            build_id = await connection.scalar(insert(build).values(values).returning(build.c.id))
            primary = {"build_id": build_id, "name": "x", "name_key": "x", "kind": "other", "is_primary": True}
            primary |= {"digest": digest, "made_by": "developer", "created_at": AT}
            await connection.execute(insert(file).values(primary))


def naive(rows: list[Row], current: Version | None, target: Target | None, seen: set[str]) -> str | None:
    """Return the version a desktop client is offered, by the words of the contract over all builds."""
    offered: dict[str, list[Row]] = {}
    for row in rows:
        visible = row.complete or row.version.text in seen
        if row.active and visible and not row.quarantined and row.version.numbers == 3 and row.target in TARGETS[:4]:
            offered.setdefault(row.version.text, []).append(row)
    fits = []
    for builds in offered.values():
        version = builds[0].version
        minimum = max((each.minimum.sort_key for each in builds if each.minimum), default="")
        if target is not None and target not in [each.target for each in builds]:
            continue
        if current is None or (minimum <= current.sort_key <= version.sort_key):
            fits.append(version)
    return max(fits, key=lambda version: version.sort_key).text if fits else None


@pytest.fixture
async def database(database_url: str | None, tmp_path: Path) -> Any:
    async with open_database(database_url, tmp_path) as opened:
        async with opened.write() as connection:
            blobs = [{"digest": "good", "size_bytes": 1, "created_at": AT, "quarantined_at": None}]
            blobs += [{"digest": "bad", "size_bytes": 1, "created_at": AT, "quarantined_at": AT}]
            await connection.execute(insert(blob), blobs)
        yield opened


def questions() -> Iterator[tuple[Version | None, Target | None]]:
    for target in (None, *TARGETS[:4]):
        yield None, target
        for text in ("0.0.0", "0.1.0", "0.2.5", "1.0.0", "1.1.3", "1.2.0", "2.0.0", "2.1.7", "2.2.11", "3.0.0"):
            yield parse_version(text), target


async def test_the_few_rows_give_the_naive_answers(database: Database) -> None:
    chance = random.Random(20_260_216)
    catalogs = {f"app-{number}": rows_of(chance) for number in range(CATALOGS)}
    for application_id, rows in catalogs.items():
        await fill(database, application_id, rows)
    snapshots = await OfferStore(database, dict.fromkeys(catalogs, FAMILY)).load()
    kept = offered = 0
    for application_id, rows in catalogs.items():
        snapshot = snapshots[application_id]
        limited = {each.version.text: each.id for each in snapshot.releases if not each.complete}
        for current, target in questions():
            seen = {text for text in limited if chance.random() < 0.5}
            cohort = frozenset(limited[text] for text in seen)
            if current is None:
                found = decision.newest_release(snapshot, target, cohort)
            else:
                found = decision.assess(snapshot, current, target, cohort).release
            text = found.version.text if found else None
            assert text == naive(rows, current, target, seen), (application_id, current, target, seen, rows)
        kept += len(snapshot.releases)
        offered += len({row.version.text for row in rows if row.active})
    assert kept < offered, "nothing was left out: snapshots would grow with every release"


async def test_the_index_of_one_application_is_as_in_all(database: Database) -> None:
    chance = random.Random(7)
    for number in range(4):
        await fill(database, f"app-{number}", rows_of(chance))
    store = OfferStore(database, {f"app-{number}": FAMILY for number in range(4)})
    every = await store.load()
    for application_id, index in every.items():
        assert (await store.load([application_id]))[application_id].releases == index.releases


SEMVER = ("1.2.3", "0.0.0", "10.20.30", "1.2.3-a", "1.2.3-1", "1.2.3+b", "1.2.3-a+b.c")
PEP440 = ("1.2.3", "1.2", "1", "1.2.3.4", "1!1.2.3", "1.2.3.post1", "1.2.post1", "1.2.3.dev1", "1.2.3rc1", "1.2.3+a.b")


@pytest.mark.parametrize(("scheme", "texts"), [(Scheme.SEMVER, SEMVER), (Scheme.PEP440, PEP440)])
async def test_the_database_knows_three_numbers_as_we_do(
    database: Database, scheme: Scheme, texts: tuple[str, ...]
) -> None:
    target = TARGETS[0]
    for number, text in enumerate(texts):
        version = parse_version(text, scheme)
        await fill(database, f"app-{number}", [Row(version, target, None, active=True, quarantined=False)], scheme)
        name = f"app-{number}"
        index = (await OfferStore(database, {name: FAMILY}).load([name]))[name]
        wanted = version.numbers == 3
        assert [each.version.text for each in index.releases] == ([version.text] if wanted else []), text


async def test_standings(database: Database) -> None:
    old = Row(parse_version("1.0.0"), TARGETS[0], None, active=True, quarantined=False)
    new = Row(parse_version("3.0.0"), TARGETS[0], parse_version("2.5.0"), active=True, quarantined=False)
    await fill(database, "app", [old, new])
    index = (await OfferStore(database, {"app": FAMILY}).load())["app"]
    standings = {
        text: decision.assess(index, parse_version(text)).standing
        for text in ("0.9.0", "1.0.0", "1.0.1", "2.5.0", "3.0.0", "3.0.1")
    }
    assert standings == {
        "0.9.0": ClientStanding.BEHIND,
        "1.0.0": ClientStanding.CURRENT,
        "1.0.1": ClientStanding.STRANDED,
        "2.5.0": ClientStanding.BEHIND,
        "3.0.0": ClientStanding.CURRENT,
        "3.0.1": ClientStanding.AHEAD,
    }
    assert decision.assess(index, parse_version("1.0.0"), TARGETS[1]).standing is ClientStanding.NO_RELEASES
    newest = decision.newest_release(index)
    assert newest is not None
    assert decision.find_upgrade_block(newest, parse_version("2.4.9")) is UpgradeBlock.GAP
    assert decision.find_upgrade_block(newest, parse_version("2.5.0")) is None
    assert decision.find_upgrade_block(newest, parse_version("3.0.1")) is UpgradeBlock.DOWN
