"""Writing the counts of checks: in slices, so that invented versions hold nobody up, and exact whatever fails."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import insert

from updater.database.engine import Database
from updater.database.opening import open_database
from updater.database.tables import application
from updater.errors import Unavailable
from updater.telemetry.model import ClientFacts
from updater.telemetry.recorder import Recorder
from updater.telemetry.rollups import Measure, Tally
from updater.telemetry.service import TelemetryService
from updater.telemetry.spans import Span, Window
from updater.telemetry.store import TelemetryStore

AT = datetime(2026, 2, 28, 23, 30, tzinfo=UTC)
DAYS = Window(datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC), Span.DAY)
VERSIONS = 3_000


class Watched(TelemetryStore):
    """Remembers how many counts came at once; fails when told so."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.sizes: list[int] = []
        self.fails_at = 0

    async def add_counts(self, tally: Tally) -> None:
        self.sizes.append(len(tally.counts()))
        if len(self.sizes) == self.fails_at:
            raise Unavailable("not now")
        await super().add_counts(tally)


@pytest.fixture
async def store(database_url: str | None, tmp_path: Path) -> AsyncIterator[Watched]:
    async with open_database(database_url, tmp_path) as database:
        row = {"id": "my-app", "name": "", "description": "", "platforms": [], "config": {}, "scheme": "semver"}
        async with database.write() as connection:
            await connection.execute(insert(application).values({**row, "created_at": AT, "updated_at": AT}))
        yield Watched(database)


def ask(service: TelemetryService) -> None:
    for number in range(VERSIONS):
        facts = ClientFacts("my-app", f"1.0.{number}", "linux/amd64")
        service.checks.count(facts, f"10.0.{number // 250}.{number % 250}")


async def test_invented_versions_do_not_hold_up_the_loop(store: Watched) -> None:
    """Control: all at once, which stalls the loop for most of the time that the flush takes."""
    service = TelemetryService(store, Recorder(store.write, queue_size=10), clock=lambda: AT)
    ask(service)
    gaps: list[float] = []
    flushing = asyncio.create_task(service.flush_checks())
    began = last = time.perf_counter()
    while not flushing.done():
        await asyncio.sleep(0.001)
        gaps.append((now := time.perf_counter()) - last)
        last = now
    await flushing
    assert max(store.sizes) <= 1_300
    assert max(gaps) < (time.perf_counter() - began) / 3
    totals = await store.totals("my-app", DAYS)
    assert sum(totals[Measure.CHECK_VERSION].values()) == sum(totals[Measure.CHECK_TARGET].values()) == VERSIONS
    assert len(totals[Measure.CHECK_VERSION]) < 200
    assert totals[Measure.CHECK_COUNTRY] == {"unknown": VERSIONS}
    assert not service.checks


@pytest.mark.parametrize("fails_at", [1, 2, 5])
async def test_a_flush_that_fails_half_way_counts_nothing_twice(store: Watched, fails_at: int) -> None:
    service = TelemetryService(store, Recorder(store.write, queue_size=10), clock=lambda: AT)
    ask(service)
    store.fails_at = fails_at
    with pytest.raises(Unavailable):
        await service.flush_checks()
    assert service.checks
    await service.flush_checks()
    totals = await store.totals("my-app", DAYS)
    for measure in (Measure.CHECK_VERSION, Measure.CHECK_TARGET, Measure.CHECK_COUNTRY):
        assert sum(totals[measure].values()) == VERSIONS
