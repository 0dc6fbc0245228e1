"""Proxies and the service see the same requests in the same bytes, and no client gets an answer to another one.

154 odd requests go through nginx as documented, through haproxy, and to the service itself, many at once, beside a
client that asks honestly. Every request that the service saw has to be one that the proxy says it sent.

Control: behind the same proxies, a backend that knows no chunks sees requests that nobody sent, and behind haproxy the
honest client gets answers to them.
"""

from __future__ import annotations

import asyncio
import itertools
import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp import web

from tests.conftest import StartService
from tests.web.smuggling.cases import Case, corpus
from tests.web.smuggling.fronts import Front, Sent, running_front
from updater.web.gate.context import CONTEXT
from updater.web.gate.middleware import Gate

_IDLE_S = 1.0
_AT_ONCE = 50
Connect = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


@dataclass
class Backend:
    """What a backend saw: method and target of each request, by its id."""

    address: str = ""
    seen: dict[str, tuple[str, str]] = field(default_factory=dict)


@pytest.fixture
async def service(start_service: StartService, monkeypatch: pytest.MonkeyPatch) -> Backend:
    """The service, with a note of each request that its gate is given."""
    backend, handle = Backend(), Gate.handle

    @web.middleware
    async def noting(self: Gate, request: web.Request, handler: Any) -> web.StreamResponse:
        try:
            return await handle(self, request, handler)
        finally:
            backend.seen[request[CONTEXT].id] = (
                request.method,
                request.path_qs if request.raw_path == "*" else request.raw_path,
            )

    monkeypatch.setattr(Gate, "handle", noting)
    started = await start_service(server={"trusted_proxies": ["127.0.0.0/8"]})
    backend.address = started.url.removeprefix("http://")
    return backend


