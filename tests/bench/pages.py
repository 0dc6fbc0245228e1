"""Pages of the dashboard: 1,000 releases and a year of figures, asked for again and again by one person."""

from __future__ import annotations

import asyncio
import time
import urllib.request
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.actors import TESTER
from tests.bench.history import write_year
from tests.bench.processes import Process, service
from tests.bench.rows import Figure, Pace, Row, Runs
from tests.bench.seed import newest, seed
from tests.conftest import settings_tree
from updater.composition import open_services
from updater.config import load
from updater.processes.folder import claim_folder
from updater.telemetry.spans import Span, floor

_RELEASES = 1_000
_APP = "/admin/applications/my-app/"
_RELEASE = f"{_APP}releases/{newest(_RELEASES)}/"
_ASKED = "current_version=0.1.0&platform=linux&architecture=amd64"
_PAGES = {
    "overview": "/admin/dashboard/",
    "releases": _APP,
    "releases, last page": f"{_APP}?offset=950",
    "a release": _RELEASE,
    "before a withdrawal": f"{_RELEASE}withdraw/",
    "feeds": f"{_APP}feeds/",
    "explain": f"{_APP}explain/?{_ASKED}",
    "history": f"{_APP}history/",
    "settings": f"{_APP}settings/",
    "figures of a month": f"{_APP}figures/",
    "figures of a year": f"{_APP}figures/?range=year",
}
_EMPTY = "/admin/sign-out/"


def pages(folder: Path, pace: Pace) -> Sequence[Figure]:
    """Load each page as a browser does, in turn with a page that shows nothing."""
    seed(folder, _RELEASES, hosted=True)
    last = floor(datetime.now(UTC), Span.DAY) + timedelta(days=1)
    asyncio.run(write_year(folder / "storage" / "updater.db", last - timedelta(days=365), last))
    cookie = asyncio.run(_sign_in(folder / "storage"))
    figures = []
    with service(folder) as own:
        for address in (_EMPTY, *_PAGES.values()):
            _load_ms(own, address, cookie)  # templates are compiled once
        cold_ms, _ = _load_ms(own, f"{_APP}figures/?range=quarter", cookie)
        figures.append(Figure("page: figures of a quarter, not kept", Runs((cold_ms,)), at_most=150, unit=" ms"))
        for name, address in _PAGES.items():
            took, empty, size_kb = _loads(own, address, cookie, pace)
            figures.append(Figure(f"page: {name}", took, took, empty, "{:.1f} ms", at_most=50, unit=" ms"))
            figures.append(Figure(f"page: {name}, size", size_kb, at_most=100, unit=" kB"))
        took, _, _ = _loads(own, f"{_APP}charts/adoption.svg?range=year", cookie, pace)
        figures.append(Figure("chart of a year of days", took, at_most=100, unit=" ms"))
    return figures


async def _sign_in(root: Path) -> str:
    settings = load(None, settings_tree(root))
    with claim_folder(settings.storage):
        async with open_services(settings) as services:
            await services.people.create_user("bench", "admin", "correct horse battery", actor=TESTER)
            session, _ = await services.people.open_script_session("bench", 60, actor=TESTER)
    return f"sessionid={session}"


def _loads(own: Process, address: str, cookie: str, pace: Pace) -> tuple[Runs, Runs, Runs]:
    """Return the milliseconds of a page, those of a page that shows nothing, and the page's size in kB."""
    rounds = [(*_load_ms(own, address, cookie), _load_ms(own, _EMPTY, cookie)[0]) for _ in range(pace.rounds)]
    took, sizes, empty = zip(*rounds, strict=True)
    return Runs(took), Runs(empty), Runs(tuple(size / 1000 for size in sizes))


def _load_ms(own: Process, address: str, cookie: str) -> tuple[float, int]:
    request = urllib.request.Request(own.url + address, headers={"Cookie": cookie})
    began = time.monotonic()
    with urllib.request.urlopen(request) as response:
        size_bytes = len(response.read())
    assert response.url == own.url + address, f"{address} leads to {response.url}"
    return 1000 * (time.monotonic() - began), size_bytes


ROWS = (Row("pages", pages),)
