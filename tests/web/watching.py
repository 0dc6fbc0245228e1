"""Chromium for tests of pages, and what must not happen on one."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright, expect

CHROMIUM = shutil.which("chromium")
PATIENCE_MS = 30_000
expect.set_options(timeout=PATIENCE_MS)


@asynccontextmanager
async def open_chromium() -> AsyncIterator[Browser]:
    """Give a browser."""
    async with async_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        await browser.close()


class Watch:
    """Everything on a page that must not happen: errors, dialogs, refusals of the policy, requests elsewhere.

    `allowed` are parts of console errors that a test provokes, such as an answer's status.
    """

    def __init__(self, page: Page, url: str, *, allowed: tuple[str, ...] = ()) -> None:
        self.found: list[str] = []
        self._url = url
        self._allowed = allowed
        page.set_default_timeout(PATIENCE_MS)
        page.on("dialog", self._dialog)
        page.on("pageerror", lambda error: self.found.append(f"error: {error}"))
        page.on("console", self._console)
        page.on("request", self._request)

    def allow(self, text: str) -> None:
        """Expect console errors with this text from now on."""
        self._allowed += (text,)

    async def _dialog(self, dialog: Any) -> None:
        self.found.append(f"dialog: {dialog.message}")
        await dialog.dismiss()

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not any(each in message.text for each in self._allowed):
            self.found.append(f"{message.type}: {message.text}")

    def _request(self, request: Any) -> None:
        if not request.url.startswith((self._url + "/", "data:")):
            self.found.append(f"request: {request.url}")


async def is_wider_than_its_window(page: Page) -> bool:
    """Tell whether a page must be moved sideways to be read."""
    return bool(await page.evaluate("document.documentElement.scrollWidth > window.innerWidth"))
