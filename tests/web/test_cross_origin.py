"""Pages of other sites: those that the settings name read what installed clients ask for, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.web.watching import CHROMIUM, open_chromium

SITE = "https://www.example.com"
CHECK = "/api/v1/updates/my-app/check?current_version=0.1.0&platform=linux&architecture=amd64"


async def start(start_service: Any, *origins: str) -> Any:
    service = await start_service(server={"cors_origins": list(origins)})
    await service.application()
    await service.publish()
    return service


async def test_without_the_setting_nothing_is_said(start_service: Any) -> None:
    service = await start(start_service)
    answer, _ = await service.exchange("GET", CHECK, headers={"Origin": SITE}, status=200)
    assert not any(name.startswith("Access-Control") or name == "Vary" for name in answer.headers)
    await service.exchange(
        "OPTIONS", CHECK, headers={"Origin": SITE, "Access-Control-Request-Method": "GET"}, status=405
    )


@pytest.mark.parametrize(
    ("origins", "origin", "allowed", "vary"),
    [
        ([SITE], SITE, SITE, True),
        ([SITE], SITE.upper(), SITE.upper(), True),
        ([SITE], "https://evil.example.com", None, True),
        ([SITE], f"{SITE}.evil.com", None, True),
        ([SITE], "null", None, True),
        ([SITE], None, None, True),
        (["*"], "https://evil.example.com", "*", False),
    ],
)
async def test_who_may_read_a_check(
    start_service: Any, origins: list[str], origin: str | None, allowed: str | None, *, vary: bool
) -> None:
    """Control: an answer without `Vary` would be given from a cache to a page that may not read it."""
    service = await start(start_service, *origins)
    given = {} if origin is None else {"Origin": origin}
    latest = "/api/v1/updates/my-app/latest?platform=linux&architecture=amd64"
    for path in (CHECK, latest, "/feeds/my-app/stable/appcast/mac.xml"):
        answer, _ = await service.exchange("GET", path, headers=given)
        assert answer.headers.get("Access-Control-Allow-Origin") == allowed, path
        assert ("Origin" in answer.headers.get("Vary", "")) == vary, path
        assert "Access-Control-Allow-Credentials" not in answer.headers


async def test_what_only_keys_and_people_open_stays_closed(start_service: Any) -> None:
    service = await start(start_service, "*")
    for path in ("/api/v1/applications", "/admin/sign-in/", "/admin/status/", "/api/v1/updates/my-app/history"):
        answer, _ = await service.exchange("GET", path, key="admin", headers={"Origin": SITE})
        assert "Access-Control-Allow-Origin" not in answer.headers, path
        asked = {"Origin": SITE, "Access-Control-Request-Method": "GET"}
        answer, _ = await service.exchange("OPTIONS", path, headers=asked, status=405)
        assert "Access-Control-Allow-Origin" not in answer.headers, path


async def test_a_browser_asks_first(start_service: Any) -> None:
    service = await start(start_service, SITE)
    status = "/api/v1/updates/my-app/status"
    asked = {"Origin": SITE, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    answer, _ = await service.exchange("OPTIONS", status, headers=asked, status=204)
    assert answer.headers["Access-Control-Allow-Origin"] == SITE
    assert "POST" in answer.headers["Access-Control-Allow-Methods"]
    for path, change in ((CHECK, {}), (status, {"Access-Control-Request-Method": "DELETE"}), (status, {"Origin": "x"})):
        await service.exchange("OPTIONS", path, headers={**asked, **change}, status=405)


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
async def test_a_page_of_another_site_in_a_browser(start_service: Any) -> None:
    """It checks and reports; it reads no list of applications."""
    page_server = TestServer(web.Application())
    page_server.app.router.add_get("/", _page)
    await page_server.start_server()
    origin = str(page_server.make_url("")).rstrip("/")
    service = await start(start_service, origin)
    report = {"current_version": "0.1.0", "target_version": "1.0.0", "platform": "linux", "architecture": "amd64",
              "status": "completed"}  # fmt: skip
    try:
        async with open_chromium() as browser:
            page = await browser.new_page()
            await page.goto(f"{origin}/")
            seen = await page.evaluate(_SCRIPT, [service.url, CHECK, report])
    finally:
        await page_server.close()
    assert seen == ["1.0.0", 200, "TypeError"]


async def _page(_: web.Request) -> web.Response:
    return web.Response(text="<!doctype html><title>x</title>", content_type="text/html")


_SCRIPT = """async ([url, check, report]) => {
  const found = await (await fetch(url + check)).json();
  const told = await fetch(url + "/api/v1/updates/my-app/status", {
    method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(report)});
  const list = await fetch(url + "/api/v1/applications").catch(error => error.name);
  return [found.latest_version, told.status, list];
}"""
