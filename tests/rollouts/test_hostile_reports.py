"""What hostile reporters can do: one address never halts a release, and what is kept of it is bounded."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import func, select

import updater.rollouts.counting as counting
from tests.actors import TESTER
from tests.builds import LINUX, catalog_of, publishing_of, register
from tests.databases import place_database
from tests.rollouts_of import arms_of, changes_of, rollouts_of
from updater.database.engine import Database
from updater.database.opening import open_database
from updater.database.rollout_tables import rollout_gathered, rollout_source
from updater.rollouts.plan import canonical, make_plan
from updater.telemetry.model import Report
from updater.telemetry.store import TelemetryStore

NOW = datetime(2026, 2, 10, 12, tzinfo=UTC)
PER_ADDRESS, MIN_ADDRESSES = 3, 5


@pytest.fixture
async def database(database_url: str | None, tmp_path: Path) -> AsyncIterator[Database]:
    """Give a database with 1.0.0 for all and 1.1.0 for some, by the rules that hold when a plan names none."""
    if database_url is None:
        place_database(tmp_path)
    async with open_database(database_url, tmp_path) as opened:
        opening = changes_of(opened).open_rollout
        publishing = publishing_of(opened, opening)
        catalog = catalog_of(opened)
        await catalog.create_application("my-app", name="x", platforms=("linux",), extra={}, actor=TESTER)
        await register(publishing, "1.0.0")
        await register(publishing, "1.1.0", LINUX, rollout=canonical(make_plan({"percent": 10}, NOW)))
        yield opened


async def send(database: Database, amount: int, addresses: int, version: str = "1.1.0") -> None:
    """Send failures, each with an id of its own, from so many addresses."""
    store = TelemetryStore(database, arms_of(database).count)
    reports = [
        Report(
            *("my-app", "1.0.0", version, "linux", "amd64", "failed", NOW),
            client_id=f"{version}-{number}",
            address=f"192.0.2.{number % addresses}",
        )
        for number in range(amount)
    ]
    for first in range(0, amount, 1_000):
        await store.write(reports[first : first + 1_000])


async def is_halted(database: Database) -> bool:
    (arm,) = (await rollouts_of(database).get_rollout("my-app", "1.1.0"))["platforms"]
    return bool(arm["state"] == "halted")


async def count_sources(database: Database) -> int:
    """Count those in their table, and those that lie in rows of their batches."""
    async with database.read() as connection:
        in_table = int(await connection.scalar(select(func.count()).select_from(rollout_source)) or 0)
        rows = await connection.scalars(select(rollout_gathered.c.sources))
        return in_table + len({(arm, each) for row in rows for arm, sources in row.items() for each in sources})


@pytest.mark.parametrize("addresses", [1, MIN_ADDRESSES - 1, MIN_ADDRESSES])
async def test_so_many_addresses_halt_and_no_fewer(database: Database, addresses: int) -> None:
    await send(database, 2_000, addresses)
    assert await is_halted(database) is (addresses >= MIN_ADDRESSES)
    (arm,) = (await rollouts_of(database).get_rollout("my-app", "1.1.0"))["platforms"]
    counted = addresses * PER_ADDRESS
    assert arm["rollout"] == {
        "completed": 0,
        "failed": counted,
        "ignored": 2_000 - counted,
        "failed_addresses": addresses,
    }


async def test_what_is_kept_of_an_address_is_bounded(database: Database) -> None:
    """One row for the address and one for each id that counted, in each arm; none for what is ignored."""
    for version in ("1.1.0", "1.0.0"):
        await send(database, 2_000, 1, version)
    assert await count_sources(database) == 2 * (1 + PER_ADDRESS)


async def test_sources_go_when_the_rollout_is_complete(database: Database) -> None:
    await send(database, 4, 4)
    assert await count_sources(database) == 8
    await rollouts_of(database).complete("my-app", "1.1.0", actor=TESTER)
    assert await count_sources(database) == 0
    await send(database, 4, 4)
    assert await count_sources(database) == 0


async def test_of_a_rollout_that_is_over_nothing_stays_in_memory(database: Database) -> None:
    """Whether others of its application are open or not: each release has one, and there is no end of releases."""
    counter, publishing = arms_of(database), publishing_of(database, changes_of(database).open_rollout)
    store = TelemetryStore(database, counter.count)
    report = Report("my-app", "1.0.0", "1.1.0", "linux", "amd64", "failed", NOW, address="192.0.2.1")
    await register(publishing, "1.2.0", LINUX, rollout=canonical(make_plan({"percent": 10}, NOW)))
    await store.write([report, replace(report, target_version="1.2.0")])
    assert len(counter) == 2
    for version, left in (("1.1.0", 1), ("1.2.0", 0)):
        await rollouts_of(database).complete("my-app", version, actor=TESTER)
        await store.write([report])
        assert len(counter) == left


async def test_beyond_its_bound_memory_holds_the_applications_of_now(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What leaves is read again when it is wanted: no source counts twice."""
    monkeypatch.setattr(counting, "GATHERED", 5)
    plan, publishing = (
        canonical(make_plan({"percent": 10}, NOW)),
        publishing_of(database, changes_of(database).open_rollout),
    )
    await catalog_of(database).create_application("other", name="x", platforms=("linux",), extra={}, actor=TESTER)
    await register(publishing, "1.0.0", application_id="other")
    await register(publishing, "1.1.0", application_id="other", rollout=plan)
    counter = arms_of(database)
    store, held = TelemetryStore(database, counter.count), []
    report = Report("my-app", "1.0.0", "1.1.0", "linux", "amd64", "completed", NOW, address="192.0.2.1")
    for application_id in ("my-app", "other", "my-app", "other"):
        await store.write([replace(report, application_id=application_id, client_id=name) for name in ("a", "b")])
        held.append(len(counter))
    assert held == ([1, 2, 2, 2] if database.shared else [1, 2, 1, 1])
    for application_id in ("my-app", "other"):
        (arm,) = (await rollouts_of(database).get_rollout(application_id, "1.1.0"))["platforms"]
        assert (arm["rollout"]["completed"], arm["rollout"]["ignored"]) == (2, 2)
