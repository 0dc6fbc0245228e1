"""The audit of a running service: each change leaves its row in its own transaction, and the chain finds tampering."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from tests.actors import TESTER
from tests.conftest import Service
from updater.audit.model import Entry, Filter
from updater.audit.service import AuditService
from updater.audit.store import AuditStore
from updater.clock import utc_now
from updater.database.engine import Database
from updater.database.opening import open_database
from updater.errors import Conflict

HISTORY = "/api/v1/updates/my-app/history"


@pytest.fixture
async def database(database_url: str | None, tmp_path: Any) -> AsyncIterator[Database]:
    async with open_database(database_url, tmp_path) as opened:
        yield opened


@pytest.fixture
async def audit(database: Database) -> AuditService:
    return AuditService(AuditStore(database), database)


async def record(database: Database, audit: AuditService, number: int) -> None:
    async with database.write() as connection:
        await audit.record(connection, TESTER, Entry("thing.changed", f"thing {number}", after={"number": number}))


async def test_a_change_that_fails_leaves_no_row(database: Database, audit: AuditService) -> None:
    await record(database, audit, 1)
    with pytest.raises(Conflict):
        async with database.write() as connection:
            await audit.record(connection, TESTER, Entry("thing.changed", "thing 2"))
            raise Conflict("after all")
    await record(database, audit, 3)
    rows, total = await audit.list_rows(Filter())
    assert [row.subject for row in rows] == ["thing 3", "thing 1"]
    assert total == 2
    assert await audit.verify() == (2, None)


async def test_rows_written_at_once_make_one_chain(database: Database, audit: AuditService) -> None:
    await asyncio.gather(*(record(database, audit, number) for number in range(40)))
    assert await audit.verify() == (40, None)


TAMPERING = (
    "UPDATE audit SET after = '{}' WHERE id = :id",
    "UPDATE audit SET actor_name = 'mallory' WHERE id = :id",
    "UPDATE audit SET at = at + 1 WHERE id = :id",
    "UPDATE audit SET hash = 'ab' WHERE id = :id",
    "DELETE FROM audit WHERE id = :id",
    "UPDATE audit SET id = id + 1000 WHERE id = :id",
)


@pytest.mark.parametrize("statement", TAMPERING)
async def test_tampering_in_the_database_is_found(database: Database, audit: AuditService, statement: str) -> None:
    for number in range(12):
        await record(database, audit, number)
    chosen = random.Random(statement).randint(1, 12)
    async with database.write() as connection:
        await connection.execute(text(statement), {"id": chosen})
    _, found = await audit.verify()
    assert found is not None
    assert found.id in (chosen, chosen + 1)


async def test_the_old_end_is_cut_and_the_rest_still_holds(database: Database) -> None:
    now = utc_now()
    clock = iter(now - timedelta(days=10 - number) for number in range(10))
    audit = AuditService(AuditStore(database), database, clock=lambda: next(clock, now))
    for number in range(10):
        await record(database, audit, number)
    assert await audit.cut(keep_days=5, actor=TESTER) == 5
    rows, _ = await audit.list_rows(Filter())
    assert rows[0].action == "audit.cut"
    assert rows[-1].subject == "thing 5"
    assert await audit.verify() == (6, None)
    async with database.write() as connection:
        await connection.execute(text("DELETE FROM audit WHERE id = 6"))
    _, found = await audit.verify()
    assert found is not None


async def test_the_newest_row_is_never_cut(database: Database, audit: AuditService) -> None:
    await record(database, audit, 1)
    assert await audit.cut(keep_days=-1, actor=TESTER) == 0
    assert await audit.verify() == (1, None)


async def test_history_tells_who_did_what(service: Service) -> None:
    build = await service.publish(b"bytes", "1.0.0")
    await service.publish(b"bytes", "1.0.0", platform="windows")
    await service.call("DELETE", "/api/v1/updates/my-app/releases/1.0.0/windows/amd64", key="admin", status=200)
    answer = await service.call("GET", HISTORY, key="read", status=200)
    told = [(each["action"], each["version"], each["actor"]) for each in answer["entries"]]
    writer, admin = {"kind": "key", "name": "write key"}, {"kind": "key", "name": "admin key"}
    assert told == [
        ("build.deleted", "1.0.0", admin),
        ("build.published", "1.0.0", writer),
        ("build.published", "1.0.0", writer),
        ("release.published", "1.0.0", writer),
    ]
    assert answer["entries"][2]["after"] == {
        "platform": "linux",
        "architecture": "amd64",
        "checksum": build["checksum"],
    }
    assert answer["entries"][3]["before"] is None
    assert answer["entries"][3]["after"] == {"channel": "stable", "percent": 100.0}
    assert (answer["total_count"], answer["has_more"]) == (4, False)


async def test_history_pages_and_filters(service: Service) -> None:
    for number in range(5):
        await service.publish(b"bytes", f"1.{number}.0")
    page = await service.call("GET", HISTORY, key="read", params={"limit": "3", "offset": "3"}, status=200)
    assert [each["version"] for each in page["entries"]] == ["1.3.0", "1.2.0", "1.2.0"]
    assert page["has_more"]
    one = await service.call("GET", HISTORY, key="read", params={"version": "1.2.0"}, status=200)
    assert {each["version"] for each in one["entries"]} == {"1.2.0"}
    assert one["total_count"] == 2


async def test_history_begins_anew_with_the_application(service: Service) -> None:
    await service.publish(b"bytes", "1.0.0")
    await service.call("DELETE", "/api/v1/applications/my-app", key="admin", status=204)
    assert (await service.call("GET", HISTORY, key="read", status=404))["code"] == "APPLICATION_NOT_FOUND"
    await service.application()
    assert (await service.call("GET", HISTORY, key="read", status=200))["entries"] == []
    rows, _ = await service.services.audit.list_rows(Filter(application_id="my-app"))
    assert [row.action for row in rows][:2] == ["application.created", "application.deleted"]


async def test_what_is_refused_leaves_no_entry(service: Service) -> None:
    await service.publish(b"bytes", "1.0.0")
    _, before = await service.services.audit.list_rows(Filter())
    path = "/api/v1/updates/my-app/builds/1.0.0/linux/amd64"
    await service.call("PUT", path, key="write", data=b"other", status=409)
    await service.call("PUT", path, key="read", data=b"other", status=403)
    await service.call("PUT", "/api/v1/applications/my-app", key="admin", json={"name": "My App"}, status=200)
    _, after = await service.services.audit.list_rows(Filter())
    assert after == before


async def test_addresses_that_may_hold_secrets_are_not_kept(service: Service) -> None:
    config = {"notification_url": "https://hooks.example.com/T/secret-token", "custom_fields": {"password": "hunter2"}}
    await service.call("PUT", "/api/v1/applications/my-app", key="admin", json={"config": config}, status=200)
    rows, _ = await service.services.audit.list_rows(Filter(actions=("application.updated",)))
    kept = f"{rows[0].before} {rows[0].after}"
    assert "hooks.example.com" in kept
    assert "secret-token" not in kept
    assert "hunter2" not in kept
