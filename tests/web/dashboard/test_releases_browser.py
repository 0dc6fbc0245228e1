"""Releases and rollouts in a real Chromium: steered from end to end, at two sizes, with hostile texts in each field."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import urllib.error
import urllib.request
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.threaded import threaded
from tests.web.dashboard.payloads import PAYLOADS
from tests.web.dashboard.shown import (
    CHROMIUM,
    Site,
    Watched,
    is_wider_than_its_window,
    open_page,
    running_site,
)
from updater.catalog.files import own_name
from updater.catalog.platforms import ARCHITECTURES, PLATFORMS
from updater_client import InstallReport, Target, UpdateClient

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
SIZES = ((390, 844), (1440, 900))
LINUX = {"platform": "linux", "architecture": "amd64"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with threaded(lambda: running_site(tmp_path_factory.mktemp("releases") / "storage")) as running:
        yield running


@pytest.fixture
def opened(site: Site, chromium: Browser) -> Iterator[tuple[BrowserContext, Watched]]:
    """Open a page as an administrator; what must not happen on it is looked for at the end."""
    context, watched = open_page(chromium, site, "admin", permissions=["clipboard-read", "clipboard-write"])
    watched.refuse_dialogs()
    yield context, watched
    context.close()
    assert watched.found == []


def call(site: Site, method: str, path: str, body: Any = None, raw: bytes | None = None) -> Any:
    """Ask the API as an administrator's key."""
    data = raw if body is None else json.dumps(body).encode()
    kind = "application/octet-stream" if body is None else "application/json"
    headers = {"Authorization": f"Bearer {site.key}", "Content-Type": kind}
    asked = urllib.request.Request(site.url + path, data, headers, method=method)
    try:
        with urllib.request.urlopen(asked, timeout=30) as answer:
            return json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as refused:
        raise AssertionError(f"{method} {path[:200]}: {refused.code} {refused.read()[:500]!r}") from None


def application(app: str, name: str) -> dict[str, Any]:
    return {"id": app, "name": name, "platforms": ["linux"]}


