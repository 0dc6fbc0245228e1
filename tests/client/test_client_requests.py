"""What the client sends: addresses, the key, bodies, and several calls at once."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.client.conftest import Answers
from tests.conftest import LINUX, QUICK
from updater_client import (
    ApplicationChanges,
    Build,
    BuildQuery,
    DigestMismatch,
    ExternalBuild,
    InstallReport,
    NewApplication,
    NewBuild,
    Target,
    Unreachable,
    UpdateClient,
    UpdateError,
)
from updater_client.download import safe_file_name
from updater_client.words import ARCHITECTURES, PLATFORMS

RECEIPT = {"id": "x", "created_at": "2026-02-10T12:00:00Z"}


async def test_words_of_a_path_and_a_query_are_quoted(answers: Answers) -> None:
    answers.handle = lambda request: answers.json({"update_available": False, "current_version": "1.0.0+ä/b"})
    async with UpdateClient(f"{answers.url}/below/", retry=QUICK) as client:
        await client.check("größer/als#1?", "1.0.0+ä/b&c=d", Target("linux", "amd64"), allow_prerelease=True)
    request = answers.requests[0]
    assert request.raw_path.startswith("/below/api/v1/updates/gr%C3%B6%C3%9Fer%2Fals%231%3F/check?")
    assert dict(request.query) == {
        "current_version": "1.0.0+ä/b&c=d", "platform": "linux", "architecture": "amd64",
        "allow_prerelease": "true", "include_metadata": "false",
    }  # fmt: skip


async def test_the_key_goes_to_its_server_and_never_to_downloads_elsewhere(answers: Answers, tmp_path: Path) -> None:
    async def handle(request: web.Request) -> web.Response:
        return web.Response(body=b"bytes") if request.path == "/file" else await answers.json({**RECEIPT})

    answers.handle = handle
    elsewhere = answers.url.replace("127.0.0.1", "localhost")
    build = Build("1.0.0", LINUX, f"{elsewhere}/file", "00" * 32, "sha256")
    async with UpdateClient(answers.url, "secret", retry=QUICK) as client:
        await client.create_application(NewApplication("a", "A"))
        with pytest.raises(DigestMismatch):
            await client.fetch(build, tmp_path / "got")
        await client.find_file_name(build)
    called, *downloads = answers.requests
    assert called.headers["Authorization"] == "Bearer secret"
    assert [request.method for request in downloads] == ["GET", "HEAD"]
    for request in downloads:
        assert "Authorization" not in request.headers
        assert request.headers["Accept-Encoding"] == "identity"
    assert "Cookie" not in called.headers


async def test_no_cookie_is_kept(answers: Answers) -> None:
    answers.handle = lambda request: answers.json(RECEIPT, Set_Cookie="spy=1")
    async with UpdateClient(answers.url, retry=QUICK) as client:
        for _ in range(2):
            await client.create_application(NewApplication("a", "A"))
    assert all("Cookie" not in request.headers for request in answers.requests)


async def test_bodies_hold_what_was_given_and_nothing_else(answers: Answers) -> None:
    answers.handle = lambda request: answers.json({**RECEIPT, "recorded": True})
    report = InstallReport("1.0.0", "1.1.0", LINUX, "failed", "größer 🚀", report_id="r-1")
    async with UpdateClient(answers.url, "key", retry=QUICK) as client:
        await client.report("a", report)
        await client.register("a", ExternalBuild("1.0.0", LINUX, "https://x/y", "ab", file_size_bytes=0))
        await client.create_application(NewApplication("a", "A", platforms=("linux",)))
        await client.update_application("a", ApplicationChanges(description=""))
    told, registered, created, updated = (json.loads(body) for body in answers.bodies)
    assert told == {
        "current_version": "1.0.0", "target_version": "1.1.0", "platform": "linux", "architecture": "amd64",
        "status": "failed", "error_message": "größer 🚀", "report_id": "r-1",
    }  # fmt: skip
    assert registered == {
        "version": "1.0.0", "platform": "linux", "architecture": "amd64", "application_id": "a", "required": False,
        "download_url": "https://x/y", "checksum": "ab", "checksum_type": "sha256", "file_size": 0,
        "release_notes": "", "metadata": {},
    }  # fmt: skip
    assert created == {"id": "a", "name": "A", "description": "", "platforms": ["linux"]}
    assert updated == {"description": ""}


async def test_a_query_leaves_out_what_does_not_filter(answers: Answers) -> None:
    answers.handle = lambda request: answers.json({"releases": [], "total_count": 0, "has_more": False})
    async with UpdateClient(answers.url, "key", retry=QUICK) as client:
        page = await client.list_releases("a")
        await client.list_releases("a", BuildQuery("1.0.0", "linux", required=False, limit=7, offset=3))
    assert (page.items, page.total_count, page.has_more) == ((), 0, False)
    plain, filtered = (dict(request.query) for request in answers.requests)
    order = {"sort_by": "release_date", "sort_order": "desc"}
    assert plain == {"limit": "50", "offset": "0", **order}
    assert filtered == {
        "version": "1.0.0", "platform": "linux", "required": "false", "limit": "7", "offset": "3", **order,
    }  # fmt: skip


async def test_times_are_read_with_their_zone(answers: Answers) -> None:
    answers.handle = lambda request: answers.json(RECEIPT)
    async with UpdateClient(answers.url, "key", retry=QUICK) as client:
        receipt = await client.create_application(NewApplication("a", "A"))
    assert receipt.created_at == datetime(2026, 2, 10, 12, tzinfo=UTC)


async def test_calls_at_once_do_not_mix(answers: Answers) -> None:
    async def handle(request: web.Request) -> web.Response:
        await asyncio.sleep(0.01 * (len(answers.requests) % 3))
        version = request.query["current_version"]
        return await answers.json({"update_available": False, "current_version": version})

    answers.handle = handle
    versions = [f"1.0.{number}" for number in range(60)]
    async with UpdateClient(answers.url, retry=QUICK) as client:
        found = await asyncio.gather(*(client.check("a", version, LINUX) for version in versions))
    assert [each.current_version for each in found] == versions


async def test_through_a_proxy_the_whole_address_is_asked(answers: Answers) -> None:
    answers.handle = lambda request: answers.json({"update_available": False, "current_version": "1"})
    async with UpdateClient("http://updates.invalid", retry=QUICK, proxy=answers.url) as client:
        await client.check("a", "1", LINUX)
    assert answers.requests[0].host == "updates.invalid"


async def test_the_fields_of_an_upload_come_before_its_file(answers: Answers, tmp_path: Path) -> None:
    published = {
        **RECEIPT, "version": "1.0.0", "platform": "linux", "architecture": "amd64", "checksum": "ab",
        "checksum_type": "sha256", "file_size": 5, "download_url": "/f",
    }  # fmt: skip
    answers.handle = lambda request: answers.json(published)
    path = tmp_path / 'größer "1".bin'
    path.write_bytes(b"bytes")
    async with UpdateClient(answers.url, "key", retry=QUICK) as client:
        await client.publish("a", NewBuild(path, "1.0.0", LINUX, "Notiz\r\n--x", True, "0.9.0", {"ä": 1}))
        await client.publish("a", NewBuild(path, "1.0.0", LINUX))
    full, least = answers.bodies
    names = [part.split(b'name="')[1].split(b'"')[0] for part in full.split(b"Content-Disposition: ")[1:]]
    assert names == [
        b"version", b"platform", b"architecture", b"release_notes", b"required", b"minimum_version", b"metadata",
        b"checksum", b"file",
    ]  # fmt: skip
    assert full.rstrip().endswith(b"--") and b"\r\n\r\nbytes\r\n" in full
    assert b"Notiz\r\n--x" in full
    assert least.count(b"Content-Disposition: ") == 5
    assert answers.requests[0].content_length == len(full)


@pytest.mark.parametrize(
    ("etag", "found"),
    [
        (f'"{"ab" * 32}"', "ab" * 32),
        (f'W/"{"ab" * 32}"', None),
        (f'"{"AB" * 32}"', None),
        ('"abcd"', None),
        ("", None),
    ],
)
async def test_without_a_key_only_a_strong_digest_names_a_build(answers: Answers, etag: str, found: str | None) -> None:
    async def handle(request: web.Request) -> web.Response:
        return web.Response(headers={"ETag": etag, "Content-Length": "12"} if etag else {})

    answers.handle = handle
    async with UpdateClient(answers.url, retry=QUICK) as client:
        if found is None:
            with pytest.raises(UpdateError, match="a key is needed"):
                await client.get_release("a", "1.0.0", LINUX)
        else:
            build = await client.get_release("a", "1.0.0", LINUX)
            assert (build.checksum, build.file_size_bytes) == (found, 12)
    assert answers.requests[0].method == "HEAD"


def ranged(content: bytes, answer: Any) -> Any:
    """Answer a whole request with half of `content` and break off; a ranged one as `answer` says."""

    async def handle(request: web.Request) -> web.StreamResponse:
        if "Range" in request.headers:
            return web.Response(**answer)
        response = web.StreamResponse(headers={"ETag": '"t"', "Content-Length": str(len(content))})
        await response.prepare(request)
        await response.write(content[: len(content) // 2])
        assert request.transport is not None
        request.transport.abort()
        return response

    return handle


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 206, "body": b"xxxx", "headers": {"Content-Range": "bytes 0-3/8", "ETag": '"t"'}},
        {"status": 206, "body": b"xxxx", "headers": {"ETag": '"t"'}},
        {"status": 416, "headers": {"Content-Range": "bytes */3"}},
        {"status": 416},
        {"status": 200, "body": b"other bytes"},
    ],
    ids=["another range", "no range", "shorter", "no size", "another file"],
)
async def test_a_wrong_answer_to_a_range_never_reaches_the_file(answers: Answers, tmp_path: Path, answer: Any) -> None:
    content = b"12345678" * 50_000
    answers.handle = ranged(content, answer)
    build = Build("1.0.0", LINUX, f"{answers.url}/f", "00" * 32, "sha512", len(content))
    async with UpdateClient(answers.url, retry=QUICK) as client:
        with pytest.raises((Unreachable, DigestMismatch, UpdateError)):
            await client.fetch(build, tmp_path / "got")
    assert not (tmp_path / "got").exists()
    assert len(answers.requests) <= 3 * QUICK.attempts


@pytest.mark.parametrize("url", ["http://[::1/f", "http://127.0.0.1:99999/f", "mailto:a@example.com", "https:///f"])
async def test_a_download_address_that_is_none_is_an_invalid_one(answers: Answers, tmp_path: Path, url: str) -> None:
    build = Build("1.0.0", LINUX, url, "00" * 32, "sha256")
    async with UpdateClient(answers.url, retry=QUICK) as client:
        with pytest.raises(UpdateError) as caught:
            await client.fetch(build, tmp_path / "got")
    assert (caught.value.code, list(tmp_path.iterdir())) == ("INVALID_ADDRESS", [])


@pytest.mark.parametrize(
    ("header", "path", "name"),
    [
        ('attachment; filename="app.exe"', "/x", "app.exe"),
        ("attachment; filename*=UTF-8''gr%C3%B6%C3%9Fer.exe", "/x", "größer.exe"),
        ('attachment; filename="../../etc/passwd"', "/x", "passwd"),
        ('attachment; filename="C:\\\\Windows\\\\evil.exe"', "/x", "evil.exe"),
        ('attachment; filename=".."', "/x", None),
        ("attachment", "/files/My%20App.msi", "My App.msi"),
        (None, "/files/a%2F..%2Fb.msi", "b.msi"),
        (None, "/", None),
        (None, "/api/v1/updates/a/download/1.0.0/linux/amd64", None),
    ],
)
async def test_a_file_is_called_as_the_server_says_but_only_by_a_name(
    answers: Answers, header: str | None, path: str, name: str | None
) -> None:
    async def handle(request: web.Request) -> web.Response:
        return web.Response(headers={} if header is None else {"Content-Disposition": header})

    answers.handle = handle
    async with UpdateClient(answers.url, retry=QUICK) as client:
        assert await client.find_file_name(Build("1", LINUX, path, "00", "sha256")) == name


@pytest.mark.parametrize(
    ("given", "safe"),
    [
        ("app.exe", "app.exe"),
        ("a/b\\c.exe", "c.exe"),
        ('a<b>:"|?*.exe', "a_b______.exe"),
        ("\x00\x1b[2Japp\u202e.exe", "[2Japp.exe"),
        (" . app . ", "app"),
        ("größer 🚀.exe", "größer 🚀.exe"),
        ("x" * 500, "x" * 200),
        ("...", None),
        ("", None),
        ("a/", None),
    ],
)
def test_a_name_is_reduced_to_a_safe_one(given: str, safe: str | None) -> None:
    assert safe_file_name(given) == safe


@pytest.mark.parametrize(
    ("system", "processor", "target"),
    [
        ("linux", "x86_64", ("linux", "amd64")),
        ("darwin", "arm64", ("darwin", "arm64")),
        ("win32", "AMD64", ("windows", "amd64")),
        ("cygwin", "i686", ("windows", "386")),
        ("linux", "armv7l", ("linux", "arm")),
        ("linux", "riscv64", ("linux", "riscv64")),
    ],
)
def test_a_target_has_the_servers_words(
    monkeypatch: pytest.MonkeyPatch, system: str, processor: str, target: tuple[str, str]
) -> None:
    monkeypatch.setattr("sys.platform", system)
    monkeypatch.setattr("platform.machine", lambda: processor)
    found = Target.this()
    assert (found.platform, found.architecture) == target
    assert str(found) == "/".join(target)
    assert found.platform in PLATFORMS
    assert found.architecture in ARCHITECTURES or processor == "riscv64"
