"""Reports of a database without roll-ups: in the figures after the upgrade, once, wherever it was interrupted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine

from tests.database.test_upgrade import migrate_to
from updater.database.columns import UtcTime
from updater.database.engine import Database
from updater.database.opening import open_database
from updater.database.postgres import postgres_engine
from updater.errors import Unavailable
from updater.telemetry.backfill_store import BackfillStore
from updater.telemetry.model import Report
from updater.telemetry.rollups import Measure
from updater.telemetry.spans import Span, Window
from updater.telemetry.store import TelemetryStore

FIRST = datetime(2026, 1, 30, 22, 50, tzinfo=UTC)
NOW = datetime(2026, 2, 2, 10, 30, tzinfo=UTC)
ALL = Window(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC), Span.DAY)
OLD = 200


def fill(connection: Connection) -> None:
    """Fill the first schema: reports over three days, the last of them in the hour of the upgrade."""
    run = lambda statement, **values: connection.execute(text(statement), values)  # noqa: E731
    for name in ("my-app", "other"):
        run(
            "INSERT INTO application (id, name, description, platforms, config, scheme, created_at, updated_at) "
            "VALUES (:id, 'x', '', '[\"linux\"]', '{}', 'semver', 1, 1)",
            id=name,
        )
    moments = [FIRST + number * (NOW - timedelta(minutes=20) - FIRST) / (OLD - 1) for number in range(OLD)]
    for number, moment in enumerate(moments):
        run(
            "INSERT INTO report (application_id, report_id, current_version, target_version, platform, architecture, "
            "status, error_message, install_time_seconds, received_at) VALUES ('my-app', :id, '1.0.0', '1.1.0', "
            "'linux', 'amd64', :status, :message, 9, :at)",
            id=f"r{number}",
            status="failed" if number % 4 == 0 else "completed",
            message=f"no space on /dev/sd{number}" if number % 4 == 0 else None,
            at=UtcTime().process_bind_param(moment, None),  # type: ignore[arg-type]
        )


async def make_first(url: str | None, root: Path) -> None:
    engine = postgres_engine(url) if url else create_async_engine(f"sqlite+aiosqlite:///{root / 'updater.db'}")
    async with engine.begin() as connection:
        await connection.run_sync(migrate_to, "0002")
        await connection.run_sync(fill)
    await engine.dispose()


def told(at: datetime) -> Report:
    return Report("my-app", "1.0.0", "1.1.0", "linux", "amd64", "completed", at)


async def counted(database: Database) -> dict[Measure, dict[str, int]]:
    return await TelemetryStore(database).totals("my-app", ALL)


@pytest.mark.parametrize("new", [0, 5])
async def test_old_reports_are_counted_once(database_url: str | None, tmp_path: Path, new: int) -> None:
    """Also those of the very hour in which the new version began to count."""
    await make_first(database_url, tmp_path)
    async with open_database(database_url, tmp_path) as database:
        store = TelemetryStore(database)
        await store.write([told(NOW) for _ in range(new)])
        assert (await counted(database)).get(Measure.REPORT, {}) == ({"completed": new} if new else {})
        assert await store.roll_up_old() == OLD
        found = await counted(database)
        assert found[Measure.REPORT] == {"completed": OLD * 3 // 4 + new, "failed": OLD // 4}
        assert found[Measure.ERROR] == {"no space on <path>": OLD // 4}
        assert found[Measure.INSTALL] == {"1.1.0": OLD * 3 // 4 + new}
        assert await store.roll_up_old() == 0
        await store.write([told(NOW)])
        assert await store.roll_up_old() == 0
        assert sum((await counted(database))[Measure.REPORT].values()) == OLD + new + 1


@pytest.mark.parametrize("after", [0, 1, 2, 30])
async def test_an_interruption_counts_nothing_twice(
    database_url: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    await make_first(database_url, tmp_path)
    async with open_database(database_url, tmp_path) as database:
        await TelemetryStore(database).write([told(NOW) for _ in range(3)])
        store = BackfillStore(database)
        real, calls = store._rollups.add, 0

        async def fail_later(*arguments: Any) -> None:
            nonlocal calls
            calls += 1
            await real(*arguments)
            if calls > after:
                raise Unavailable("cut")

        monkeypatch.setattr(store._rollups, "add", fail_later)
        with pytest.raises(Unavailable):
            await store.roll_up_old()
        await TelemetryStore(database).write([told(NOW) for _ in range(2)])
        await BackfillStore(database).roll_up_old()
        assert sum((await counted(database))[Measure.REPORT].values()) == OLD + 5


async def test_nothing_to_count(database_url: str | None, tmp_path: Path) -> None:
    async with open_database(database_url, tmp_path) as database:
        assert await TelemetryStore(database).roll_up_old() == 0
