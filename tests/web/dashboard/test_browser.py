"""The pages of deployments in a real Chromium: what people see and do, and what must not happen to them."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import Browser, Page, expect

from tests.actors import TESTER
from tests.conftest import Service
from tests.deployments.site import Site, git
from tests.ports import free_port
from tests.processes.serving import COMMAND, START_S, environment
from tests.web.dashboard.payloads import BRANCH, PAYLOADS
from tests.web.people import PASSWORD, cookie_of, start_with
from tests.web.watching import CHROMIUM, Watch, is_wider_than_its_window, open_chromium

DEPLOYMENTS = "/admin/deployments/"
WEB = f"{DEPLOYMENTS}web/"

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")


@pytest.fixture
async def chromium() -> AsyncIterator[Browser]:
    async with open_chromium() as browser:
        yield browser


async def sign_in(page: Page, url: str, path: str = WEB, name: str = "staff") -> None:
    await page.goto(f"{url}{path}")
    await page.get_by_label("Name").fill(name)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await page.wait_for_url(f"**{path}")


async def add_staff(service: Service) -> None:
    await service.services.people.create_user("staff", "staff", PASSWORD, actor=TESTER)


class Updater:
    """`updater serve` as a process of its own, that can be ended and started again."""

    def __init__(self, folder: Path, *records: dict[str, Any]) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = environment(
            folder,
            UPDATER_SERVER__PORT=str(self.port),
            UPDATER_DEPLOYMENTS=json.dumps(records),
            UPDATER_SERVER__DRAIN_S="1",
        )
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it and wait until it listens."""
        self.process = subprocess.Popen(
            [*COMMAND, "serve"], env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if line.startswith("listening on"):
                return
        raise AssertionError("it does not start")

    def stop(self) -> None:
        """End it as an operator does."""
        if self.process is not None:
            self.process.terminate()
            self.process.communicate(timeout=START_S)
            self.process = None

    def add_staff(self) -> None:
        """Make a person who may update, as an operator does."""
        words = [*COMMAND, "user", "create", "staff", "--role", "staff", "--password-stdin"]
        subprocess.run(words, env=self.environment, input=f"{PASSWORD}\n", text=True, check=True, capture_output=True)


async def test_forward_through_a_restart_of_the_server_and_back(site: Site, tmp_path: Path, chromium: Browser) -> None:
    """The log goes on where it was while the server was away, and no line comes twice."""
    gate = tmp_path / "gate"
    waits = ["sh", "-c", f"echo before the restart; while [ ! -e {gate} ]; do sleep 0.1; done; echo after the restart"]
    updater = Updater(
        tmp_path / "data", site.record(steps=[{"name": "dependencies", "command": waits, "timeout_s": 60}])
    )
    await asyncio.to_thread(updater.start)
    try:
        await asyncio.to_thread(updater.add_staff)
        site.push("two", "The second version")
        page = await chromium.new_page()
        watch = Watch(
            page, updater.url, allowed=("ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED", "ERR_EMPTY_RESPONSE")
        )
        await sign_in(page, updater.url)
        # Nobody asked the remote: the page does it once by itself.
        await expect(page.locator(".commits li")).to_have_count(1)
        await expect(page.locator(".commits")).to_contain_text("The second version")
        await expect(page.locator("#branch")).to_have_text("main")
        await page.locator("#update").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Update web?")
        await expect(page.locator(".commits")).to_contain_text("The second version")
        await page.get_by_role("button", name="Update now").click()
        await page.wait_for_url(f"**{WEB}**")
        await expect(page.locator("#log")).to_contain_text("before the restart")
        await asyncio.to_thread(updater.stop)
        await expect(page.locator("#notice")).to_contain_text("may be restarting")
        gate.touch()
        await asyncio.to_thread(updater.start)
        await expect(page.locator("#notice")).to_contain_text("succeeded")
        lines = await page.locator("#log .message").all_text_contents()
        assert [lines.count(f"{each} the restart") for each in ("before", "after")] == [1, 1]
        assert (await page.locator("#log .component").all_text_contents())[0] == "git_fetch"
        shown = await page.locator("#steps li").all_inner_texts()
        assert len(shown) == 5
        assert all("done" in each for each in shown)
        assert site.serving() == "two"

        await page.locator("#rollback").click()
        await expect(page.locator("dl")).to_contain_text(site.first[:12])
        await page.get_by_role("button", name="Roll back").click()
        await expect(page.locator("#notice")).to_contain_text("succeeded")
        assert site.serving() == "one"
        await expect(page.locator("#history tbody tr")).to_have_count(2)
        await expect(page.locator("#history tbody tr").first).to_contain_text("Rollback")
        await page.locator("#history tbody a").last.click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Update of web")
        step = page.locator(".timeline li", has_text="dependencies")
        await step.get_by_text("What it said").click()
        await expect(step.locator(".output")).to_contain_text("before the restart")
        year = str(datetime.now(UTC).year)
        for line in await page.locator(".log li time").all_text_contents():
            assert year in line, "times carry dates"
        await page.get_by_role("button", name="Sign out").click()
        await page.wait_for_url("**/admin/sign-in/*")
        assert watch.found == []
    finally:
        await asyncio.to_thread(updater.stop)


async def test_two_deployments_one_busy_one_broken_on_a_phone_and_a_desk(
    start_service: Any, site: Site, tmp_path: Path, chromium: Browser
) -> None:
    other = Site(tmp_path / "other")
    long = "x" * 180
    busy = {"id": "busy-" + "y" * 59, "busy": [{"command": ["echo", f"3 renders of {long} are on"]}]}
    records = [site.record(), other.record(**busy), {"id": "gone", "path": f"/nowhere/{long}", "branch": long}]
    service = await start_service(deployments=records)
    await add_staff(service)
    page = await chromium.new_page()
    watch = Watch(page, service.url)
    await sign_in(page, service.url, DEPLOYMENTS)
    rows = page.locator("tbody tr")
    await expect(rows).to_have_count(3)
    for row, text in enumerate(("newest version", "busy", "cannot be looked at")):
        await expect(rows.nth(row)).to_contain_text(text)
    for path in (
        DEPLOYMENTS,
        f"{DEPLOYMENTS}{busy['id']}/",
        f"{DEPLOYMENTS}gone/",
        f"{DEPLOYMENTS}{busy['id']}/update/",
    ):
        for width in (390, 1440):
            for scheme in ("light", "dark"):
                await page.set_viewport_size({"width": width, "height": 900})
                await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
                await page.goto(service.url + path)
                assert not await is_wider_than_its_window(page), (path, width)
    await expect(page.locator(".notice.warn")).to_contain_text("3 renders of")
    watch.allow("409 (Conflict)")
    await page.get_by_role("button", name="Run them again").click()
    await expect(page.get_by_role("alert")).to_contain_text("in progress")
    await page.goto(f"{service.url}{DEPLOYMENTS}gone/")
    await expect(page.locator("#standing")).to_contain_text("does not exist")
    await expect(page.locator("#update")).to_have_count(0)
    await page.locator("#check").click()
    await expect(page.get_by_role("alert")).to_contain_text("does not exist")
    assert watch.found == []


async def test_the_main_button_is_what_there_is_to_do(start_service: Any, site: Site, chromium: Browser) -> None:
    service = await start_with(start_service, site)
    await add_staff(service)
    page = await chromium.new_page()
    watch = Watch(page, service.url)
    await sign_in(page, service.url)
    update, check, quiet = page.locator("#update"), page.locator("#check"), re.compile("quiet")
    await expect(page.locator("#commits")).to_contain_text("newest version")
    await expect(update).to_have_text("Run the steps again")
    await expect(update).to_have_class(quiet)
    await expect(check).not_to_have_class(quiet)
    site.push("two")
    await check.click()
    await expect(page.get_by_text("There is something new.")).to_be_visible()
    await expect(update).to_have_text("Update")
    await expect(update).not_to_have_class(quiet)
    await expect(check).to_have_class(quiet)
    assert watch.found == []


async def test_without_javascript_everything_but_the_live_part(
    start_service: Any, site: Site, chromium: Browser
) -> None:
    service = await start_with(start_service, site)
    await add_staff(service)
    site.push("two", "The second version")
    page = await (await chromium.new_context(java_script_enabled=False)).new_page()
    await sign_in(page, service.url)
    await page.get_by_role("button", name="Check for updates").click()
    await expect(page.locator(".commits")).to_contain_text("The second version")
    await page.get_by_role("link", name="Update", exact=True).click()
    await page.get_by_role("button", name="Update now").click()
    async with asyncio.timeout(60):
        while not await page.get_by_role("link", name="Roll back").count():
            await page.reload()
            await asyncio.sleep(0.2)
    await expect(page.locator("#standing")).to_contain_text("succeeded")
    await expect(page.locator("#log")).to_contain_text("git_pull")
    await page.get_by_role("link", name="Roll back").click()
    await page.get_by_role("button", name="Roll back").click()
    async with asyncio.timeout(60):
        while await asyncio.to_thread(site.serving) != "one":
            await asyncio.sleep(0.1)


async def test_by_keyboard_alone_and_on_a_phone(start_service: Any, site: Site, chromium: Browser) -> None:
    service = await start_with(start_service, site)
    await add_staff(service)
    site.push("sick", "A version that is sick: " + "word" * 60)
    context = await chromium.new_context(viewport={"width": 390, "height": 740}, has_touch=True, is_mobile=True)
    page = await context.new_page()
    watch = Watch(page, service.url)
    await page.goto(f"{service.url}{WEB}")
    assert not await is_wider_than_its_window(page)
    await page.keyboard.type("staff")  # the name has the focus
    await page.keyboard.press("Tab")
    await page.keyboard.type(PASSWORD)
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"**{WEB}")
    await expect(page.locator(".commits li")).to_have_count(1)
    reached: list[str] = []
    for _ in range(12):
        await page.keyboard.press("Tab")
        reached.append(await page.evaluate("document.activeElement.id"))
    # A list that is longer than its box can be scrolled by keyboard too.
    assert [each for each in reached if each in ("update", "check", "log")] == ["update", "check", "log"]
    await page.locator("#update").focus()
    await page.keyboard.press("Enter")
    await page.get_by_role("button", name="Update now").focus()
    await page.keyboard.press("Enter")
    await expect(page.locator("#notice")).to_contain_text("the version before is in place again")
    await expect(page.locator("#steps li.failed")).to_contain_text("health")
    assert not await is_wider_than_its_window(page)
    heights = await page.locator(".head .actions > *").evaluate_all(
        "all => all.map(each => each.getBoundingClientRect().height)"
    )
    assert min(heights) >= 44, "large enough for a finger"
    assert site.serving() == "one"
    assert watch.found == []
    await context.close()


