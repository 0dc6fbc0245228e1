"""Limits of connections, of one address and in all: which one gives way, and which one is refused.

Control: `ConnectionLimiter.enter` that always says yes.
"""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import structlog

from tests.conftest import KEYS, Service, StartService
from tests.web.exchange import Answer, read_answer, request_bytes
from updater.logs import PROCESSORS

HELD = (
    "PUT /api/v1/updates/my-app/builds/{}/linux/amd64 HTTP/1.1\r\nHost: x\r\n"
    f"Authorization: Bearer {KEYS['write']}\r\nContent-Length: 100000\r\n\r\n"
)


class Client:
    """A connection from an address of its own."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def ask(self, path: str = "/api/v1/docs") -> Answer:
        self.writer.write(request_bytes(path=path))
        async with asyncio.timeout(20):
            return await read_answer(self.reader)

    async def hold(self, number: int) -> None:
        """Begin an upload and leave it at that: the connection is busy."""
        self.writer.write(HELD.format(f"1.0.{number}").encode())
        await self.writer.drain()

    async def is_open(self) -> bool:
        try:
            return (await self.ask()).status == 200
        except (OSError, EOFError):
            return False


Connect = Callable[..., Awaitable[Client]]


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Return a function that connects to a service from an address; all of them end with the test."""
    writers = []

    async def open_one(service: Service, source: str = "127.0.0.2") -> Client:
        port = int(service.url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
        writers.append(writer)
        return Client(reader, writer)

    yield open_one
    for writer in writers:
        writer.transport.abort()
    await asyncio.sleep(0.05)


async def figures(service: Service) -> dict[str, float]:
    """Return the figures of connections; the question has one too."""
    _, body = await service.exchange("GET", "/metrics", status=200)
    lines = [line.rpartition(" ") for line in body.decode().splitlines() if "_connections" in line and line[0] != "#"]
    return {name: float(value) for name, _, value in lines if "created" not in name}


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await condition():
            await asyncio.sleep(0.01)


async def until_held(service: Service, count: int) -> None:
    """Wait until so many uploads have begun."""
    incoming = Path(service.services.settings.storage.root) / "incoming"

    async def begun() -> bool:
        return len(list(incoming.iterdir())) == count

    await until(begun)


async def until_alone(service: Service) -> None:
    """Wait until no connection is open but the one that asks."""

    async def alone() -> bool:
        return (await figures(service))["updater_connections"] == 1

    await until(alone)


async def start(start_service: StartService, most: int, most_per_address: int, **more: Any) -> Service:
    server = {"max_connections": most, "max_connections_per_address": most_per_address, **more}
    service = await start_service(server=server)
    await service.application()
    return service


async def test_a_new_connection_takes_the_place_of_the_oldest_idle_one(
    start_service: StartService, connect: Connect
) -> None:
    service = await start(start_service, 0, 5)
    clients = [await connect(service) for _ in range(5)]
    assert [await each.is_open() for each in clients] == [True] * 5
    other = await connect(service, "127.0.0.3")
    assert await other.is_open()
    clients += [await connect(service) for _ in range(3)]
    assert [await each.is_open() for each in clients] == [False] * 3 + [True] * 5
    assert await other.is_open()
    found = await figures(service)
    assert found["updater_connections"] == 7
    assert found["updater_recycled_connections_total"] == 3


@pytest.mark.parametrize("bounds", [(0, 4), (5, 0)])
async def test_where_nobody_is_idle_a_new_connection_is_refused(
    start_service: StartService, connect: Connect, bounds: tuple[int, int]
) -> None:
    service = await start(start_service, *bounds)
    lines = io.BytesIO()
    structlog.configure(processors=list(PROCESSORS), logger_factory=structlog.BytesLoggerFactory(file=lines))
    # The test's own session has the fifth place of all.
    held = [await connect(service) for _ in range(4)]
    for number, each in enumerate(held):
        await each.hold(number)
    await until_held(service, 4)
    await figures(service)
    if bounds[0]:
        await service.session.close()
        held.append(await connect(service, "127.0.0.1"))
        await held[-1].hold(4)
        await until_held(service, 5)
    for _ in range(3):
        answer = await (await connect(service)).ask()
        assert (answer.status, answer.headers["Retry-After"], answer.headers["Connection"]) == (503, "5", "close")
        assert json.loads(answer.body)["code"] == "SERVICE_UNAVAILABLE"
    if bounds[1]:
        assert await (await connect(service, "127.0.0.3")).is_open()
        assert (await figures(service))['updater_refused_connections_total{bound="address"}'] == 3
    held[0].writer.transport.abort()
    await until_held(service, len(held) - 1)
    assert await (await connect(service)).is_open()
    said = [json.loads(line) for line in lines.getvalue().splitlines()]
    refused = [each for each in said if each["event"] == "connections.refused"]
    assert [(each["refused"], each["client"]) for each in refused] == [(1, "127.0.0.2")]
    structlog.reset_defaults()


async def test_idle_connections_of_many_addresses_keep_nobody_out(
    start_service: StartService, connect: Connect
) -> None:
    service = await start(start_service, 8, 0)
    for number in range(40):
        await connect(service, f"127.0.1.{number + 1}")
    assert await (await connect(service, "127.0.0.3")).is_open()
    assert (await figures(service))["updater_connections"] <= 8


async def test_a_proxy_may_have_as_many_as_there_are(start_service: StartService, connect: Connect) -> None:
    service = await start(start_service, 12, 3, trusted_proxies=["127.0.0.2"])
    pool = [await connect(service) for _ in range(10)]
    assert [await each.is_open() for each in pool] == [True] * 10
    strangers = [await connect(service, f"127.0.1.{number + 1}") for number in range(20)]
    assert [await each.is_open() for each in pool] == [True] * 10
    assert await strangers[-1].is_open()


async def test_places_are_given_back(start_service: StartService, connect: Connect) -> None:
    """However a connection ends; no address is remembered."""
    service = await start(start_service, 0, 3)
    for round_number in range(4):
        clients = [await connect(service) for _ in range(3)]
        await clients[0].hold(round_number)
        assert await clients[1].is_open()
        clients[1].writer.write(b"nonsense\r\n\r\n")
        for each in clients:
            each.writer.close() if round_number % 2 else each.writer.transport.abort()
        await until_alone(service)
    assert (await figures(service)).get('updater_refused_connections_total{bound="address"}', 0) == 0
