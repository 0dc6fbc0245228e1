"""The size and the deadline of small bodies, and which of them give way.

Controls: `ANYBODY` as large as `KNOWN`; `PendingBodies.grow` that only counts; `ConnectionLimiter._find_slow` that
finds none.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
from typing import Any

import pytest

from tests.conftest import KEYS, Service, StartService
from tests.web.exchange import Answer, read_answer
from tests.web.raw import request as raw_request
from tests.web.raw import send
from tests.web.test_crowd import Connect, connect, figures  # noqa: F401 - a fixture
from updater.app import build_app
from updater.web.gate.middleware import GATE
from updater.web.gate.routing import contract_of
from updater.web.messages.bodies import ANYBODY, KNOWN, PendingBodies

CHECK = {"application_id": "my-app", "current_version": "1.0.0", "platform": "linux", "architecture": "amd64"}
JSON, FORM = "Content-Type: application/json", "Content-Type: application/x-www-form-urlencoded"
PUBLIC = {"/api/v1/check": JSON, "/api/v1/updates/my-app/status": JSON, "/admin/sign-in/": FORM}


def chunked(size_bytes: int) -> bytes:
    return b"".join(b"1000\r\n" + b" " * 4096 + b"\r\n" for _ in range(size_bytes // 4096)) + b"0\r\n\r\n"


def test_every_route_states_what_its_body_may_be(service: Service) -> None:
    application = build_app(service.services)
    public, own = 0, {}
    for route in application.router.routes():
        contract = contract_of(route.handler)
        if contract is None or route.resource is None:
            continue
        matched = application[GATE].describe(route, route.resource.canonical)
        wanted = ANYBODY if matched.level is None else KNOWN
        if contract.body is not None:
            public += matched.level is None
            if contract.limits is None:
                assert contract.body_limits == wanted, matched.path
            else:
                own[matched.path] = matched.level is not None and contract.limits.max_bytes <= 2 << 20
    assert public >= 2
    # A folder with thousands of files, from somebody who may write.
    assert own == {"/api/v1/updates/{app_id}/plan": True}
    assert (ANYBODY.max_bytes, ANYBODY.deadline_s, KNOWN.max_bytes) == (65_536, 10, 1 << 20)


@pytest.mark.parametrize("path", PUBLIC)
async def test_a_large_public_body_is_refused_before_it_comes(service: Service, path: str) -> None:
    # Not a byte of it is sent: the answer needs none.
    page = ["Origin: " + service.url, "Content-Length: 65537"]
    answer = await send(service.url, raw_request("POST", path, PUBLIC[path], *page, host=service.url[7:].encode()))
    assert answer.status == 413
    assert answer.headers["connection"] == "close"
    if PUBLIC[path] == JSON:
        assert answer.json["code"] == "BAD_REQUEST"
        assert "65536" in answer.json["message"]


@pytest.mark.parametrize("path", PUBLIC)
async def test_a_chunked_public_body_is_cut_at_the_bound(service: Service, path: str) -> None:
    head = ["Transfer-Encoding: chunked", PUBLIC[path]]
    answer = await send(service.url, raw_request("POST", path, *head, body=chunked(80_000)))
    assert answer.status == 413


async def test_what_is_just_within_is_read(service: Service) -> None:
    await service.publish()
    body = json.dumps(CHECK).encode().ljust(65_536)
    answer = await send(service.url, raw_request("POST", "/api/v1/check", JSON, body=body))
    assert answer.status == 200


async def test_known_senders_may_send_more(service: Service) -> None:
    config = {"changelog": "x" * 200_000}
    body = json.dumps({"name": "other", "config": config}).encode()
    head = [JSON, f"Authorization: Bearer {KEYS['admin']}"]
    answer = await send(service.url, raw_request("PUT", "/api/v1/applications/my-app", *head, body=body))
    assert answer.status != 413
    answer = await send(
        service.url, raw_request("PUT", "/api/v1/applications/my-app", *head, "Content-Length: 1048577")
    )
    assert answer.status == 413


class Stalled:
    """A client that stops in the middle of a body."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def begin(self, sent: int, length: int = 65_536, path: str = "/api/v1/check") -> None:
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\n{JSON}\r\nContent-Length: {length}\r\n\r\n".encode()
        self.writer.write(head)
        await self.writer.drain()
        await asyncio.sleep(0.01)  # the head alone, so that the body is waited for
        self.writer.write(b" " * sent)
        await self.writer.drain()

    async def answer(self) -> Answer:
        async with asyncio.timeout(20):
            return await read_answer(self.reader)


