"""The service behind PgBouncer in transaction mode: each transaction may be on another connection of the server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Service
from tests.database.test_shared_database import ASK, within
from tests.servers.pgbouncer import run_pgbouncer
from tests.servers.postgres import Postgres
from updater.database.opening import open_database

STATUS = "/api/v1/updates/my-app/status"
REPORT = {
    "current_version": "1.0.0",
    "target_version": "1.1.0",
    "platform": "linux",
    "architecture": "amd64",
    "status": "failed",
}


@pytest.fixture
def database_url(postgres: Postgres, tmp_path: Path) -> Iterator[str]:
    with run_pgbouncer(postgres.create_database(), tmp_path) as url:
        yield url


async def test_two_services_behind_it(start_service: Any, database_url: str) -> None:
    """They migrate, publish, count and agree within a second, with many requests at once on three connections."""
    first: Service = await start_service()
    await first.application()
    second: Service = await start_service()
    await first.publish(b"x", "1.0.0")

    async def offered() -> bool:
        return bool((await second.call("GET", ASK))["update_available"])

    assert await within(1.0, offered) < 1.0
    for _ in range(3):
        calls = []
        for number in range(40):
            service = (first, second)[number % 2]
            calls.append(service.call("POST", STATUS, json={**REPORT, "report_id": str(number)}, status=200))
            calls.append(service.call("GET", "/api/v1/updates/my-app/releases", key="read", status=200))
            calls.append(service.call("GET", "/api/v1/updates/my-app/history", key="read", status=200))
        await asyncio.gather(*calls)
    found = await second.call("GET", "/api/v1/applications/my-app/figures", key="read", status=200)
    assert found["reports"]["failed"] == 40


async def test_the_limits_of_a_transaction_hold(database_url: str, tmp_path: Path) -> None:
    from sqlalchemy import text

    async with open_database(database_url, tmp_path) as database, database.read() as connection:
        assert await connection.scalar(text("SHOW lock_timeout")) == "5s"
