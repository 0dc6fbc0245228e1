"""A service with people, and a Chromium that is signed in to it, each made once for a file of tests."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

from tests.actors import TESTER
from tests.conftest import KEYS, OwnServer, settings_tree
from tests.web.people import PASSWORD
from updater.app import build_app, make_runner
from updater.composition import open_services
from updater.config import load
from updater.processes.folder import claim_folder
from updater.services import Services

CHROMIUM = shutil.which("chromium")
PATIENCE_MS = 30_000
PEOPLE = {"admin": "anna", "staff": "stefan", "user": "ute"}


@dataclass(frozen=True)
class Site:
    """Where a service listens, an admin key, and the ids of a session of each role."""

    url: str
    key: str
    sessions: dict[str, str]
    services: Services


@asynccontextmanager
async def running_site(root: Path, people: Mapping[str, str] = PEOPLE, **sections: Any) -> AsyncIterator[Site]:
    """Run a service with one person of each role, or with these people. Enter it with `tests.threaded.threaded`."""
    settings = load(None, settings_tree(root, **sections))
    async with AsyncExitStack() as stack:
        stack.enter_context(claim_folder(settings.storage))
        services = await stack.enter_async_context(open_services(settings))
        server = OwnServer(make_runner(build_app(services), settings))
        await server.start_server()
        stack.push_async_callback(server.close)
        sessions = {}
        for role, name in people.items():
            await services.people.create_user(name, role, PASSWORD, actor=TESTER)
            sessions[role], _ = await services.people.open_script_session(name, 60, actor=TESTER)
        yield Site(str(server.make_url("")).rstrip("/"), KEYS["admin"], sessions, services)


@contextmanager
def running_chromium() -> Iterator[Browser]:
    """Run one Chromium for the block."""
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


@dataclass
class Watched:
    """A page, and everything on it that must not happen: errors, what the policy refused, requests elsewhere."""

    page: Page
    url: str
    found: list[str] = field(default_factory=list)
    # Statuses of answers that the browser reports on its console.
    expected: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.page.set_default_timeout(PATIENCE_MS)
        self.page.on("pageerror", lambda error: self.found.append(f"error: {error}"))
        self.page.on("console", self._console)
        self.page.on("request", self._request)

    def refuse_dialogs(self) -> None:
        """Count each dialog as something that must not happen."""
        self.page.on("dialog", lambda dialog: (self.found.append(f"dialog: {dialog.message}"), dialog.dismiss()))

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not any(
            f"status of {each}" in message.text for each in self.expected
        ):
            self.found.append(f"{message.type}: {message.text}")

    def _request(self, request: Any) -> None:
        if not request.url.startswith((self.url + "/", "blob:" + self.url)):
            self.found.append(f"request: {request.url}")


def open_page(browser: Browser, site: Site, role: str = "staff", **options: Any) -> tuple[BrowserContext, Watched]:
    """Open a page of a new context, signed in as a role; with an empty one, not signed in."""
    context = browser.new_context(**options)
    if not role:
        return context, Watched(context.new_page(), site.url)
    cookie: Any = {
        "name": "sessionid",
        "value": site.sessions[role],
        "url": site.url,
        "httpOnly": True,
        "sameSite": "Strict",
    }
    context.add_cookies([cookie])
    return context, Watched(context.new_page(), site.url)


def is_wider_than_its_window(page: Page) -> bool:
    """Tell whether a page has to be moved sideways."""
    return bool(page.evaluate("document.documentElement.scrollWidth > window.innerWidth"))
