"""Receivers that hang, of any number, delay no other. Controls: one pool of places for all, and the loop's threads."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from typing import Any

import pytest

import updater.webhooks.delivery as deliveries
from tests.actors import TESTER
from tests.conftest import Service
from tests.webhooks.happening import happen
from tests.webhooks.receiving import receiving
from updater.processes.listening import affordable_connections

HANGING, EVENTS, SOON_S = 96, 12, 15.0


async def make(service: Service, url: str, count: int = 1) -> list[str]:
    webhooks = service.services.webhooks
    return [(await webhooks.create(None, {"url": url}, actor=TESTER))[0].id for _ in range(count)]


async def test_hanging_receivers_delay_no_other(delivering: Service) -> None:
    async with receiving(*["hang"] * HANGING) as slow, receiving() as quick:
        await make(delivering, slow.url, HANGING)
        await make(delivering, quick.url)
        began = time.monotonic()
        await happen(delivering, EVENTS)
        got = await quick.wait(EVENTS)
        assert time.monotonic() - began < SOON_S
        assert [each.tree["data"]["version"] for each in got] == [f"{number}.0.0" for number in range(EVENTS)]
        await slow.wait(HANGING)


async def test_those_that_failed_share_a_part(start_service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where all places would be taken by receivers that hang again and again, those that answer have theirs."""
    monkeypatch.setattr(deliveries, "_MOST", 16)
    monkeypatch.setattr(deliveries, "_MOST_FAILING", 4)
    service: Service = await start_service(webhooks={"allow_private": ["127.0.0.0/8"]})
    await service.application()
    async with receiving(*["hang"] * 20) as slow, receiving() as quick:
        for each in await make(service, slow.url, 20):
            async with service.services.webhooks._database.write() as connection:
                await service.services.webhooks._store.change(connection, each, attempts=1)
        await make(service, quick.url)
        async with running(service):
            await happen(service, 3)
            began = time.monotonic()
            await quick.wait(3)
            assert time.monotonic() - began < SOON_S
            assert len(slow.got) == 4


async def test_names_that_are_not_answered_delay_no_other(start_service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither other receivers, nor what the service does in threads."""
    over, look_up = threading.Event(), socket.getaddrinfo

    def hang(host: Any, *words: Any, **options: Any) -> Any:
        if str(host).endswith(".test"):
            over.wait(60)
            raise socket.gaierror(socket.EAI_AGAIN, "no answer")
        return look_up(host, *words, **options)

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    service: Service = await start_service(webhooks={"allow_private": ["127.0.0.0/8"]})
    await service.application()
    async with receiving() as quick:
        for number in range(40):
            await make(service, f"http://{number}.test/")
        await make(service, quick.url.replace("127.0.0.1", "localhost"))
        async with running(service):
            began = time.monotonic()
            await happen(service, 3)
            await quick.wait(3)
            await asyncio.to_thread(time.sleep, 0)
            assert time.monotonic() - began < SOON_S
    over.set()


async def test_a_process_with_few_files_has_fewer_places(start_service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    service: Service = await start_service()
    assert service.services.webhooks.delivery._places._value <= affordable_connections() // 2


async def test_nothing_new_costs_one_look(delivering: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many receivers there are, and however much they passed over."""
    async with receiving() as receiver:
        for _ in range(5):
            await delivering.services.webhooks.create(
                None, {"url": receiver.url, "events": ["backup.failed"]}, actor=TESTER
            )
        await happen(delivering, 5)
        delivery, store = delivering.services.webhooks.delivery, delivering.services.webhooks._store
        looks: list[Any] = []
        async with asyncio.timeout(20):
            found, head = await store.list_with_head()
            while delivery._working or any(delivery._place_of(each) < head for each in found):
                await asyncio.sleep(0.05)
        listed = store.list_rows

        async def count(*given: Any, **named: Any) -> Any:
            looks.append(given)
            return await listed(*given, **named)

        monkeypatch.setattr(store, "list_rows", count)
        await asyncio.sleep(2.1)
        assert looks == [] and receiver.got == []


@contextlib.asynccontextmanager
async def running(service: Service) -> Any:
    task = asyncio.create_task(service.services.webhooks.delivery.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
