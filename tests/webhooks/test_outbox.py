"""The audit as an outbox: what a receiver has not got is kept, and none is passed, in whichever order they commit."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

import updater.background as background
from tests.actors import TESTER
from tests.conftest import Service
from tests.webhooks.happening import happen
from tests.webhooks.receiving import Receiving, receiving
from updater.audit.model import Entry, Filter
from updater.clock import utc_now

ALLOWED = {"allow_private": ["127.0.0.0/8"]}


@contextlib.asynccontextmanager
async def delivered(service: Service) -> AsyncIterator[None]:
    """Deliver for the block."""
    task = asyncio.create_task(service.services.webhooks.delivery.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def make(service: Service, receiver: Receiving) -> str:
    return (await service.services.webhooks.create(None, {"url": receiver.url}, actor=TESTER))[0].id


def versions(receiver: Receiving) -> list[str]:
    return [each.tree["data"]["version"] for each in receiver.got]


# -- retention


async def test_retention_keeps_what_a_receiver_has_not_got(start_service: Any) -> None:
    """Control: a cut without `keep_after` is red."""
    service: Service = await start_service(webhooks=ALLOWED, retention={"audit_days": 1})
    await service.application()
    services = service.services
    async with receiving() as receiver:
        await happen(service, 3)
        one, off, parked = [await make(service, receiver) for _ in range(3)]
        await happen(service, 4, first=3)
        await services.webhooks.change(off, {"enabled": False}, actor=TESTER)
        async with services.webhooks._database.write() as connection:
            await services.webhooks._store.change(connection, parked, parked=True)
        services.audit._clock = lambda: utc_now() + timedelta(days=30)
        await background._cut_audit(services)
        rows, _ = await services.audit.list_rows(Filter(actions=("release.published",)))
        assert [each.version for each in reversed(rows)] == [f"{number}.0.0" for number in range(3, 7)]
        async with delivered(service):
            await receiver.wait(4)
            await happen(service, 1, first=7)
            number = int((await receiver.wait(5))[-1].id.split("_")[1])
            while (await services.webhooks.get(one)).cursor < number:
                await asyncio.sleep(0.02)
        assert versions(receiver) == [f"{number}.0.0" for number in range(3, 8)]
        services.audit._clock = lambda: utc_now() + timedelta(days=90)
        await background._cut_audit(services)
        rows, _ = await services.audit.list_rows(Filter(actions=("release.published",)))
        # The newest row of all stays always. What is off or parked holds nothing.
        assert [each.version for each in rows] == ["7.0.0"], "what everybody read is held"
        assert (await services.audit.verify())[1] is None


# -- writers beside each other


@pytest.fixture(params=["sqlite", "postgres"])
async def on_each(request: pytest.FixtureRequest, start_service: Any) -> Service:
    """Return a service on each kind of database."""
    url = None if request.param == "sqlite" else request.getfixturevalue("postgres").create_migrated()
    service: Service = await start_service(webhooks=ALLOWED, storage={"database_url": url})
    await service.application()
    return service


async def test_no_replay_goes_back_to_what_is_being_removed(on_each: Service) -> None:
    """It waits for a cut that is under way, which looks at the receivers when nobody can move one back any more.

    Control: a cut that looks before it holds the chain.
    """
    services = on_each.services
    webhook, _ = await services.webhooks.create(None, {"url": "https://hooks.example.com/"}, actor=TESTER)
    await happen(on_each, 2)
    replays: list[asyncio.Task[Any]] = []

    async def look(connection: Any) -> int | None:
        found = await services.webhooks.find_oldest_wanted(connection)
        replays.append(asyncio.create_task(services.webhooks.replay(webhook.id, event_id="1", actor=TESTER)))
        await asyncio.sleep(0.5)
        assert not replays[0].done()
        return found

    services.audit._clock = lambda: utc_now() + timedelta(days=30)
    assert await services.audit.cut(keep_days=1, keep_after=look, actor=TESTER) > 0
    await replays[0]
    before = (await services.audit.list_rows(Filter()))[1]
    assert await services.audit.cut(keep_days=1, keep_after=services.webhooks.find_oldest_wanted, actor=TESTER) == 0
    assert (await services.audit.list_rows(Filter()))[1] == before, "all that is there after a replay is waited for"


async def record(service: Service, version: str, *, after_s: float = 0, fails: bool = False) -> None:
    """Record an event in a transaction that ends later, or is taken back."""
    with contextlib.suppress(ZeroDivisionError):
        async with service.services.audit._database.write() as connection:
            entry = Entry("release.published", "my-app", application_id="my-app", version=version)
            await service.services.audit.record(connection, TESTER, entry)
            await asyncio.sleep(after_s)
            if fails:
                raise ZeroDivisionError


async def test_no_number_is_seen_before_a_smaller_one(on_each: Service) -> None:
    """Who recorded first and commits last makes the others wait. Control: a head that is read without a lock."""
    async with receiving() as receiver:
        await make(on_each, receiver)
        async with delivered(on_each):
            first = asyncio.create_task(record(on_each, "1.0.0", after_s=2.5))
            await asyncio.sleep(0.5)
            second = asyncio.create_task(record(on_each, "2.0.0"))
            await asyncio.sleep(1.5)
            assert not second.done() and receiver.got == []
            await asyncio.gather(first, second)
            await receiver.wait(2)
        assert versions(receiver) == ["1.0.0", "2.0.0"]


async def test_nothing_is_lost_between_many_writers(on_each: Service) -> None:
    """Some of them take back what they did; the numbers have no gap all the same."""
    dice = random.Random(5)
    plan = [(f"{number}.0.0", dice.random() * 0.02, dice.random() < 0.2) for number in range(60)]
    async with receiving() as receiver:
        await make(on_each, receiver)
        async with delivered(on_each):

            async def write(mine: list[tuple[str, float, bool]]) -> None:
                for version, after_s, fails in mine:
                    await record(on_each, version, after_s=after_s, fails=fails)

            await asyncio.gather(*(write(plan[number::6]) for number in range(6)))
            kept = {version for version, _, fails in plan if not fails}
            await receiver.wait(len(kept))
        rows, _ = await on_each.services.audit.list_rows(Filter(actions=("release.published",)), limit=100)
        assert versions(receiver) == [each.version for each in reversed(rows)]
        assert set(versions(receiver)) == kept and len(receiver.got) == len(kept)
        assert (await on_each.services.audit.verify())[1] is None
