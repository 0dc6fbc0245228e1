"""Webhooks in a real Chromium: one journey through an outage, and hostile texts on the pages that show them."""

from __future__ import annotations

import asyncio
import contextlib
import re
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from standardwebhooks import Webhook

import updater.webhooks.schedule as schedule
from tests.actors import TESTER
from tests.threaded import threaded
from tests.web.dashboard.payloads import PAYLOADS
from tests.web.dashboard.shown import CHROMIUM, Site, is_wider_than_its_window, open_page, running_site
from tests.webhooks.receiving import Receiving, receiving

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
LONG = "https://hooks.example.com/" + "x" * 1_900


@asynccontextmanager
async def telling_site(root: Path) -> AsyncIterator[tuple[Site, Receiving]]:
    """Run a service that delivers, with an application of hostile webhooks, and a receiver that is out of order."""
    allowed = {"allow_private": ["127.0.0.0/8"]}
    async with receiving(204, 500, "reset", 410) as receiver, running_site(root, webhooks=allowed) as site:
        services = site.services
        await services.catalog.create_application("my-app", name="My App", platforms=("linux",), extra={}, actor=TESTER)
        names = [each for each in PAYLOADS if each.isprintable() and len(each.encode()) <= 100]
        for number, name in enumerate(names[:98]):
            given = {"url": f"https://hooks.example.com/?{number}=&lt;'onx=alert(1)", "name": name, "enabled": False}
            await services.webhooks.create("my-app", given, actor=TESTER)
        await services.webhooks.create("my-app", {"url": LONG, "name": "w" * 100, "enabled": False}, actor=TESTER)
        task = asyncio.create_task(services.webhooks.delivery.run())
        yield site, receiver
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def publish(site: Site, version: str) -> None:
    path = f"{site.url}/api/v1/updates/my-app/builds/{version}/linux/amd64"
    headers = {"Authorization": f"Bearer {site.key}", "Content-Type": "application/octet-stream"}
    with urllib.request.urlopen(urllib.request.Request(path, b"bytes", headers, method="PUT"), timeout=30) as answer:
        assert answer.status == 201


def reload_until(page: Page, wanted: Locator, count: int) -> None:
    for _ in range(100):
        page.reload()
        if wanted.count() == count:
            return
        page.wait_for_timeout(100)
    raise AssertionError(page.locator("main").inner_text())


def test_from_making_one_to_an_outage_and_its_end(
    chromium: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedule, "PAUSES_S", (0.05, 0.05))
    with threaded(lambda: telling_site(tmp_path / "storage")) as (site, receiver):
        context, watched = open_page(chromium, site, "admin", permissions=["clipboard-read", "clipboard-write"])
        watched.refuse_dialogs()
        watched.expected |= {422}
        page = watched.page
        page.goto(f"{site.url}/admin/dashboard/")
        page.get_by_role("link", name="Webhooks").first.click()
        expect(page.locator("main")).to_contain_text("There is no webhook yet")
        page.get_by_label("Address").fill("http://10.0.0.1/hook")
        page.get_by_label("Name").fill("The room")
        page.get_by_label("release.published").check()
        page.get_by_role("button", name="Make the webhook").click()
        expect(page.get_by_role("alert")).to_contain_text("is not public")
        expect(page.get_by_label("release.published")).to_be_checked()
        page.get_by_label("Address").fill(receiver.url)
        page.get_by_role("button", name="Make the webhook").click()
        page.get_by_role("button", name="Copy the secret").click()
        secret = page.locator(".paste code").inner_text()
        assert page.evaluate("navigator.clipboard.readText()") == secret and secret not in page.url
        page.get_by_role("link", name="I have it").click()
        assert secret not in page.content()
        page.get_by_role("button", name="Send a test").click()
        expect(page.get_by_role("status")).to_contain_text("The test was delivered: answered 204")
        assert Webhook(secret).verify(receiver.got[0].body, receiver.got[0].headers)["type"] == "webhook.test"

        for version in ("1.0.0", "2.0.0"):
            publish(site, version)
        expect(page.locator("dl").first).to_contain_text("never")
        reload_until(page, page.get_by_text("parked"), 1)
        expect(page.locator("dl").first).to_contain_text("parked answered 410, after 3 tries")
        page.goto(f"{site.url}/admin/dashboard/")
        parked = page.get_by_role("link", name="The webhook The room is parked: 127.0.0.1 answered 410")
        reload_until(page, parked, 1)
        parked.click()
        page.get_by_role("button", name="Go on where it stopped").click()
        expect(page.get_by_role("status")).to_contain_text("tried again now")
        reload_until(page, page.get_by_role("row").filter(has_text="delivered"), 3)
        page.get_by_role("link", name="Again from here").last.click()
        expect(page.get_by_label("Event")).to_have_value(re.compile("evt_[0-9]+_[0-9a-f]{12}"))
        page.get_by_role("button", name="Send again").click()
        expect(page.get_by_role("status")).to_contain_text("Events are sent again")

        page.get_by_role("link", name="New secret").click()
        page.get_by_role("button", name="Make a new secret").click()
        assert page.locator(".paste code").inner_text() != secret
        page.get_by_role("link", name="I have it").click()
        expect(page.locator("dl").first).to_contain_text("the one before signs as well")
        page.get_by_label("Name").fill("Another room")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Another room")
        page.get_by_role("button", name="Switch off").click()
        expect(page.locator("dl").first).to_contain_text("switched off")
        page.get_by_role("link", name="Delete").click()
        page.get_by_role("button", name="Delete it").click()
        expect(page.locator("main")).to_contain_text("There is no webhook yet")
        versions = [each.tree["data"].get("version") for each in receiver.got]
        assert versions == [None, *["1.0.0"] * 4, "2.0.0", "1.0.0", "2.0.0"]

        page.goto(f"{site.url}/admin/applications/my-app/")
        page.get_by_role("link", name="Webhooks").last.click()
        expect(page.get_by_role("row")).to_have_count(100)
        last = page.locator("tbody a").last.get_attribute("href")
        for width in (390, 1440):
            page.set_viewport_size({"width": width, "height": 900})
            for address in ("/admin/applications/my-app/webhooks/", last, f"{last}delete/", f"{last}replay/"):
                page.goto(f"{site.url}{address}")
                assert not is_wider_than_its_window(page), (width, address)
                assert page.evaluate("window.opened === undefined")
        assert watched.found == []
        context.close()
