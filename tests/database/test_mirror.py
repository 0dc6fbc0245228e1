"""Memory follows the database: at once, in order, with retries, and never old for long without saying so."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

import updater.database.mirror as mirror_module
from updater.database.mirror import EVERYTHING, Mirror
from updater.errors import Unavailable


class Database:
    """What is read: it fails as often as it is told to."""

    def __init__(self) -> None:
        self.value = 0
        self.memory = 0
        self.failures = 0
        self.reads: list[set[str]] = []

    async def reread(self, topics: set[str]) -> None:
        self.reads.append(topics)
        found = self.value
        await asyncio.sleep(0.01)
        if self.failures:
            self.failures -= 1
            raise Unavailable("not now")
        self.memory = found


@pytest.fixture
def database() -> Database:
    return Database()


@pytest.fixture
async def mirror(database: Database) -> AsyncIterator[Mirror]:
    made = Mirror("test", database.reread)
    yield made
    await made.close()


async def test_a_change_is_in_memory_when_following_returns(database: Database, mirror: Mirror) -> None:
    database.value = 1
    await mirror.follow({"my-app"})
    assert database.memory == 1


async def test_many_changes_at_once_are_read_together_and_the_last_one_wins(database: Database, mirror: Mirror) -> None:
    async def change(value: int) -> None:
        database.value = value
        await mirror.follow({"my-app"})
        assert database.memory >= value

    await asyncio.gather(*(change(number) for number in range(50)))
    assert database.memory == 49
    assert len(database.reads) <= 3


async def test_a_failed_reading_is_repeated(database: Database, mirror: Mirror) -> None:
    database.value, database.failures = 1, 3
    await mirror.follow({"my-app"})
    assert database.memory == 1
    mirror.require_current("my-app")


async def test_what_cannot_be_read_is_refused_after_a_second_and_served_again_when_it_can(
    database: Database, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Control: without `require_current` the old value would be served until the next change."""
    monkeypatch.setattr(mirror_module, "STALE_S", 0.1)
    database.value, database.failures = 1, 1_000_000
    began_s = time.monotonic()
    await mirror.follow({"my-app"})
    assert time.monotonic() - began_s < 5, "a write is not held up by memory for ever"
    with pytest.raises(Unavailable):
        mirror.require_current("my-app")
    mirror.require_current("other-app")
    database.failures = 0
    async with asyncio.timeout(5):
        while database.memory != 1:
            await asyncio.sleep(0.01)
    mirror.require_current("my-app")


async def test_a_change_to_everything_concerns_each(
    database: Database, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror_module, "STALE_S", 0.05)
    database.failures = 1_000_000
    await mirror.follow({EVERYTHING})
    with pytest.raises(Unavailable):
        mirror.require_current("my-app")


async def test_a_slow_reading_that_succeeds_refuses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror_module, "STALE_S", 0.02)
    done = asyncio.Event()

    async def slow(_: set[str]) -> None:
        await done.wait()

    mirror = Mirror("test", slow, slow_s=60)
    following = asyncio.create_task(mirror.follow({"my-app"}))
    await asyncio.sleep(0.1)
    mirror.require_current("my-app")
    assert not following.done()
    done.set()
    await following
    await mirror.close()


async def test_a_reading_that_hangs_refuses_what_it_was_to_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing failed yet: a revoked key would be good until the driver gives up."""

    async def never(_: set[str]) -> None:
        await asyncio.Event().wait()

    mirror = Mirror("test", never, slow_s=0.05)
    following = asyncio.create_task(mirror.follow({"keys"}))
    await asyncio.sleep(0.1)
    with pytest.raises(Unavailable):
        mirror.require_current("keys")
    mirror.require_current("other")
    await mirror.close()
    following.cancel()


async def test_changes_without_end_that_are_read_refuse_nothing() -> None:
    async def quick(_: set[str]) -> None:
        await asyncio.sleep(0.02)

    mirror = Mirror("test", quick, slow_s=0.3)
    ends_s = time.monotonic() + 1
    following = set()
    while time.monotonic() < ends_s:
        following.add(asyncio.create_task(mirror.follow({"my-app"})))
        await asyncio.sleep(0.005)
        mirror.require_current("my-app")
    await asyncio.gather(*following)
    await mirror.close()


async def test_closing_lets_go_of_those_that_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(_: set[str]) -> None:
        await asyncio.Event().wait()

    mirror = Mirror("test", never)
    following = asyncio.create_task(mirror.follow({"my-app"}))
    await asyncio.sleep(0.01)
    await mirror.close()
    async with asyncio.timeout(1):
        await following
