"""Requests that no honest client sends: answered in the error shape, quickly, and nothing stays.

The access log is on: a line that cannot be rendered must not fail a request, nor be lost with its batch (the control
for `logs._dumps`: with plain orjson the first test is red).
"""

from __future__ import annotations

import asyncio
import gzip
import io
import time
from typing import Any

import orjson
import pytest

from tests.actors import TESTER
from tests.web.raw import RawAnswer, request, send
from updater.web.gate.access_log import GATHER_S
from updater.web.messages.pace import SILENCE_S

ADMIN = "Authorization: Bearer admin-key-0123456789"
JSON = "Content-Type: application/json"
FORM = "Content-Type: multipart/form-data; boundary=XX"
UPLOAD = "/api/v1/updates/my-app/upload"
BUILD = "/api/v1/updates/my-app/builds/1.0.0/linux/amd64"
CHECK = "/api/v1/updates/my-app/check?current_version=0.1.0&platform=linux&architecture=amd64"
SIX = {"error", "message", "code", "details", "timestamp", "request_id"}
CANARY = "canary-7f3a"


def part(name: bytes, content: bytes = b"1", *lines: bytes) -> bytes:
    head = b'Content-Disposition: form-data; name="' + name + b'"'
    return b"--XX\r\n" + b"\r\n".join([head, *lines]) + b"\r\n\r\n" + content + b"\r\n"


GOOD = part(b"version", b"1.0.0") + part(b"platform", b"linux") + part(b"architecture", b"amd64")
FILE = b'--XX\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nbytes\r\n'
END = b"--XX--\r\n"


def hold(answer: RawAnswer, *statuses: int) -> None:
    assert answer.status in statuses, (answer.status, answer.body[:300])
    if answer.status >= 400:
        assert set(answer.json) >= SIX
        assert answer.headers["content-type"].startswith("application/json")


ODD_HEADS: list[Any] = [
    (request("GET", CHECK, b"User-Agent: \xff\xfe"), (200,)),
    (request("GET", CHECK, b"X-Forwarded-For: \xff"), (200,)),
    (request("GET", CHECK, host=b"\xff"), (400,)),
    (request("GET", CHECK, host=b'a"b<c>'), (400,)),
    (request("GET", CHECK, host=b""), (400,)),
    (request("GET", CHECK, host=b"x" * 300), (400,)),
    (request("GET", "/api/v1/applications", b"Authorization: Bearer \xff\xfe"), (401,)),
    (request("GET", "/api/v1/applications", "Authorization: Bearer " + "x" * 30_000), (401,)),
    (request("GET", "/api/v1/applications", "Authorization:"), (401,)),
    (request("OPTIONS", "*"), (404, 405)),
    (request("CONNECT", "a:1"), (400, 404, 405)),
    (request("GET", "//["), (400, 404)),
    (request("GET", "/%"), (404,)),
    (request("GET", "http://other.example/health"), (400,)),
    (request("GET", "/health", "Range: bytes=" + ",".join(f"{each}-{each}" for each in range(1500))), (200,)),
    (request("GET", "/health", "Upgrade: websocket", "Connection: Upgrade"), (200, 400)),
    (request("GET", CHECK.replace("linux", "%ff")), (422,)),
    (request("GET", CHECK + "&include_metadata=true&include_metadata=x"), (200, 422)),
    (request("GET", CHECK + "&x=1" * 1500), (200,)),
    (request("GET", "/health", "Expect: " + CANARY), (417,)),
    (request("GET", "/nope", "Expect: " + CANARY), (417,)),
    (request("POST", "/api/v1/check", "Expect: " + CANARY, JSON, body=b"{}"), (417,)),
]


async def test_odd_heads(logged_service: Any, log_lines: io.BytesIO) -> None:
    """Each is logged, whatever bytes it holds."""
    await logged_service.publish(b"x", "1.0.0")
    for head, statuses in ODD_HEADS:
        answer = await send(logged_service.url, head)
        hold(answer, *statuses)
        assert CANARY.encode() not in answer.body
    await asyncio.sleep(2 * GATHER_S)
    assert rb'"agent": "\udcff\udcfe"' in log_lines.getvalue()


