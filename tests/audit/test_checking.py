"""Verifying the chain in bounded time, and what is told of it without following it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.actors import TESTER
from updater.audit.checking import AuditChecks
from updater.audit.model import Break, Entry, Filter
from updater.audit.service import AuditService
from updater.audit.store import AuditStore
from updater.database.engine import Database
from updater.database.opening import open_database
from updater.errors import Conflict


@pytest.fixture
async def database(database_url: str | None, tmp_path: Path) -> AsyncIterator[Database]:
    async with open_database(database_url, tmp_path) as opened:
        yield opened


@pytest.fixture
async def audit(database: Database) -> AuditService:
    return AuditService(AuditStore(database), database)


@pytest.fixture
async def checks(database: Database, audit: AuditService) -> AuditChecks:
    return AuditChecks(AuditStore(database), audit, database)


async def add(database: Database, audit: AuditService, count: int) -> None:
    async with database.write() as connection:
        for number in range(count):
            await audit.record(connection, TESTER, Entry("thing.done", f"thing {number}"))


async def test_an_empty_audit_holds(checks: AuditChecks) -> None:
    assert (await checks.get_state()).check is None
    state = await checks.verify(actor=TESTER)
    assert state.check is not None
    assert (state.check.rows, state.check.complete, state.check.broken, state.unverified) == (0, True, None, 1)


async def test_it_is_told_how_far_the_chain_was_verified(
    database: Database, audit: AuditService, checks: AuditChecks
) -> None:
    await add(database, audit, 5)
    assert (await checks.get_state()).unverified == 5
    await checks.verify(actor=TESTER)
    await add(database, audit, 3)
    other = AuditChecks(AuditStore(database), audit, database)  # another process, or the next start
    state = await other.get_state()
    assert state.check is not None
    assert (state.check.last_id, state.check.rows, state.check.by, state.unverified) == (5, 5, TESTER, 4)


async def test_out_of_time_the_next_one_goes_on(
    database: Database, audit: AuditService, checks: AuditChecks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("updater.audit.store._ROWS_AT_ONCE", 2)
    await add(database, audit, 7)
    seen = []
    for _ in range(6):
        state = await checks.verify(actor=TESTER, within_s=0)
        assert state.check is not None
        seen.append((state.check.rows, state.check.complete))
        if state.check.complete:
            break
    # Each adds a row of its own, which the walk takes in as it comes.
    assert seen[:3] == [(2, False), (4, False), (6, False)]
    assert seen[-1][1]
    assert state.check is not None
    assert state.check.first_id == 1


async def test_a_break_is_told_and_the_next_one_begins_anew(
    database: Database, audit: AuditService, checks: AuditChecks
) -> None:
    await add(database, audit, 5)
    async with database.write() as connection:
        await connection.execute(text("UPDATE audit SET subject = 'another' WHERE id = 3"))
    state = await checks.verify(actor=TESTER)
    assert state.check is not None
    assert (state.check.rows, state.check.last_id, state.check.broken) == (2, 2, Break(3, "was changed"))
    async with database.write() as connection:
        await connection.execute(text("UPDATE audit SET subject = 'thing 2' WHERE id = 3"))
    state = await checks.verify(actor=TESTER)
    assert state.check is not None
    assert (state.check.rows, state.check.broken) == (6, None)


async def test_one_at_a_time(database: Database, audit: AuditService, checks: AuditChecks) -> None:
    await add(database, audit, 5)
    outcomes = await asyncio.gather(*(checks.verify(actor=TESTER) for _ in range(3)), return_exceptions=True)
    assert sum(isinstance(each, Conflict) for each in outcomes) == 2


async def test_the_newest_rows_come_page_by_page(database: Database, audit: AuditService) -> None:
    await add(database, audit, 25)
    seen: list[int] = []
    before, more = None, True
    while more:
        rows, more = await audit.list_newest(Filter(before_id=before), limit=10)
        seen += [row.id for row in rows]
        before = rows[-1].id
    assert seen == list(range(25, 0, -1))
    found, _ = await audit.list_newest(Filter(subject="THING 1"), limit=50)
    assert len(found) == 11
    assert (await audit.list_newest(Filter(subject="%"), limit=50))[0] == []
