"""Downloads gather in memory, and none is lost on the way to the database."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from tests.conftest import OwnServer, Service
from updater.app import build_app, make_runner
from updater.composition import open_services
from updater.errors import Unavailable
from updater.processes.folder import claim_folder
from updater.telemetry.downloads import GATHER_S, MAX_EDGES, DownloadCounter, PartialDownloads
from updater.telemetry.model import Download, Event
from updater.telemetry.recorder import Recorder

AT = datetime(2026, 1, 1, tzinfo=UTC)


async def test_what_counts_alike_is_one_event() -> None:
    noted: list[Download] = []
    counter = DownloadCounter(noted.append, lambda: AT)
    for number in range(20):
        counter.count(1, started=True, finished=number < 15, rate=None)
    counter.count(2, started=True, finished=True, rate=81)
    assert noted == []
    async with asyncio.timeout(50 * GATHER_S):
        while not noted:
            await asyncio.sleep(GATHER_S / 4)
    assert noted == [
        Download(1, True, True, AT, None, 15),
        Download(1, True, False, AT, None, 5),
        Download(2, True, True, AT, 81, 1),
    ]
    counter.count(1, started=True, finished=True, rate=None)
    counter.flush()
    counter.flush()
    assert noted[3:] == [Download(1, True, True, AT, None, 1)]


async def test_what_cannot_be_kept_is_told_in_full() -> None:
    async def fail(_: Sequence[Event]) -> None:
        raise Unavailable("locked")

    recorder = Recorder(fail, queue_size=1)
    recorder.note(Download(1, True, True, AT, None, 7))
    recorder.note(Download(2, True, True, AT, None, 5))
    assert recorder.dropped == 5
    recorder.start()
    await recorder.stop()
    assert recorder.dropped == 12


async def test_a_question_counts_up_to_this_moment(service: Service) -> None:
    await service.publish(b"bytes")
    telemetry = service.services.telemetry
    for _ in range(3):
        telemetry.count_download(1, started=True, finished=False)
    assert await telemetry.download_counts(1) == (3, 0)
    telemetry.count_download(1, started=False, finished=True)
    assert await telemetry.finished_downloads([1]) == {1: 1}


async def test_the_end_of_the_service_writes_what_was_gathered(make_settings: Any, aiohttp_client: Any) -> None:
    settings = make_settings()
    with claim_folder(settings.storage):
        async with open_services(settings) as services:
            client = await aiohttp_client(OwnServer(make_runner(build_app(services), settings)))
            started = Service(services, client.session, str(client.make_url("")).rstrip("/"))
            await started.application()
            await started.publish(b"bytes")
            services.telemetry.count_download(1, started=True, finished=True)
        async with open_services(settings) as services:
            assert await services.telemetry.download_counts(1) == (1, 1)


def test_a_download_is_finished_when_its_bytes_have_left() -> None:
    add = PartialDownloads().add
    assert add((1, "a"), [(0, 100)], 100)
    assert not add((1, "a"), [(0, 1)], 100)
    assert not add((1, "a"), [(99, 100)], 100), "two ranges of one byte are no download"
    assert not add((1, "b"), [(1, 99)], 100), "another client's bytes do not count"
    assert not add((2, "a"), [(1, 99)], 100)
    assert add((1, "a"), [(1, 99)], 100), "the end may come first: a parallel download"
    assert not add((1, "a"), [(0, 99)], 100)
    assert not add((1, "a"), [(20, 99)], 100), "without the last byte nothing is finished"
    assert add((1, "a"), [(99, 100)], 100)
    assert not add((3, "a"), [], 100)
    # Two clients behind one address, each in two halves.
    halves = [(0, 50), (0, 50), (50, 100), (50, 100)]
    assert [add((4, "a"), [half], 100) for half in halves] == [False, False, True, True]
    # A resumed download asks for some bytes again.
    assert [add((5, "a"), [span], 100) for span in ((0, 60), (55, 100))] == [False, True]
    assert add((6, "a"), [(90, 100), (0, 45), (40, 91)], 100), "several ranges in one answer"


def test_bytes_that_left_twice_stand_for_no_others() -> None:
    add = PartialDownloads().add
    assert not any(add((1, "a"), [(0, 50)], 100) for _ in range(5))
    assert not add((1, "a"), [(99, 100)], 100)
    assert not add((1, "a"), [(0, 50), (0, 50), (99, 100)], 100)
    assert not any(add((2, "a"), [(99, 100)], 100) for _ in range(200))
    assert not add((1, "a"), [(51, 99)], 100), "one byte is missing"
    assert add((1, "a"), [(50, 51)], 100)


def test_downloads_that_never_end_do_not_fill_the_memory() -> None:
    partial = PartialDownloads()
    for number in range(MAX_EDGES):
        partial.add((1, str(number)), [(0, 1)], 100)
    assert len(partial) == MAX_EDGES // 2
    assert (1, "0") not in partial._held
    for at in range(0, 10_000, 2):
        assert not partial.add((2, "a"), [(at, at + 1)], 20_000)
    assert len(partial._held.get((2, "a"), ())) <= 512
    assert partial._edges == sum(map(len, partial._held.values())) <= MAX_EDGES


async def test_ranges_are_one_download(service: Service) -> None:
    made = await service.publish(b"x" * 3_000, "1.0.0")
    path = made["download_url"].removeprefix(service.url)
    for asked in ("0-0", "2999-2999", "0-0,2999-2999", "2990-", "-1", "0-2000", "0-2000", "0-2000"):
        await service.exchange("GET", path, headers={"Range": f"bytes={asked}"}, status=206)
    await asyncio.sleep(GATHER_S)
    assert (await service.services.telemetry.download_counts(1))[1] == 0
    for asked in ("1500-1999", "2001-2998", "2000-2000"):
        await service.exchange("GET", path, headers={"Range": f"bytes={asked}"}, status=206)
    await reach(service, 1)
    await service.exchange("HEAD", path, headers={"Range": "bytes=0-"}, status=206)
    await service.exchange("GET", path, headers={"Range": "bytes=0-"}, status=206)
    await reach(service, 2)


async def reach(service: Service, finished: int) -> None:
    """Wait for a count: it is made a moment after the body has left."""
    async with asyncio.timeout(30):
        while (await service.services.telemetry.download_counts(1))[1] != finished:
            await asyncio.sleep(GATHER_S)