UNREADABLE: list[Any] = [
    CANARY.encode() + b" / HTTP/1.1\r\n\r\n",
    b"GET /" + CANARY.encode() + b"\xff HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nBad Header: " + CANARY.encode() + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\n" + CANARY.encode() + b"\r\n\r\n",
    b"GET /" + CANARY.encode() + b"x" * 9000 + b" HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nX: " + CANARY.encode() + b"x" * 40_000 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 500 + b"\r\n",
    b"GET / HTTP/9.9\r\nHost: " + CANARY.encode() + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nHost: " + CANARY.encode() + b"\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST /api/v1/check HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + CANARY.encode() + b"\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01" + CANARY.encode() + b"\r\n\r\n",
    b"\x00" * 100 + b"\r\n\r\n",
]


async def test_what_the_parser_refuses_is_not_quoted(logged_service: Any, log_lines: io.BytesIO) -> None:
    """aiohttp itself answers with the offending line as plain text, and logs a traceback.

    Control: `web.AppRunner` in place of `Runner`.
    """
    for data in UNREADABLE:
        log_lines.truncate(0)
        answer = await send(logged_service.url, data)
        hold(answer, 400, 404)
        assert CANARY.encode() not in answer.body
        logged = log_lines.getvalue()
        assert b"Traceback" not in logged
        if answer.status == 400:
            (line,) = [each for each in logged.splitlines() if b"request.unreadable" in each]
            assert CANARY.encode() not in line


ODD_FORMS: list[Any] = [
    ([FORM], b"", (400,)),
    ([FORM], END, (422, 400)),
    (["Content-Type: multipart/form-data"], FILE + END, (400,)),
    (["Content-Type: multipart/form-data; boundary=" + "x" * 200], FILE + END, (400,)),
    ([b"Content-Type: multipart/form-data; boundary=\xff"], FILE + END, (400,)),
    (["Content-Type: multipart/mixed; boundary=XX"], FILE + END, (415,)),
    (["Content-Type: application/json"], b"{}", (415,)),
    ([FORM, "Content-Encoding: gzip"], gzip.compress(GOOD + FILE + END), (415,)),
    ([FORM, "Content-Encoding: identity", "Content-Encoding: gzip"], gzip.compress(GOOD + FILE + END), (415,)),
    ([FORM], GOOD + FILE + FILE + END, (422,)),
    ([FORM], GOOD + END, (422,)),
    ([FORM], GOOD + part(b"version") + FILE + END, (422,)),
    ([FORM], GOOD + part(b"surprise") + FILE + END, (422,)),
    ([FORM], GOOD + part(b"\xff\xfe") + FILE + END, (422,)),
    ([FORM], GOOD + part(b"") + FILE + END, (422,)),
    ([FORM], GOOD + part(b"release_notes", b"\xff") + FILE + END, (422,)),
    ([FORM], GOOD + part(b"release_notes", b"x" * 70_000) + FILE + END, (422,)),
    ([FORM], GOOD + part(b"file", b"eA==", b"Content-Transfer-Encoding: base64") + END, (415,)),
    ([FORM], GOOD + part(b"file", b"x", b"Content-Encoding: gzip") + END, (415,)),
    ([FORM], GOOD + part(b"file", b"--YY--", b"Content-Type: multipart/mixed; boundary=YY") + END, (400,)),
    ([FORM], GOOD + part(b"file", b"x", b"X: " + b"y" * 100_000) + END, (400,)),
    ([FORM], GOOD + part(b"file", b"x", *[b"X: y"] * 1000) + END, (400,)),
    ([FORM], GOOD + FILE[:-2], (400,)),
    ([FORM], GOOD + FILE, (400,)),
    ([FORM], part(b"release_notes") + b"".join(part(b"n%d" % each) for each in range(20_000)) + END, (422,)),
    ([FORM], b"--XX\r\ngarbage--XX--", (400,)),
    ([FORM, "Transfer-Encoding: chunked"], b"5\r\nhello\r\nzz\r\n", (400,)),
]


async def test_odd_forms(logged_service: Any) -> None:
    """One request each; nothing is stored, and nothing is left in `incoming/`."""
    for lines, body, statuses in ODD_FORMS:
        started = time.perf_counter()
        hold(await send(logged_service.url, request("POST", UPLOAD, ADMIN, *lines, body=body)), *statuses)
        assert time.perf_counter() - started < 15
        stored = await logged_service.stored()
        assert (stored["build"], stored["blob"], stored["files"]) == (0, 0, 0), lines


