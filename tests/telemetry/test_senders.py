"""Report ids belong to their sender, and strangers' bytes are bounded while everything is counted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from tests.conftest import Service, StartService
from updater.database.tables import report as table
from updater.telemetry import senders
from updater.telemetry.model import Kept, Report
from updater.telemetry.senders import ROW_BYTES, StoredBytes, own

AT = datetime(2026, 2, 28, 23, 30, tzinfo=UTC)
STATUS, FIGURES = "/api/v1/updates/my-app/status", "/api/v1/applications/my-app/figures"
REPORT = {
    "current_version": "1.0.0",
    "target_version": "1.1.0",
    "platform": "linux",
    "architecture": "amd64",
    "status": "failed",
}


def told(address: str = "192.0.2.1", **more: Any) -> Report:
    return Report("my-app", "1.0.0", "1.1.0", "linux", "amd64", "failed", AT, address=address, **more)


def test_an_id_is_its_senders_alone() -> None:
    ids = [
        own(told(report_id="x")),
        own(told("192.0.2.2", report_id="x")),
        own(told(report_id="x", client_id="c-1")),
        own(told("c-1", report_id="x")),
    ]
    assert len({each.report_id for each in ids}) == 4
    assert own(told("192.0.2.2", report_id="x", client_id="c-1")) != ids[2]
    assert own(told("192.0.2.2", report_id="x", client_id="c-1")).report_id == ids[2].report_id
    assert own(told(report_id="x" * 100)).report_id != own(told(report_id="x" * 99)).report_id
    assert own(told()).report_id is None


def test_the_bound_is_one_of_a_source_and_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(senders, "MAX_SOURCES", 3)
    bytes_ = StoredBytes(10 * ROW_BYTES)
    long = "x" * (4 * ROW_BYTES)
    assert [bytes_.fit(told(error_message=long)).kept for _ in range(3)] == [Kept.ALL, Kept.ALL, Kept.NOTHING]
    assert bytes_.fit(told(error_message=long, report_id="a")).kept is Kept.ROW
    assert bytes_.fit(told("192.0.2.2", error_message=long)).kept is Kept.ALL
    kept = [bytes_.fit(told(report_id=str(number), error_message=long)).kept for number in range(20)]
    assert kept.count(Kept.ROW) == 9
    assert kept[-1] is Kept.NOTHING
    for number in range(100):
        bytes_.fit(told(f"198.51.100.{number}", error_message=long))
    assert len(bytes_._held) <= 4
    tomorrow = Report("my-app", "1", "2", "linux", "amd64", "failed", AT + timedelta(days=1), address="192.0.2.1")
    assert bytes_.fit(tomorrow).kept is Kept.ALL
    assert bytes_.shortened > 10


@pytest.fixture
async def service(start_service: StartService) -> Service:
    started = await start_service(
        telemetry={"report_bytes_per_day": 5_000}, server={"trusted_proxies": ["127.0.0.1/32", "::1/128"]}
    )
    await started.application()
    return started


async def tell(service: Service, address: str, **more: Any) -> None:
    headers = {"X-Forwarded-For": address}
    await service.call("POST", STATUS, json={**REPORT, **more}, headers=headers, status=200)


async def failed(service: Service) -> int:
    found: int = (await service.call("GET", FIGURES, key="read", status=200))["reports"]["failed"]
    return found


async def test_nobody_claims_the_report_of_another(service: Service) -> None:
    """A stranger sends the id first; the report of its owner counts and is kept all the same."""
    await tell(service, "198.51.100.66", report_id="install-1", error_message="nonsense")
    await tell(service, "192.0.2.1", report_id="install-1", error_message="no space")
    await tell(service, "192.0.2.1", report_id="install-1", error_message="no space")
    await tell(service, "2001:db8::1", report_id="install-1")
    await tell(service, "2001:db8::2", report_id="install-1")
    assert await failed(service) == 3
    async with service.services.health._database.read() as connection:
        messages = set(await connection.scalars(select(table.c.error_message)))
    assert messages == {"nonsense", "no space", None}


async def test_strangers_bytes_are_bounded_and_everything_is_counted(service: Service) -> None:
    for number in range(30):
        await tell(service, "198.51.100.66", error_message="x" * 4_000)
        await tell(service, "198.51.100.66", error_message="y" * 4_000, report_id=str(number))
    await tell(service, "198.51.100.66", error_message="y" * 4_000, report_id="0")
    await tell(service, "192.0.2.1", error_message="no space")
    assert await failed(service) == 61
    errors = (await service.call("GET", FIGURES, key="read", status=200))["errors"]
    assert {each["count"] for each in errors} == {30, 1}
    async with service.services.health._database.read() as connection:
        rows = list(await connection.execute(select(table)))
    assert sum(ROW_BYTES + len(row.error_message or "") for row in rows) < 2 * 5_000 + 1_000
    assert "no space" in {row.error_message for row in rows}
    _, metrics = await service.exchange("GET", "/metrics", key="admin", status=200)
    assert b"updater_reports_shortened 60" in metrics
