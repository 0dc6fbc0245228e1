"""The recorder: an acknowledged event is written, and a failing event fails no other one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from sqlalchemy import text

from tests.conftest import Service
from updater.clock import utc_now
from updater.errors import Unavailable
from updater.telemetry.model import Download, Event, Report
from updater.telemetry.recorder import BATCH_EVENTS, Recorder


def report(name: str = "one", application_id: str = "my-app") -> Report:
    return Report(application_id, "1.0.0", "1.1.0", "linux", "amd64", "completed", utc_now(), report_id=name)


class Disk:
    """Keeps what is written; `gate` holds it up, `failing` fails the next writes."""

    def __init__(self) -> None:
        self.kept: list[Event] = []
        self.batches: list[int] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.failing: list[Exception] = []

    async def write(self, events: Sequence[Event]) -> None:
        await self.gate.wait()
        self.batches.append(len(events))
        if self.failing:
            raise self.failing.pop(0)
        if any(isinstance(each, Report) and each.report_id == "poison" for each in events):
            raise OverflowError
        self.kept += events


@pytest.fixture
def disk() -> Disk:
    return Disk()


async def test_many_events_share_a_write(disk: Disk) -> None:
    recorder = Recorder(disk.write, queue_size=10_000)
    recorder.start()
    await asyncio.gather(*(recorder.record(report(str(number))) for number in range(2_500)))
    await recorder.stop()
    assert len(disk.kept) == 2_500
    assert len(disk.batches) < 10
    assert max(disk.batches) <= BATCH_EVENTS


async def test_a_full_queue_refuses_and_keeps_what_it_took(disk: Disk) -> None:
    recorder = Recorder(disk.write, queue_size=5)
    recorder.start()
    disk.gate.clear()
    taken = [asyncio.create_task(recorder.record(report("first")))]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    taken += [asyncio.create_task(recorder.record(report(str(number)))) for number in range(5)]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable) as caught:
        await recorder.record(report("one too many"))
    assert caught.value.retry_after_s > 0
    recorder.note(Download(1, True, True, utc_now()))
    assert recorder.dropped == 1
    disk.gate.set()
    await asyncio.gather(*taken)
    await recorder.stop()
    assert len(disk.kept) == 6


async def test_a_failing_database_refuses_and_recovers(disk: Disk) -> None:
    recorder = Recorder(disk.write, queue_size=100)
    recorder.start()
    disk.failing = [Unavailable("locked"), Unavailable("locked")]
    disk.gate.clear()
    recorder.note(Download(1, True, True, utc_now()))
    await asyncio.sleep(0)
    waiting = asyncio.gather(*(recorder.record(report(str(n))) for n in range(3)), return_exceptions=True)
    await asyncio.sleep(0)
    disk.gate.set()
    outcomes = await waiting
    assert {type(each) for each in outcomes} == {Unavailable}
    assert recorder.dropped == 1
    assert disk.kept == []
    await recorder.record(report("after"))
    await recorder.stop()
    assert len(disk.kept) == 1


async def test_one_bad_event_does_not_take_the_others_along(disk: Disk) -> None:
    recorder = Recorder(disk.write, queue_size=100)
    recorder.start()
    names = ["a", "b", "poison", "c"]
    outcomes = await asyncio.gather(*(recorder.record(report(name)) for name in names), return_exceptions=True)
    assert [type(each) for each in outcomes] == [type(None), type(None), Unavailable, type(None)]
    await recorder.stop()
    assert len(disk.kept) == 3


async def test_stopping_writes_what_waits(disk: Disk) -> None:
    recorder = Recorder(disk.write, queue_size=100)
    recorder.start()
    disk.gate.clear()
    taken = [asyncio.create_task(recorder.record(report(str(number)))) for number in range(10)]
    recorder.note(Download(1, True, True, utc_now()))
    await asyncio.sleep(0)
    stopping = asyncio.create_task(recorder.stop())
    await asyncio.sleep(0)
    with pytest.raises(Unavailable):
        await recorder.record(report("late"))
    disk.gate.set()
    await stopping
    await asyncio.gather(*taken)
    assert len(disk.kept) == 11


async def test_a_client_that_leaves_does_not_disturb_its_batch(disk: Disk) -> None:
    recorder = Recorder(disk.write, queue_size=100)
    recorder.start()
    disk.gate.clear()
    leaving = asyncio.create_task(recorder.record(report("leaving")))
    staying = asyncio.create_task(recorder.record(report("staying")))
    await asyncio.sleep(0.01)
    leaving.cancel()
    disk.gate.set()
    await staying
    await recorder.stop()
    assert len(disk.kept) == 2


async def kept_in(service: Service) -> list[str | None]:
    async with service.services.catalog._database.read() as connection:
        return list(await connection.scalars(text("SELECT report_id FROM report")))


async def test_a_report_sent_again_counts_once(service: Service) -> None:
    telemetry = service.services.telemetry
    await asyncio.gather(*(telemetry.report(report(str(number % 7))) for number in range(700)))
    for number in range(7):
        await telemetry.report(report(str(number)))
    assert sorted(filter(None, await kept_in(service))) == list("0123456")


async def test_a_report_without_an_id_always_counts(service: Service) -> None:
    each = report()
    for _ in range(3):
        await service.services.telemetry.report(
            Report(each.application_id, "1.0.0", "1.1.0", "linux", "amd64", "failed", utc_now())
        )
    assert await kept_in(service) == [None] * 3


async def test_a_report_for_an_application_deleted_meanwhile_fails_nobody(service: Service) -> None:
    telemetry = service.services.telemetry
    await asyncio.gather(telemetry.report(report("gone", "deleted-app")), telemetry.report(report("kept")))
    assert await kept_in(service) == ["kept"]


async def test_downloads_are_summed_per_build(service: Service) -> None:
    await service.publish(b"bytes")
    telemetry = service.services.telemetry
    for number in range(100):
        telemetry.count_download(1, started=True, finished=number % 2 == 0)
    telemetry.count_download(999, started=True, finished=True)
    await telemetry.report(report("behind them"))
    assert await telemetry.download_counts(1) == (100, 50)
