"""The overview and the figures in a real Chromium: pictures, light and dark, a phone, and hostile texts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

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
from updater.clock import utc_now
from updater.services import Services
from updater.telemetry.model import ClientFacts, Report
from updater.telemetry.rollups import Tally

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
APPLICATIONS = 10
OF_EACH = len(PAYLOADS) // APPLICATIONS
DRAWN = """() => {
  const found = [];
  for (const image of document.querySelectorAll("main img")) {
    const canvas = document.createElement("canvas");
    canvas.width = image.naturalWidth; canvas.height = image.naturalHeight;
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    const pixels = context.getImageData(0, 0, canvas.width, canvas.height).data;
    let light = 0, dark = 0, coloured = 0;
    for (let at = 0; at < pixels.length; at += 4) {
      if (pixels[at + 3] < 200) continue;
      const [red, green, blue] = [pixels[at], pixels[at + 1], pixels[at + 2]];
      if (Math.max(red, green, blue) - Math.min(red, green, blue) > 60) coloured++;
      // The colours of texts: lines between areas are white in the light, and black in the dark.
      else if (Math.abs(red - 213) + Math.abs(green - 218) + Math.abs(blue - 228) < 12) light++;
      else if (Math.abs(red - 59) + Math.abs(green - 66) + Math.abs(blue - 82) < 12) dark++;
    }
    found.push({address: image.currentSrc, width: image.naturalWidth, shown: image.clientWidth, light, dark, coloured});
  }
  return found;
}"""


async def fill(services: Services) -> None:
    """Make applications whose every text is hostile, with figures, and keys that expire and are called so."""
    soon = utc_now() + timedelta(days=2)
    for number, text in enumerate(PAYLOADS):
        name = "".join(each for each in text if each.isprintable())[:100]
        await services.access.create_key(name, "read", expires_at=soon + timedelta(minutes=number), actor=TESTER)
    for number in range(APPLICATIONS):
        mine = PAYLOADS[number * OF_EACH : (number + 1) * OF_EACH]
        name = "".join(each for each in mine[0] if each.isprintable())[:100]
        application_id = f"app-{number}"
        await services.catalog.create_application(
            application_id, name=name, platforms=("linux",), extra={}, actor=TESTER
        )
        tally, now = Tally(), utc_now()
        reports = []
        for index, text in enumerate(mine):
            text = text.replace("\0", "")
            tally.add_checks(ClientFacts(application_id, text[:200], text[:200]), now, 50 + index)
            tally.add_country(application_id, text[:200], now, 50 + index)
            for status in ("failed", "completed"):
                reports.append(
                    Report(
                        application_id=application_id,
                        current_version="1.0.0",
                        target_version=text[:100],
                        platform="linux",
                        architecture="amd64",
                        status=status,
                        received_at=now,
                        error_message=text if status == "failed" else None,
                        install_time_seconds=2**index % 1_000,
                    )
                )
        await services.telemetry._store.add_counts(tally)
        await services.telemetry._store.write(reports)


@asynccontextmanager
async def filled_site(root: Path) -> AsyncIterator[Site]:
    async with running_site(root) as site:
        await fill(site.services)
        yield site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with threaded(lambda: filled_site(tmp_path_factory.mktemp("figures") / "storage")) as running:
        yield running


def look_at(page: Page, address: str) -> list[dict[str, Any]]:
    """Open a page and scroll to its end, so that all of its pictures are loaded; return what is in them."""
    page.goto(address)
    page.evaluate("for (const image of document.querySelectorAll('img')) image.loading = 'eager'")
    page.evaluate("Promise.all([...document.images].map(image => image.decode()))")
    found: list[dict[str, Any]] = page.evaluate(DRAWN)
    return found


def test_hostile_texts_are_only_shown(site: Site, chromium: Browser) -> None:
    context, watched = open_page(chromium, site, "admin")
    watched.refuse_dialogs()
    page = watched.page
    page.goto(f"{site.url}/admin/dashboard/")
    assert page.locator(".attention li").count() >= len(PAYLOADS)
    assert page.locator(".application").count() == APPLICATIONS
    for number in range(APPLICATIONS):
        base = f"{site.url}/admin/applications/app-{number}"
        pictures = look_at(page, f"{base}/figures/?range=day")
        assert len(pictures) >= 7
        page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
        assert page.locator("main script, main iframe, main object, main [onload], main [onerror]").count() == 0
    for name in ("adoption", "errors", "platforms", "countries"):
        # Also as a page of its own, where scripts of a document would run.
        page.goto(f"{site.url}/admin/applications/app-0/charts/{name}.svg?range=day")
        assert page.evaluate("document.documentElement.tagName") == "svg"
        assert page.evaluate("getComputedStyle(document.querySelector('text')).fontSize") == "12px", "the style counts"
        page.goto(f"{site.url}/admin/applications/app-0/figures/{name}/?range=day")
    assert watched.found == []
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pictures_follow_the_scheme_and_the_width(site: Site, chromium: Browser, scheme: Any) -> None:
    context, watched = open_page(chromium, site, color_scheme=scheme, viewport={"width": 1440, "height": 900})
    page = watched.page
    for width in (1440, 1000, 768, 390):
        page.set_viewport_size({"width": width, "height": 900})
        for address in ("/admin/dashboard/", "/admin/applications/app-0/figures/?range=week&bucket=hour"):
            pictures = look_at(page, site.url + address)
            assert not is_wider_than_its_window(page), (width, address)
            for each in pictures:
                assert each["coloured"] > 100, each
                assert (each["light"] > each["dark"]) == (scheme == "dark"), each
                # Texts of 12 px stay readable as the picture is fitted.
                assert 12 * each["shown"] / each["width"] >= 10.9, (width, each)
    assert watched.found == []
    context.close()


def test_a_range_is_chosen_without_a_script(site: Site, chromium: Browser) -> None:
    context, watched = open_page(chromium, site, java_script_enabled=False)
    page = watched.page
    page.goto(f"{site.url}/admin/dashboard/")
    page.locator(".application").first.get_by_role("link", name="Figures").click()
    page.get_by_label("Range").select_option("quarter")
    page.get_by_label("In steps").select_option("month")
    page.get_by_role("button", name="Show").click()
    assert page.url.endswith("/figures/?range=quarter&bucket=month")
    page.locator("main details summary").first.click()
    assert page.locator("main details table").first.is_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").first.click()
    assert download.value.suggested_filename == "app-0-adoption.csv"
    assert watched.found == []
    context.close()