async def test_hostile_texts_stay_texts(start_service: Any, site: Site, chromium: Browser) -> None:
    """In the branch's name, commits, probes, steps, the live log and the log read again, on each page.

    Controls: red with `innerHTML` in place of `textContent` in deployment.js, and with `|safe` in the templates.
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
    said = ["sh", "-c", "echo '<img src=x onerror=alert(1)>'; exit 1"]
    record = {
        "branch": BRANCH,
        "steps": [{"name": "dependencies", "command": ["cat", "payloads"]}],
        "busy": [{"command": said}],
    }
    service = await start_with(start_service, site, record)
    await add_staff(service)
    page = await chromium.new_page()
    watch = Watch(page, service.url)
    await sign_in(page, service.url)
    await expect(page.locator("#branch")).to_have_text(BRANCH)
    await expect(page.locator(".commits")).to_contain_text("<script>alert('newest')</script>")
    await expect(page.locator("#standing")).to_contain_text("<img src=x onerror=alert(1)>")
    await page.locator("#update").click()
    await expect(page.locator(".commits")).to_contain_text("<script>alert('newest')</script>")
    await page.get_by_role("button", name="Update now").click()
    await expect(page.locator("#notice")).to_contain_text("succeeded")
    for _ in range(2):
        await expect(page.locator("#log")).to_contain_text("<svg onload=alert(1)>")
        await expect(page.locator("#log")).to_contain_text("%3Cscript%3E")
        await page.reload()
        await expect(page.locator("#log li").first).to_be_visible()
        await asyncio.sleep(0.5)
    found = "[window.opened, document.images.length, document.scripts.length]"
    assert await page.evaluate(found) == [None, 1, 2]
    run = await page.locator("#history tbody a").first.get_attribute("href")
    for path in (run, f"{WEB}rollback/", DEPLOYMENTS):
        await page.goto(f"{service.url}{path}")
        await expect(page.get_by_role("heading", level=1)).to_be_visible()
        assert (await page.evaluate(found))[:2] == [None, 1], path
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


_ATTEMPTS = 9
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
send("/api/v1/deployments/web/update", new URLSearchParams("a=b"));
send("/admin/deployments/web/update/", new URLSearchParams("a=b"));
navigator.sendBeacon("%(url)s/admin/update/", new Blob(["{}"], {type: "text/plain"}));
</script>
"""
