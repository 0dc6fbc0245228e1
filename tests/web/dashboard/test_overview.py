"""The overview and the figures as pages, without script: what they show is what the API says."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from typing import Any
from xml.etree import ElementTree

import pytest
from aiohttp import ClientSession

from tests.actors import TESTER
from tests.web.api.rollouts.releasing import WATCHED, release, report
from tests.web.dashboard.shop import APP, Desk
from tests.web.people import cookie_of
from updater.clock import utc_now
from updater.web.dashboard.charts import CHARTS
from updater.web.dashboard.drawing import STYLE_SOURCE

OVERVIEW = "/admin/dashboard/"
HERE = {"platform": "linux", "architecture": "amd64"}


async def check(service: Any, version: str, times: int = 1) -> None:
    for _ in range(times):
        await service.call(
            "GET", "/api/v1/updates/my-app/check", params={**HERE, "current_version": version}, status=200
        )
    await service.services.telemetry.flush_checks()


# -- the overview


async def test_a_server_without_applications_shows_the_way_on(start_service: Any) -> None:
    service = await start_service()
    async with ClientSession(headers=await cookie_of(service, "staff")) as session:
        page = await Desk(service.url, session).get(OVERVIEW)
    assert "There is no application yet" in page
    assert 'href="/admin/new-application/"' in page
    assert "<p>Nothing.</p>" in page


async def test_attention_comes_first_and_leads_to_the_page_that_helps(shop: Any, staff: Desk, admin: Desk) -> None:
    await release(shop, "1.0.0")
    await release(shop, "1.1.0", rollout={"percent": 50, "halt": WATCHED})
    for number in range(60):
        await report(shop, "1.1.0", "failed" if number % 2 else "completed")
    await shop.services.access.create_key("old one", "read", expires_at=utc_now() + timedelta(days=3), actor=TESTER)
    page = await staff.get(OVERVIEW)
    assert f'<a href="{APP}releases/1.1.0/">The rollout of 1.1.0 is halted on linux' in page
    assert page.index("is halted on linux") < page.index("My App") < page.index("<h2>Storage</h2>")
    assert "old one" not in page, "keys are for administrators"
    assert '<a href="/admin/keys/">The key old one (read) expires in 3 days</a>' in await admin.get(OVERVIEW)


async def test_a_card_says_what_the_interface_says(shop: Any, staff: Desk) -> None:
    await release(shop, "1.0.0")
    await release(shop, "1.0.1", rollout=25)
    await check(shop, "1.0.1")
    await check(shop, "1.0.0", 3)
    for outcome in ("completed", "completed", "completed", "failed"):
        await report(shop, "1.0.1", outcome)
    page = await staff.get(OVERVIEW)
    card = page[page.index('<article class="card application">') : page.index("</article>")]
    assert "stable <strong>1.0.1</strong>" in card
    assert "to 25 %" in card
    assert "<dt>Installs, last 24 hours</dt><dd>3</dd>" in card
    assert "<dt>Failure rate</dt><dd>25 %</dd>" in card
    assert "25 % of update checks come from 1.0.1" in card
    assert 'class="spark"' in card


async def test_many_applications_are_a_table_in_pages(shop: Any, staff: Desk) -> None:
    for number in range(54):
        await shop.services.catalog.create_application(
            f"tool-{number:02}", name=f"Tool {number}", platforms=("linux",), extra={}, actor=TESTER
        )
    first = await staff.get(OVERVIEW)
    assert "55 applications" in first
    assert first.count('<th scope="row"') == 50
    assert len(first.encode()) < 100_000
    second = await staff.get(f"{OVERVIEW}?page=2")
    assert second.count('<th scope="row"') == 5
    assert f'href="{OVERVIEW}?page=1"' in second
    for strange in ("0", "-1", "x", "9" * 40, "\u0662"):
        assert "55 applications" in await staff.get(f"{OVERVIEW}?page={strange}")


# -- figures


async def fill(shop: Any) -> None:
    await release(shop, "1.0.0")
    await check(shop, "1.0.0", 3)
    await check(shop, "0.9.0")
    for seconds in (3, 30, 300):
        await report(shop, "1.0.0", install_time_seconds=seconds)
    await report(shop, "1.0.0", "failed", error_message="cannot open the <file>")


async def test_figures_show_each_chart_with_its_table(shop: Any, staff: Desk) -> None:
    await fill(shop)
    page = unescape(await staff.get(f"{APP}figures/?range=week"))
    for name in ("adoption", "installs", "outcomes", "failure-rate", "errors", "platforms", "install-time"):
        assert f"{APP}charts/{name}.svg?range=week&bucket=day" in page
        assert f"/api/v1/applications/my-app/figures?range=week&bucket=day&format=csv&table={name}" in page
    assert "Update checks by version: 1.0.0 3, 0.9.0 1." in page, "the alternative text says what the chart says"
    assert "cannot open the <file>" in page
    assert '<option value="week" selected>' in page
    assert '<p class="figure">25 %</p>' in page


async def test_each_table_has_a_page_with_all_of_its_rows(shop: Any, staff: Desk) -> None:
    await fill(shop)
    figures = await staff.get(f"{APP}figures/?range=year")
    assert "the newest 31 of 366 rows" in figures
    assert len(figures.encode()) < 100_000
    page = await staff.get(f"{APP}figures/adoption/?range=year")
    assert page.count('<th scope="row">') == 366
    await staff.get(f"{APP}figures/secrets/", status=404)


async def test_charts_are_images_that_may_do_nothing(shop: Any, staff: Desk) -> None:
    await fill(shop)
    for name in CHARTS:
        for width in ("", "narrow", "half"):
            path = f"{shop.url}{APP}charts/{name}.svg?range=month&width={width}"
            async with staff.session.get(path, allow_redirects=False) as answer:
                body = await answer.read()
                assert (answer.status, answer.content_type) == (200, "image/svg+xml")
                policy = answer.headers["Content-Security-Policy"]
            assert policy == f"default-src 'none'; style-src {STYLE_SOURCE}; frame-ancestors 'none'; sandbox"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            root = ElementTree.fromstring(body)
            assert int(root.attrib["width"]) == {"": 760, "narrow": 350, "half": 520}[width]
            assert re.search(rb"<script|on\w+=|href", body) is None
    await staff.get(f"{APP}charts/versions.svg", status=404)
    await staff.get("/admin/applications/unknown/charts/adoption.svg", status=404)


async def test_a_range_that_has_too_many_steps_is_told_in_the_form(shop: Any, staff: Desk) -> None:
    page = await staff.get(f"{APP}figures/?range=year&bucket=hour", status=422)
    assert "at most 31 days" in page
    assert '<option value="year" selected>' in page
    await staff.get(f"{APP}charts/adoption.svg?range=year&bucket=hour", status=422)
    for strange in ("range=x", "bucket=x", "range=", "range=day&range=year", "bucket=%00"):
        await staff.get(f"{APP}figures/?{strange}")


async def test_nothing_counted_is_said(shop: Any, staff: Desk) -> None:
    page = await staff.get(f"{APP}figures/")
    assert page.count("Nothing was counted in this time.") == len(CHARTS) + 1
    assert "<img" not in page[page.index('id="main"') :]


async def test_a_page_and_its_charts_are_one_reading(shop: Any, staff: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    await fill(shop)
    telemetry, readings = shop.services.telemetry, []
    read = telemetry._store.totals

    async def totals(*given: Any) -> Any:
        readings.append(given)
        return await read(*given)

    telemetry._store.totals = totals
    await staff.get(f"{APP}figures/")
    for name in CHARTS:
        async with staff.session.get(f"{shop.url}{APP}charts/{name}.svg?range=month&bucket=day") as answer:
            assert answer.status == 200
    assert len(readings) == 1
    await check(shop, "1.0.0", 5)
    assert "1.0.0 3" in await staff.get(f"{APP}figures/")
    monkeypatch.setattr("updater.web.dashboard.figures.PAGE_S", 0.0)
    assert "1.0.0 8" in await staff.get(f"{APP}figures/"), "what is five seconds old is read anew"
    assert len(readings) == 2
