"""The page that publishes, in a real Chromium: folders, progress, cuts, refusals, hostile names, the keyboard."""

from __future__ import annotations

import hashlib
import json
import random
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, FileChooser, Page, expect

from tests.client.folder import makers
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

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
MIB = 1 << 20
Open = Callable[..., Watched]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with threaded(lambda: running_site(tmp_path_factory.mktemp("pages") / "storage")) as running:
        yield running


@pytest.fixture
def app(site: Site, request: pytest.FixtureRequest) -> str:
    """Make an application of the test's own."""
    name = request.node.name.removeprefix("test_")[:60]
    new = {"id": name, "name": name, "platforms": ["windows", "linux", "darwin"], "channels": ["stable", "beta"]}
    call(site, "POST", "/api/v1/applications", new)
    return name


@pytest.fixture
def opened(site: Site, chromium: Browser, app: str) -> Iterator[Open]:
    """Return a function that opens the page; all it must not do is looked for at the end."""
    pages: list[Watched] = []
    contexts = []

    def open_it(**options: Any) -> Watched:
        context, watched = open_page(chromium, site, **options)
        contexts.append(context)
        pages.append(watched)
        watched.page.goto(f"{site.url}/admin/applications/{app}/publish/")
        return watched

    yield open_it
    for each in pages:
        assert each.found == []
    for context in contexts:
        context.close()


