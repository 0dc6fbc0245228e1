"""What is at `/`: a page for those who ask for one, and what was always there for everybody else."""

from __future__ import annotations

import re

import pytest

from tests.conftest import Service
from tests.web.people import cookie_of
from updater import __version__
from updater.web.messages.accepting import prefers_html

CHROMIUM = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
PAGES = [
    CHROMIUM,
    "text/html",
    "TEXT/HTML;q=0.5, application/json;q=0.4",
    "text/html, */*; q=0.01",
    "text/html;level=1;q=1",
]
NO_PAGES = [
    None, "", "*/*", "text/*", "application/json", "application/json, text/plain, */*", "text/html;q=0",
    "text/html;q=0.4,*/*,a/b", "application/json, text/html", "text/html;q=0.5, application/json", "text/htmlx",
    ";;;,,,q=1", "text/html;q=2;q=0",
]  # fmt: skip


@pytest.mark.parametrize("accept", PAGES)
async def test_browsers_find_a_page(service: Service, accept: str) -> None:
    assert prefers_html(accept)
    answer, body = await service.exchange("GET", "/", headers={"Accept": accept}, status=200)
    text = body.decode()
    assert answer.content_type == "text/html"
    assert answer.headers["Vary"] == "Accept"
    assert f"updater {__version__}" in text
    for way in ("/admin/dashboard/", "/api/v1/docs"):
        assert f'href="{way}"' in text
    policy = answer.headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "form-action 'self'" in policy


@pytest.mark.parametrize("accept", NO_PAGES)
async def test_programs_find_what_was_there(service: Service, accept: str | None) -> None:
    """Byte for byte what an unknown path answers, but for what differs from request to request."""
    assert not prefers_html(accept or "")
    told = {} if accept is None else {"Accept": accept}
    other, unknown = await service.exchange("GET", "/nothing", headers=told, status=404)
    answer, body = await service.exchange("GET", "/", headers=told, status=404)
    assert answer.headers["Vary"] == "Accept"
    mine, theirs = (re.sub(rb'"timestamp":"[^"]+"|"request_id":"[^"]+"', b"", each) for each in (body, unknown))
    assert mine == theirs
    assert answer.content_type == "application/json"
    changing = {"Vary", "X-Request-ID", "X-RateLimit-Remaining", "X-RateLimit-Reset", "Date"}
    assert {name: text for name, text in answer.headers.items() if name not in changing} == {
        name: text for name, text in other.headers.items() if name not in changing
    }


async def test_signed_in_people_are_led_to_the_overview(service: Service) -> None:
    browser = {"Accept": CHROMIUM}
    for role, status in (("admin", 303), ("staff", 303), ("user", 200)):
        headers = {**browser, **await cookie_of(service, role)}
        answer, _ = await service.exchange("GET", "/", headers=headers, status=status)
        assert answer.headers.get("Location") == ("/admin/dashboard/" if status == 303 else None)
        assert answer.headers["Cache-Control"] == "no-store"
        await service.exchange("GET", "/", headers={**headers, "Accept": "application/json"}, status=404)
    await service.exchange("GET", "/", headers={**browser, "Cookie": "sessionid=over"}, status=200)
    await service.exchange("GET", "/", headers=browser, key="garbage", status=200)


async def test_other_methods_and_the_icon(service: Service) -> None:
    answer, body = await service.exchange("HEAD", "/", headers={"Accept": CHROMIUM}, status=200)
    assert (answer.content_type, body) == ("text/html", b"")
    answer, _ = await service.exchange("POST", "/", status=405)
    assert (answer.headers["Allow"], answer.content_type) == ("GET,HEAD", "application/json")
    answer, body = await service.exchange("GET", "/favicon.ico", status=200)
    assert (answer.content_type, body[:4]) == ("image/svg+xml", b"<svg")
    assert answer.headers["Cache-Control"] == "public, max-age=86400"


async def test_without_its_database_the_page_is_there(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    from updater.errors import Unavailable

    async def fail(*_: object) -> None:
        raise Unavailable("The database does not answer")

    headers = {"Accept": CHROMIUM, **await cookie_of(service, "staff")}
    monkeypatch.setattr(service.services.people, "list_sessions", fail)
    await service.exchange("GET", "/", headers=headers, status=200)
