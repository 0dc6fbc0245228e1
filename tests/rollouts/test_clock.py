"""What the clock moves: SC-1 to SC-5 of the contract, with a clock of the test's own over a real database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.actors import TESTER
from tests.builds import LINUX, catalog_of, publishing_of, register
from tests.databases import place_database
from tests.rollouts_of import changes_of, moves_of
from updater.catalog.publishing import Publishing
from updater.catalog.store import CatalogStore
from updater.database.engine import Database
from updater.database.opening import open_database
from updater.rollouts.plan import canonical, make_plan
from updater.rollouts.releases import ReleaseMoves
from updater.rollouts.service import RolloutService
from updater.rollouts.store import RolloutStore

START = datetime(2026, 2, 10, 12, tzinfo=UTC)


class Hands:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def pass_s(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class Staged(NamedTuple):
    """The rooms of one process, and their clock."""

    clock: Hands
    database: Database
    publishing: Publishing
    rollouts: RolloutService
    moves: ReleaseMoves

    async def release(self, *stages: tuple[float, int | None], **more: Any) -> None:
        """Publish 1.1.0 with these stages: percent, and seconds or None."""
        given = [{"percent": percent, "for_s": for_s} for percent, for_s in stages]
        plan = make_plan({"stages": given, "min_reports": 0, **more}, self.clock())
        await register(self.publishing, "1.1.0", LINUX, rollout=canonical(plan))

    async def shown(self) -> dict[str, Any]:
        return await self.rollouts.get_rollout("my-app", "1.1.0")

    async def percent(self) -> float:
        """Let the clock move what it moves; return the present share."""
        await self.rollouts.advance()
        share: float = (await self.shown())["percent"]
        return share


def rooms_of(database: Database, clock: Hands) -> Staged:
    rows = CatalogStore(database)
    changes = changes_of(database, clock)
    publishing = publishing_of(database, changes.open_rollout, clock)
    rollouts = RolloutService(RolloutStore(database), rows, changes, database, clock=clock)
    return Staged(clock, database, publishing, rollouts, moves_of(database, clock))


@pytest.fixture
async def staged(database_url: str | None, tmp_path: Path) -> AsyncIterator[Staged]:
    """Give the rooms of a process that has `my-app` with 1.0.0."""
    if database_url is None:
        place_database(tmp_path)
    async with open_database(database_url, tmp_path) as database:
        rooms = rooms_of(database, Hands())
        catalog = catalog_of(database)
        await catalog.create_application("my-app", name="x", platforms=("linux",), extra={}, actor=TESTER)
        await register(rooms.publishing, "1.0.0")
        yield rooms


async def test_stages_begin_when_their_time_is_over(staged: Staged) -> None:
    await staged.release((1, 60), (10, 60), (100, None))
    assert await staged.percent() == 1.0
    staged.clock.pass_s(59.9)
    assert await staged.percent() == 1.0
    staged.clock.pass_s(0.2)
    assert await staged.percent() == 10.0
    assert await staged.percent() == 10.0, "looked at twice, moved once"
    staged.clock.pass_s(60)
    found = await staged.percent(), await staged.shown()
    assert (found[0], found[1]["state"]) == (100.0, "complete"), "entering a last stage at 100 that is not watched"


async def test_no_stage_is_skipped_however_long_nobody_looked(staged: Staged) -> None:
    await staged.release((1, 60), (10, 60), (50, None))
    staged.clock.pass_s(86_400)
    assert await staged.percent() == 10.0
    assert (await staged.shown())["stage"]["started_at"] == "2026-02-11T12:00:00Z", "each gets its whole time"
    staged.clock.pass_s(59)
    assert await staged.percent() == 10.0
    staged.clock.pass_s(1)
    assert await staged.percent() == 50.0
    staged.clock.pass_s(10**7)
    assert await staged.percent() == 50.0
    assert (await staged.shown())["hold"] == {"why": "last_stage"}


async def test_a_watched_last_stage_completes_in_the_end(staged: Staged) -> None:
    await staged.release((10, 60), (100, 60))
    staged.clock.pass_s(60)
    assert await staged.percent() == 100.0
    assert (await staged.shown())["state"] == "active"
    staged.clock.pass_s(60)
    await staged.rollouts.advance()
    assert (await staged.shown())["state"] == "complete"


async def test_enough_reports_are_waited_for(staged: Staged) -> None:
    await staged.release((1, 60), (10, None), min_reports=3)
    staged.clock.pass_s(60)
    assert await staged.percent() == 1.0
    assert (await staged.shown())["hold"] == {"why": "reports", "have": 0, "need": 3}


async def test_nobody_before_start_at(staged: Staged) -> None:
    await staged.release((5, None), start_at=START + timedelta(hours=1))
    staged.clock.pass_s(3_599)
    assert await staged.percent() == 0.0
    staged.clock.pass_s(1)
    assert await staged.percent() == 5.0
    assert (await staged.shown())["stage"]["started_at"] == "2026-02-10T13:00:00Z"


async def test_the_clock_of_a_stage_stands_still_while_paused(staged: Staged) -> None:
    await staged.release((1, 60), (10, None))
    staged.clock.pass_s(40)
    await staged.rollouts.pause("my-app", "1.1.0", actor=TESTER)
    staged.clock.pass_s(86_400)
    assert await staged.percent() == 1.0
    await staged.rollouts.resume("my-app", "1.1.0", actor=TESTER)
    staged.clock.pass_s(19)
    assert await staged.percent() == 1.0
    staged.clock.pass_s(1)
    assert await staged.percent() == 10.0


async def test_withdrawn_it_is_left_alone_and_restored_its_stage_begins_anew(staged: Staged) -> None:
    await staged.release((1, 60), (10, None))
    staged.clock.pass_s(59)
    await staged.moves.withdraw("my-app", "1.1.0", actor=TESTER)
    staged.clock.pass_s(600)
    assert await staged.percent() == 1.0
    await staged.moves.restore("my-app", "1.1.0", actor=TESTER)
    staged.clock.pass_s(59)
    assert await staged.percent() == 1.0
    staged.clock.pass_s(1)
    assert await staged.percent() == 10.0


async def test_a_clock_set_back_moves_nothing_twice(staged: Staged) -> None:
    await staged.release((1, 60), (10, 60), (50, None))
    staged.clock.pass_s(61)
    assert await staged.percent() == 10.0
    staged.clock.pass_s(-3_600)
    assert await staged.percent() == 10.0
    staged.clock.pass_s(3_659)
    assert await staged.percent() == 10.0
    staged.clock.pass_s(1)
    assert await staged.percent() == 50.0


async def test_two_processes_move_a_stage_once(staged: Staged, database_url: str | None, tmp_path: Path) -> None:
    import asyncio

    await staged.release((1, 60), (10, 60), (50, None))
    async with open_database(database_url, tmp_path) as database:
        other = rooms_of(database, staged.clock)
        staged.clock.pass_s(60)
        moved = await asyncio.gather(staged.rollouts.advance(), other.rollouts.advance())
        assert sum(moved) == 1
        assert await staged.percent() == 10.0