def call(site: Site, method: str, path: str, body: Any = None) -> Any:
    headers = {"Authorization": f"Bearer {site.key}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(site.url + path, data, headers, method=method)) as answer:
        return json.load(answer)


def builds(site: Site, app: str) -> dict[str, Any]:
    answer = call(site, "GET", f"/api/v1/updates/{app}/releases?limit=1000")
    return {f"{each['version']} {each['platform']}/{each['architecture']}": each for each in answer["releases"]}


def slow(page: Page, bytes_per_s: int) -> Any:
    session = page.context.new_cdp_session(page)
    limits = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": bytes_per_s}
    session.send("Network.emulateNetworkConditions", limits)
    return session


def large(path: Path, size: int) -> Path:
    path.write_bytes(random.Random(str(path.name)).randbytes(MIB) * (size // MIB))
    return path


def row(page: Page, name: str) -> Any:
    return page.locator("#rows tr").filter(has_text=name).first


def test_a_large_file_is_seen_on_its_way_published_once_and_fetched(
    site: Site, app: str, opened: Open, tmp_path: Path
) -> None:
    path = large(tmp_path / "App-1.0.0-x64.exe", 50 * MIB)
    watched = opened()
    page = watched.page
    published: list[str] = []
    page.on("request", lambda each: published.append(each.url) if each.url.endswith("/publish") else None)
    slow(page, 12 * MIB)
    page.locator("#file").set_input_files(str(path))
    expect(page.locator("#version")).to_have_value("1.0.0")
    page.get_by_label("Release notes").fill("# News\n\n- **faster**")
    page.get_by_role("button", name="Preview").click()
    expect(page.locator("#preview strong")).to_have_text("faster")
    page.get_by_role("button", name="Upload as a draft").click()
    bar, state, seen = row(page, path.name).locator("progress"), row(page, path.name).locator(".state"), set()
    while page.locator("#publish-draft").is_hidden():
        if bar.is_visible():
            seen.add((round(float(bar.get_attribute("value") or 0), 2), state.text_content()))
        time.sleep(0.1)
    shares = sorted(share for share, _ in seen)
    assert len({each for each in shares if 0 < each < 1}) >= 5, shares
    assert any("MiB/s" in (text or "") and "left" in (text or "") for _, text in seen)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    expect(state).to_contain_text(digest[:16])
    assert builds(site, app)["1.0.0 windows/amd64"]["status"] == "draft"
    page.locator("#publish-draft").dblclick()
    page.wait_for_url("**/releases/1.0.0/**")
    assert len(published) == 1
    check = f"/api/v1/updates/{app}/check?current_version=0.9.0&platform=windows&architecture=amd64"
    offered = call(site, "GET", check)
    assert offered["latest_version"] == "1.0.0" and offered["release_notes"].startswith("# News")
    with urllib.request.urlopen(offered["download_url"]) as answer:
        assert hashlib.file_digest(answer, "sha256").hexdigest() == digest == offered["checksum"]
    history = call(site, "GET", f"/api/v1/updates/{app}/history")["entries"]
    assert [each["action"] for each in history].count("release.published") <= 1
    assert {each["actor"]["name"] for each in history if each["action"] != "application.created"} == {"stefan"}


def test_a_large_file_goes_on_after_a_reload_and_after_a_cut(
    site: Site, app: str, opened: Open, tmp_path: Path
) -> None:
    path = large(tmp_path / "App-1.0.0-x64.exe", 40 * MIB)
    watched = opened()
    page = watched.page
    begun: list[str] = []
    offsets: list[int] = []

    def look(request: Any) -> None:
        if request.method == "POST" and request.url.endswith("/uploads"):
            begun.append(request.url)
        if request.method == "PATCH":
            offsets.append(int(request.headers["upload-offset"]))

    page.on("request", look)
    page.on("dialog", lambda dialog: dialog.accept())
    session = slow(page, 6 * MIB)
    page.locator("#file").set_input_files(str(path))
    page.get_by_role("button", name="Upload as a draft").click()
    while not offsets or offsets[-1] < 8 * MIB:
        page.wait_for_timeout(50)
    page.wait_for_timeout(500)
    page.reload()
    slow(page, 6 * MIB)
    before = len(offsets)
    page.locator("#file").set_input_files(str(path))
    page.get_by_role("button", name="Upload as a draft").click()
    while len(offsets) < before + 2:
        page.wait_for_timeout(50)
    # What came of the piece that the reload ended is kept, too.
    assert offsets[before] > 8 * MIB
    limits = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    session.send("Network.emulateNetworkConditions", {"offline": True, **limits})
    page.wait_for_timeout(1_500)
    session.send("Network.emulateNetworkConditions", {"offline": False, **limits})
    page.locator("#publish-draft").click(timeout=60_000)
    page.wait_for_url("**/releases/1.0.0/**")
    assert len(begun) == 1, "no second upload is begun"
    assert offsets == sorted(offsets) and len(offsets) <= 8
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert builds(site, app)["1.0.0 windows/amd64"]["checksum"] == digest
    assert page.evaluate("Object.keys(localStorage).length") == 0
    watched.found[:] = [each for each in watched.found if "ERR_INTERNET_DISCONNECTED" not in each]


def test_a_folder_of_electron_builder(site: Site, app: str, opened: Open, tmp_path: Path) -> None:
    dist = makers.electron(tmp_path / "dist", "1.3.0-beta.1", releaseNotes="# From the feed")
    makers.place(dist, "tool.zip")
    setup = dist / "My App Setup 1.3.0-beta.1.exe"
    makers.place(dist, f"{setup.name}.minisig", makers.MinisignKey().sign(setup))
    page = opened().page
    # A real drop, of a real folder, beside the box.
    box = page.locator("h1").bounding_box()
    assert box
    session = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(dist)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, "x": box["x"] + 5, "y": box["y"] + 5, "data": data})
    expect(page.locator("#rows tr")).to_have_count(14)
    expect(page.locator("#version")).to_have_value("1.3.0-beta.1")
    expect(page.locator("#channel")).to_have_value("beta")
    expect(page.locator("#release_notes")).to_have_value("# From the feed")
    expect(row(page, setup.name).locator(".state")).to_have_text("Signed")
    expect(page.locator("#left-out summary")).to_contain_text("left out")
    # What nothing tells is for the person to say; with it the rest waits.
    page.get_by_role("button", name="Upload as a draft").click()
    expect(page.locator("#notice")).to_contain_text("tool.zip: Choose its platform")
    row(page, "tool.zip").get_by_label("Platform").select_option("linux")
    row(page, "tool.zip").get_by_label("Architecture").select_option("arm64")
    row(page, "tool.zip").get_by_label("Kind").select_option("other")
    page.locator("#rollout").fill("25")
    page.get_by_role("button", name="Upload as a draft").click()
    page.get_by_role("button", name="Publish 1.3.0-beta.1").click()
    page.wait_for_url("**/releases/**")
    found = builds(site, app)
    assert set(found) == {
        f"1.3.0-beta.1 {each}"
        for each in ("windows/amd64", "darwin/amd64", "darwin/arm64", "linux/amd64", "linux/arm64")
    }
    windows = found["1.3.0-beta.1 windows/amd64"]
    assert (windows["channel"], windows["percent"], windows["status"]) == ("beta", 25, "active")
    assert {each["name"]: (each["primary"], each["kind"], each["signatures"]) for each in windows["files"]} == {
        setup.name: (True, "installer", ["minisign"]),
        f"{setup.name}.blockmap": (False, "blockmap", []),
    }
    arm = {each["name"]: each["kind"] for each in found["1.3.0-beta.1 linux/arm64"]["files"]}
    assert arm["tool.zip"] == "other"
    query = "platform=darwin&architecture=arm64&channel=beta&include_metadata=true&allow_prerelease=true"
    call(site, "POST", f"/api/v1/updates/{app}/releases/1.3.0-beta.1/rollout/complete")
    offered = call(site, "GET", f"/api/v1/updates/{app}/latest?{query}")
    assert offered["metadata"] == {"electron": {"minimumSystemVersion": "21.6.0"}}


def test_what_stands_in_the_way_is_settled_on_the_page(site: Site, app: str, opened: Open, tmp_path: Path) -> None:
    dist = makers.electron(tmp_path / "dist")
    makers.place(dist, "My App Setup 1.1.0.exe")
    setup = dist / "My App Setup 1.2.0.exe"
    setup.write_bytes(b"x" + setup.read_bytes()[1:])
    page = opened().page
    page.locator("#folder").set_input_files(str(dist))
    expect(page.locator("#problems")).to_contain_text("My App Setup 1.1.0.exe is of 1.1.0, others are of 1.2.0")
    page.get_by_role("button", name="Upload as a draft").click()
    expect(page.locator("#notice")).to_contain_text("stand in the way")
    assert builds(site, app) == {}
    page.get_by_role("button", name="Leave out My App Setup 1.1.0.exe").click()
    expect(page.locator("#problems")).to_be_hidden()
    page.get_by_role("button", name="Upload as a draft").click()
    # Not what its feed file announces: told once the server knows its digest, and nothing goes live.
    expect(row(page, setup.name).locator(".wrong")).to_contain_text("not what latest.yml says: its sha512 is another")
    expect(page.locator("#publish-draft")).to_be_disabled()
    page.get_by_role("link", name="Keep as a draft").click()
    page.wait_for_url("**/releases/1.2.0/**")
    assert {each["status"] for each in builds(site, app).values()} == {"draft"}

    # Built again, and taken up where it was; what the draft has beside it is said.
    makers.place(tmp_path / "again", "My App Setup 1.2.0.msi")
    page.goto(f"{site.url}/admin/applications/{app}/publish/")
    page.locator("#folder").set_input_files(str(tmp_path / "again"))
    page.get_by_role("button", name="Upload as a draft").click()
    expect(page.locator("#notice")).to_contain_text(f"Also in this draft, from before: windows/amd64/{setup.name}")


def test_cancel_retry_and_leave(site: Site, app: str, opened: Open, tmp_path: Path) -> None:
    names = [f"App-1.0.0-{each}.exe" for each in ("x64", "arm64", "ia32")]
    for name in names:
        large(tmp_path / name, 6 * MIB)
    watched = opened()
    page = watched.page
    session = slow(page, 2 * MIB)
    page.locator("#file").set_input_files([str(tmp_path / name) for name in names])
    page.get_by_role("button", name="Upload as a draft").click()
    at_once = []
    cancel = page.locator("#rows").get_by_role("button", name="Cancel")
    expect(cancel.first).to_be_visible()
    cancel.first.click()
    expect(page.locator("#rows")).to_contain_text("Cancelled")
    asked: list[str] = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
    page.get_by_role("button", name="Retry").click()
    while page.locator("#publish-draft").is_hidden():
        at_once.append(cancel.count())
        if not asked and cancel.count():
            page.evaluate("document.querySelector('.brand').click()")
            page.wait_for_timeout(300)
        if len(at_once) == 5:
            session.send(
                "Network.emulateNetworkConditions",
                {"offline": True, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1},
            )
            expect(page.locator("#rows")).to_contain_text("The connection broke")
            session.send(
                "Network.emulateNetworkConditions",
                {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1},
            )
            while page.get_by_role("button", name="Retry").count():
                page.get_by_role("button", name="Retry").first.click()
        page.wait_for_timeout(100)
    assert asked == ["beforeunload"], "leaving while files are sent asks first"
    assert max(at_once) <= 2
    watched.found[:] = [each for each in watched.found if "ERR_INTERNET_DISCONNECTED" not in each]
    assert {each["status"] for each in builds(site, app).values()} == {"draft"} and len(builds(site, app)) == 3


def test_refusals_stand_at_their_fields(site: Site, app: str, opened: Open, tmp_path: Path) -> None:
    path = makers.place(tmp_path, "App-1.0.0.exe")
    watched = opened()
    page, watched.expected = watched.page, {409, 422, 507}
    page.locator("#file").set_input_files(str(path))
    page.get_by_label("Minimum version").fill("2.0.0")
    page.get_by_role("button", name="Upload as a draft").click()
    expect(page.locator("#minimum_version-wrong")).to_contain_text("above")
    expect(page.locator("#minimum_version")).to_be_focused()
    expect(page.locator("#minimum_version")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("Minimum version").fill("")
    reserve: Any = site.services.artifacts._reserve
    kept, reserve._reserve_bytes = reserve._reserve_bytes, 1 << 60
    try:
        page.get_by_role("button", name="Retry").click()
        expect(row(page, path.name).locator(".wrong")).to_contain_text("No room left on the server")
    finally:
        reserve._reserve_bytes = kept
    page.get_by_role("button", name="Retry").click()
    page.locator("#rollout").fill("700")
    page.get_by_role("button", name="Publish 1.0.0").click()
    expect(page.locator("#rollout-wrong")).to_be_visible()
    page.locator("#rollout").fill("")
    page.get_by_role("button", name="Publish 1.0.0").click()
    page.wait_for_url("**/releases/**")

    again = opened()
    again.expected = {409}
    makers.place(tmp_path, path.name, b"other bytes")
    again.page.locator("#file").set_input_files(str(path))
    again.page.get_by_role("button", name="Upload as a draft").click()
    expect(again.page.locator("#version-wrong")).to_contain_text("1.0.0")
    expect(row(again.page, path.name).locator(".state")).to_have_text("Not sent")


def test_hostile_names_and_notes_run_nothing(site: Site, app: str, opened: Open) -> None:
    """Control: red with `innerHTML` in place of `textContent` in publish_rows.js."""
    assert len(PAYLOADS) >= 200
    watched = opened()
    watched.refuse_dialogs()
    watched.expected = {409, 422}
    page = watched.page
    give = """names => {
        const input = document.getElementById("file"), transfer = new DataTransfer();
        for (const name of names) transfer.items.add(new File(["x"], name));
        input.files = transfer.files;
        input.dispatchEvent(new Event("change"));
    }"""
    page.evaluate(give, [f"{each.replace('/', chr(0x2215))}-1.0.0.exe" for each in PAYLOADS])
    expect(page.locator("#problems li").first).to_be_visible()
    expect(page.locator("#problems")).to_contain_text("<svg onload=alert(1)>")
    page.locator("#problems button").first.click()
    # Names of no platform are left out, until somebody takes them.
    page.goto(page.url)
    page.evaluate(give, ["App-1.0.0.exe", *(f"{each.replace('/', chr(0x2215))}.txt" for each in PAYLOADS)])
    page.locator("#left-out summary").click()
    page.evaluate("for (const each of [...document.querySelectorAll('#left-out button')].slice(0, 60)) each.click()")
    expect(page.locator("#rows tr").nth(50)).to_be_attached()
    expect(page.locator("#rows")).to_contain_text("<ScRiPt>alert(1)")
    page.get_by_label("Release notes").fill("\n\n".join(PAYLOADS).replace("\x00", ""))
    page.get_by_role("button", name="Preview").click()
    expect(page.locator("#preview")).to_contain_text("<svg onload=alert(1)>")
    page.get_by_label("Version", exact=True).fill(PAYLOADS[0])
    page.get_by_role("button", name="Upload as a draft").click()
    page.wait_for_timeout(500)
    assert page.evaluate(
        "[window.opened, document.querySelectorAll('#preview img, #preview script, main svg').length]"
    ) == [
        None,
        0,
    ]


def test_a_kind_that_is_chosen_counts_of_the_main_file_too(site: Site, app: str, opened: Open, tmp_path: Path) -> None:
    page = opened().page
    names = ("App-1.0.0.exe", "App-1.0.0-arm64.zip")
    page.locator("#file").set_input_files([str(makers.place(tmp_path, name)) for name in names])
    row(page, names[1]).get_by_label("Platform").select_option("windows")
    row(page, names[0]).get_by_label("Kind").select_option("other")
    row(page, names[1]).get_by_label("Architecture").select_option("amd64,arm64")
    # Of one target there is one main file: the second that is ticked takes the place of the first.
    row(page, names[1]).get_by_label("Main file").check()
    expect(row(page, names[0]).get_by_label("Main file")).not_to_be_checked()
    row(page, names[0]).get_by_label("Main file").check()
    page.get_by_role("button", name="Upload as a draft").click()
    page.get_by_role("button", name="Publish 1.0.0").click()
    page.wait_for_url("**/releases/1.0.0/**")
    found = {
        target: {each["name"]: (each["primary"], each["kind"]) for each in one["files"] if each["made_by"] != "server"}
        for target, one in builds(site, app).items()
    }
    assert found == {
        "1.0.0 windows/amd64": {names[0]: (True, "other"), names[1]: (False, "archive")},
        "1.0.0 windows/arm64": {names[1]: (True, "archive")},
    }


def test_a_key_that_is_held_uploads_and_publishes_nothing(site: Site, app: str, opened: Open, tmp_path: Path) -> None:
    """Control: red without `settle` in publish.js."""
    page = opened().page
    page.locator("#file").set_input_files(str(makers.place(tmp_path, "App-1.0.0.exe")))
    expect(page.locator("#rows tr")).to_have_count(1)
    page.locator("#send").focus()
    while page.locator("#publish-draft").is_hidden():
        page.keyboard.press("Enter")
        page.wait_for_timeout(20)
    for _ in range(15):
        page.keyboard.press("Enter")
        page.wait_for_timeout(100)
    assert builds(site, app)["1.0.0 windows/amd64"]["status"] == "draft"
    page.locator("#publish-draft").click()
    page.wait_for_url("**/releases/1.0.0/**")


def test_by_keyboard_alone_on_a_phone(site: Site, app: str, opened: Open, tmp_path: Path) -> None:
    name = "A-very-long-name-of-a-file-" + "word" * 30 + "-1.0.0-x64.exe"
    path = makers.place(tmp_path, name)
    page = opened(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True).page
    assert not is_wider_than_its_window(page)

    def tab_to(wanted: str) -> None:
        for _ in range(60):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.id") == wanted:
                return
        raise AssertionError(f"{wanted} is not reached")

    tab_to("file")
    # The window that chooses files is the system's.
    chosen: list[FileChooser] = []
    page.on("filechooser", lambda chooser: chosen.append(chooser))
    for _ in range(10):
        page.keyboard.press("Space")
        page.wait_for_timeout(500)
        if chosen:
            break
    chosen[0].set_files(str(path))
    expect(row(page, name)).to_be_visible()
    assert not is_wider_than_its_window(page)
    row(page, name).get_by_role("button", name="Leave out").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#left-out summary")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # Take it
    expect(row(page, name)).to_be_visible()
    tab_to("version")
    expect(page.locator("#version")).to_have_value("1.0.0")
    tab_to("send")
    page.keyboard.press("Enter")
    expect(page.locator("#publish-draft")).to_be_focused()
    expect(page.locator("#publish-draft")).to_be_enabled()
    assert not is_wider_than_its_window(page)
    page.keyboard.press("Space")
    page.wait_for_url("**/releases/1.0.0/**")
    assert builds(site, app)["1.0.0 windows/amd64"]["status"] == "active"


def test_without_a_script(site: Site, app: str, opened: Open, tmp_path: Path) -> None:
    path = makers.place(tmp_path, "App.exe")
    watched = opened(java_script_enabled=False)
    page, watched.expected = watched.page, {422}
    assert page.get_by_role("button", name="Upload as a draft").is_hidden()
    page.locator("#file").set_input_files(str(path))
    page.get_by_label("Version", exact=True).fill("1.0.0")
    page.get_by_role("button", name="Publish").click()
    expect(page.locator("#problem")).to_contain_text("platform")
    page.get_by_label("Platform").select_option("windows")
    page.get_by_label("Architecture").select_option("arm64")
    page.locator("#file").set_input_files(str(path))
    page.get_by_role("button", name="Publish").click()
    page.wait_for_url("**/releases/1.0.0/**")
    assert builds(site, app)["1.0.0 windows/arm64"]["status"] == "active"
