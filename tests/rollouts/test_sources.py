"""Where reports came from is known whatever lies where: gathered in rows of batches, or in its table.

Controls, each seen to fail: memory that is believed without the number of the last row; sources that are not moved;
gathered ones that are left out of `Sources.find`; a series that begins and leaves the gathered ones.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import func, select

from tests.actors import TESTER
from tests.builds import LINUX, catalog_of, publishing_of, register
from tests.databases import place_database
from tests.rollouts_of import arms_of, changes_of, rollouts_of
from updater.database.engine import Connection, Database
from updater.database.opening import open_database
from updater.database.rollout_tables import rollout_gathered, rollout_source
from updater.rollouts import counting
from updater.rollouts.plan import canonical, make_plan
from updater.telemetry.model import Report
from updater.telemetry.store import TelemetryStore

NOW = datetime(2026, 2, 10, 12, tzinfo=UTC)
PER_ADDRESS = 3
PLAN = {"percent": 10, "halt": {"enabled": False, "per_address": PER_ADDRESS}}


@pytest.fixture
async def database(database_url: str | None, tmp_path: Path) -> AsyncIterator[Database]:
    """Give a database with 1.0.0 for all and 1.1.0 for some, which nothing halts."""
    if database_url is None:
        place_database(tmp_path)
    async with open_database(database_url, tmp_path) as opened:
        publishing = publishing_of(opened, changes_of(opened).open_rollout)
        catalog = catalog_of(opened)
        await catalog.create_application("my-app", name="x", platforms=("linux",), extra={}, actor=TESTER)
        await register(publishing, "1.0.0")
        await register(publishing, "1.1.0", LINUX, rollout=canonical(make_plan(PLAN, NOW)))
        yield opened


def a_report(version: str, address: int, client: int | None = None) -> Report:
    return Report(
        *("my-app", "1.0.0", version, "linux", "amd64", "completed", NOW),
        client_id=None if client is None else f"c-{client}",
        address=f"192.0.2.{address}",
    )


async def arms(database: Database) -> tuple[dict[str, int], dict[str, int]]:
    (arm,) = (await rollouts_of(database).get_rollout("my-app", "1.1.0"))["platforms"]
    keys = ("completed", "ignored")
    return {key: arm["rollout"][key] for key in keys}, {key: arm["control"][key] for key in keys}


async def amount(database: Database, table: object) -> int:
    async with database.read() as connection:
        return int(await connection.scalar(select(func.count()).select_from(table)) or 0)  # type: ignore[arg-type]


@pytest.mark.parametrize("gathered", [1, 12, 10_000])
async def test_each_source_counts_as_often_as_it_may(
    database: Database, gathered: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches of many sizes, some taken back and sent again, counted by processes that come and go."""
    monkeypatch.setattr(counting, "GATHERED", gathered)
    dice = random.Random(7)
    expected = {version: {"completed": 0, "ignored": 0} for version in ("1.1.0", "1.0.0")}
    by_address: Counter[tuple[str, int]] = Counter()
    clients: set[tuple[str, int]] = set()
    arm_counter = arms_of(database)
    for number in range(40):
        batch = [
            a_report(dice.choice(["1.1.0", "1.0.0"]), dice.randrange(30), dice.choice([None, dice.randrange(90)]))
            for _ in range(dice.randrange(1, 12))
        ]
        for each in batch:
            version, address = each.target_version, int(each.address.split(".")[3])
            client = None if each.client_id is None else (version, int(each.client_id[2:]))
            fits = by_address[version, address] < PER_ADDRESS and client not in clients
            expected[version]["completed" if fits else "ignored"] += 1
            if fits:
                by_address[version, address] += 1
                clients |= {client} if client else set()

        async def then_fail(connection: Connection, reports: object, counter: object = arm_counter) -> None:
            await counter.count(connection, reports)  # type: ignore[attr-defined]
            raise RuntimeError("taken back")

        if number % 3 == 0:
            with pytest.raises(RuntimeError, match="taken back"):
                await TelemetryStore(database, then_fail).write(batch)
        await TelemetryStore(database, arm_counter.count).write(batch)
        if number % 7 == 0:
            arm_counter = arms_of(database)
    assert await arms(database) == (expected["1.1.0"], expected["1.0.0"])


@pytest.mark.sqlite("others count too on a shared database, so nothing gathers there")
async def test_many_sources_move_to_their_table(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "GATHERED", 20)
    store = TelemetryStore(database, arms_of(database).count)
    for number in range(9):
        await store.write([a_report("1.1.0", 2 * number), a_report("1.1.0", 2 * number + 1)])
    assert (await amount(database, rollout_source), await amount(database, rollout_gathered)) == (0, 9)
    await store.write([a_report("1.1.0", 50), a_report("1.0.0", 50)])
    assert (await amount(database, rollout_source), await amount(database, rollout_gathered)) == (20, 0)
    await store.write([a_report("1.1.0", 0)] * 5)
    assert (await arms(database))[0] == {"completed": 19 + PER_ADDRESS - 1, "ignored": 5 - PER_ADDRESS + 1}


@pytest.mark.parametrize("gathered", [1, 10_000])
async def test_a_new_series_has_seen_nobody(database: Database, gathered: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "GATHERED", gathered)
    store, rollouts = TelemetryStore(database, arms_of(database).count), rollouts_of(database)
    await store.write([a_report("1.1.0", 1, 1)])
    await rollouts.complete("my-app", "1.1.0", actor=TESTER)
    assert (await amount(database, rollout_source), await amount(database, rollout_gathered)) == (0, 0)
    await rollouts.set_plan("my-app", "1.1.0", canonical(make_plan(PLAN, NOW)), actor=TESTER)
    await store.write([a_report("1.1.0", 1, 1)])
    assert (await arms(database))[0] == {"completed": 1, "ignored": 0}