async def test_twenty_thousand_parts_of_known_names_end_early(logged_service: Any) -> None:
    """More parts than there are fields can only be doubles; the connection is not read to its end."""
    body = part(b"release_notes") * 20_000 + END
    answer = await send(logged_service.url, request("POST", UPLOAD, ADMIN, FORM, body=body))
    hold(answer, 422)
    assert answer.json["errors"] == {"release_notes": "given more than once"}


async def test_file_names_of_any_bytes(logged_service: Any) -> None:
    """A name that keeps the rules stays, read as HTTP reads it; any other is generated, with the suffix that is one."""
    for number, name in enumerate(
        (b"../../etc/passwd", b"\xff\xfe.exe", b"a\\b.dmg", b"a.\xff", b"x" * 5000, b"a.b c", b"")
    ):
        version = b"1.0.%d" % number
        file = b'--XX\r\nContent-Disposition: form-data; name="file"; filename="' + name + b'"\r\n\r\nx\r\n'
        body = GOOD.replace(b"1.0.0", version) + file + END
        hold(await send(logged_service.url, request("POST", UPLOAD, ADMIN, FORM, body=body)), 201)
        path = f"/api/v1/updates/my-app/download/{version.decode()}/linux/amd64"
        disposition = (await send(logged_service.url, request("GET", path))).headers["content-disposition"]
        suffix = {1: ".exe"}.get(number, "")
        kept = {2: "ab.dmg", 5: "a.b c"}.get(number, f"my-app-{version.decode()}-linux-amd64{suffix}")
        assert disposition == f'attachment; filename="{kept}"'


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "GZIP", "identity, gzip", "x"])
async def test_encoded_bodies_are_refused(logged_service: Any, encoding: str) -> None:
    """A megabyte of gzip would become a gigabyte. 415 wherever a body is taken."""
    bomb = gzip.compress(b" " * 30_000_000, 1)
    line = f"Content-Encoding: {encoding}"
    for method, path, kind in (
        ("POST", "/api/v1/check", JSON),
        ("POST", UPLOAD, FORM),
        ("PUT", BUILD, "Content-Type: application/octet-stream"),
    ):
        started = time.perf_counter()
        answer = await send(logged_service.url, request(method, path, ADMIN, kind, line, body=bomb))
        hold(answer, 415)
        assert time.perf_counter() - started < 15
    assert (await logged_service.stored())["files"] == 0


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [("POST", "/api/v1/check", JSON), ("POST", UPLOAD, FORM), ("PUT", BUILD, "X: y")],
)
@pytest.mark.parametrize("framing", ["Content-Length: 1000", "Transfer-Encoding: chunked"])
async def test_a_silent_client_gets_408(
    logged_service: Any, monkeypatch: pytest.MonkeyPatch, method: str, path: str, kind: str, framing: str
) -> None:
    """Control: without the timeouts around the reads, this test ends in its own timeout."""
    monkeypatch.setattr("updater.web.messages.pace.SILENCE_S", 0.2)
    begun = b"6\r\n--XX\r\n\r\n" if "chunked" in framing else b"--XX\r\n"
    for sent in (b"", begun):
        started = time.perf_counter()
        answer = await send(logged_service.url, request(method, path, ADMIN, kind, framing, body=sent))
        hold(answer, 408)
        assert time.perf_counter() - started < 15
        assert answer.headers["connection"] == "close"
    assert (await logged_service.stored())["files"] == 0


def test_silence_ends_within_35_seconds() -> None:
    assert SILENCE_S <= 34


