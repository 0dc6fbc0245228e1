"""The minimum rate, both ways: a client that moves one byte now and then is disconnected, and no other.

Controls: `Pace.keeps` that always says yes; `Arrival` and `Acceptance` that count all time as the client's; a gate
that does not close after 408; a `Runner` that does not start `StalledClientMonitor`.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import KEYS, Service, StartService
from tests.web.exchange import read_head, request_bytes
from tests.web.test_transfer import BIG_BYTES, Server, certified, connected_with_small_buffer
from updater.artifacts import staged
from updater.artifacts.staged import StagedFile
from updater.web.messages import pace
from updater.web.messages.pace import MIN_BYTES_PER_S, Pace
from updater.web.server import stalled
from updater.web.transfer.ranged import Download, Ending

UPLOAD = "/api/v1/updates/my-app/upload"
BUILD = "/api/v1/updates/my-app/builds/1.0.0/linux/amd64"
FORM = b'--XX\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
JSON = b'{"application_id": "my-app", "current_version": "1.0.0", "platform": "linux", "architecture": "amd64"}'
WAYS = {
    "json": ("POST", "/api/v1/check", "application/json", b"", JSON + b" " * 20_000, b""),
    "form": (
        "POST",
        UPLOAD,
        "multipart/form-data; boundary=XX",
        b"".join(
            b'--XX\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n' % each
            for each in ((b"version", b"1.0.0"), (b"platform", b"linux"), (b"architecture", b"amd64"))
        )
        + FORM,
        b"x" * 20_000,
        b"\r\n--XX--\r\n",
    ),
    "body": ("PUT", BUILD, "application/octet-stream", b"", b"x" * 20_000, b""),
}


@pytest.fixture(autouse=True)
def short_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "WINDOW_S", 0.4)


@given(st.lists(st.tuples(st.floats(0, 0.2), st.integers(0, 1000)), max_size=60))
def test_who_always_keeps_the_rate_is_never_too_slow(moves: list[tuple[float, int]]) -> None:
    meter, idle, free = Pace(100), Pace(100), Pace(0)
    for waited_s, moved_bytes in moves:
        assert meter.keeps(waited_s, moved_bytes + round(100 * waited_s) + 1)
        assert idle.keeps(0.0, 0)
        assert free.keeps(waited_s, 0)


def test_each_window_counts_for_itself() -> None:
    meter = Pace(100)
    assert meter.keeps(0.3, 1_000_000)
    assert meter.keeps(0.3, 0)
    assert meter.keeps(0.3, 0)
    assert not meter.keeps(0.3, 30)
    assert meter.keeps(0.3, 0)
    assert meter.keeps(0.3, 60)


class Sender:
    """A client that sends one request's body as slowly as it is told."""

    def __init__(self, service: Service, way: str) -> None:
        self.method, self.path, self.kind, self.before, self.content, self.after = WAYS[way]
        self.port = int(service.url.rpartition(":")[2])

    async def open(self) -> None:
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        head = f"{self.method} {self.path} HTTP/1.1\r\nHost: x\r\nContent-Type: {self.kind}\r\n"
        length = len(self.before) + len(self.content) + len(self.after)
        head += f"Authorization: Bearer {KEYS['write']}\r\nContent-Length: {length}\r\n\r\n"
        self.writer.write(head.encode() + self.before)

    async def send(self, piece_bytes: int, pause_s: float) -> int:
        """Send all of the body, or until there is an answer; return its status."""
        answer = asyncio.create_task(read_head(self.reader))
        data = self.content + self.after
        for start in range(0, len(data), piece_bytes):
            self.writer.write(data[start : start + piece_bytes])
            await asyncio.wait([answer], timeout=pause_s)
            if answer.done():
                self.rest = data[start + piece_bytes :]
                break
        async with asyncio.timeout(20):
            status, self.headers = await answer
        return status


def incoming(service: Service) -> list[Path]:
    return list((Path(service.services.settings.storage.root) / "incoming").iterdir())


