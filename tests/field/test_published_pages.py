"""From the folder that electron-builder leaves, by the page in a browser, to electron-updater."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client.folder import makers
from tests.field.conftest import Npm
from tests.field.made import sha256
from tests.field.shop import Shop
from tests.threaded import threaded
from tests.web.dashboard.shown import CHROMIUM, Site, open_page, running_chromium, running_site

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
APP = "electron-page"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with threaded(lambda: running_site(tmp_path / "storage")) as running:
        yield running


def test_a_large_app_image(site: Site, npm: Npm, tmp_path: Path) -> None:
    Shop(site.url, site.key).open(APP)
    folder = tmp_path / "dist"
    image = makers.place(folder, "my-app-1.2.0.AppImage", random.Random(APP).randbytes(50 << 20))
    makers.latest_yml(folder, "latest-linux.yml", "1.2.0", [image], releaseNotes="Faster")
    with running_chromium() as browser:
        context, watched = open_page(browser, site)
        page = watched.page
        page.goto(f"{site.url}/admin/applications/{APP}/publish/")
        page.locator("#folder").set_input_files(str(folder))
        page.get_by_role("button", name="Upload as a draft").click()
        page.get_by_role("button", name="Publish 1.2.0").click(timeout=120_000)
        page.wait_for_url("**/releases/1.2.0/**")
        context.close()
    feed = {"provider": "generic", "url": f"{site.url}/feeds/{APP}/stable/electron"}
    cache = str(tmp_path / "cache")
    told = npm.drive("electron.js", kind="AppImage", feed=feed, version="1.1.0", cache=cache)
    assert told["error"] is None
    assert (told["offered"]["version"], told["offered"]["releaseNotes"]) == ("1.2.0", "Faster")
    assert told["file"]["sha256"] == sha256(image.read_bytes())
