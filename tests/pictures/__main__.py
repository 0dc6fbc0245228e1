"""Take pictures of every page: `scripts/screenshots [FOLDER] [--scene NAME ...] [--page WORD ...] [--readme]`.

Each scene is a data folder that is filled, served by `updater serve`, and looked at in Chromium as its administrator:
at 390 and 1440 pixels, in light and dark. `--readme` writes the one picture of the README alone.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Browser, Page

from tests.bench.processes import running
from tests.pictures.data import (
    PERSON,
    SCENES,
    Scene,
    deploy,
    deployed,
    environment_of,
    fill,
    publish,
    versions_of,
    webhook_of,
)
from tests.ports import free_port
from tests.web.people import PASSWORD
from tests.web.watching import CHROMIUM, open_chromium

README_PICTURE = Path("docs/dashboard.png")
SIZES = {"phone": (390, 844), "desk": (1440, 900)}
SCHEMES = ("light", "dark")


def addresses(scene: Scene, run: str = "none") -> dict[str, str]:
    """Return the pages of a scene: a short name, and the address. `run` is one of its deployment."""
    names = ("dashboard", "deployments", "keys", "people", "account", "audit", "settings", "nothing", "sign-out")
    found = {name: f"/admin/{name}/" for name in names}
    found |= {
        "revoke": "/admin/keys/1/revoke/",
        "person": f"/admin/people/{PERSON}/",
        "new": "/admin/new-application/",
        "docs": "/api/v1/docs",
    }
    places: list[tuple[str, str, str | None]] = [("", "/admin/", None)]
    if scene.applications:
        application_id = scene.applications[0][0]
        places.append(("application-", f"/admin/applications/{application_id}/", application_id))
    for prefix, below, owner in places:
        one = f"{below}webhooks/{webhook_of(owner)}/"
        found |= {f"{prefix}webhooks": f"{below}webhooks/", f"{prefix}webhook": one}
        if owner is not None:
            found |= {f"{prefix}webhook-{name}": f"{one}{name}/" for name in ("replay", "secret", "delete")}
    if scene.site:
        below = "/admin/deployments/web/"
        found |= {"deployment": below, "deployment-run": f"{below}runs/{run}/"}
        found |= {f"deployment-{name}": f"{below}{name}/" for name in ("check", "update", "rollback")}
    if scene.applications:
        application_id, releases = scene.applications[0]
        below = f"/admin/applications/{application_id}/"
        names = ("figures", "publish", "feeds", "explain", "history", "settings")
        found |= {"application": below, **{f"application-{name}": f"{below}{name}/" for name in names}}
        _, withdrawn, *_, version = versions_of(releases, is_long=scene.name == "long")
        found["figures-table"] = f"{below}figures/installs/"
        found |= {"release": f"{below}releases/{version}/", "delete": f"{below}settings/delete/"}
        found |= {step: f"{below}releases/{version}/{step}/" for step in ("withdraw", "set", "resume")}
        found["restore"] = f"{below}releases/{withdrawn}/restore/"
    return found


@asynccontextmanager
async def served(scene: Scene, folder: Path) -> AsyncIterator[tuple[str, dict[str, str]]]:
    """Fill a folder and serve it for the block; yields the address of the service, and its pages by short names."""
    with deployed(folder / "site", scene) as site:
        environment = environment_of(folder, site)
        await fill(scene, environment)
        port = free_port()
        environment = {**os.environ, **environment, "UPDATER_SERVER__PORT": str(port)}
        command = [sys.executable, "-m", "updater", "serve"]
        with running(command, port, folder / "log", core=None, env=environment) as own:
            await publish(own.url, scene)
            yield own.url, addresses(scene, "" if site is None else await deploy(own.url, site))


async def sign_in(page: Page, url: str) -> None:
    """Sign the administrator in."""
    await page.goto(f"{url}/admin/sign-in/")
    await page.get_by_label("Name").fill(PERSON)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await page.wait_for_url("**/admin/dashboard/")


async def take(
    browser: Browser, url: str, pages: dict[str, str], scene: Scene, out: Path, wanted: Sequence[str]
) -> None:
    """Take each page of a scene in each size and scheme."""
    for size, (width, height) in SIZES.items():
        context = await browser.new_context(viewport={"width": width, "height": height})
        page = await context.new_page()
        await page.goto(f"{url}/admin/sign-in/")
        await page.screenshot(path=out / f"{scene.name}-sign-in-{size}-light.png", full_page=True)
        await sign_in(page, url)
        for name, address in pages.items():
            if wanted and not any(each in name for each in wanted):
                continue
            answer = await page.goto(url + address)
            await page.wait_for_load_state("networkidle")
            wide = await page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
            if answer is not None and (answer.status >= 400) != (name == "nothing"):
                print(f"{scene.name} {name}: status {answer.status}")
            if wide > 0:
                print(f"{scene.name} {name} {size}: {wide} px wider than its window")
            for scheme in SCHEMES:
                await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
                await page.screenshot(path=out / f"{scene.name}-{name}-{size}-{scheme}.png", full_page=True)
        await context.close()


async def take_readme(browser: Browser, url: str) -> None:
    """Take the picture of the README: the overview."""
    page = await browser.new_page(viewport={"width": 1280, "height": 800})
    await sign_in(page, url)
    # What the overview counts in the background is there a few seconds later.
    await asyncio.sleep(8)
    await page.reload(wait_until="networkidle")
    README_PICTURE.parent.mkdir(exist_ok=True)
    await page.screenshot(path=README_PICTURE)


async def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="scripts/screenshots", description=__doc__)
    parser.add_argument("folder", nargs="?", default="build/screenshots", type=Path)
    parser.add_argument("--scene", action="append", choices=SCENES, default=[])
    parser.add_argument("--page", action="append", default=[], help="a part of a page's name")
    parser.add_argument("--readme", action="store_true")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    if CHROMIUM is None:
        sys.exit("chromium is not installed: see scripts/debian-packages")
    async with open_chromium() as browser:
        for name in ["few"] if given.readme else given.scene or list(SCENES):
            with tempfile.TemporaryDirectory(prefix="updater-pictures-") as folder:
                async with served(SCENES[name], Path(folder)) as (url, pages):
                    if given.readme:
                        await take_readme(browser, url)
                    else:
                        await take(browser, url, pages, SCENES[name], given.folder, given.page)


if __name__ == "__main__":
    asyncio.run(main())