@pytest.mark.parametrize("way", WAYS)
async def test_a_body_that_creeps_in_ends_with_408(start_service: StartService, way: str) -> None:
    service = await start_service(server={"min_bytes_per_s": 1000})
    await service.application()
    sender = Sender(service, way)
    await sender.open()
    began_s = time.monotonic()
    assert await sender.send(10, 0.05) == 408
    assert 0.3 < time.monotonic() - began_s < 15
    assert incoming(service) == []
    assert sender.headers["Connection"] == "close"
    # Also when the client sends the rest now.
    sender.writer.write(sender.rest)
    async with asyncio.timeout(20):
        await sender.reader.read()
    assert sender.reader.at_eof()
    sender.writer.close()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("how", [(1000, 1000, 0.05), (0, 1000, 0.05), (1000, 7000, 0.3)])
async def test_slow_is_not_too_slow(start_service: StartService, way: str, how: tuple[int, int, float]) -> None:
    """Above the minimum for several windows, without one, and with pauses that nearly fill a window.

    The test machine may be slow too, so the client keeps well above.
    """
    minimum, piece_bytes, pause_s = how
    service = await start_service(server={"min_bytes_per_s": minimum})
    await service.application()
    sender = Sender(service, way)
    await sender.open()
    assert await sender.send(piece_bytes, pause_s) in (200, 201)
    sender.writer.close()


