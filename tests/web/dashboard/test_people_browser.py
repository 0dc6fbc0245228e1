"""The first run, keys and people in a real Chromium: one journey, and hostile texts on the pages that show them."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.actors import TESTER
from tests.threaded import threaded
from tests.web.dashboard.payloads import PAYLOADS
from tests.web.dashboard.shown import (
    CHROMIUM,
    Site,
    is_wider_than_its_window,
    open_page,
    running_site,
)
from updater.audit.model import Actor, ActorKind, Entry

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
PASSWORD, OTHER = "correct horse battery", "another long password"
PAGES = ("keys", "people", "people/anna", "account", "audit", "settings")


@pytest.fixture
def new_site(tmp_path: Path) -> Iterator[Site]:
    """A service nobody has an account of."""
    with threaded(lambda: running_site(tmp_path / "storage", {})) as running:
        yield running


def status_of(site: Site, key: str) -> int:
    """Ask the service something with a key, as a program does."""
    asked = urllib.request.Request(f"{site.url}/api/v1/applications", headers={"Authorization": f"Bearer {key}"})
    try:
        with urllib.request.urlopen(asked, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        return refused.code


def sign_in(page: Page, name: str, password: str) -> None:
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def fill_passwords(page: Page, first: str, second: str, text: str) -> None:
    page.get_by_label(first, exact=True).fill(text)
    page.get_by_label(second, exact=True).fill(text)


def test_from_the_first_run_to_a_person_who_is_put_out(chromium: Browser, new_site: Site) -> None:
    site = new_site
    context, watched = open_page(chromium, site, "", permissions=["clipboard-read", "clipboard-write"])
    watched.expected |= {422, 409}
    page = watched.page
    page.goto(f"{site.url}/admin/")
    expect(page).to_have_url(f"{site.url}/admin/setup/")
    page.get_by_label("Admin key").fill("upd_wrong")
    page.get_by_label("Your name").fill("Anna")
    fill_passwords(page, "Password", "Password again", PASSWORD)
    page.get_by_role("button", name="Make the account").click()
    expect(page.get_by_role("alert")).to_contain_text("is no admin key")
    expect(page.get_by_label("Your name")).to_have_value("Anna")
    page.get_by_label("Admin key").fill(site.key)
    fill_passwords(page, "Password", "Password again", PASSWORD)
    page.get_by_role("button", name="Make the account").click()
    expect(page.get_by_role("status").first).to_contain_text("Your account is made")
    page.get_by_role("button", name="Sign out").click()
    page.goto(f"{site.url}/admin/setup/")
    expect(page).to_have_url(f"{site.url}/admin/sign-in/")
    sign_in(page, "anna", PASSWORD)

    page.get_by_role("link", name="Keys").first.click()
    page.get_by_label("Name").fill("CI of the paint box")
    page.get_by_label("Level").select_option("write")
    page.get_by_role("button", name="Make the key").click()
    page.get_by_role("button", name="Copy the key").click()
    key = page.locator(".paste code").inner_text()
    assert page.evaluate("navigator.clipboard.readText()") == key
    assert key not in page.url
    assert status_of(site, key) == 200
    page.get_by_role("link", name="I have it").click()
    assert key not in page.content()
    page.get_by_role("link", name="Revoke CI of the paint box").click()
    page.get_by_role("button", name="Revoke it").click()
    expect(page.get_by_role("status")).to_contain_text("The key is revoked")
    assert status_of(site, key) == 401

    page.get_by_role("link", name="People").first.click()
    page.get_by_label("Name").fill("ben")
    page.get_by_label("Role").select_option("staff")
    fill_passwords(page, "Password", "Password again", OTHER)
    page.get_by_role("button", name="Add the person").click()
    expect(page.get_by_role("status")).to_contain_text("can sign in now")
    other_context, other = open_page(chromium, site, "")
    other.expected |= {403}
    other.page.goto(f"{site.url}/admin/sign-in/")
    sign_in(other.page, "ben", OTHER)
    expect(other.page.get_by_role("link", name="ben")).to_be_visible()
    other.page.goto(f"{site.url}/admin/people/")
    expect(other.page.locator("main")).to_contain_text("Admin access required")
    page.reload()
    expect(page.get_by_role("row")).to_have_count(2)
    page.get_by_role("button", name="Disable").click()
    expect(page.locator("dl").first).to_contain_text("disabled")
    other.page.goto(f"{site.url}/admin/account/")
    expect(other.page).to_have_url(f"{site.url}/admin/sign-in/?next=/admin/account/")
    sign_in(other.page, "ben", OTHER)
    expect(other.page.get_by_role("alert")).to_contain_text("The name or the password is wrong")
    page.goto(f"{site.url}/admin/audit/")
    page.get_by_role("button", name="Verify now").click()
    expect(page.locator("dl").first).to_contain_text("held")
    expect(page.locator("tbody tr").first).to_contain_text("audit.verified")
    assert (watched.found, other.found) == ([], [])
    other_context.close()
    context.close()


LONG = "n" * 90


@asynccontextmanager
async def hostile_site(root: Path) -> AsyncIterator[Site]:
    """Run a service in which keys, actors, subjects and reasons are hostile and long."""
    texts = [*(each for each in PAYLOADS if each.isprintable()), "w" * 180]
    async with running_site(root) as site:
        services = site.services
        for each in texts:
            if len(each) <= 100:
                await services.access.create_key(each, "read", actor=Actor(ActorKind.KEY, each))
        await services.people.create_user(LONG, "staff", PASSWORD, actor=TESTER)
        async with services.tasks._database.write() as connection:
            for each in texts:
                entry = Entry("thing.done", each, before={"name": each}, after={each: each}, reason=each)
                await services.audit.record(connection, Actor(ActorKind.KEY, each), entry)
        yield site


def test_hostile_and_long_texts(chromium: Browser, tmp_path: Path) -> None:
    """No text of a key, an actor, a subject or a reason runs, and none makes a page wider than its window."""
    with threaded(lambda: hostile_site(tmp_path / "storage")) as site:
        context, watched = open_page(chromium, site, "admin")
        watched.refuse_dialogs()
        page = watched.page
        for width in (390, 1440):
            page.set_viewport_size({"width": width, "height": 900})
            for path in (*PAGES, f"people/{LONG}", "audit/?limit=1000", "keys/?offset=50", "keys/?offset=100"):
                page.goto(f"{site.url}/admin/{path}" + ("" if "?" in path else "/"))
                assert not is_wider_than_its_window(page), (width, path)
                assert page.evaluate("window.opened === undefined")
        context.close()
        assert watched.found == []