async def test_a_body_that_breaks_in_the_middle(logged_service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The head was fine and its handler waits; then comes nonsense instead of a chunk.

    aiohttp does not tell the handler, so it ends as silence.
    """
    monkeypatch.setattr("updater.web.messages.pace.SILENCE_S", 0.3)
    for method, path, kind in (("POST", "/api/v1/check", JSON), ("POST", UPLOAD, FORM), ("PUT", BUILD, "X: y")):
        port = int(logged_service.url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request(method, path, ADMIN, kind, "Transfer-Encoding: chunked"))
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.write(b"5\r\nhello\r\nnonsense\r\n")
        async with asyncio.timeout(30):
            status = int((await reader.readline()).split()[1])
        writer.transport.abort()
        assert status in (400, 408)
    assert (await logged_service.stored())["files"] == 0


async def test_tiny_pieces(logged_service: Any) -> None:
    """A slow but honest client is served: one byte a chunk."""
    body = orjson.dumps(
        {"application_id": "my-app", "current_version": "1.0.0", "platform": "linux", "architecture": "arm"}
    )
    pieces = [b"1\r\n%c\r\n" % byte for byte in body] + [b"0\r\n\r\n"]
    head = request("POST", "/api/v1/check", JSON, "Transfer-Encoding: chunked")
    hold(await send(logged_service.url, [head, *pieces]), 200)
    content = b"".join(b"1\r\nx\r\n" for _ in range(20_000)) + b"0\r\n\r\n"
    head = request("PUT", BUILD, ADMIN, "Transfer-Encoding: chunked")
    answer = await send(logged_service.url, [head, content])
    hold(answer, 201)
    assert answer.json["file_size"] == 20_000


async def test_an_upload_that_is_too_large(start_service: Any) -> None:
    """Announced or not: 413, and nothing stays."""
    service = await start_service(storage={"max_upload_bytes": 100_000})
    await service.application()
    chunks = b"".join(b"2710\r\n" + b"x" * 10_000 + b"\r\n" for _ in range(12)) + b"0\r\n\r\n"
    form = (
        GOOD
        + b'--XX\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        + b"x" * 100_001
        + b"\r\n"
        + END
    )
    for data in (
        request("PUT", BUILD, ADMIN, "Content-Length: 100001"),
        request("PUT", BUILD, ADMIN, "Transfer-Encoding: chunked", body=chunks),
        request("POST", UPLOAD, ADMIN, FORM, body=form),
        request("POST", UPLOAD, ADMIN, FORM, "Content-Length: 99999999999"),
    ):
        answer = await send(service.url, data)
        hold(answer, 413)
        assert answer.json["code"] == "BAD_REQUEST"
    assert (await service.stored())["files"] == 0
    exactly = request("PUT", BUILD, ADMIN, body=b"x" * 100_000)
    hold(await send(service.url, exactly), 201)


async def test_secrets_are_in_no_log_and_no_answer(start_service: Any, log_lines: io.BytesIO) -> None:
    """Keys sent in every place a client could put one, good and wrong ones; then the log and all answers are read.

    Control: logging `request.path_qs` instead of `request.path` puts the key of the query into the log.
    """
    service = await start_service(logging={"access": True, "level": "debug"})
    await service.application()
    _, fresh = await service.services.access.create_key("fresh", "admin", actor=TESTER)
    answers = b""
    for secret in ("admin-key-0123456789", fresh, "wrong-" + CANARY):
        for data in (
            request("GET", "/api/v1/applications", f"Authorization: Bearer {secret}"),
            request("GET", "/api/v1/applications", f"Authorization: Basic {secret}"),
            request("GET", "/api/v1/applications", f"Authorization: {secret}", f"X-API-Key: {secret}"),
            request(
                "GET", "/api/v1/applications", f"Authorization: Bearer {secret}", f"Authorization: Bearer {secret}"
            ),
            request("GET", f"/api/v1/applications?api_key={secret}&limit={secret}", f"Cookie: sessionid={secret}"),
            request("GET", f"/api/v1/latest?platform=linux&key={secret}", f"X-API-Key: {secret}"),
            request("POST", "/api/v1/check", f"Authorization: Bearer {secret}", JSON, body=b"{"),
            request("GET", "/health", f"Authorization: Bearer {secret}", "Bad Header: x"),
            request("GET", "/health", f"Authorization: Bearer {secret}", f"Expect: {secret}"),
        ):
            answers += (await send(service.url, data)).body
    await asyncio.sleep(2 * GATHER_S)
    logged = log_lines.getvalue()
    assert logged.count(b'"event":"request"') > 20
    for secret in (b"admin-key-0123456789", fresh.encode(), CANARY.encode()):
        assert secret not in logged
        assert secret not in answers
        assert secret not in repr(service.services.access).encode()
