"""Pages of deployments over plain HTTP: what they show, what their forms do, and what they refuse."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from tests.conftest import Service
from tests.deployments.site import Site
from tests.web.people import cookie_of, start_with

ALL = "/admin/deployments/"
WEB = f"{ALL}web/"


class Browser:
    """A member of the staff without a script."""

    def __init__(self, session: ClientSession, token: str) -> None:
        self._session = session
        self._token = token

    async def get(self, path: str, status: int = 200) -> str:
        async with self._session.get(path, allow_redirects=False) as answer:
            assert (answer.status, answer.content_type) == (status, "text/html"), path
            return await answer.text()

    async def post(self, path: str, status: int = 303, **fields: str) -> str:
        """Send a form; return the page, or where the answer leads."""
        data = {"csrf_token": self._token, **fields}
        async with self._session.post(path, data=data, allow_redirects=False) as answer:
            assert answer.status == status, (path, await answer.text())
            return answer.headers.get("Location") or await answer.text()


async def browser_of(service: Service, role: str = "staff") -> Browser:
    cookie = await cookie_of(service, role)
    token = service.services.people.form_token(cookie["Cookie"].partition("=")[2])
    return Browser(ClientSession(service.url, headers=cookie), token)


@pytest.fixture
async def service(start_service: Any, site: Site) -> Service:
    return await start_with(start_service, site)


@pytest.fixture
async def staff(service: Service) -> AsyncIterator[Browser]:
    browser = await browser_of(service)
    yield browser
    await browser._session.close()


async def settled(service: Service) -> str:
    """Wait until the last run is over and known to the database; return its name."""
    deployments = service.services.deployments
    home = deployments.runs.home(deployments.get())
    async with asyncio.timeout(60):
        while True:
            runs = sorted((home / "runs").glob("2*"))
            if runs and (runs[-1] / "imported").exists() and not await deployments.runs.is_running(deployments.get()):
                return runs[-1].name
            await asyncio.sleep(0.05)


async def test_nothing_is_configured(start_service: Any) -> None:
    service = await start_service()
    browser = await browser_of(service)
    assert "No deployment is configured." in await browser.get(ALL)
    await browser.get(WEB, 404)
    await browser._session.close()


async def test_forward_and_back_by_forms(service: Service, site: Site, staff: Browser) -> None:
    assert "newest version" in await staff.get(ALL)
    page = await staff.get(WEB)
    assert "Run the steps again" in page
    assert 'id="rollback"' not in page
    assert await staff.post(f"{WEB}check/") == f"{WEB}?said=deployment-newest"
    site.push("two", "The <b>second</b> version")
    assert await staff.post(f"{WEB}check/") == f"{WEB}?said=deployment-new"
    assert "There is something new." in await staff.get(f"{WEB}?said=deployment-new")
    asked = await staff.get(f"{WEB}update/")
    assert "The &lt;b&gt;second&lt;/b&gt; version" in asked
    assert site.head() == site.first, "a question changes nothing"
    assert await staff.post(f"{WEB}update/") == f"{WEB}?said=deployment-update"
    run = await settled(service)
    page = await staff.get(WEB)
    assert 'id="rollback"' in page
    assert page.count(f"{WEB}runs/{run}/") == 1
    assert "git_pull" in await staff.get(f"{WEB}runs/{run}/")
    assert site.first[:12] in await staff.get(f"{WEB}rollback/")
    assert await staff.post(f"{WEB}rollback/") == f"{WEB}?said=deployment-rollback"
    await settled(service)
    assert site.serving() == "one"
    assert "Nothing can be taken back" in await staff.get(f"{WEB}rollback/")
    assert "no applied update" in await staff.post(f"{WEB}rollback/", 409)
    for path in (ALL, WEB, f"{WEB}runs/{run}/"):
        page = await staff.get(path)
        assert len(page) < 100_000
        assert not re.search(r"<style|style=|\son[a-z]+=|<script(?![^>]+src=)", page), path


async def test_the_history_has_pages(service: Service, site: Site, staff: Browser) -> None:
    """Runs are copied as they lie on disk: a run for each of the dozen would take half a minute."""
    site.push("two")
    await staff.post(f"{WEB}update/")
    run = await settled(service)
    runs = service.services.deployments.runs.home(service.services.deployments.get()) / "runs"
    for number in range(11):
        name = f"2020010{number % 10}T0000{number:02}Z-0000000{number:x}"
        (runs / name).mkdir()
        for each in ("plan.json", "state.json", "imported"):
            (runs / name / each).write_text((runs / run / each).read_text().replace(run, name))
    first = await staff.get(WEB)
    assert first.count(f'"{WEB}runs/') == 10
    assert 'href="?offset=10"' in first
    second = await staff.get(f"{WEB}?offset=10")
    assert second.count(f'"{WEB}runs/') == 2
    assert 'href="?offset=0"' in second
    for odd in ("-1", "x", "9" * 400, "1e3", "%00", "٣"):
        assert (await staff.get(f"{WEB}?offset={odd}")).count(f'"{WEB}runs/') in (0, 10)
    assert "No lines." in await staff.get(f"{WEB}runs/{name}/")


async def test_what_goes_wrong_is_said_where_it_was_asked(start_service: Any, site: Site, tmp_path: Path) -> None:
    busy = site.record(busy=[{"command": ["true"]}])
    unknown = {"id": "unknown", "path": str(site.checkout), "busy": [{"command": ["/nothing/here"]}]}
    service = await start_service(deployments=[busy, unknown, {"id": "gone", "path": str(tmp_path / "nowhere")}])
    staff = await browser_of(service)
    refused = await staff.post(f"{WEB}update/", 409)
    assert 'role="alert"' in refused
    assert "in progress" in refused
    assert "Update web?" in refused or "again?" in refused
    page = await staff.get(f"{ALL}unknown/")
    assert "no answer" in page
    await staff.post(f"{ALL}unknown/update/", 503)
    page = await staff.post(f"{ALL}gone/check/", 409)
    assert "does not exist" in page
    await staff.get(f"{ALL}gone/update/")
    site.remote.rename(site.remote.with_name("moved"))
    assert 'role="alert"' in await staff.post(f"{WEB}check/", 503)
    listed = await staff.get(ALL)
    for word in ("busy", "not known", "cannot be looked at"):
        assert word in listed
    await staff._session.close()


async def test_who_may_and_what_is_not_there(service: Service, site: Site, staff: Browser) -> None:
    site.push("two")
    user = await browser_of(service, "user")
    for path in (ALL, WEB, f"{WEB}update/"):
        await user.get(path, 403)
    for name in ("update", "rollback", "check"):
        await user.post(f"{WEB}{name}/", 403)
        await staff.post(f"{WEB}{name}/", 403, csrf_token="0" * 64)
        await staff.post(f"{ALL}none/{name}/", 404)
    for path in (f"{ALL}none/", f"{ALL}none/update/", f"{WEB}runs/none/", f"{WEB}runs/20200101T000000Z-00000000/"):
        await staff.get(path, 404)
    assert site.head() == site.first
    await user._session.close()
