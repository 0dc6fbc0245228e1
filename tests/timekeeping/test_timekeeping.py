"""A wrong clock removes nothing, until an operator says that it is right."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, func, select, update

import updater.background as background
from tests.actors import TESTER
from tests.conftest import Service, StartService
from tests.stored import database_of
from updater.database.tables import audit, clock_mark, release, report
from updater.errors import Conflict
from updater.operations import OPERATIONS
from updater.services import Services
from updater.timekeeping.judgement import BELIEVED, find_doubt
from updater.timekeeping.service import TimekeepingService

NOW = datetime(2026, 11, 26, tzinfo=UTC)
DAY = timedelta(days=1)


class Times:
    """A clock that can be set, and one that only counts."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.counted_s = 1000.0

    def passes(self, span: timedelta) -> None:
        self.now += span
        self.counted_s += span.total_seconds()


def timekeeping(services: Services, times: Times) -> TimekeepingService:
    """Return the service as another process would have it."""
    there = services.timekeeping
    return TimekeepingService(
        there._store, there._database, there._audit, clock=lambda: times.now, counted_s=lambda: times.counted_s
    )


@pytest.mark.parametrize(
    ("ahead", "drift", "doubted"),
    [
        (timedelta(0), timedelta(0), False),
        (BELIEVED, timedelta(0), False),
        (-BELIEVED, timedelta(0), False),
        (BELIEVED + DAY, timedelta(0), True),
        (-BELIEVED - DAY, timedelta(0), True),
        (3650 * DAY, timedelta(0), True),
        (timedelta(0), 8 * DAY, True),
        (timedelta(0), -8 * DAY, True),
    ],
)
def test_what_is_doubted(ahead: timedelta, drift: timedelta, doubted: bool) -> None:
    assert (find_doubt(NOW + ahead, NOW, drift) is not None) is doubted
    assert find_doubt(NOW + ahead, None, timedelta(0)) is None


async def test_ten_years_ahead_is_doubted_and_stays_so(service: Service) -> None:
    times = Times(datetime.now(UTC) + 3650 * DAY)
    wrong = timekeeping(service.services, times)
    assert "after the newest time in the database" in (await wrong.look() or "")
    times.passes(3 * DAY)
    assert await wrong.look() is not None, "times of the wrong clock are no reference"
    with pytest.raises(Conflict, match="--confirm-clock"):
        await wrong.require_believed()
    times.now = datetime.now(UTC) + 3 * DAY
    right = timekeeping(service.services, times)
    assert await right.look() is None


async def test_a_clock_that_was_wrong_at_the_start_and_set_right_is_believed(service: Service) -> None:
    """A machine without a battery begins in 1970, or where it was switched off, until it has asked a server of time."""
    times = Times(datetime(1970, 1, 1, 0, 5, tzinfo=UTC))
    there = timekeeping(service.services, times)
    assert "before the newest time" in (await there.look() or "")
    times.passes(timedelta(minutes=1))
    assert await there.look() is not None
    times.now = datetime.now(UTC)
    times.counted_s += 60
    assert await there.look() is None
    times.passes(timedelta(hours=2))
    assert await there.look() is None
    times.now += 30 * DAY
    assert await there.look() is not None, "from then on it is watched as ever"


async def test_a_month_ahead_for_a_minute_leaves_no_doubt_behind(service: Service) -> None:
    times = Times(datetime.now(UTC))
    there = timekeeping(service.services, times)
    assert await there.look() is None
    times.now += 30 * DAY
    for _ in range(3):
        assert await there.look() is not None
        times.passes(timedelta(seconds=20))
    times.now -= 30 * DAY
    assert await there.look() is None


async def test_a_database_without_a_mark_takes_its_newest_time(service: Service) -> None:
    await service.publish()
    async with database_of(service).write() as connection:
        await connection.execute(delete(clock_mark))
    times = Times(datetime.now(UTC) + 30 * DAY)
    assert await timekeeping(service.services, times).look() is not None
    await service.publish(b"more", "1.1.0")
    async with database_of(service).write() as connection:
        await connection.execute(update(release).values(created_at=times.now))
    assert await timekeeping(service.services, times).look() is not None, "what came in since is no reference"


