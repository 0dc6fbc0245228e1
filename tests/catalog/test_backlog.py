"""In which order files get what they lack, and what is not asked or tried again in vain."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.conftest import StartService
from updater import background
from updater.artifacts.derived import Underivable
from updater.audit.model import SYSTEM, Actor
from updater.catalog import backlog
from updater.catalog.backlog import Backlog
from updater.catalog.derived_store import EVERYWHERE, Lack, Scope
from updater.catalog.platforms import Target
from updater.database.engine import Listener
from updater.database.waking import Bell
from updater.errors import NotFound, Unavailable

AT = datetime(2026, 1, 1, tzinfo=UTC)


def lack(number: int, application: str = "one", name: str = "", digest: str = "") -> Lack:
    name, digest = name or f"{number}.exe", digest or f"{number:064x}"
    return Lack("blockmap", application, "1.0.0", Target("windows", "amd64"), number, number, name, digest, 10, AT)


class Announcing:
    """A database that tells its listeners of changes."""

    def __init__(self) -> None:
        self.listeners: list[Listener] = []

    def subscribe(self, listener: Listener) -> None:
        self.listeners.append(listener)

    async def tell(self, *topics: str) -> None:
        for each in self.listeners:
            await each(set(topics))


class Shop:
    """Files that lack something, and a worker for them."""

    def __init__(self, *lacking: Lack) -> None:
        self.lacking = list(lacking)
        self.done: list[list[int]] = []
        self.asked: list[Scope] = []
        self.checked: list[str] = []
        self.failures: dict[int, Exception] = {}
        self.database = Announcing()
        self.meanwhile: dict[int, Lack] = {}
        self.backlog = Backlog(self.find, self.work, self.check, Bell(self.database))  # type: ignore[arg-type]

    async def find(self, scope: Scope) -> list[Lack]:
        self.asked.append(scope)
        found = self.lacking[:3] if scope == EVERYWHERE else self.lacking
        if scope.applications is not None:
            found = [each for each in found if each.application_id in scope.applications]
        return [each for each in found if scope.file_id in (None, each.file_id)]

    async def work(self, lacks: Sequence[Lack], actor: Actor) -> None:
        first = lacks[0].file_id
        if first in self.failures:
            raise self.failures[first]
        self.done.append([each.file_id for each in lacks])
        self.lacking = [each for each in self.lacking if each not in lacks]
        if first in self.meanwhile:
            self.lacking.insert(0, self.meanwhile[first])
            await self.database.tell(self.meanwhile[first].application_id)

    async def check(self, digest: str) -> None:
        self.checked.append(digest)

    async def run(self, *, everything: bool = True) -> int:
        return await self.backlog.work_off(actor=SYSTEM, everything=everything)


async def test_all_is_done_in_the_order_in_which_it_is_found() -> None:
    shop = Shop(*map(lack, range(8)))
    assert await shop.run() == 8
    assert shop.done == [[each] for each in range(8)]
    assert await shop.run() == 0


async def test_what_comes_in_meanwhile_is_done_before_what_waits() -> None:
    shop = Shop(*map(lack, range(5)))
    shop.meanwhile = {1: lack(10, "two"), 10: lack(11, "two")}
    await shop.run()
    assert shop.done == [[0], [1], [10], [11], [2], [3], [4]]


async def test_equal_bytes_under_an_equal_name_are_done_together() -> None:
    shop = Shop(
        lack(1, name="a", digest="x"),
        lack(2, name="b", digest="x"),
        lack(3, name="a", digest="x"),
        lack(4, "two", name="a", digest="x"),
    )
    await shop.run()
    assert sorted(shop.done) == [[1, 3], [2], [4]]


async def test_what_is_not_lacking_any_more_is_not_done() -> None:
    shop = Shop(lack(1), lack(2))
    work = shop.work

    async def both(lacks: Sequence[Lack], actor: Actor) -> None:
        await work(lacks, actor)
        shop.lacking = []  # the developer's own came

    shop.backlog._work = both
    assert await shop.run() == 1
    assert shop.done == [[1]]


async def test_a_change_asks_about_its_applications_alone() -> None:
    shop = Shop(lack(1, "one"), lack(2, "two"))
    await shop.database.tell("two")
    assert await shop.run(everything=False) == 1
    assert shop.done == [[2]]
    assert shop.asked[0] == Scope(["two"])
    assert await shop.run(everything=False) == 0, "nothing has changed since"
    await shop.database.tell(*(f"app-{number}" for number in range(100)))
    await shop.run(everything=False)
    assert EVERYWHERE in shop.asked


@pytest.mark.parametrize("error", [NotFound("blob", "damaged"), Underivable("ended with 1")])
async def test_what_fails_holds_nobody_up_and_is_left_alone_for_an_hour(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Shop(lack(1), lack(2))
    shop.failures = {1: error}
    assert await shop.run() == 1
    assert shop.done == [[2]]
    assert shop.checked == ([lack(1).digest] if isinstance(error, NotFound) else [])
    del shop.failures[1]
    assert await shop.run() == 0
    now_s = backlog.time.monotonic()
    monkeypatch.setattr(backlog.time, "monotonic", lambda: now_s + 3601)
    assert await shop.run() == 1


async def test_a_store_that_does_not_answer_ends_the_work() -> None:
    shop = Shop(lack(1), lack(2))
    shop.failures = {1: Unavailable("away")}
    with pytest.raises(Unavailable):
        await shop.run()
    del shop.failures[1]
    assert await shop.run() == 2


async def test_the_bell_rings_once_for_what_changed() -> None:
    database = Announcing()
    bell: Bell = Bell(database)  # type: ignore[arg-type]
    await asyncio.wait_for(bell.wait(0.01), 5)
    await database.tell("one")
    await database.tell("two", "one")
    await asyncio.wait_for(bell.wait(600), 5)
    assert bell.take() == {"one", "two"}
    assert bell.take() == set()
    waiting = asyncio.create_task(bell.wait(600))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    await database.tell("three")
    await asyncio.wait_for(waiting, 5)


async def test_the_work_ends_with_its_lease(start_service: StartService, monkeypatch: pytest.MonkeyPatch) -> None:
    """And with another process that got it, no two work at once."""
    monkeypatch.setattr(background, "_LACKING_FIRST_S", 0.0)
    monkeypatch.setattr(background, "RENEWAL_S", 0.02)
    services = (await start_service()).services
    held, working, ended = True, asyncio.Event(), asyncio.Event()

    async def take(name: str, *, for_s: float) -> bool:
        return held

    async def work_off(**_: Any) -> int:
        working.set()
        try:
            await asyncio.sleep(600)
        finally:
            ended.set()
        return 0

    monkeypatch.setattr(services.leases, "take", take)
    monkeypatch.setattr(services.derived.files, "work_off", work_off)
    job = asyncio.create_task(background.derive_files(services))
    async with asyncio.timeout(30):
        await working.wait()
        await asyncio.sleep(0.1)
        assert not ended.is_set()
        held = False
        await ended.wait()
        working.clear()
        await asyncio.sleep(0.1)
        assert not working.is_set()
        held = True
        await working.wait()
    job.cancel()
    await asyncio.gather(job, return_exceptions=True)
