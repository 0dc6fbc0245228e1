"""Every page in a real Chromium: small, whole, readable by a screen reader, and no wider than its window.

The two scenes are an everyday server, and one whose names are as long as they may be. Long names change widths alone:
axe looks at the first.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page

from tests.pictures.__main__ import SIZES, addresses, served, sign_in
from tests.pictures.data import SCENES
from tests.web.watching import CHROMIUM, is_wider_than_its_window, open_chromium
from updater.app import build_app

MOST_BYTES = 100_000
# Given out to programs, or shown on the way somewhere else: tests/web/dashboard has them.
# Pictures below the window are fetched when somebody scrolls there.
_SHOW_ALL = "Promise.all([...document.images].map(each => (each.loading = 'eager', each.decode().catch(() => 0))))"
# Drawn by the renderer of the documentation: its markup is its own.
OF_OTHERS = ("/api/v1/docs",)
# Rendered as those of applications, which are looked at.
TWICE = tuple(f"/admin/webhooks/{{webhook_id}}/{each}/" for each in ("replay", "secret", "delete"))
NO_PAGES = ("/admin/live/", "/admin/assets/", "/admin/sign-in/", "/admin/setup/", "/admin/{rest}", "/admin", "/admin/")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")


@pytest.mark.parametrize("name", ["one", "long"])
async def test_every_page_is_well(name: str, tmp_path: Path) -> None:
    """Control: `<img src=x>` without `alt`, an inline style, or a table that is wider than a phone is red."""
    scene, found = SCENES[name], []
    async with served(scene, tmp_path) as (url, pages), open_chromium() as chromium:
        for (size, (width, height)), scheme in zip(SIZES.items(), ("dark", "light"), strict=True):
            context = await chromium.new_context(
                viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce"
            )
            page = await context.new_page()
            await sign_in(page, url)
            console: list[str] = []
            page.on("console", lambda message, into=console: into.append(message.text))
            page.on("pageerror", lambda error, into=console: into.append(str(error)))
            for word, address in pages.items():
                console.clear()
                problems = await _problems(page, url + address, 404 if word == "nothing" else 200)
                if name == "one" and address not in OF_OTHERS:
                    problems += await _faults(page)
                problems += [text for text in console if word != "nothing"]
                found += [f"{word}, {size}, {scheme}: {each}" for each in problems]
            await context.close()
    assert not found, "\n".join(found)


async def _problems(page: Page, url: str, status: int) -> list[str]:
    answer = await page.goto(url)
    assert answer is not None
    if answer.status != status:
        return [f"status {answer.status}"]
    await page.evaluate(_SHOW_ALL)
    found = []
    length = len(await answer.body())
    if length > MOST_BYTES and not url.endswith(OF_OTHERS):
        found.append(f"{length} bytes")
    if await is_wider_than_its_window(page):
        found.append("wider than its window")
    if await page.evaluate("[...document.images].some(each => each.complete && each.naturalWidth === 0)"):
        found.append("a picture is missing")
    return found


async def _faults(page: Page) -> list[str]:
    """Return what axe finds serious."""
    found = []
    results: dict[str, Any] = (await Axe().run(page)).response
    for each in results["violations"]:
        if each["impact"] in ("serious", "critical"):
            places = ", ".join(" ".join(map(str, node["target"])) for node in each["nodes"][:3])
            found.append(f"{each['id']} ({each['impact']}): {each['help']}: {places}")
    return found


async def test_no_page_is_left_out(service: Any) -> None:
    """Each route of a page is looked at above, or named in NO_PAGES."""
    looked_at = {build_pattern(each) for scene in SCENES.values() for each in addresses(scene).values()}
    left = []
    for route in build_app(service.services).router.routes():
        assert route.resource is not None
        path = route.resource.canonical
        if route.method == "GET" and path.startswith("/admin") and not path.startswith(NO_PAGES[:2]):
            kinds = getattr(route.handler, "contract").media_types  # noqa: B009
            if (
                "text/html" in kinds
                and path not in NO_PAGES + TWICE
                and not any(_fits(path, each) for each in looked_at)
            ):
                left.append(path)
    assert not left, "\n".join(left)


def build_pattern(address: str) -> tuple[str, ...]:
    return tuple(address.split("/"))


def _fits(path: str, address: tuple[str, ...]) -> bool:
    parts = path.split("/")
    return len(parts) == len(address) and all(
        own.startswith("{") or own == given for own, given in zip(parts, address, strict=True)
    )