def in_a_loop(work: Coroutine[Any, Any, Any]) -> Any:
    """Run the client of an application, in a loop of its own."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


async def install(site: Site, app: str, version: str, numbers: range, status: str) -> None:
    """Report installs, as the applications of so many people do."""
    for number in numbers:
        async with UpdateClient(site.url, client_id=f"{version}-{status}-{number}") as client:
            await client.report(app, InstallReport("1.0.0", version, Target("linux", "amd64"), status))


def fill_step(page: Page, button: str, **fields: str) -> None:
    for label, text in fields.items():
        page.get_by_label(label.replace("_", " ")).fill(text)
    page.locator("main").get_by_role("button", name=button, exact=True).click()


def test_a_rollout_set_watched_halted_and_resumed(opened: tuple[BrowserContext, Watched], site: Site) -> None:
    page = opened[1].page
    page.goto(f"{site.url}/admin/new-application/")
    page.get_by_label("Name").fill("Paint box")
    page.get_by_label("Id", exact=True).fill("paint")
    page.get_by_label("linux").check()
    page.get_by_label("Channels").fill("stable\nbeta")
    page.get_by_role("button", name="Make it").click()
    expect(page.get_by_role("status")).to_contain_text("The application is made")
    expect(page.locator(".empty")).to_contain_text("Nothing is published yet")
    builds = "/api/v1/updates/paint/builds"
    for version in ("1.0.0", "1.1.0"):
        call(site, "PUT", f"{builds}/{version}/linux/amd64?file_name=app.AppImage", raw=version.encode())
    page.reload()
    expect(page.locator("tbody tr")).to_have_count(2)
    page.locator("tbody tr").first.get_by_role("button", name="Copy").click()
    expect(page.locator("tbody tr").first.locator("button.copy")).to_have_text("Copied")
    digest = page.evaluate("navigator.clipboard.readText()")
    assert re.fullmatch("[0-9a-f]{64}", digest), "the whole digest is copied, not what is shown"

    page.get_by_role("link", name="1.1.0").click()
    page.get_by_role("link", name="Set a plan").click()
    expect(page.locator("#impact")).to_contain_text("No figures yet")
    page.get_by_label("Reports of one address that count").fill("1000")
    page.get_by_label("Addresses that failures come from").fill("1")
    fill_step(page, "Set the plan", Stages="50 % for 1 h\n100 %", Reason="try it")
    expect(page.get_by_role("status")).to_contain_text("The plan is set")
    expect(page.locator(".timeline .now").first).to_contain_text("50 %")
    expect(page.locator("#next")).to_contain_text("follows after")

    in_a_loop(install(site, "paint", "1.1.0", range(4), "completed"))
    page.reload()
    expect(page.locator("section", has=page.locator("#arms"))).to_contain_text("0 of 4")
    in_a_loop(install(site, "paint", "1.1.0", range(12), "failed"))
    page.reload()
    arms = page.locator("section", has=page.locator("#arms"))
    expect(arms).to_contain_text("halted")
    expect(arms).to_contain_text("it fails more often than 10 %, the most that its plan allows")
    expect(page.locator(".timeline .failed").first).to_contain_text("50 %")
    page.get_by_role("link", name="Resume").click()
    expect(page.locator("#impact")).to_contain_text("Touches up to")
    page.get_by_label("Accept the halt on linux").check()
    fill_step(page, "Resume", Reason="the disk was full")
    expect(page.get_by_role("status")).to_contain_text("The rollout goes on")
    expect(arms).to_contain_text("no reports yet")
    for words in ("rollout.halted", "the disk was full", "anna (user)"):
        expect(page.locator(".changes")).to_contain_text(words)

    page.get_by_role("link", name="Withdraw").click()
    expect(page.locator("#impact")).to_contain_text("Touches 4 installs of 1.1.0: they keep it")
    fill_step(page, "Withdraw", Reason="it loses settings")
    expect(page.get_by_role("status")).to_contain_text("nobody is offered it any more")
    asked = f"/api/v1/updates/paint/check?{urlencode({'current_version': '1.0.0', **LINUX, 'manual': 'true'})}"
    assert call(site, "GET", asked)["update_available"] is False
    page.get_by_role("link", name="Restore").click()
    fill_step(page, "Restore")
    assert call(site, "GET", asked)["latest_version"] == "1.1.0"

    page.get_by_role("link", name="Explain").click()
    page.get_by_label("Its version").fill("0.9.0")
    page.get_by_label("Platform").select_option("linux")
    page.get_by_label("Client id").fill("anna")
    page.get_by_label("Somebody pressed").check()
    page.get_by_role("button", name="Explain").click()
    expect(page.locator("#decision")).to_contain_text("It is offered 1.1.0")
    expect(page.locator("tbody")).to_contain_text("1.1.0: this client stands at")
    page.get_by_role("link", name="Feeds").click()
    page.get_by_role("button", name="Copy").last.scroll_into_view_if_needed()
    expect(page.locator("main")).to_contain_text(f"{site.url}/feeds/paint/stable/electron")


def test_no_page_is_wider_than_a_phone(opened: tuple[BrowserContext, Watched], site: Site) -> None:
    """With names, versions, ids and files as long as they may be."""
    page, app, version = opened[1].page, "i" * 100, "1.0.0-" + "v" * 90
    channel = "c" * 40
    call(
        site,
        "POST",
        "/api/v1/applications",
        {"id": app, "name": "N" * 100, "platforms": ["linux"], "channels": [channel]},
    )
    file_name = "f" * 170 + ".AppImage"
    call(site, "PUT", f"/api/v1/updates/{app}/builds/{version}/linux/amd64?file_name={file_name}", raw=b"x")
    plan = {"stages": [{"percent": 12.34, "for_s": 3_600}, {"percent": 100}], "reason": "r" * 500}
    call(site, "PUT", f"/api/v1/updates/{app}/releases/{version}/rollout", plan)
    base = f"{site.url}/admin/applications/{app}/"
    asked = urlencode({"current_version": "0.1.0", **LINUX, "client_id": "x" * 200})
    paths = ["", f"releases/{version}/", "feeds/", "history/", f"explain/?{asked}", "settings/", "settings/delete/"]
    paths += [f"releases/{version}/{step}/" for step in ("set", "resume", "withdraw")]
    for width, height in SIZES:
        page.set_viewport_size({"width": width, "height": height})
        for path in paths:
            page.goto(base + path)
            assert not is_wider_than_its_window(page), (width, path[:30])
            small = page.evaluate(
                "[...document.querySelectorAll('main button:not(.copy), main a.button')]"
                ".filter(each => each.getBoundingClientRect().height < 32).length"
            )
            assert small == 0, path
            levels = page.evaluate("[...document.querySelectorAll('h1, h2, h3')].map(each => +each.tagName[1])")
            assert levels[0] == 1
            assert all(after <= before + 1 for before, after in itertools.pairwise(levels)), (path, levels)
            unnamed = page.evaluate(
                "[...document.querySelectorAll('main input:not([type=hidden]), main select, main textarea')]"
                ".filter(each => !each.labels.length).length"
            )
            assert unnamed == 0, path


def test_hostile_texts_stay_texts(opened: tuple[BrowserContext, Watched], site: Site) -> None:
    """Through notes, names, files, reasons, history and explain: every page of each, in one document without a policy.

    Control: red with `|safe` at a reason, at a name, or with `html: True` in the notes.
    """
    assert len(PAYLOADS) >= 200
    context, watched = opened
    app = "hostile"
    call(site, "POST", "/api/v1/applications", {**application(app, "x"), "platforms": list(PLATFORMS)})
    updates = f"/api/v1/updates/{app}"
    targets = [(platform, architecture) for platform in PLATFORMS for architecture in ARCHITECTURES]
    clean = [each.replace("\x00", " ") for each in PAYLOADS]
    for number, (platform, architecture) in enumerate(targets):
        notes = "\n\n".join(clean[number :: len(targets)])
        path = (
            f"{updates}/builds/1.0.0/{platform}/{architecture}?file_name=app.bin&{urlencode({'release_notes': notes})}"
        )
        call(site, "PUT", path, raw=b"x")
    names = [each for each in clean if own_name(each)]
    assert len(names) >= 8
    for name in names:
        call(
            site,
            "PUT",
            f"{updates}/builds/1.0.0/linux/amd64/files/{quote(name, safe='')}?kind=other",
            raw=name.encode(),
        )
    call(site, "PUT", f"{updates}/releases/1.0.0/rollout", {"percent": 5})
    for number, payload in enumerate(clean):
        step = "resume" if number % 2 else "pause"
        reason = payload.replace("\u2028", " ").replace("\u2029", " ")
        call(site, "POST", f"{updates}/releases/1.0.0/rollout/{step}", {"reason": reason[:500]})

    base = f"{site.url}/admin/applications/{app}/"
    asked = context.request
    documents = [asked.get(base + path).text() for path in ("releases/1.0.0/", "feeds/", "releases/1.0.0/resume/")]
    documents += [asked.get(f"{base}history/?offset={offset}").text() for offset in range(0, 250, 50)]
    assert sum(each.count("rollout.paused") + each.count("rollout.resumed") for each in documents[3:]) == len(clean)
    step = f"{base}releases/1.0.0/set/"
    token = re.search(r'name="csrf_token" value="(\w+)"', asked.get(step).text())
    assert token is not None
    for payload in clean:
        fields = ("current_version", "client_id", "address", "channel", "platform", "architecture")
        documents.append(asked.get(f"{base}explain/?{urlencode(dict.fromkeys(fields, payload))}").text())
        documents.append(asked.get(f"{base}history/?{urlencode({'version': payload})}").text())
        names_of_fields = ("stages", "start_at", "min_reports", "halt_margin", "reason", "halt_shown")
        form = {"csrf_token": token[1], **dict.fromkeys(names_of_fields, payload)}
        documents.append(asked.post(step, form=form, headers={"Origin": site.url}).text())
        form = {"csrf_token": token[1], **dict.fromkeys(("id", "name", "channels", "version_scheme"), payload)}
        documents.append(
            asked.post(f"{site.url}/admin/new-application/", form=form, headers={"Origin": site.url}).text()
        )
    for payload in clean[::8]:
        call(site, "PUT", f"/api/v1/applications/{app}", {"name": " ".join(payload.split())[:100]})
        documents += [asked.get(base + path).text() for path in ("", "settings/", "settings/delete/")]
    show_together(watched, site, documents)


def show_together(watched: Watched, site: Site, documents: list[str]) -> None:
    """Let Chromium read many pages as one, without the policy that would hold back what runs."""
    script = r'<script type="module" src="/admin/assets/\w+\.js"></script>'
    own = re.compile(script + r'|<img src="/admin/assets/icon\.svg"[^>]*>')
    text = "\n".join(own.sub("", each) for each in documents)
    page = watched.page
    page.route("**/together/", lambda route: route.fulfill(body=text, content_type="text/html; charset=utf-8"))
    page.goto(f"{site.url}/together/", wait_until="load")
    page.wait_for_timeout(500)
    # Fields of numbers and dates say on the console that they do not show such texts.
    watched.found[:] = [each for each in watched.found if "The specified value" not in each]
    assert watched.found == []
    found = page.evaluate(
        "[window.opened === undefined, document.scripts.length, document.images.length, document.querySelectorAll("
        "'iframe, object, embed, base, svg, math, template, video, audio, marquee, main style, meta[http-equiv], "
        'a[href^="javascript"], a[href^="data"]\').length]'
    )
    assert found == [True, 0, 0, 0]
    on_handlers = page.evaluate(
        "[...document.querySelectorAll('*')].filter(each => "
        "[...each.attributes].some(one => one.name.startsWith('on'))).length"
    )
    assert on_handlers == 0
