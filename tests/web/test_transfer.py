"""Downloads from a real server over real sockets."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import random
import shutil
import socket
import ssl
import struct
import subprocess
from base64 import b64decode
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import Message
from pathlib import Path
from urllib.parse import unquote

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from tests.web.exchange import Answer, exchange, multipart_parts, read_head, request_bytes
from updater.errors import Unavailable
from updater.web.transfer import wire
from updater.web.transfer.ranged import IMMUTABLE, Download, Ending, Sent, content_disposition, send_file

DATA = random.Random(7).randbytes(1_000_003)
BIG_BYTES = 64 * 1024 * 1024  # more than every buffer between two sockets together


@dataclass
class Server:
    """A running server with one file, and what its handler learned."""

    download: Download
    port: int = 0
    runner: web.AppRunner | None = None
    options: dict = field(default_factory=dict)
    sent: list[Sent] = field(default_factory=list)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def etag(self) -> str:
        return self.download.etag

    async def handle(self, request: web.Request) -> web.StreamResponse:
        response = await send_file(request, self.download, **self.options)
        self.sent.append(response.sent)
        self.ended.set()
        return response

    async def last_sent(self) -> Sent:
        async with asyncio.timeout(30):
            await self.ended.wait()
        return self.sent[-1]

    async def get(self, method: str = "GET", **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await exchange(self.port, method, named)


@web.middleware
async def render_unavailable(request, handler):
    try:
        return await handler(request)
    except Unavailable as failure:
        return web.json_response({"message": failure.message}, status=503)


def stored(path: Path, data: bytes, file_name: str = "app-1.0.0.exe") -> Download:
    path.write_bytes(data)
    return Download(path, hashlib.sha256(data).hexdigest(), len(data), file_name)


async def running(server: Server, ssl_context: ssl.SSLContext | None = None):
    app = web.Application(middlewares=[render_unavailable])
    app.router.add_get("/file", server.handle)
    runner = web.AppRunner(app, max_field_size=32768, keepalive_timeout=15, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=ssl_context).start()
    server.port, server.runner = runner.addresses[0][1], runner
    return runner


@pytest.fixture
async def server(tmp_path):
    server = Server(stored(tmp_path / "blob", DATA))
    runner = await running(server)
    yield server
    await runner.cleanup()


@pytest.fixture
async def big_server(tmp_path):
    path = tmp_path / "blob"
    with path.open("wb") as file:
        file.truncate(BIG_BYTES)
    server = Server(Download(path, "ab" * 32, BIG_BYTES, "big.bin"))
    runner = await running(server)
    yield server
    await runner.cleanup()


async def test_a_whole_file(server):
    answer = await server.get()
    assert (answer.status, answer.body) == (200, DATA)
    headers = answer.headers
    assert headers["ETag"] == f'"{hashlib.sha256(DATA).hexdigest()}"'
    digest = headers["Repr-Digest"].removeprefix("sha-256=:").removesuffix(":")
    assert b64decode(digest) == hashlib.sha256(DATA).digest()
    assert headers["Content-Length"] == str(len(DATA))
    assert headers["Accept-Ranges"] == "bytes"
    assert headers["Cache-Control"] == IMMUTABLE
    assert headers["Content-Type"] == "application/octet-stream"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert headers["Content-Disposition"] == 'attachment; filename="app-1.0.0.exe"'
    assert not {"Content-Encoding", "Transfer-Encoding", "Last-Modified", "Content-Range"} & set(headers)
    assert server.sent[0] == Sent(Ending.COMPLETE, len(DATA), reached_end=True)


async def test_one_range(server):
    answer = await server.get(Range="bytes=100-299")
    assert (answer.status, answer.body) == (206, DATA[100:300])
    assert answer.headers["Content-Range"] == f"bytes 100-299/{len(DATA)}"
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert server.sent[0] == Sent(Ending.COMPLETE, 200, reached_end=False)


@pytest.mark.parametrize("value", ["bytes=-10", "bytes=1000000-", "bytes=1000000-9999999", "bytes=5-9,-3"])
async def test_the_last_byte_tells_a_finished_download(server, value):
    answer = await server.get(Range=value)
    assert server.sent[0] == Sent(Ending.COMPLETE, len(answer.body), reached_end=True)


async def test_several_ranges(server):
    answer = await server.get(Range="bytes=900000-,0-4, 2-6,-1")
    size = len(DATA)
    assert answer.status == 206
    assert "Content-Range" not in answer.headers
    assert answer.headers["Content-Type"].startswith("multipart/byteranges; boundary=")
    assert answer.body.startswith(b"\r\n--")
    assert multipart_parts(answer) == [
        (f"bytes 900000-{size - 1}/{size}", DATA[900000:]),
        (f"bytes 0-4/{size}", DATA[:5]),
        (f"bytes 2-6/{size}", DATA[2:7]),
        (f"bytes {size - 1}-{size - 1}/{size}", DATA[-1:]),
    ]
    assert server.sent[0] == Sent(Ending.COMPLETE, len(answer.body), reached_end=True)


@pytest.mark.parametrize("length", [1, 300, 2_700])
async def test_a_thousand_parts_in_an_11_kilobyte_header(server, length):
    chooser = random.Random(length)
    starts = [chooser.randrange(100_000, len(DATA) - length) for _ in range(750 if length > 1 else 1000)]
    value = "bytes=" + ",".join(f"{start}-{start + length - 1}" for start in starts)
    assert 10_000 < len(value) < 32_000
    parts = multipart_parts(await server.get(Range=value))
    assert [content for _, content in parts] == [DATA[start : start + length] for start in starts]


async def test_too_many_parts_give_the_whole_file(server):
    assert (await server.get(Range="bytes=" + ",".join(["1-2"] * 1025))).body == DATA


@pytest.mark.parametrize("value", [None, "bytes=1-2", "bytes=1-2,5-", "bytes=9999999-", "x=1", "bytes=-0"])
async def test_head_mirrors_get(server, value):
    headers = {"Range": value} if value else {}
    got, headed = await server.get(**headers), await server.get("HEAD", **headers)
    assert headed.status == got.status
    assert headed.body == b""
    for answer in (got, headed):
        del answer.headers["Date"]
    assert headed.headers == got.headers
    assert server.sent[2] == Sent(Ending.NO_BODY)


async def test_not_modified(server):
    answer = await server.get(If_None_Match=f"W/{server.etag}", Range="bytes=0-1")
    assert answer.status == 304
    assert answer.headers["ETag"] == server.etag
    assert answer.headers["Cache-Control"] == IMMUTABLE
    assert "Content-Length" not in answer.headers
    assert not {"Repr-Digest", "Content-Disposition", "Content-Type"} & set(answer.headers)


async def test_precondition_failed(server):
    answer = await server.get(If_Match='"another"')
    assert (answer.status, answer.body, answer.headers["Cache-Control"]) == (412, b"", "no-store")
    assert (await server.get(If_Match=server.etag)).status == 200


@pytest.mark.parametrize("value", ["bytes=1000003-", "bytes=-0", f"bytes={2**64}-"])
async def test_range_not_satisfiable(server, value):
    answer = await server.get(Range=value)
    assert (answer.status, answer.body) == (416, b"")
    assert answer.headers["Content-Range"] == f"bytes */{len(DATA)}"
    assert answer.headers["Cache-Control"] == "no-store"


async def test_a_resumed_download_never_splices_two_builds(server):
    assert (await server.get(Range="bytes=5-", If_Range=server.etag)).status == 206
    for validator in ('"another"', f"W/{server.etag}", "Sun, 06 Nov 2067 08:49:37 GMT"):
        answer = await server.get(Range="bytes=5-", If_Range=validator)
        assert (answer.status, answer.body) == (200, DATA)


async def test_a_date_of_the_file(server):
    server.download = server.download._replace(modified_at=datetime(2026, 3, 1, tzinfo=UTC))
    assert (await server.get()).headers["Last-Modified"] == "Sun, 01 Mar 2026 00:00:00 GMT"
    assert (await server.get(If_Modified_Since="Sun, 01 Mar 2026 00:00:00 GMT")).status == 304


async def test_headers_of_the_caller(server):
    server.options = {
        "cache_control": "private",
        "headers": {"X-File-Hash": "sha256:1", "Vary": "Accept", "etag": "no", "Content-Encoding": "gzip"},
    }
    answer = await server.get()
    assert answer.headers["X-File-Hash"] == "sha256:1"
    assert answer.headers["Cache-Control"] == "private"
    assert answer.headers.getall("ETag") == [server.etag]
    assert "Content-Encoding" not in answer.headers
    kept = (await server.get(If_None_Match=server.etag)).headers
    assert (kept["Vary"], kept["Cache-Control"], "X-File-Hash" in kept) == ("Accept", "private", False)


async def test_an_empty_file(server, tmp_path):
    server.download = stored(tmp_path / "empty", b"")
    answer = await server.get()
    assert (answer.status, answer.body, answer.headers["Content-Length"]) == (200, b"", "0")
    assert server.sent[0] == Sent(Ending.COMPLETE, 0, reached_end=True)


@pytest.mark.parametrize("damage", ["missing", "truncated", "longer", "symlink", "fifo", "folder"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_damaged_file_is_unavailable_before_any_byte(server, damage, method, caplog):
    path = server.download.place
    match damage:
        case "truncated":
            os.truncate(path, len(DATA) - 1)
        case "longer":
            os.truncate(path, len(DATA) + 1)
        case "symlink":
            path.rename(path.with_name("real"))
            path.symlink_to("real")
        case _:
            path.unlink()
    if damage == "fifo":
        os.mkfifo(path)
    if damage == "folder":
        path.mkdir()
    answer = await server.get(method, Range="bytes=0-1")
    assert answer.status == 503
    assert str(path.parent) not in answer.body.decode() + caplog.text
    assert server.sent == []
    assert caplog.records[0].levelno == logging.ERROR


async def test_a_file_that_shrinks_on_the_way_cuts_the_connection(big_server, caplog):
    reader, writer = await asyncio.open_connection("127.0.0.1", big_server.port)
    writer.write(request_bytes())
    status, headers = await read_head(reader)
    os.truncate(big_server.download.place, BIG_BYTES // 2)
    body = await reader.read(-1)
    writer.close()
    assert (status, headers["Content-Length"]) == (200, str(BIG_BYTES))
    assert len(body) == BIG_BYTES // 2
    assert body.strip(b"\0") == b""
    assert await big_server.last_sent() == Sent(Ending.BROKEN, BIG_BYTES // 2)
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


def leave_with_reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@pytest.mark.parametrize("leave", [leave_with_reset, asyncio.StreamWriter.close])
@pytest.mark.parametrize("value", ["bytes=0-", "bytes=0-40000000,0-", "bytes=" + "0-65535," * 1000])
async def test_a_client_that_leaves_is_no_error(big_server, leave, value, caplog):
    caplog.set_level(logging.DEBUG, "asyncio")
    reader, writer = await asyncio.open_connection("127.0.0.1", big_server.port, limit=2**16)
    writer.write(request_bytes(headers={"Range": value}))
    await reader.readexactly(300_000)
    leave(writer)
    sent = await big_server.last_sent()
    assert (sent.ending, sent.reached_end) == (Ending.LEFT, False)
    assert 300_000 - 2000 < sent.body_bytes < BIG_BYTES
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def connected_with_small_buffer(port: int) -> socket.socket:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
    return sock


@pytest.mark.parametrize("value", ["bytes=0-", "bytes=0-30000000,0-", "bytes=" + "0-65535," * 1000])
@pytest.mark.parametrize("sight", ["progress", "slices"])
async def test_a_client_that_stalls_is_cut_off(big_server, value, sight, caplog, monkeypatch):
    if sight == "slices":
        monkeypatch.setattr(wire.Wire, "_find_position", lambda _: None)
    big_server.options = {"stall_s": 0.4}
    loop = asyncio.get_running_loop()
    with await connected_with_small_buffer(big_server.port) as sock:
        await loop.sock_sendall(sock, request_bytes(headers={"Range": value}))
        await loop.sock_recv(sock, 1000)
        sent = await big_server.last_sent()
        assert (sent.ending, sent.reached_end) == (Ending.STALLED, False)
        assert 0 < sent.body_bytes < BIG_BYTES
        with pytest.raises(ConnectionResetError):
            while await loop.sock_recv(sock, 2**20):
                pass
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_a_slow_client_that_moves_is_never_cut_off(big_server):
    """The control of the test above: three times the stall, during which the kernel takes nothing new."""
    big_server.options = {"stall_s": 0.5}
    loop = asyncio.get_running_loop()
    with await connected_with_small_buffer(big_server.port) as sock:
        await loop.sock_sendall(sock, request_bytes(headers={"Range": "bytes=0-30000000"}))
        for _ in range(15):
            await asyncio.sleep(0.1)
            await loop.sock_recv(sock, 20_000)
        assert not big_server.ended.is_set()
        received = 0
        while received < 29_600_000:
            received += len(await loop.sock_recv(sock, 2**20))
    assert (await big_server.last_sent()).ending is Ending.COMPLETE


async def test_a_file_leaves_in_whole_segments_and_nothing_after_it_waits(server, monkeypatch):
    corked, flush = [], wire.Wire.flush

    async def look_and_flush(self: wire.Wire) -> None:
        corked.append(self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_CORK))
        await flush(self)

    monkeypatch.setattr(wire.Wire, "flush", look_and_flush)
    answer = await server.get(Range="bytes=3-900000")
    assert answer.body == DATA[3:900_001]
    assert corked == [1, 0]  # before the only slice, and at the end of the body


async def test_a_stop_of_the_server_cuts_the_connection(tmp_path, caplog):
    path = tmp_path / "blob"
    with path.open("wb") as file:
        file.truncate(BIG_BYTES)
    server = Server(Download(path, "ab" * 32, BIG_BYTES, "big.bin"))
    runner = await running(server)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=2**16)
    writer.write(request_bytes())
    await read_head(reader)
    async with asyncio.timeout(30):
        await runner.cleanup()
    body = b""
    try:
        while chunk := await reader.read(2**20):
            body += chunk
    except ConnectionResetError:
        pass
    writer.close()
    assert len(body) < BIG_BYTES
    assert b"HTTP/1.1" not in body
    assert server.sent == []
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.fixture(params=["tls", "no sendfile"])
async def plain_reads(request, tmp_path, monkeypatch):
    """A server that has to read and write, and the client side of its encryption."""
    server, contexts = Server(stored(tmp_path / "blob", DATA)), (None, None)
    if request.param == "tls":
        contexts = certified(tmp_path)
    else:
        loop = asyncio.get_running_loop()

        async def unavailable(*_args, **_options):
            raise asyncio.SendfileNotAvailableError

        monkeypatch.setattr(loop, "sendfile", unavailable)
    runner = await running(server, contexts[0])
    yield server, contexts[1]
    await runner.cleanup()


def certified(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subject = ["-subj", "/CN=localhost", "-days", "2", "-nodes"]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-keyout", key, "-out", certificate, *subject],
        check=True,
        capture_output=True,
    )
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(certificate, key)
    asking = ssl.create_default_context(cafile=str(certificate))
    asking.check_hostname = False
    return serving, asking


@pytest.mark.parametrize("value", ["bytes=0-", "bytes=3-700000", "bytes=5-600005,1-1,400000-,7-9"])
async def test_without_sendfile_the_same_bytes_leave(plain_reads, value):
    server, context = plain_reads
    answer = await exchange(server.port, headers={"Range": value}, ssl=context)
    contents = [part for _, part in multipart_parts(answer)] if "," in value else [answer.body]
    expected = {
        "bytes=0-": [DATA],
        "bytes=3-700000": [DATA[3:700001]],
        "bytes=5-600005,1-1,400000-,7-9": [DATA[5:600006], DATA[1:2], DATA[400000:], DATA[7:10]],
    }
    assert contents == expected[value]
    assert server.sent[0] == Sent(Ending.COMPLETE, len(answer.body), reached_end=value != "bytes=3-700000")


@pytest.mark.parametrize("stalls", [True, False])
async def test_without_sendfile_clients_stall_and_leave(plain_reads, stalls, tmp_path, caplog):
    server, context = plain_reads
    path = tmp_path / "big"
    with path.open("wb") as file:
        file.truncate(BIG_BYTES)
    server.download = Download(path, "ab" * 32, BIG_BYTES, "big.bin")
    server.options = {"stall_s": 0.4}
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=context, limit=2**16)
    writer.write(request_bytes())
    await reader.readexactly(200_000)
    if not stalls:
        writer.transport.abort()
    sent = await server.last_sent()
    assert sent.ending is (Ending.STALLED if stalls else Ending.LEFT)
    assert 190_000 < sent.body_bytes < BIG_BYTES
    async with asyncio.timeout(30):
        while server.runner.server.connections:
            await asyncio.sleep(0.02)
    writer.transport.abort()
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_an_ordinary_client_reads_and_resumes(server):
    url = f"http://127.0.0.1:{server.port}/file"
    async with aiohttp.ClientSession() as session:
        async with session.get(url) as answer:
            first = await answer.content.readexactly(1000)
            etag = answer.headers["ETag"]
            answer.close()
        async with session.get(url, headers={"Range": "bytes=1000-", "If-Range": etag}) as answer:
            assert answer.status == 206
            assert first + await answer.read() == DATA


NAMES = [
    'a"b.exe',
    "a\r\nX-Evil: 1.exe",
    "a\\b.exe",
    "../../etc/passwd",
    "übung ✓.dmg",
    "100%41.exe",
    "a;filename=b.exe",
    "gpj.\u202eexe",
    "nul\0.exe",
    "\ud800lone.exe",
    "",
    "...",
    "日本語.msi",
    "a" * 5000 + ".exe",
]


def offered_name(disposition: str) -> str:
    """The name that a client reads, by the standard library's parser."""
    message = Message()
    message["Content-Disposition"] = disposition
    name = message.get_param("filename*", header="Content-Disposition", unquote=False)
    charset, _, encoded = name.split("'", 2) if isinstance(name, str) else name
    assert charset == "UTF-8"
    return unquote(encoded, errors="strict")


@pytest.mark.parametrize("name", NAMES)
async def test_a_hostile_file_name_stays_a_name(server, name):
    server.download = server.download._replace(file_name=name)
    answer = await server.get("HEAD")
    assert answer.status == 200
    assert "X-Evil" not in answer.headers
    assert len(answer.headers["Content-Disposition"]) < 2500


def test_an_honest_file_name_survives():
    assert content_disposition("My App-1.0 (x64)_ü%.exe") == (
        "attachment; filename=\"My App-1.0 (x64)____.exe\"; filename*=UTF-8''My%20App-1.0%20%28x64%29_%C3%BC%25.exe"
    ).replace("____", "___")


@given(st.text(st.characters(), max_size=300))
def test_no_file_name_leaves_its_header(name):
    value = content_disposition(name)
    assert value.isascii()
    assert value.isprintable()
    plain = value.removeprefix('attachment; filename="').partition('"')[0]
    assert not set('"\\%/') & set(plain)
    assert value.count('"') == 2
    assert not set("/\\\r\n\0") & set(unquote(value.rpartition("''")[2], errors="strict"))
