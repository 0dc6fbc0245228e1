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
from updater.telemetry.downloads import GATHER_S, MAX_PARTIAL, DownloadCounter, PartialDownloads
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
    partial = PartialDownloads()
    add = partial.add
    assert add((1, "a"), 100, 100, reached_end=True)
    assert not add((1, "a"), 1, 100, reached_end=False)
    assert not add((1, "a"), 1, 100, reached_end=True), "two ranges of one byte are no download"
    assert not add((1, "b"), 98, 100, reached_end=False), "another client's bytes do not count"
    assert not add((2, "a"), 98, 100, reached_end=False)
    assert add((1, "a"), 98, 100, reached_end=False), "the end may come first: a parallel download"
    assert not add((1, "a"), 99, 100, reached_end=False)
    assert not add((1, "a"), 50, 100, reached_end=False), "without the last byte nothing is finished"
    assert add((1, "a"), 1, 100, reached_end=True)
    assert not add((3, "a"), 0, 0, reached_end=False)
    # Two clients behind one address, each in two halves.
    ended = [add((4, "a"), 50, 100, reached_end=end) for end in (False, False, True, True)]
    assert ended == [False, False, True, True]


def test_downloads_that_never_end_do_not_fill_the_memory() -> None:
    partial = PartialDownloads()
    for number in range(MAX_PARTIAL + 100):
        partial.add((1, str(number)), 1, 100, reached_end=False)
    assert len(partial._held) == MAX_PARTIAL
    assert (1, "0") not in partial._held


async def test_ranges_are_one_download(service: Service) -> None:
    made = await service.publish(b"x" * 3_000, "1.0.0")
    path = made["download_url"].removeprefix(service.url)
    for asked in ("0-0", "2999-2999", "0-0,2999-2999", "2990-", "-1"):
        await service.exchange("GET", path, headers={"Range": f"bytes={asked}"}, status=206)
    await asyncio.sleep(GATHER_S)
    assert (await service.services.telemetry.download_counts(1))[1] == 0
    for asked in ("1000-1999", "2000-2998", "0-999"):
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
