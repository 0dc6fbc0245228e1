"""Answers that no update server gives: each call ends with a typed error that says what is wrong."""

from __future__ import annotations

import asyncio
import gzip
import json
import ssl
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.client.conftest import Answers
from tests.conftest import LINUX, QUICK
from updater_client import BadAnswer, InstallReport, Unreachable, UpdateClient, UpdateError, transport

Call = Callable[[UpdateClient], Awaitable[Any]]

BUILD = {"version": "1.1.0", "download_url": "/f", "checksum": " AB12 ", "checksum_type": "SHA256"}
CHECK = {"update_available": True, "current_version": "1.0.0", "latest_version": "1.1.0", **BUILD}
PAGE = {"total_count": 1, "has_more": False}
APPLICATION = {"id": "a", "name": "A", "platforms": ["linux"]}


def check(client: UpdateClient) -> Awaitable[Any]:
    return client.check("a", "1.0.0", LINUX)


def latest(client: UpdateClient) -> Awaitable[Any]:
    return client.latest("a", LINUX)


def releases(client: UpdateClient) -> Awaitable[Any]:
    return client.list_releases("a")


def applications(client: UpdateClient) -> Awaitable[Any]:
    return client.list_applications()


def report(client: UpdateClient) -> Awaitable[Any]:
    return client.report("a", InstallReport("1.0.0", "1.1.0", LINUX, "completed"))


@pytest.mark.parametrize(
    ("call", "body", "said"),
    [
        (check, {}, "lacks 'update_available'"),
        (check, {"update_available": "yes"}, "lacks 'update_available'"),
        (check, {"update_available": False}, "lacks 'current_version'"),
        (check, {**CHECK, "latest_version": None}, "lacks 'latest_version'"),
        (check, {**CHECK, "download_url": 7}, "lacks 'download_url'"),
        (check, {**CHECK, "checksum": None}, "lacks 'checksum'"),
        (check, {**CHECK, "file_size": "12"}, "lacks 'file_size'"),
        (check, {**CHECK, "file_size": True}, "lacks 'file_size'"),
        (check, {**CHECK, "release_date": "yesterday"}, "'release_date' in the answer is no time"),
        (check, {**CHECK, "metadata": []}, "lacks 'metadata'"),
        (check, {**CHECK, "required": 1}, "lacks 'required'"),
        (latest, {**BUILD, "version": ["1"]}, "lacks 'version'"),
        (latest, {**BUILD, "release_notes": {}}, "lacks 'release_notes'"),
        (releases, {**PAGE}, "lacks 'releases'"),
        (releases, {**PAGE, "releases": {}}, "lacks 'releases'"),
        (releases, {**PAGE, "releases": [None]}, "no list of objects"),
        (releases, {**PAGE, "releases": [BUILD]}, "lacks 'platform'"),
        (releases, {**PAGE, "releases": [], "total_count": True}, "lacks 'total_count'"),
        (releases, {**PAGE, "releases": [], "has_more": 0}, "lacks 'has_more'"),
        (applications, {**PAGE, "applications": [{**APPLICATION, "platforms": "linux"}]}, "lacks 'platforms'"),
        (applications, {**PAGE, "applications": [{**APPLICATION, "created_at": "2026-99-99"}]}, "is no time"),
        (report, {}, "did not confirm"),
        (report, {"recorded": "true"}, "did not confirm"),
        (report, {"recorded": False}, "did not confirm"),
    ],
)
async def test_a_field_that_is_missing_or_wrong_is_named(answers: Answers, call: Call, body: Any, said: str) -> None:
    answers.handle = lambda request: answers.json(body)
    async with UpdateClient(answers.url, "key", retry=QUICK) as client:
        with pytest.raises(BadAnswer, match=said) as caught:
            await call(client)
    assert (caught.value.code, len(answers.requests)) == ("BAD_ANSWER", 1)


async def test_what_may_be_absent_or_more_is_no_error(answers: Answers) -> None:
    answers.handle = lambda request: answers.json({**CHECK, "minimum_version": "", "file_size": 0, "new_field": [1]})
    async with UpdateClient(answers.url, retry=QUICK) as client:
        result = await client.check("a", "1.0.0", LINUX)
    build = result.build
    assert build is not None
    assert (build.checksum, build.checksum_type) == (" AB12 ", "sha256"), "as it was announced"
    assert (build.minimum_version, build.file_size_bytes, build.release_date) == (None, None, None)
    assert (build.release_notes, build.metadata, build.required, result.required) == ("", {}, False, False)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not JSON"),
        (b"<html>", "not JSON"),
        (b'{"a": ', "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        (b"[]", "no JSON object"),
        (b"null", "no JSON object"),
        (b'"text"', "no JSON object"),
        (b"[" * 100_000, "not JSON"),
    ],
)
async def test_what_is_no_json_object_is_a_bad_answer(answers: Answers, content: bytes, said: str) -> None:
    async def handle(request: web.Request) -> web.Response:
        return web.Response(body=content)

    answers.handle = handle
    async with UpdateClient(answers.url, "key", retry=QUICK) as client:
        with pytest.raises(BadAnswer, match=said):
            await client.get_application("a")
    assert len(answers.requests) == 1


