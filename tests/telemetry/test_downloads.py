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
from updater.telemetry.downloads import GATHER_S, DownloadCounter
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
