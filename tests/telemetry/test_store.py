"""Counts in a real database: exact, counted once, and few."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select, text
from sqlalchemy.dialects import sqlite

from updater.database.engine import Database
from updater.database.opening import open_database
from updater.database.tables import application, release, report, rollup
from updater.errors import Conflict
from updater.telemetry.model import STATUSES, ClientFacts, Download, Report
from updater.telemetry.rollup_store import crowded_series
from updater.telemetry.rollups import KEPT_LABELS, OTHER, SLACK_LABELS, Measure, Tally
from updater.telemetry.spans import Span, Window
from updater.telemetry.store import TelemetryStore

AT = datetime(2026, 2, 28, 23, 30, tzinfo=UTC)
DAYS = Window(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC), Span.DAY)


@pytest.fixture
async def database(database_url: str | None, tmp_path: Path) -> AsyncIterator[Database]:
    async with open_database(database_url, tmp_path) as database:
        row = {"name": "", "description": "", "platforms": [], "config": {}, "scheme": "semver"}
        async with database.write() as connection:
            for application_id in ("my-app", "other-app"):
                row |= {"id": application_id, "created_at": AT, "updated_at": AT}
                await connection.execute(insert(application).values(row))
        yield database


@pytest.fixture
def store(database: Database) -> TelemetryStore:
    return TelemetryStore(database)


def completed(number: int = 0, **more: object) -> Report:
    given = {"target_version": "1.1.0", "received_at": AT, "report_id": None, "status": "completed", **more}
    return Report("my-app", "1.0.0", platform="linux", architecture="amd64", **given)  # type: ignore[arg-type]


async def test_a_report_sent_again_is_counted_once(store: TelemetryStore) -> None:
    await store.write([completed(report_id="a"), completed(report_id="a"), completed(report_id="b"), completed()])
    await store.write([completed(report_id="b"), completed(report_id="c", target_version="1.2.0"), completed()])
    totals = await store.totals("my-app", DAYS)
    assert totals[Measure.REPORT] == {"completed": 5}
    assert totals[Measure.INSTALL] == {"1.1.0": 4, "1.2.0": 1}


async def test_counts_are_those_of_the_stored_reports(store: TelemetryStore, database: Database) -> None:
    for number in range(50):
        at = AT + timedelta(hours=7 * number)
        await store.write([completed(received_at=at, report_id=str(n % 7) + str(number)) for n in range(10)])
    async with database.read() as connection:
        rows = await connection.scalar(select(func.count()).select_from(report))
    for bucket in (Span.HOUR, Span.DAY):
        window = Window(DAYS.starts_at, DAYS.ends_at, bucket)
        totals = await store.totals("my-app", window)
        series = await store.series("my-app", window, {Measure.INSTALL: ("1.1.0",), Measure.REPORT: STATUSES})
        assert totals[Measure.INSTALL] == {"1.1.0": rows} == {"1.1.0": 350}
        assert sum(found["completed"] for key, found in series.named.items() if key[0] is Measure.REPORT) == 350
        assert sum(found["1.1.0"] for key, found in series.named.items() if key[0] is Measure.INSTALL) == 350


async def test_a_failed_batch_counts_nothing(store: TelemetryStore, database: Database) -> None:
    async with database.write() as connection:
        await connection.execute(text("CREATE UNIQUE INDEX no ON rollup (application_id)"))
    with pytest.raises(Conflict):
        await store.write([completed(report_id="a")])
    async with database.write() as connection:
        assert await connection.scalar(select(func.count()).select_from(report)) == 0
        await connection.execute(text("DROP INDEX no"))
    await store.write([completed(report_id="a")])
    assert (await store.totals("my-app", DAYS))[Measure.REPORT] == {"completed": 1}


async def test_unknown_applications_and_builds_are_left_out(store: TelemetryStore) -> None:
    gone = Report("gone", "1.0.0", "1.1.0", "linux", "amd64", "completed", AT)
    await store.write([gone, completed(), Download(77, True, True, AT)])
    tally = Tally()
    tally.add_checks(ClientFacts("gone", "1.0.0", "linux/amd64"), AT, 3)
    tally.add_checks(ClientFacts("other-app", "1.0.0", "linux/amd64"), AT, 3)
    await store.add_counts(tally)
    assert await store.totals("gone", DAYS) == {}
    assert (await store.totals("other-app", DAYS))[Measure.CHECK_VERSION] == {"1.0.0": 3}


async def test_invented_labels_stay_few_and_published_versions_stay(store: TelemetryStore, database: Database) -> None:
    async with database.write() as connection:
        known = {"application_id": "my-app", "version": "1.1.0", "sort_key": "x", "prerelease": False}
        await connection.execute(insert(release).values(**known, status="active", complete=True, created_at=AT))
    await store.write([completed()])
    for batch in range(20):
        await store.write(
            [completed(target_version=f"{batch}.{number}.9") for number in range(100) for _ in range(2)]
            + [completed(status="failed", error_message=f"oops {chr(97 + batch)}{chr(97 + number % 26)}{'x' * number}")
               for number in range(100)]
        )  # fmt: skip
    async with database.read() as connection:
        most = await connection.execute(
            select(rollup.c.measure, func.count()).group_by(rollup.c.span, rollup.c.measure, rollup.c.starts_at)
        )
        sizes = {row[0]: row[1] for row in most}
    assert sizes["install"] <= KEPT_LABELS[Measure.INSTALL] + SLACK_LABELS + 1
    assert sizes["error"] <= KEPT_LABELS[Measure.ERROR] + SLACK_LABELS + 1
    totals = await store.totals("my-app", DAYS)
    assert sum(totals[Measure.INSTALL].values()) == 1 + 20 * 200
    assert sum(totals[Measure.ERROR].values()) == 20 * 100
    assert totals[Measure.INSTALL]["1.1.0"] == 1
    assert totals[Measure.INSTALL][OTHER] > 0


async def test_old_reports_go_and_counts_stay(store: TelemetryStore, database: Database) -> None:
    old = [completed(received_at=AT - timedelta(days=9)) for _ in range(5_100)]
    await store.write([*old, completed()])
    before = await store.totals("my-app", DAYS)
    assert await store.forget_reports(AT - timedelta(days=5)) == 5_100
    assert await store.forget_reports(AT - timedelta(days=5)) == 0
    assert await store.totals("my-app", DAYS) == before
    async with database.read() as connection:
        assert await connection.scalar(select(func.count()).select_from(report)) == 1


@pytest.mark.sqlite("asks SQLite's planner: PostgreSQL's would scan a table as small as this one")
async def test_the_bound_on_labels_reads_by_the_key(database: Database) -> None:
    tally = Tally()
    tally.add_report(completed(status="failed"))
    query = crowded_series({key.series for key in tally.counts()}).compile(
        dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}
    )
    async with database.read() as connection:
        plan = " ".join(str(row) for row in await connection.execute(text(f"EXPLAIN QUERY PLAN {query}")))
    assert "SEARCH rollup USING PRIMARY KEY (application_id=? AND span=? AND measure=? AND starts_at=?)" in plan