async def test_a_slow_disk_is_not_the_clients_fault(
    start_service: StartService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk takes half of what the client has to send at least, so the client waits for it."""
    monkeypatch.setattr(staged, "BATCH_BYTES", 100_000)
    monkeypatch.setattr(staged, "MOST_WAITING_BYTES", 200_000)
    monkeypatch.setattr("updater.web.transfer.uploads.READ_BYTES", 100_000)
    write = StagedFile.write

    def write_slowly(self: StagedFile, batch: bytes) -> None:
        time.sleep(len(batch) / 150_000)
        write(self, batch)

    monkeypatch.setattr(StagedFile, "write", write_slowly)
    service = await start_service(server={"min_bytes_per_s": 300_000})
    await service.application()
    began_s = time.monotonic()
    await service.publish(bytes(500_000), "1.0.0")
    assert time.monotonic() - began_s > 2.5


@pytest.fixture
async def start_download(tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    """Return a function that serves one large file, looking ten times a second."""
    runners = []

    async def start(min_bytes_per_s: int, place: Any = None, tls: Any = None) -> Server:
        path = tmp_path / "blob"
        with path.open("wb") as file:
            file.truncate(BIG_BYTES)
        server = Server(Download(place or path, "ab" * 32, BIG_BYTES, "big.bin"), options={"stall_s": 0.8})
        app = web.Application()
        app[MIN_BYTES_PER_S] = min_bytes_per_s
        app.router.add_get("/file", server.handle)
        runners.append(web.AppRunner(app, shutdown_timeout=0.1))
        await runners[-1].setup()
        await web.TCPSite(runners[-1], "127.0.0.1", 0, ssl_context=tls).start()
        server.port = runners[-1].addresses[0][1]
        return server

    yield start
    for runner in runners:
        await runner.cleanup()


async def take(server: Server, rounds: int, piece_bytes: int, last_byte: int = BIG_BYTES - 1) -> socket.socket:
    """Ask for the file and read a piece ten times a second, until cut off."""
    loop = asyncio.get_running_loop()
    sock = await connected_with_small_buffer(server.port)
    await loop.sock_sendall(sock, request_bytes(headers={"Range": f"bytes=0-{last_byte}"}))
    for _ in range(rounds):
        await asyncio.sleep(0.1)
        if server.ended.is_set():
            break
        await loop.sock_recv(sock, piece_bytes)
    return sock


async def test_a_client_that_creeps_is_cut_off(start_download: Callable[..., Any]) -> None:
    """It takes something all the time: it is not the stall that ends it."""
    server = await start_download(200_000)
    with await take(server, 40, 6_000) as sock:
        sent = await server.last_sent()
        assert (sent.ending, sent.reached_end) == (Ending.SLOW, False)
        assert 0 < sent.body_bytes < BIG_BYTES
        with pytest.raises(ConnectionResetError):
            while await asyncio.get_running_loop().sock_recv(sock, 2**20):
                pass


async def test_a_client_that_creeps_behind_tls_is_cut_off(start_download: Callable[..., Any], tmp_path: Path) -> None:
    serving, asking = certified(tmp_path)
    server = await start_download(2_000_000, tls=serving)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=asking, limit=2**16)
    writer.write(request_bytes())
    for _ in range(40):
        if server.ended.is_set():
            break
        try:
            await reader.readexactly(60_000)
        except (asyncio.IncompleteReadError, ConnectionError):
            break
        await asyncio.sleep(0.1)
    # A machine that is busy lets it take nothing at all for a while.
    assert (await server.last_sent()).ending in (Ending.SLOW, Ending.STALLED)
    writer.transport.abort()


@pytest.mark.parametrize(("minimum", "piece_bytes"), [(50_000, 20_000), (0, 6_000)])
async def test_a_slow_client_above_the_rate_goes_on(
    start_download: Callable[..., Any], minimum: int, piece_bytes: int
) -> None:
    """Four windows at four times the minimum, or with none; then it takes the rest."""
    server = await start_download(minimum)
    loop = asyncio.get_running_loop()
    with await take(server, 18, piece_bytes, 9_999_999) as sock:
        assert not server.ended.is_set()
        await asyncio.sleep(0.3)
        while not server.ended.is_set():
            await asyncio.wait_for(loop.sock_recv(sock, 2**20), 20)
    assert (await server.last_sent()).ending is Ending.COMPLETE


class Trickle:
    """A store that gives 2 KB twenty times a second."""

    async def read(self, digest: str, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        for _ in range(start, start + (length or 0), 2_000):
            await asyncio.sleep(0.05)
            yield bytes(2_000)


async def test_a_slow_store_is_not_the_clients_fault(start_download: Callable[..., Any]) -> None:
    server = await start_download(200_000, Trickle())
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(request_bytes(headers={"Range": "bytes=0-59999"}))
    status, _ = await read_head(reader)
    assert status == 206
    assert len(await reader.readexactly(60_000)) == 60_000
    assert (await server.last_sent()).ending is Ending.COMPLETE
    writer.close()


async def test_who_does_not_take_an_answer_is_cut_off(
    start_service: StartService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """aiohttp waits for such a client for ever. Control: without `StalledClientMonitor`."""
    monkeypatch.setattr(stalled, "LOOK_S", 0.1)
    monkeypatch.setattr(stalled, "STALL_S", 0.5)
    service = await start_service(server={"min_bytes_per_s": 100_000})
    loop = asyncio.get_running_loop()
    for path, piece_bytes in (
        ("/api/v1/docs/swagger-ui-bundle.js", 0),
        ("/api/v1/openapi.json", 0),
        ("/api/v1/docs/swagger-ui-bundle.js", 2_000),
        ("/health", 0),
    ):
        with await connected_with_small_buffer(int(service.url.rpartition(":")[2])) as sock:
            asking = asyncio.create_task(loop.sock_sendall(sock, request_bytes(path=path) * 20_000))
            async with asyncio.timeout(30):
                while sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != errno.ECONNRESET:
                    await asyncio.sleep(0.05)
                    try:
                        await asyncio.wait_for(loop.sock_recv(sock, piece_bytes), 20) if piece_bytes else None
                    except ConnectionResetError:
                        break
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)


async def test_who_takes_an_answer_slowly_gets_it(start_service: StartService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stalled, "LOOK_S", 0.1)
    monkeypatch.setattr(stalled, "STALL_S", 0.5)
    service = await start_service(server={"min_bytes_per_s": 20_000})
    loop = asyncio.get_running_loop()
    with await connected_with_small_buffer(int(service.url.rpartition(":")[2])) as sock:
        await loop.sock_sendall(sock, request_bytes(path="/api/v1/docs/swagger-ui-bundle.js"))
        taken_bytes = 0
        while taken_bytes < 1_000_000:
            await asyncio.sleep(0.05)
            taken_bytes += len(await asyncio.wait_for(loop.sock_recv(sock, 25_000), 20))