@pytest.mark.parametrize("packed", [False, True])
async def test_an_answer_without_end_is_given_up(
    answers: Answers, packed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted after it was unpacked: a small answer may become a large one."""
    monkeypatch.setattr(transport, "MAX_ANSWER_BYTES", 1_000_000)
    content = json.dumps({"notes": "x" * 2_000_000}).encode()

    async def handle(request: web.Request) -> web.Response:
        if packed:
            return web.Response(body=gzip.compress(content), headers={"Content-Encoding": "gzip"})
        return web.Response(body=content)

    answers.handle = handle
    async with UpdateClient(answers.url, "key", retry=QUICK) as client:
        with pytest.raises(BadAnswer, match="too long"):
            await client.get_application("a")


async def test_a_refusal_without_end_is_given_up_too(answers: Answers) -> None:
    body = {"message": "x" * (transport.MAX_REFUSAL_BYTES + 1)}
    answers.handle = lambda request: answers.json(body, 422)
    async with UpdateClient(answers.url, "key", retry=QUICK) as client:
        with pytest.raises(BadAnswer, match="422, without a reason"):
            await client.get_application("a")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_the_key_follows_no_redirect(answers: Answers, status: int) -> None:
    answers.handle = lambda request: answers.json({}, status, Location=f"{answers.url}/other")
    async with UpdateClient(answers.url, "secret", retry=QUICK) as client:
        with pytest.raises(BadAnswer, match=r"the server points to http://.*/other: use that address") as caught:
            await client.list_applications()
    assert (caught.value.status, len(answers.requests)) == (status, 1)


@pytest.mark.parametrize(
    ("body", "message", "code", "fields"),
    [
        ({"message": "no"}, "no", "", {}),
        ({"message": None, "errors": {"a": "b"}}, "the request was refused", "", {"a": "b"}),
        ({"message": "no", "errors": ["a"]}, "no", "", {}),
        ({"message": ["odd"], "code": 7, "errors": {"a": {"b": 1}}}, "['odd']", "7", {"a": "{'b': 1}"}),
    ],
)
async def test_a_refusal_is_read_as_far_as_it_makes_sense(
    answers: Answers, body: Any, message: str, code: str, fields: dict[str, str]
) -> None:
    answers.handle = lambda request: answers.json(body, 422, X_Request_ID="r-9")
    async with UpdateClient(answers.url, "key", retry=QUICK) as client:
        with pytest.raises(UpdateError) as caught:
            await client.get_application("a")
    error = caught.value
    assert (error.message, error.code, error.fields, error.request_id) == (message, code, fields, "r-9")


@pytest.mark.parametrize(
    "said",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
        b"HTTP/9.9 twohundred\r\n\r\n",
    ],
    ids=["ssh", "length", "header", "version"],
)
async def test_what_is_no_http_is_a_typed_error(said: bytes) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server, UpdateClient(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", retry=QUICK) as client:
        with pytest.raises((BadAnswer, Unreachable)):
            await client.check("a", "1.0.0", LINUX)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tls") / "own.pem"
    words = ("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "2")
    subprocess.run(("openssl", *words, "-keyout", str(path), "-out", f"{path}.crt"), check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + path.with_name("own.pem.crt").read_bytes())
    return path


async def test_a_certificate_that_does_not_fit_is_final(certificate: Path) -> None:
    """Trying again cannot help, and the key must not go to such a server."""
    seen: list[str] = []

    async def handle(request: web.Request) -> web.Response:
        seen.append(request.path)
        return web.json_response({})

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", handle)
    server = TestServer(application, scheme="https")
    await server.start_server(ssl=context)
    try:
        async with UpdateClient(f"https://localhost:{server.port}", "secret", retry=QUICK) as client:
            with pytest.raises(Unreachable, match="no secure connection") as caught:
                await client.list_applications()
    finally:
        await server.close()
    assert (caught.value.transient, seen) == (False, [])


@pytest.mark.parametrize(
    "server", ["", "updates.example.com", "ftp://example.com", "http://", "http://[::1", "http://x:99999"]
)
async def test_an_address_that_is_no_servers_is_refused_at_once(server: str) -> None:
    async with UpdateClient(server, retry=QUICK) as client:
        with pytest.raises(UpdateError) as caught:
            await client.check("a", "1.0.0", LINUX)
    assert caught.value.code == "INVALID_ADDRESS"


async def test_a_client_that_was_not_entered_says_so(answers: Answers) -> None:
    client = UpdateClient(answers.url)
    with pytest.raises(RuntimeError, match="async with"):
        await client.check("a", "1.0.0", LINUX)
    async with client:
        pass
    with pytest.raises(RuntimeError, match="async with"):
        await client.check("a", "1.0.0", LINUX)
