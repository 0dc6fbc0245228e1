"""Uploads whose headers say that the body is not the whole file, or no file: refused at every door, or honoured.

What is published is always what the sender meant: nothing is stored of a request that was refused.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest

from tests.conftest import Service, StartService
from tests.web.api.test_hostile_requests import ADMIN, BUILD, END, FILE, FORM, GOOD, UPLOAD, hold
from tests.web.raw import request, send

CONTENT = b"the whole file"
SHA256 = base64.b64encode(hashlib.sha256(CONTENT).digest()).decode()
SHA512 = base64.b64encode(hashlib.sha512(CONTENT).digest()).decode()
MD5 = base64.b64encode(hashlib.md5(CONTENT).digest()).decode()
OTHER = base64.b64encode(hashlib.sha256(b"other").digest()).decode()
STREAM = "Content-Type: application/octet-stream"

# Headers, and how a raw body that comes with them is answered.
RAW: list[tuple[list[str], tuple[int, ...]]] = [
    (["Content-Range: bytes 0-13/28"], (400,)),
    (["Content-Range: bytes 14-27/28"], (400,)),
    (["Content-Range: bytes 0-13/14"], (400,)),
    (["content-range: x"], (400,)),
    (["Upload-Offset: 14"], (400,)),
    (["Upload-Complete: ?0"], (400,)),
    (["Upload-Incomplete: ?1"], (400,)),
    (["Tus-Resumable: 1.0.0"], (400,)),
    (["Content-Type: multipart/form-data; boundary=XX"], (415,)),
    (["Content-Type: MultiPart/Mixed; boundary=XX"], (415,)),
    (["Content-Type: multipart/byteranges; boundary=XX"], (415,)),
    (["Content-Type: application/x-www-form-urlencoded"], (415,)),
    (["Content-Type: application/x-www-form-urlencoded; charset=x"], (415,)),
    (["Content-Type: application/offset+octet-stream"], (415,)),
    (["Content-Type: application/partial-upload"], (415,)),
    (["Content-Type: message/partial"], (415,)),
    ([STREAM, "Content-Type: multipart/form-data; boundary=XX"], (400, 415)),
    (["Content-Encoding: gzip"], (415,)),
    (["Content-Encoding: br"], (415,)),
    (["Content-Encoding: aws-chunked"], (415,)),
    (["Content-Encoding: identity, zstd"], (415,)),
    (["X-Amz-Decoded-Content-Length: 14", "X-Amz-Content-Sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER"], (415,)),
    (["Content-Transfer-Encoding: base64"], (415,)),
    (["Content-Transfer-Encoding: quoted-printable"], (415,)),
    (["Expect: 200-maybe"], (417,)),
    (["Expect: 100-continue, x"], (417,)),
    ([f"Content-MD5: {OTHER}"], (400, 422)),
    (["Content-MD5: %%%"], (400,)),
    ([f"Digest: sha-256={OTHER}"], (422,)),
    (["Digest: adler32=03da0195"], (400,)),
    ([f"Content-Digest: sha-256=:{OTHER}:"], (422,)),
    ([f"Repr-Digest: sha-256=:{SHA256}:, sha-512=:{OTHER}:"], (400, 422)),
    (["Repr-Digest: crc32c=:AAAAAA==:"], (400,)),
    (["Content-Digest: nonsense"], (400,)),
    (["Content-Digest: sha-256=nonsense"], (400,)),
    (["Trailer: X-Checked, content-digest"], (400,)),
    (["X-Amz-Content-Sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD"], (415,)),
]
RAW_GOOD = [
    [],
    [STREAM],
    ["Content-Type: application/vnd.debian.binary-package"],
    ["Content-Type: text/plain; charset=utf-16"],
    ["Content-Encoding: identity"],
    ["Content-Transfer-Encoding: binary"],
    ["Expect: 100-Continue"],
    ["Upload-Complete: ?1"],
    ["Upload-Offset: 0"],
    [f"Content-MD5: {MD5}"],
    [f"Digest: SHA-256={SHA256}, md5={MD5}, adler32=03da0195"],
    [f"Content-Digest: sha-512=:{SHA512}:, crc32c=:AAAAAA==:"],
    [f"Repr-Digest: sha-256=:{SHA256}:", f"Repr-Digest: sha-512=:{SHA512}:"],
]


@pytest.fixture
async def service(start_service: StartService) -> Service:
    started = await start_service()
    await started.application()
    return started


@pytest.mark.parametrize(("lines", "statuses"), RAW, ids=lambda each: str(each)[:60])
async def test_a_raw_body_that_is_not_the_file(service: Any, lines: list[str], statuses: tuple[int, ...]) -> None:
    hold(await send(service.url, request("PUT", BUILD, ADMIN, *lines, body=CONTENT)), *statuses)
    stored = await service.stored()
    assert (stored["build"], stored["files"]) == (0, 0)


@pytest.mark.parametrize("lines", RAW_GOOD, ids=lambda each: str(each)[:60])
async def test_a_raw_body_that_is_the_file(service: Any, lines: list[str]) -> None:
    answer = await send(service.url, request("PUT", BUILD, ADMIN, *lines, body=CONTENT))
    assert answer.json["checksum"] == hashlib.sha256(CONTENT).hexdigest(), answer.json


@pytest.mark.parametrize(
    "coding", ["gzip, chunked", "deflate", "chunked, gzip", "identity", "gzip", "chunked, chunked"]
)
async def test_a_transfer_coding_that_nobody_undoes(service: Any, coding: str) -> None:
    body = b"e\r\nthe whole file\r\n0\r\n\r\n"
    head = request("PUT", BUILD, ADMIN, f"Transfer-Encoding: {coding}", body=body)
    hold(await send(service.url, head), 400, 415)
    assert (await service.stored())["build"] == 0


async def test_old_http_is_not_told_to_go_on(service: Any) -> None:
    head = request("PUT", BUILD, ADMIN, "Expect: 100-continue", body=CONTENT).replace(b"HTTP/1.1", b"HTTP/1.0", 1)
    raw = await _bytes_of(service.url, head)
    assert raw.startswith((b"HTTP/1.0 201", b"HTTP/1.1 201")), raw[:60]


async def test_a_form_sent_as_a_file(service: Any) -> None:
    """`curl -T form.bin`, or a proxy that lost the Content-Type."""
    for lines in ([], [STREAM]):
        hold(await send(service.url, request("PUT", BUILD, ADMIN, *lines, body=GOOD + FILE + END)), 415)
    assert (await service.stored())["build"] == 0


async def test_no_file_at_all(service: Any) -> None:
    hold(await send(service.url, request("PUT", BUILD, ADMIN)), 422)
    hold(await send(service.url, request("PUT", BUILD, ADMIN, "Content-Length: 0")), 422)
    hold(await send(service.url, request("PUT", BUILD, ADMIN, "Transfer-Encoding: chunked", body=b"0\r\n\r\n")), 422)
    assert (await service.stored())["build"] == 0


def file_part(
    *lines: str, disposition: str = 'form-data; name="file"; filename="a"', content: bytes = CONTENT
) -> bytes:
    head = "\r\n".join([f"Content-Disposition: {disposition}", *lines]).encode()
    return b"--XX\r\n" + head + b"\r\n\r\n" + content + b"\r\n"


FORMS: list[tuple[bytes, tuple[int, ...]]] = [
    (file_part("Content-Range: bytes 0-13/28"), (400,)),
    (file_part("Content-Transfer-Encoding: base64"), (415,)),
    (file_part("Content-Transfer-Encoding: binary", "Content-Transfer-Encoding: base64"), (415,)),
    (file_part("Content-Encoding: gzip"), (415,)),
    (file_part("Content-Type: multipart/mixed; boundary=YY"), (400, 415)),
    (file_part("Content-Type: message/partial"), (415,)),
    (file_part(f"Content-MD5: {OTHER}"), (400, 422)),
    (file_part(f"Content-Digest: sha-256=:{OTHER}:"), (422,)),
    (file_part("Digest: adler32=1"), (400,)),
    (file_part("Content-Length: 3"), (400,)),
    (file_part("Content-Length: 300"), (400,)),
    (file_part("Content-Length: x"), (400,)),
    (file_part(disposition='form-data; name="file"'), (422,)),
    (file_part(disposition='form-data; name="file"; filename=""', content=b""), (422,)),
    (file_part(disposition='form-data; name="file"; filename="a"', content=b""), (422,)),
]


@pytest.mark.parametrize(("part", "statuses"), FORMS, ids=lambda each: str(each)[:90])
async def test_a_part_that_is_not_the_file(service: Any, part: bytes, statuses: tuple[int, ...]) -> None:
    for body in (GOOD + part + END, part + GOOD + END):
        hold(await send(service.url, request("POST", UPLOAD, ADMIN, FORM, body=body)), *statuses)
    stored = await service.stored()
    assert (stored["build"], stored["files"]) == (0, 0)


@pytest.mark.parametrize(
    "body",
    [
        GOOD + file_part()[:-2],
        GOOD + file_part(),
        GOOD + file_part() + b"--XX\r\n",
        GOOD + file_part() + b"--XX",
        GOOD + file_part() + b"--XX-",
        GOOD + file_part() + b"--XX\r\nContent-Disposition: form-da",
        file_part() + GOOD,
        file_part() + GOOD[:-2],
    ],
    ids=lambda each: repr(each[-30:]),
)
async def test_a_form_without_its_end(service: Any, body: bytes) -> None:
    """Its length is right, and yet it was cut before: a proxy's buffer, a script that forgot the last line."""
    hold(await send(service.url, request("POST", UPLOAD, ADMIN, FORM, body=body)), 400, 422)
    stored = await service.stored()
    assert (stored["build"], stored["files"]) == (0, 0)