async def test_a_quiet_service_is_believed(service: Service) -> None:
    times = Times(datetime.now(UTC))
    guard = timekeeping(service.services, times)
    for _ in range(60):
        times.passes(DAY)
        assert await guard.look() is None
    again = timekeeping(service.services, times)
    assert await again.look() is None


async def test_a_jump_while_running_is_doubted_also_in_small_steps(service: Service) -> None:
    times = Times(datetime.now(UTC))
    guard = timekeeping(service.services, times)
    for _ in range(3):
        times.now += 2 * DAY
        assert await guard.look() is None
    times.now += 2 * DAY
    assert "jumped by 8.0 days" in (await guard.look() or "")


async def test_a_year_off_is_confirmed_once_for_every_process(service: Service) -> None:
    times = Times(datetime.now(UTC) + 365 * DAY)
    one, other = (timekeeping(service.services, times) for _ in range(2))
    assert await one.look() is not None
    assert await other.look() is not None
    await one.confirm(actor=TESTER)
    assert await one.look() is None
    assert await other.look() is None
    times.passes(DAY)
    assert await timekeeping(service.services, times).look() is None
    async with database_of(service).read() as connection:
        actions = list(await connection.scalars(select(audit.c.action).order_by(audit.c.id)))
    assert actions[-1] == "clock.confirmed"


async def test_a_clock_confirmed_by_mistake_can_go_back(service: Service) -> None:
    wrong = timekeeping(service.services, Times(datetime.now(UTC) + 3650 * DAY))
    await wrong.confirm(actor=TESTER)
    right = timekeeping(service.services, Times(datetime.now(UTC)))
    assert "before the newest time" in (await right.look() or "")
    await right.confirm(actor=TESTER)
    assert await right.look() is None


@pytest.fixture
def ahead(monkeypatch: pytest.MonkeyPatch) -> Callable[[Services], None]:
    """Return a function that sets every clock of a service ten years ahead."""
    later = lambda: datetime.now(UTC) + 3650 * DAY  # noqa: E731

    def set_clocks(services: Services) -> None:
        holders: list[Any] = [services.timekeeping, services.artifacts, services.telemetry, services.audit]
        for each in [*holders, services.catalog, services.deployments]:
            if hasattr(each, "_clock"):
                monkeypatch.setattr(each, "_clock", later)

    return set_clocks


async def counts(service: Service) -> tuple[int, ...]:
    async with database_of(service).read() as connection:
        return tuple(
            [await connection.scalar(select(func.count()).select_from(each)) or 0 for each in (report, release)]
        )


async def result(service: Service, name: str, **arguments: Any) -> Any:
    return [event async for event in OPERATIONS[name](service.services, TESTER, **arguments)][-1]["result"]


async def test_a_wrong_clock_removes_nothing(
    start_service: StartService, ahead: Callable[[Services], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    service = await start_service(retention={"keep_days": 30, "audit_days": 30}, telemetry={"retention_days": 30})
    await service.application()
    for number in range(4):
        await service.publish(b"%d" % number, f"1.0.{number}")
    given = {"current_version": "1.0.0", "target_version": "1.0.1", "platform": "linux", "architecture": "amd64"}
    await service.call("POST", "/api/v1/updates/my-app/status", json={**given, "status": "completed"}, status=200)
    await service.services.timekeeping.look()
    before = await counts(service)
    ahead(service.services)
    turns = 0

    async def two_turns(services: Services, name: str) -> Any:
        nonlocal turns
        for _ in range(2):
            turns += 1
            yield False

    monkeypatch.setattr(background, "_HOUSEKEEPING_S", 0)
    monkeypatch.setattr(background, "_while_leased", two_turns)
    await background.apply_retention(service.services)
    assert turns == 2
    assert await counts(service) == before
    for name in ("retain", "collect"):
        with pytest.raises(Conflict, match="jumped by 3650"):
            await result(service, name)
    assert await result(service, "retain", dry_run=True)
    await result(service, "retain", confirm_clock=True)
    await background.apply_retention(service.services)
    assert (await counts(service))[0] == 0
    assert (await counts(service))[1] < before[1]