async def test_a_public_body_has_a_deadline(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """However steadily it comes."""
    limits = dataclasses.replace(ANYBODY, deadline_s=0.5)
    monkeypatch.setattr("updater.web.gate.routing.ANYBODY", limits)
    reader, writer = await asyncio.open_connection("127.0.0.1", int(service.url.rpartition(":")[2]))
    client = Stalled(reader, writer)
    await client.begin(1000)
    answering = asyncio.create_task(client.answer())
    while not answering.done():
        writer.write(b" ")
        await asyncio.sleep(0.01)
    answer = await answering
    assert answer.status == 408
    assert answer.headers["Connection"] == "close"
    writer.close()


class Connection:
    pass


async def test_the_oldest_bodies_give_way_when_together_they_are_too_large() -> None:
    pending = PendingBodies(most_bytes=100_000)
    ended: list[int] = []
    grown = asyncio.Event()

    async def hold(number: int) -> None:
        connection: Any = Connection()
        try:
            async with asyncio.timeout(60) as timeout:
                with pending.holding(connection, timeout):
                    for _ in range(10):
                        pending.grow(connection, 1000)
                        assert pending.size_bytes <= 105_000
                        await asyncio.sleep(0)
                    await grown.wait()
        except TimeoutError:
            ended.append(number)

    holders = []
    for number in range(30):
        holders.append(asyncio.create_task(hold(number)))
        for _ in range(20):
            await asyncio.sleep(0)
        assert pending.size_bytes <= 100_000
        assert len(pending) <= 10
    assert ended == list(range(20))
    grown.set()
    await asyncio.gather(*holders)
    assert (len(pending), pending.size_bytes) == (0, 0)


async def test_stalled_bodies_take_a_bounded_memory(
    start_service: StartService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By bytes; the process's own memory is measured with a script."""
    made: list[PendingBodies] = []

    def make() -> PendingBodies:
        made.append(PendingBodies(most_bytes=500_000))
        return made[-1]

    monkeypatch.setattr("updater.app.PendingBodies", make)
    service = await start_service(server={"max_connections_per_address": 0})
    await service.application()
    port = int(service.url.rpartition(":")[2])
    clients = []
    for _ in range(40):
        clients.append(Stalled(*await asyncio.open_connection("127.0.0.1", port)))
        await clients[-1].begin(50_000)
    answer = await clients[0].answer()
    assert answer.status == 408
    assert made[-1].size_bytes <= 500_000
    assert len(made[-1]) <= 11
    # Others are served meanwhile.
    await service.call("POST", "/api/v1/check", json=CHECK, status=200)
    for each in clients:
        each.writer.transport.abort()
    async with asyncio.timeout(20):
        while len(made[-1]):
            await asyncio.sleep(0.01)
    assert made[-1].size_bytes == 0


@pytest.mark.parametrize("bounds", [(9, 0), (0, 8)])
async def test_slow_bodies_of_strangers_go_first_when_connections_run_out(
    start_service: StartService,
    connect: Connect,  # noqa: F811
    bounds: tuple[int, int],
) -> None:
    service = await start_service(server={"max_connections": bounds[0], "max_connections_per_address": bounds[1]})
    await service.application()
    known = [await connect(service) for _ in range(2)]
    for number, each in enumerate(known):
        await each.hold(number)  # uploads with a key, as slow
    slow = []
    for _ in range(6):
        client = await connect(service)
        slow.append(Stalled(client.reader, client.writer))
        await slow[-1].begin(100)
    for _ in range(3):
        other = await connect(service)
        assert (await other.ask()).status == 200
        other.writer.write(b"POST /api/v1/check HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n" + JSON.encode())
        other.writer.write(b"\r\n\r\n")
    for each in slow[:2]:
        assert await each.reader.read() == b""
    for each in known:
        assert not each.reader.at_eof()
    assert (await figures(service)).get("updater_recycled_connections_total", 0) >= 2
