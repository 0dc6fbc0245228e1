"""The page of the API's documentation, in a real Chromium."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, Page, expect

from tests.actors import TESTER
from tests.conftest import Service
from tests.web.people import PASSWORD, cookie_of
from tests.web.watching import CHROMIUM, PATIENCE_MS, Watch, is_wider_than_its_window, open_chromium

DOCS = "/api/v1/docs"
# Relative luminance of the colours that the browser drew. Source: WCAG 2.2, relative luminance and contrast ratio.
_CONTRAST = """(selector) => {
  const parse = (text) => {
    const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number);
    return { rgb: [r, g, b], a };
  };
  const light = (rgb) => rgb.map((each) => each / 255)
    .map((each) => (each <= 0.03928 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4))
    .reduce((sum, each, index) => sum + each * [0.2126, 0.7152, 0.0722][index], 0);
  const above = (element) => (element ? [...above(element.parentElement), element] : []);
  const element = document.querySelector(selector);
  const ground = above(element).map((each) => parse(getComputedStyle(each).backgroundColor))
    .reduce((under, { rgb, a }) => under.map((each, index) => each * (1 - a) + rgb[index] * a), [255, 255, 255]);
  const both = [parse(getComputedStyle(element).color).rgb, ground].map(light);
  return (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05);
}"""


@pytest.fixture
async def chromium() -> AsyncIterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    async with open_chromium() as browser:
        yield browser


async def _open_operation(page: Page, path: str) -> None:
    operation = page.locator(".opblock", has=page.locator(f'[data-path="{path}"]')).first
    await operation.locator(".opblock-summary-control").click()
    await expect(operation.locator(".opblock-body")).to_contain_text("Responses")


async def test_it_is_read_in_both_schemes_and_on_a_phone(service: Service, chromium: Browser) -> None:
    """Controls: red with `style-src 'none'`, and without the class that start.js sets."""
    for scheme, width in (("light", 1440), ("dark", 390), ("dark", 1440), ("light", 390)):
        context = await chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
        page = await context.new_page()
        watch = Watch(page, service.url)
        await page.goto(service.url + DOCS)
        await _open_operation(page, "/api/v1/updates/{app_id}/latest")
        assert not await is_wider_than_its_window(page), (scheme, width)
        ground = await page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, re.findall(r"\d+", ground)[:3])) < 200) == (scheme == "dark"), (scheme, ground)
        for selector in (".info .title", ".opblock-summary-path", ".opblock-summary-method", ".renderedMarkdown p"):
            assert await page.evaluate(_CONTRAST, selector) >= 4.5, (scheme, selector)
        await expect(page.get_by_role("link", name="Dashboard")).to_have_attribute("href", "/admin/")
        assert watch.found == []
        await context.close()


async def test_the_system_changes_its_mind(service: Service, chromium: Browser) -> None:
    page = await chromium.new_page(color_scheme="light")
    await page.goto(service.url + DOCS)
    root = page.locator("html")
    await expect(root).not_to_have_class(re.compile("dark-mode"))
    await page.emulate_media(color_scheme="dark")
    await expect(root).to_have_class(re.compile("dark-mode"))


async def test_by_keyboard_and_tried_out_by_a_signed_in_person(service: Service, chromium: Browser) -> None:
    """A session goes along; the operation is opened and asked without a mouse."""
    await service.services.people.create_user("staff", "staff", PASSWORD, actor=TESTER)
    context = await chromium.new_context()
    session = (await cookie_of(service, "staff"))["Cookie"].partition("=")[2]
    await context.add_cookies([{"name": "sessionid", "value": session, "url": service.url}])
    page = await context.new_page()
    watch = Watch(page, service.url)
    await page.goto(service.url + DOCS)
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.textContent") == "Skip to the operations"
    operation = page.locator("#operations-api-list_applications")
    await operation.locator(".opblock-summary-control").focus()
    await page.keyboard.press("Enter")
    await operation.get_by_role("button", name="Try it out").focus()
    await page.keyboard.press("Enter")
    await operation.get_by_role("button", name="Execute").focus()
    await page.keyboard.press("Enter")
    answer = operation.locator(".live-responses-table")
    await expect(answer).to_contain_text('"my-app"', timeout=PATIENCE_MS)
    await expect(answer.locator(".response-col_status").last).to_contain_text("200")
    assert watch.found == []
    await context.close()


async def test_nothing_inline_and_nothing_from_elsewhere(service: Service) -> None:
    answer, body = await service.exchange("GET", DOCS, status=200)
    policy = answer.headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    text = body.decode()
    for address in re.findall(r'(?:src|href)="([^"#]+)"', text):
        path = address if address.startswith("/") else f"/api/v1/{address}"
        if path != "/":
            found, _ = await service.exchange("GET", path)
            assert found.status in (200, 303), path
    assert not re.findall(r"<style|style=|<script>|\son[a-z]+=", text)
