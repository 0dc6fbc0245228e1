"""The sign-in page, as a browser without script uses it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from http.cookies import SimpleCookie
from typing import Any

import pytest
from aiohttp import ClientResponse, ClientSession, CookieJar, DummyCookieJar
from yarl import URL

from tests.actors import TESTER
from tests.conftest import Service
from tests.web.people import PASSWORD, cookie_of
from updater.access import users

SIGN_IN, HOME, OUT = "/admin/sign-in/", "/admin/dashboard/", "/admin/sign-out/"


class Browser:
    """Cookies, forms and redirects that are looked at one by one."""

    def __init__(self, url: str, session: ClientSession) -> None:
        self.url = url
        self.session = session

    async def get(self, path: str, **headers: str) -> tuple[ClientResponse, str]:
        return await self._send("GET", path, headers=headers)

    async def post(self, path: str, form: dict[str, str], **headers: str) -> tuple[ClientResponse, str]:
        return await self._send("POST", path, data=form, headers={"Origin": self.url, **headers})

    async def sign_in(self, name: str, password: str = PASSWORD, **more: str) -> tuple[ClientResponse, str]:
        _, page = await self.get(SIGN_IN)
        return await self.post(SIGN_IN, {"name": name, "password": password, "csrf_token": token_in(page), **more})

    async def _send(self, method: str, path: str, **more: Any) -> tuple[ClientResponse, str]:
        async with self.session.request(method, self.url + path, allow_redirects=False, **more) as response:
            return response, await response.text()


def token_in(page: str) -> str:
    found = re.search(r'name="csrf_token" value="([0-9a-f]{64})"', page)
    assert found
    return found[1]


@pytest.fixture
async def running(start_service: Any) -> Service:
    service: Service = await start_service()
    for role in ("admin", "staff", "user"):
        await service.services.people.create_user(role, role, PASSWORD, actor=TESTER)
    return service


@pytest.fixture
async def browser(running: Service) -> AsyncIterator[Browser]:
    async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as session:
        yield Browser(running.url, session)


async def test_sign_in_and_out(browser: Browser) -> None:
    response, _ = await browser.get(HOME)
    assert (response.status, response.headers["Location"]) == (303, f"{SIGN_IN}?next={HOME}")
    response, _ = await browser.sign_in("Staff")
    assert (response.status, response.headers["Location"]) == (303, HOME)
    cookie = SimpleCookie(response.headers["Set-Cookie"])["sessionid"]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"], cookie["secure"]) == (True, "Strict", "/", "")
    assert 43_000 < int(cookie["max-age"]) <= 43_200
    response, page = await browser.get(HOME)
    assert response.status == 200
    assert "staff" in page
    response, _ = await browser.post(OUT, {"csrf_token": token_in(page)})
    assert (response.status, response.headers["Location"]) == (303, f"{SIGN_IN}?said=signed-out")
    assert (await browser.get(HOME))[0].status == 303
    response, _ = await browser._send("GET", HOME, headers={"Cookie": f"sessionid={cookie.value}"})
    assert response.status == 303, "the session itself is over, not only its cookie"


async def test_every_page_holds_the_policy(browser: Browser) -> None:
    await browser.sign_in("staff")
    for path in (SIGN_IN, HOME, "/admin/", "/admin/sign-out/"):
        response, page = await browser.get(path)
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Cache-Control"] == "no-store"
        assert not re.search(r"<script(?! type=\"module\" src=)|<style|\son\w+=|\sstyle=|javascript:|https?://", page)


@pytest.mark.parametrize(
    ("name", "password"), [("staff", "wrong password"), ("nobody", PASSWORD), ("", ""), ("staff", ""), ("\0", "\0")]
)
async def test_refusals_look_the_same(browser: Browser, name: str, password: str) -> None:
    response, page = await browser.sign_in(name, password)
    assert response.status == 403
    assert "The name or the password is wrong." in page
    assert "sessionid" not in response.headers.get("Set-Cookie", "")


async def test_what_was_typed_comes_back_harmless(browser: Browser) -> None:
    name = '"><script>alert(1)</script>'
    response, page = await browser.sign_in(name, next='/admin/"><img src=x onerror=alert(1)>')
    assert response.status == 403
    assert "<script>alert" not in page
    assert "<img src=x" not in page


@pytest.mark.parametrize(
    "wanted",
    ["https://evil.example.com/", "//evil.example.com", "/\\evil.example.com", "/admin/../x", "/admin//evil",
     "/api/v1/", "javascript:alert(1)", "/admin/\r\nSet-Cookie: a=b", "/admin/x?y", ""],
)  # fmt: skip
async def test_only_our_own_pages_come_next(browser: Browser, wanted: str) -> None:
    response, _ = await browser.sign_in("staff", next=wanted)
    assert (response.status, response.headers["Location"]) == (303, HOME)


async def test_a_wanted_page_of_ours_comes_next(browser: Browser) -> None:
    response, _ = await browser.sign_in("staff", next="/admin/")
    assert response.headers["Location"] == "/admin/"


async def test_a_browser_that_blocks_cookies_is_told_so(running: Service) -> None:
    async with ClientSession(cookie_jar=DummyCookieJar()) as session:
        response, page = await Browser(running.url, session).sign_in("Staff")
    assert response.status == 403
    assert "it blocks the cookies of this site" in page


async def test_forged_sign_ins(browser: Browser, running: Service) -> None:
    """Another site's page could sign a user in to another account.

    Control: red without `require_same_origin`, and without `fits_token`.
    """
    _, page = await browser.get(SIGN_IN)
    good = {"name": "staff", "password": PASSWORD, "csrf_token": token_in(page)}
    for headers in (
        {"Origin": "https://evil.example.com"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ):
        response, _ = await browser.post(SIGN_IN, good, **headers)
        assert response.status == 403
        assert "Set-Cookie" not in response.headers
    for token in ("", "0" * 64, token_in(page)[::-1], running.services.people.form_token("sign-in:"), "é"):
        response, _ = await browser.post(SIGN_IN, {**good, "csrf_token": token})
        assert response.status == 403
        assert "sessionid" not in str(response.headers.getall("Set-Cookie", []))
    async with ClientSession() as other:
        response, _ = await Browser(running.url, other).post(SIGN_IN, good)
        assert response.status == 403, "the token goes with one browser's cookie"
    async with browser.session.post(running.url + SIGN_IN, json=good) as answered:
        assert answered.status == 400
    response, _ = await browser.post(SIGN_IN, good)
    assert response.status == 303


async def test_forged_sign_outs(browser: Browser, running: Service) -> None:
    await browser.sign_in("staff")
    _, page = await browser.get(HOME)
    other = await cookie_of(running, "user", "other")
    theirs = running.services.people.form_token(other["Cookie"].partition("=")[2])
    for form, headers in (
        ({}, {}),
        ({"csrf_token": theirs}, {}),
        ({"csrf_token": token_in(page)}, {"Origin": "https://evil.example.com"}),
        ({"csrf_token": token_in(page)}, {"Sec-Fetch-Site": "cross-site"}),
    ):
        assert (await browser.post(OUT, form, **headers))[0].status == 403
    assert (await browser.get(OUT))[0].status == 200, "asks first"
    assert (await browser.get(HOME))[0].status == 200


async def test_who_has_no_right_is_told_so(browser: Browser) -> None:
    await browser.sign_in("user")
    response, page = await browser.get(HOME)
    assert response.status == 403
    assert "Staff access required" in page
    assert OUT in page, "the way on"


async def test_signing_in_anew_ends_the_session_before(browser: Browser, running: Service) -> None:
    await browser.sign_in("staff")
    before = next(each.value for each in browser.session.cookie_jar if each.key == "sessionid")
    await browser.sign_in("admin")
    assert await running.services.people.find_session(before) is None


async def test_attempts_are_limited_by_address_and_by_name(start_service: Any) -> None:
    limit = {"enabled": True, "sign_in_per_minute": 3}
    server = {"trusted_proxies": ["127.0.0.1"]}
    service = await start_service(rate_limit=limit, server=server)
    await service.services.people.create_user("staff", "staff", PASSWORD, actor=TESTER)

    async def attempt(address: str, name: str, password: str = "wrong") -> int:
        async with ClientSession(cookie_jar=CookieJar(unsafe=True), headers={"X-Forwarded-For": address}) as session:
            response, page = await Browser(service.url, session).sign_in(name, password)
            if response.status == 429:
                assert int(response.headers["Retry-After"]) > 0
                assert "Too many attempts" in page
            return response.status

    assert [await attempt("203.0.113.1", f"a{n}") for n in range(4)] == [403, 403, 403, 429]
    assert [await attempt(f"203.0.113.{10 + n}", "STAFF ") for n in range(4)] == [403, 403, 403, 429]
    assert await attempt("203.0.113.20", "staff", PASSWORD) == 429, "the right password does not help any more"
    assert await attempt("203.0.113.21", "other") == 403


class Places:
    """Attempts to sign in from many addresses."""

    def __init__(self, service: Service) -> None:
        self.service = service

    async def attempt(self, address: str, name: str, password: str = PASSWORD, device: str = "") -> tuple[int, str]:
        """Return the status, and the cookie that this browser may show the next time."""
        headers = {"X-Forwarded-For": address}
        async with ClientSession(cookie_jar=CookieJar(unsafe=True, quote_cookie=False), headers=headers) as session:
            if device:
                session.cookie_jar.update_cookies({"signindevice": device}, URL(self.service.url + SIGN_IN))
            response, _ = await Browser(self.service.url, session).sign_in(name, password)
            device = next((each.value for each in session.cookie_jar if each.key == "signindevice"), "")
            return response.status, device

    async def statuses(self, address: str, name: str, times: int, password: str = "wrong") -> list[int]:
        return [(await self.attempt(address, name, password))[0] for _ in range(times)]


@pytest.fixture
async def places(start_service: Any) -> Places:
    limit = {"enabled": True, "sign_in_per_minute": 4}
    service = await start_service(rate_limit=limit, server={"trusted_proxies": ["127.0.0.1"]})
    for name in ("anna", "berta"):
        await service.services.people.create_user(name, "staff", PASSWORD, actor=TESTER)
    return Places(service)


async def test_one_address_locks_nobody_out_elsewhere(places: Places) -> None:
    assert await places.statuses("203.0.113.1", "anna", 6) == [403, 403, 403, 403, 429, 429]
    assert (await places.attempt("203.0.113.2", "anna"))[0] == 303


async def test_who_signed_in_from_there_before_is_not_locked_out(places: Places) -> None:
    assert (await places.attempt("203.0.113.1", "anna"))[0] == 303
    _, device = await places.attempt("203.0.113.2", "anna")
    for number in range(10, 14):
        await places.statuses(f"203.0.113.{number}", "anna", 2)
    assert (await places.attempt("203.0.113.3", "anna"))[0] == 429, "the name is locked for places nobody knows"
    assert (await places.attempt("203.0.113.1", "anna"))[0] == 303, "the place is known"
    assert (await places.attempt("203.0.113.3", "anna", device=device))[0] == 303, "the browser is known"
    assert (await places.attempt("203.0.113.3", "berta", device=device))[0] == 303, "another name counts for itself"
    forged = device[:-1] + ("0" if device[-1] != "0" else "1")
    assert (await places.attempt("203.0.113.4", "anna", device=forged))[0] == 429
    # A known browser may not guess without end.
    tried = [(await places.attempt("203.0.113.3", "anna", "wrong", device=device))[0] for _ in range(5)]
    assert tried == [403, 403, 403, 403, 429]


async def test_failures_of_others_behind_the_same_address_lock_nobody_out_who_signed_in_there(places: Places) -> None:
    office = "203.0.113.1"
    assert (await places.attempt(office, "anna"))[0] == 303
    assert await places.statuses(office, "berta", 6) == [403, 403, 403, 403, 429, 429]
    assert (await places.attempt(office, "anna"))[0] == 303, "a browser without its cookie, too"
    assert await places.statuses(office, "anna", 5) == [403, 403, 403, 403, 429], "guesses are bounded here, too"


async def test_successes_do_not_count(places: Places) -> None:
    assert [(await places.attempt("203.0.113.1", "anna"))[0] for _ in range(9)] == [303] * 9


async def test_attempts_at_once_do_not_pass_together(places: Places) -> None:
    tried = await asyncio.gather(*(places.attempt("203.0.113.1", "anna", "wrong") for _ in range(8)))
    assert sorted(status for status, _ in tried) == [403] * 4 + [429] * 4


async def test_passwords_wait_in_a_bounded_queue(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(users, "_MOST_QUEUED", 2)
    passwords = places.service.services.people.passwords
    async with passwords._turn(), passwords._turn():
        assert (await places.attempt("203.0.113.1", "anna"))[0] == 503
    assert [(await places.attempt("203.0.113.1", "anna"))[0] for _ in range(2)] == [303, 303]


async def test_the_cookie_is_secure_when_the_browser_spoke_https(start_service: Any) -> None:
    service = await start_service(server={"trusted_proxies": ["127.0.0.1"]})
    await service.services.people.create_user("staff", "staff", PASSWORD, actor=TESTER)
    host = service.url.removeprefix("http://")
    async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as session:
        browser = Browser(service.url, session)
        for headers in ({"Origin": f"https://{host}"}, {"X-Forwarded-Proto": "https"}):
            session.cookie_jar.clear()
            _, page = await browser.get(SIGN_IN)
            form = {"name": "staff", "password": PASSWORD, "csrf_token": token_in(page)}
            response, _ = await browser.post(SIGN_IN, form, **headers)
            cookies = [each for each in response.headers.getall("Set-Cookie") if each.startswith("sessionid=")]
            assert "Secure" in cookies[0]


async def test_assets(browser: Browser) -> None:
    for name, kind in (("style.css", "text/css"), ("deployment.js", "text/javascript"), ("icon.svg", "image/svg+xml")):
        response, text = await browser.get(f"/admin/assets/{name}")
        assert (response.status, response.headers["Content-Type"]) == (200, kind)
        assert text
    for name in ("..%2f__init__.py", "%2e%2e%2fpages.py", "x", "%00", "deployment.html", "style.css%00"):
        assert (await browser.get(f"/admin/assets/{name}"))[0].status == 404
