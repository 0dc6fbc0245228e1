"""What is refused, in the interface's own shape and statuses, and that nothing of it is stored."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import FormData

from tests.conftest import KEYS
from tests.web.desktop.conftest import PLATFORMS, Desktop, form
from tests.web.raw import request, send

SIX = {"error", "message", "code", "details", "timestamp", "request_id"}
GOOD = {"version": "1.2.3", "platform": "win32-x64"}


async def refuse(desktop: Desktop, data: Any, status: int = 400, **kwargs: Any) -> Any:
    return await desktop.call("POST", "/upload", key="admin", data=data, status=status, **kwargs)


async def test_uploads_that_do_not_fit(desktop: Desktop) -> None:
    for platform in ("windows", "win32-arm64", "WIN32-X64", "", "linux-x64 "):
        assert "platform" in (await refuse(desktop, form(**{**GOOD, "platform": platform})))["errors"]
    for critical in ("yes", "", "2"):
        assert "critical" in (await refuse(desktop, form(**GOOD, critical=critical)))["errors"]
    for field in GOOD:
        given = {key: value for key, value in GOOD.items() if key != field}
        assert field in (await refuse(desktop, form(**given)))["errors"]
    assert "file" in (await refuse(desktop, form(None, **GOOD)))["errors"]
    assert "changelog" in (await refuse(desktop, form(**GOOD, changelog="a\0b")))["errors"]
    assert "changelog" in (await refuse(desktop, form(**GOOD, changelog="x" * 65_537)))["errors"]
    answer = await refuse(desktop, form(**GOOD, minimum="1.0.0"))
    assert answer["error"] == "validation_error"
    assert set(answer) == SIX | {"errors"}
    await nothing_is_stored(desktop)


async def test_a_second_file_part_and_a_repeated_field(desktop: Desktop) -> None:
    twice = form(**GOOD)
    twice.add_field("file", b"more", filename="b.exe")
    assert "file" in (await refuse(desktop, twice))["errors"]
    repeated = form(**GOOD)
    repeated.add_field("version", "1.2.4")
    assert "version" in (await refuse(desktop, repeated))["errors"]
    await nothing_is_stored(desktop)


async def test_bodies_of_another_kind_are_400(desktop: Desktop) -> None:
    plain = FormData(GOOD)
    await refuse(desktop, plain)
    await refuse(desktop, b"{}", headers={"Content-Type": "application/json"})
    await refuse(desktop, b"--x\r\nbroken", headers={"Content-Type": "multipart/form-data; boundary=x"})
    await refuse(desktop, b"x", headers={"Content-Type": "multipart/form-data"})
    for headers, data in (
        ({"Content-Type": "text/plain"}, b"{}"),
        ({"Content-Type": "application/json"}, b"{"),
        ({"Content-Type": "application/json"}, b"[]"),
        ({"Content-Type": "application/json"}, b'{"status": NaN}'),
        ({"Content-Type": "application/json", "Content-Encoding": "gzip"}, b"x"),
        ({}, b""),
    ):
        answer = await desktop.call("POST", "/status", data=data, headers=headers, status=400)
        assert set(answer) >= SIX
    await nothing_is_stored(desktop)


async def test_unknown_platforms_and_paths(desktop: Desktop) -> None:
    await desktop.upload("1.2.3")
    for platform in ("windows", "win32-x65", "win32%2Fx64", "win32%00x64"):
        await desktop.exchange("GET", f"/download/1.2.3/{platform}", status=400)
    for query in ({"platform": "windows"}, {"platform": ""}):
        assert "platform" in (await desktop.latest(status=400, **query))["errors"]
        assert "platform" in (await desktop.compatibility("1.0.0", status=400, **query))["errors"]
    for platform in PLATFORMS[1:]:
        assert (await desktop.call("GET", f"/download/1.2.3/{platform}", status=404))["code"] == "NOT_FOUND"
    for path in ("/download/1.2.3", "/download/1.2.3/win32-x64/more", "/no/pe", "/", ""):
        assert set(await desktop.call("GET", path, status=404)) == SIX
    for method, path, allowed in (("POST", "/latest", "GET"), ("GET", "/upload", "POST"), ("PUT", "/1.2.3", "DELETE")):
        response, _ = await desktop.exchange(method, path, key="admin", status=405)
        assert allowed in response.headers["Allow"]


async def test_a_form_that_is_cut_off(desktop: Desktop) -> None:
    async def endless() -> Any:
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.exe"\r\n\r\nsome bytes'

    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    await refuse(desktop, endless(), headers=headers)
    await nothing_is_stored(desktop)


async def test_one_upload_wins_of_many_at_once(desktop: Desktop) -> None:
    async def upload(number: int) -> int:
        data = form(f"content {number}".encode(), **GOOD)
        response, _ = await desktop.exchange("POST", "/upload", key="admin", data=data)
        return response.status

    statuses = await asyncio.gather(*(upload(number) for number in range(12)))
    assert sorted(statuses) == [201] + [409] * 11
    assert len(await desktop.blobs()) == 1


async def test_all_platforms_at_once_make_one_version(desktop: Desktop) -> None:
    made = await asyncio.gather(*(desktop.upload("1.0.0", each, changelog=each) for each in PLATFORMS))
    assert len({each["update_id"] for each in made}) == 1
    latest = await desktop.latest()
    assert list(latest["platforms"]) == list(PLATFORMS)
    assert latest["changelog"] in PLATFORMS
    for platform in PLATFORMS:
        assert (await desktop.latest(platform=platform))["changelog"] == latest["changelog"]


async def test_without_its_application_there_is_nothing(desktop: Desktop) -> None:
    await desktop.upload("1.0.0")
    await desktop.service.call("DELETE", "/api/v1/applications/bkgt-manager", key="admin", status=204)
    assert (await desktop.latest(status=404))["code"] == "APPLICATION_NOT_FOUND"
    await desktop.exchange("GET", "/latest", key=None, status=401)
    assert (await refuse(desktop, form(**GOOD), status=404))["code"] == "APPLICATION_NOT_FOUND"


async def nothing_is_stored(desktop: Desktop) -> None:
    assert await desktop.blobs() == set()
    assert (await desktop.listed())["updates"] == []
    assert list(desktop.service.services.artifacts.blobs._incoming.iterdir()) == []  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "lines",
    [
        ["Content-Range: bytes 0-4/9"],
        ["Upload-Complete: ?0"],
        ["Content-Encoding: gzip"],
        ["Transfer-Encoding: gzip, chunked"],
        ["Content-Digest: sha-256=:AAAA:"],
    ],
    ids=str,
)
async def test_an_upload_that_says_it_is_not_the_whole_file(desktop: Desktop, lines: list[str]) -> None:
    """Every 415 and 422 is 400 here, as the document says."""
    body = b"".join(
        b'--XX\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n' % each
        for each in (
            (b"version", b"", b"1.0.0"),
            (b"platform", b"", b"win32-x64"),
            (b"file", b'; filename="a.exe"', b"x"),
        )
    )
    head = ["Content-Type: multipart/form-data; boundary=XX", f"X-API-Key: {KEYS['admin']}", *lines]
    answer = await send(
        desktop.service.url, request("POST", f"{desktop.prefix}/upload", *head, body=body + b"--XX--\r\n")
    )
    assert answer.status == 400, answer
    assert await desktop.blobs() == set()