@asynccontextmanager
async def naive_backend() -> AsyncIterator[Backend]:
    """A backend that believes Content-Length alone."""
    backend, numbers = Backend(), itertools.count()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                line = re.search(rb"([A-Z]+) (\S+) HTTP/1", head)
                length = re.search(rb"(?i)\ncontent-length: *(\d+)", head)
                await reader.readexactly(int(length[1]) if length else 0)
                name = f"n{next(numbers):06}"
                backend.seen[name] = (line[1].decode(), line[2].decode("latin-1")) if line else ("", "")
                writer.write(f"HTTP/1.1 200 OK\r\nX-Request-Id: {name}\r\nContent-Length: 0\r\n\r\n".encode())
                await writer.drain()
        except (OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    backend.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield backend
    server.close()


async def talk(connect: Connect, data: bytes, *, idle_s: float = _IDLE_S) -> bytes:
    """Send bytes and read until the other side closes or has nothing to say for a while."""
    reader, writer = await connect()
    said = b""
    try:
        writer.write(data)
        while more := await asyncio.wait_for(reader.read(65536), idle_s):
            said += more
    except (OSError, TimeoutError):
        pass
    finally:
        writer.transport.abort()
    return said


def ids_of(said: bytes) -> list[str]:
    return [each.decode() for each in re.findall(rb"(?i)\r\nx-request-id: *(\S+)", said)]


async def attack(connect: Connect, cases: list[Case], backend: Backend) -> tuple[list[str], list[str]]:
    """Send all cases, many at once, beside an honest client.

    Returns:
        Who got an answer to what was not asked, and the honest client's requests that were answered. When the service
        closes a connection of others that a proxy just lends, it answers 502 itself: no answer, nor a wrong one.
    """
    places, strange, honest, lost = asyncio.Semaphore(_AT_ONCE), list[str](), list[str](), 0
    answered: dict[str, str] = {}

    async def send(case: Case) -> None:
        async with places:
            for each in ids_of(await talk(connect, case.data)):
                answered[each] = f"{case.number:03}"

    async def ask(ended: asyncio.Event) -> None:
        nonlocal lost
        for number in itertools.count():
            line = f"GET /api/v1/none?honest-{number}. HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            said = await talk(connect, line.encode(), idle_s=20)
            found = ids_of(said)
            if not found and said.startswith(b"HTTP/1.1 502 "):
                lost += 1
                continue
            honest.append(str(number))
            answered.update(dict.fromkeys(found, f"?honest-{number}."))
            if len(found) != 1:
                strange.append(f"the honest client got {len(found)} answers: {said[:200]!r}")
            if ended.is_set():
                return

    ended = asyncio.Event()
    asking = asyncio.create_task(ask(ended))
    await asyncio.gather(*(send(case) for case in cases))
    ended.set()
    await asyncio.wait_for(asking, 30)
    assert lost < len(honest)
    strange += [
        f"an answer to {backend.seen.get(name)} went to {mine}"
        for name, mine in answered.items()
        if mine not in backend.seen.get(name, ("", ""))[1]
    ]
    return strange, honest


def paths(requests: list[tuple[str, str]]) -> Counter[tuple[str, str]]:
    """Count requests by method and target, without the origin that some targets have."""
    return Counter((method, target.removeprefix("http://" + urlsplit(target).netloc)) for method, target in requests)


async def settled(lines: list[Sent]) -> None:
    """Wait until a front has logged what it still had to do."""
    count, quiet = -1, 0
    while quiet < 4:
        quiet = quiet + 1 if len(lines) == count else 0
        count = len(lines)
        await asyncio.sleep(0.2)


async def differences(front: Front, backend: Backend, cases: list[Case]) -> list[str]:
    """Attack through a front; return what front and backend do not agree on."""
    strange, honest = await attack(front.connect, cases, backend)
    await settled(front.lines)
    assert len(honest) > 1
    seen = paths(list(backend.seen.values()))
    sent = paths([(each.method, each.target) for each in front.lines for _ in range(each.times)])
    strange += [f"the backend saw {each}, which {front.name} did not send" for each in (seen - sent)]
    strange += [
        f"{front.name} took the answer to {backend.seen.get(each.answered)} for one to {each.target}"
        for each in front.lines
        if each.answered and paths([backend.seen.get(each.answered, ("", ""))]) != paths([(each.method, each.target)])
    ]
    return strange


@pytest.mark.parametrize("name", ["nginx", "haproxy"])
async def test_a_proxy_and_the_service_see_the_same_requests(name: str, service: Backend, tmp_path: Path) -> None:
    cases = corpus()
    assert len(cases) >= 60
    async with running_front(name, tmp_path / name, tmp_path / "storage", service.address) as front:
        found = await differences(front, service, cases)
        # What was sent through is no small part: else the front alone would have been tested.
        through = {
            number
            for number in range(len(cases))
            if any(f"?{number:03}" in each.target and each.answered for each in front.lines)
        }
    assert found == []
    assert len(through) > 20, through


async def test_the_service_itself_runs_no_hidden_request(service: Backend) -> None:
    host, _, port = service.address.partition(":")
    cases = corpus()
    strange, _ = await attack(lambda: asyncio.open_connection(host, int(port)), cases, service)
    assert strange == []
    hidden = {target for _, target in service.seen.values() if "canary" in target}
    allowed = {f"/canary?{number:03}" for number, case in enumerate(cases) if case.follows}
    assert [cases[int(each[-3:])].name for each in sorted(hidden - allowed)] == []
    assert hidden, "pipelines are answered"


@pytest.mark.parametrize("name", ["nginx", "haproxy"])
async def test_a_backend_that_knows_no_chunks_is_found_out(name: str, tmp_path: Path) -> None:
    cases = [each for each in corpus() if each.name.startswith(("chunks", "TE.CL"))]
    async with (
        naive_backend() as backend,
        running_front(name, tmp_path / name, tmp_path / "storage", backend.address) as front,
    ):
        found = await differences(front, backend, cases)
    assert any("the backend saw ('GET', '/canary" in each for each in found), found
