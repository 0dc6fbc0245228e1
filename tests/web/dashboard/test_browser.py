"""The pages in a real Chromium: what people see and do, and what must not happen to them."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright, expect

from tests.actors import TESTER
from tests.conftest import Service
from tests.deployments.site import Site, git
from tests.web.dashboard.payloads import BRANCH, PAYLOADS
from tests.web.people import PASSWORD, cookie_of, start_with

CHROMIUM = shutil.which("chromium")
PATIENCE_MS = 30_000

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")


@pytest.fixture
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        await browser.close()


class Watch:
    """Everything on a page that must not happen."""

    def __init__(self, page: Page, url: str) -> None:
        self.found: list[str] = []
        self._url = url
        page.on("dialog", self._dialog)
        page.on("pageerror", lambda error: self.found.append(f"error: {error}"))
        page.on("console", self._console)
        page.on("request", self._request)

    async def _dialog(self, dialog: Any) -> None:
        self.found.append(f"dialog: {dialog.message}")
        await dialog.dismiss()

    def _console(self, message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text or "Refused to" in message.text:
            self.found.append(f"policy: {message.text}")

    def _request(self, request: Any) -> None:
        if not request.url.startswith(self._url + "/"):
            self.found.append(f"request: {request.url}")


async def sign_in(page: Page, service: Service, name: str = "staff") -> None:
    if not await service.services.people.list_users():
        await service.services.people.create_user(name, "staff", PASSWORD, actor=TESTER)
    await page.goto(f"{service.url}/admin/dashboard/")
    await page.get_by_label("Name").fill(name)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await page.wait_for_url("**/admin/dashboard/")


async def is_wider_than_its_window(page: Page) -> bool:
    return bool(await page.evaluate("document.documentElement.scrollWidth > window.innerWidth"))


async def test_an_update_from_sign_in_to_sign_out(start_service: Any, site: Site, chromium: Browser) -> None:
    service = await start_with(start_service, site)
    site.push("two", "The second version")
    page = await chromium.new_page()
    page.set_default_timeout(PATIENCE_MS)
    watch = Watch(page, service.url)
    await sign_in(page, service)
    await expect(page.locator("#commits li")).to_have_count(1, timeout=PATIENCE_MS)
    await expect(page.locator("#commits")).to_contain_text("The second version")
    await expect(page.locator("#branch")).to_have_text("main")
    await expect(page.locator("#commit")).to_have_text(site.first[:12])

    await page.get_by_role("button", name="Update now").click()
    await expect(page.get_by_role("status")).to_contain_text("succeeded", timeout=PATIENCE_MS)
    steps = page.locator("#steps li")
    await expect(steps).to_have_count(5)
    assert [text.split("done")[0] for text in await steps.all_inner_texts()]
    assert all("done" in text for text in await steps.all_inner_texts())
    await expect(page.locator("#log")).to_contain_text("git_pull")
    await expect(page.locator("#commit")).to_have_text(site.head()[:12])
    await expect(page.locator("#no-commits")).to_be_visible()
    assert site.serving() == "two"

    await page.get_by_role("button", name="Sign out").click()
    await page.wait_for_url("**/admin/sign-in/?said=signed-out")
    assert watch.found == []


async def test_the_main_button_is_what_there_is_to_do(start_service: Any, site: Site, chromium: Browser) -> None:
    service = await start_with(start_service, site)
    page = await chromium.new_page()
    page.set_default_timeout(PATIENCE_MS)
    await sign_in(page, service)
    update, check, quiet = page.locator("#update"), page.locator("#check"), re.compile("quiet")
    await expect(page.locator("#no-commits")).to_contain_text("newest version", timeout=PATIENCE_MS)
    await expect(update).to_have_text("Run the steps again")
    await expect(update).to_have_class(quiet)
    await expect(check).not_to_have_class(quiet)
    site.push("two")
    await check.click()
    await expect(update).to_have_text("Update now")
    await expect(update).not_to_have_class(quiet)
    await expect(check).to_have_class(quiet)
    await update.click()
    await expect(page.get_by_role("status")).to_contain_text("succeeded", timeout=PATIENCE_MS)
    await expect(update).to_have_text("Run the steps again", timeout=PATIENCE_MS)
    year = str(datetime.now(UTC).year)
    for line in await page.locator("#log li time").all_text_contents():
        assert year in line, "times carry dates"


async def test_by_keyboard_alone_and_on_a_phone(start_service: Any, site: Site, chromium: Browser) -> None:
    service = await start_with(start_service, site)
    await service.services.people.create_user("staff", "staff", PASSWORD, actor=TESTER)
    site.push("sick", "A version that is sick: " + "word" * 60)
    context = await chromium.new_context(viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    page = await context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    await page.goto(f"{service.url}/admin/dashboard/")
    assert not await is_wider_than_its_window(page)
    await page.keyboard.type("staff")  # the name has the focus
    await page.keyboard.press("Tab")
    await page.keyboard.type(PASSWORD)
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/admin/dashboard/")
    await expect(page.locator("#commits li")).to_have_count(1, timeout=PATIENCE_MS)
    reached = []
    for _ in range(12):
        await page.keyboard.press("Tab")
        reached.append(await page.evaluate("document.activeElement.id || document.activeElement.textContent"))
    # A list that is longer than its box can be scrolled by keyboard too.
    assert [each for each in reached if each in ("update", "check", "log")] == ["update", "check", "log"]
    await page.get_by_role("button", name="Update now").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("status")).to_contain_text(
        "the version before is in place again", timeout=PATIENCE_MS
    )
    assert await page.evaluate("document.activeElement.id") == "update", "whoever uses a keyboard keeps their place"
    await expect(page.locator("#steps li.failed")).to_contain_text("health")
    assert not await is_wider_than_its_window(page)
    heights = await page.locator("button").evaluate_all("all => all.map(each => each.getBoundingClientRect().height)")
    assert min(heights) >= 44, "large enough for a finger"
    assert site.serving() == "one"
    await context.close()


async def test_hostile_texts_stay_texts(start_service: Any, site: Site, chromium: Browser) -> None:
    """In the branch's name, in commits, in the live log and in the log read again.

    Control: red with `innerHTML` in place of `textContent` in dashboard.js.
    """
    assert len(PAYLOADS) >= 200
    git(site.work, "checkout", "--quiet", "-b", BRANCH)
    git(site.work, "push", "--quiet", "origin", BRANCH)
    git(site.checkout, "fetch", "--quiet")
    git(site.checkout, "checkout", "--quiet", BRANCH)
    for payload in PAYLOADS[::8]:
        git(site.work, "commit", "--quiet", "--allow-empty", "-m", payload.replace("\x00", " "))
    (site.work / "payloads").write_text("\n".join(PAYLOADS))
    git(site.work, "add", "--all")
    git(site.work, "commit", "--quiet", "-m", "<script>alert('newest')</script>")
    git(site.work, "push", "--quiet", "origin", BRANCH)
    record = {"branch": BRANCH, "steps": [{"name": "dependencies", "command": ["cat", "payloads"]}]}
    service = await start_with(start_service, site, record)
    page = await chromium.new_page()
    page.set_default_timeout(PATIENCE_MS)
    watch = Watch(page, service.url)
    await sign_in(page, service)
    await expect(page.locator("#branch")).to_have_text(BRANCH)
    await expect(page.locator("#commits")).to_contain_text("<script>alert('newest')</script>", timeout=PATIENCE_MS)
    await page.get_by_role("button", name="Update now").click()
    await expect(page.get_by_role("status")).to_contain_text("succeeded", timeout=PATIENCE_MS)
    for _ in range(2):
        await expect(page.locator("#log")).to_contain_text("<svg onload=alert(1)>")
        await expect(page.locator("#log")).to_contain_text("%3Cscript%3E")
        await page.reload()
        await expect(page.locator("#log li").first).to_be_visible()
        await asyncio.sleep(0.5)
    assert await page.evaluate("[window.opened, document.images.length, document.scripts.length]") == [None, 1, 2]
    assert watch.found == []


async def test_another_site_in_the_same_browser_changes_nothing(
    start_service: Any, site: Site, chromium: Browser
) -> None:
    """Another port of this host is the same site, so the cookie does go along: the origin is what counts."""
    service = await start_with(start_service, site)
    site.push("two")
    statuses: list[int] = []

    async def lure(request: web.Request) -> web.Response:
        return web.Response(text=_EVIL % {"url": service.url}, content_type="text/html")

    evil = web.Application()
    evil.router.add_get("/", lure)
    server = TestServer(evil)
    await server.start_server()
    try:
        context = await chromium.new_context()
        await context.add_cookies(
            [
                {
                    "name": "sessionid",
                    "value": (await cookie_of(service, "admin"))["Cookie"].partition("=")[2],
                    "url": service.url,
                    "httpOnly": True,
                    "sameSite": "Strict",
                }
            ]
        )
        page = await context.new_page()
        context.on(
            "response",
            lambda answer: statuses.append(answer.status) if answer.request.method == "POST" else None,
        )
        await page.goto(str(server.make_url("/")))
        async with asyncio.timeout(30):
            while len(statuses) < _ATTEMPTS:
                await asyncio.sleep(0.1)
        assert statuses == [403] * _ATTEMPTS
        framed = await page.evaluate("document.getElementById('frame').contentDocument === null")
        assert framed, "the dashboard is shown in no frame"
        await context.close()
    finally:
        await server.close()
    assert (site.head(), site.serving()) == (site.first, "one")
    assert await service.services.deployments.list_updates() == []


_ATTEMPTS = 8
_EVIL = """<!doctype html>
<iframe name="hidden1"></iframe><iframe name="hidden2"></iframe><iframe name="hidden3"></iframe>
<iframe id="frame" src="%(url)s/admin/dashboard/"></iframe>
<form target="hidden1" method="post" action="%(url)s/admin/update/"><input name="a" value="b"></form>
<form target="hidden2" method="post" action="%(url)s/admin/update/" enctype="text/plain">
<input name='{"a": "' value='"}'></form>
<form target="hidden3" method="post" action="%(url)s/api/system/update/execute" enctype="multipart/form-data">
<input name="a" value="b"></form>
<script>
for (const form of document.forms) form.submit();
const send = (path, body, type) => fetch("%(url)s" + path, {
  method: "POST", mode: "no-cors", credentials: "include", body, headers: type ? {"Content-Type": type} : {},
}).catch(() => 0);
send("/admin/update/");
send("/admin/update/", "{}", "text/plain");
send("/api/system/update/execute", new Blob(["{}"]));
send("/admin/live/update/", new URLSearchParams("a=b"));
navigator.sendBeacon("%(url)s/admin/update/", new Blob(["{}"], {type: "text/plain"}));
</script>
"""
