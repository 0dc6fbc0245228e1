"""What all pages share: the last slash, unknown addresses, the way on from an error, notices."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import ClientSession

from tests.conftest import Service
from tests.web.people import cookie_of
from updater.web.dashboard.templates import count, counted, percent, size
from updater.web.dashboard.words import SAID

OVERVIEW = "/admin/dashboard/"


@pytest.fixture
async def staff(service: Service) -> AsyncIterator[ClientSession]:
    async with ClientSession(service.url, headers=await cookie_of(service, "staff")) as session:
        yield session


@pytest.mark.parametrize(
    ("asked", "led"),
    [
        ("/admin", "/admin/"),
        ("/admin/dashboard", OVERVIEW),
        ("/admin/dashboard?said=x&a=%20b", f"{OVERVIEW}?said=x&a=%20b"),
        ("/admin/sign-in?next=/admin/", "/admin/sign-in/?next=/admin/"),
        ("/admin/status", "/admin/status/"),
    ],
)
async def test_the_last_slash_may_be_missing(staff: ClientSession, asked: str, led: str) -> None:
    async with staff.get(asked, allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (308, led)


@pytest.mark.parametrize("path", ["/admin/nothing", "/admin/nothing/", "/admin/a/b/c", "/admin/assets/x", "/admin//"])
async def test_unknown_addresses_are_pages_with_a_way_on(staff: ClientSession, path: str) -> None:
    async with staff.get(path, allow_redirects=False) as answer:
        text = await answer.text()
    assert (answer.status, answer.content_type) == (404, "text/html")
    assert "There is no such page" in text
    for way in (OVERVIEW, "/admin/sign-out/"):
        assert f'href="{way}"' in text
    assert "unsafe" not in answer.headers["Content-Security-Policy"]


async def test_what_programs_ask_keeps_its_own_shape(staff: ClientSession) -> None:
    for path, status in (("/admin/update/", 405), ("/admin/status/x", 404), ("/adminx", 404)):
        async with staff.get(path, allow_redirects=False) as answer:
            assert (answer.status, answer.content_type) == (status, "application/json"), path


async def test_a_page_asked_in_another_way(staff: ClientSession) -> None:
    async with staff.delete(OVERVIEW) as answer:
        assert (answer.status, answer.content_type) == (405, "text/html")
        assert answer.headers["Allow"] == "GET,HEAD"


async def test_too_many_requests_say_when_to_try_again(start_service: Any) -> None:
    limit = {"enabled": True, "anonymous_per_minute": 2}
    service = await start_service(rate_limit=limit)
    async with ClientSession(service.url) as session:
        for _ in range(4):
            async with session.get("/admin/sign-in/") as answer:
                text = await answer.text()
    assert answer.status == 429
    assert f"Try again in {answer.headers['Retry-After']} s." in text


async def test_an_address_chooses_no_text(staff: ClientSession) -> None:
    for said in ("<b>evil</b>", "evil", *SAID):
        async with staff.get(OVERVIEW, params={"said": said}) as answer:
            text = await answer.text()
        assert ("evil" in text, '<p class="notice good"' in text) == (False, said in SAID)


def test_numbers_as_people_read_them() -> None:
    assert [size(each) for each in (None, 0, 1023, 1024, 1_600_000, 3 << 30, 200 << 20)] == [
        "–", "0 bytes", "1023 bytes", "1.0 KiB", "1.5 MiB", "3.0 GiB", "200 MiB",  # noqa: RUF001
    ]  # fmt: skip
    assert [percent(each) for each in (None, 0, 0.0004, 0.125, 0.99999, 1)] == [
        "–", "0 %", "< 0.1 %", "12.5 %", "99.9 %", "100 %",  # noqa: RUF001
    ]  # fmt: skip
    assert (count(12345), counted(1, "release"), counted(2, "entry", "entries")) == ("12,345", "1 release", "2 entries")