@pytest.mark.parametrize(
    "line",
    ["Content-Range: bytes 0-1/2", f"Content-Digest: sha-256=:{SHA256}:", f"Content-MD5: {MD5}", "Upload-Complete: ?0"],
)
async def test_a_form_is_refused_for_what_is_said_of_it_as_a_whole(service: Any, line: str) -> None:
    hold(await send(service.url, request("POST", UPLOAD, ADMIN, FORM, line, body=GOOD + file_part() + END)), 400)
    assert (await service.stored())["build"] == 0


@pytest.mark.parametrize(
    "lines", [[f"Content-MD5: {MD5}"], [f"Content-Digest: sha-256=:{SHA256}:"], ["Content-Length: 14"]]
)
async def test_a_part_that_is_the_file(service: Any, lines: list[str]) -> None:
    body = GOOD + file_part(*lines) + END
    answer = await send(service.url, request("POST", UPLOAD, ADMIN, FORM, body=body))
    assert answer.json["checksum"] == hashlib.sha256(CONTENT).hexdigest(), answer.json


async def test_a_field_in_another_character_set(service: Any) -> None:
    field = (
        b'--XX\r\nContent-Disposition: form-data; name="release_notes"\r\n'
        b"Content-Type: text/plain; charset=%s\r\n\r\nx\r\n"
    )
    for charset, statuses in ((b"utf-16", (415,)), (b"nonsense", (415,)), (b"UTF-8", (201,))):
        body = GOOD + field % charset + file_part() + END
        hold(await send(service.url, request("POST", UPLOAD, ADMIN, FORM, body=body)), *statuses)


async def _bytes_of(url: str, sent: bytes) -> bytes:
    import asyncio

    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    writer.write(sent)
    async with asyncio.timeout(20):
        data = await reader.read()
    writer.close()
    return data
