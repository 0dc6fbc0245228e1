"""Pages of an application with 1,000 releases and a year of figures: how long they take, and how large they are."""

from __future__ import annotations

import asyncio
import statistics
import time
import urllib.request
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.actors import TESTER
from tests.bench.history import write_year
from tests.bench.processes import Process, service
from tests.bench.rows import Figure, Row
from tests.bench.seed import newest, seed
from updater.composition import open_services
from updater.config import load
from updater.processes.folder import claim_folder
from updater.telemetry.spans import Span, floor

_RELEASES, _ROUNDS = 1_000, 7
_ASKED = "current_version=0.1.0&platform=linux&architecture=amd64"
# What is shown of one application: all of these pages have the same bounds.
PAGES = {
    "releases": "",
    "releases, last page": "?offset=950",
    "a release": f"releases/{newest(_RELEASES)}/",
    "before a withdrawal": f"releases/{newest(_RELEASES)}/withdraw/",
    "feeds": "feeds/",
    "explain": f"explain/?{_ASKED}",
    "history": "history/",
    "settings": "settings/",
}


def pages(folder: Path) -> Sequence[Figure]:
    """Ask for each page as an administrator."""
    seed(folder, _RELEASES, hosted=True)
    last = floor(datetime.now(UTC), Span.DAY)
    asyncio.run(write_year(folder / "storage" / "updater.db", last - timedelta(days=365), last))
    session = asyncio.run(_sign_in(folder / "storage"))
    found = []
    with service(folder) as own:
        for name, path in PAGES.items():
            asked = [_ask(own, path, session) for _ in range(_ROUNDS)]
            took_ms = statistics.median(took_s for took_s, _ in asked) * 1_000
            size_kb = asked[0][1] / 1_000
            found.append(Figure(f"page: {name}", took_ms, f"{took_ms:.0f} ms", "-", at_most=50, unit=" ms"))
            found.append(Figure(f"page: {name}, size", size_kb, f"{size_kb:.0f} KB", "-", at_most=100, unit=" KB"))
    return found


async def _sign_in(storage: Path) -> str:
    settings = load(None, {"UPDATER_STORAGE__ROOT": str(storage)})
    with claim_folder(settings.storage):
        async with open_services(settings) as services:
            await services.people.create_user("anna", "admin", "correct horse battery", actor=TESTER)
            return (await services.people.open_script_session("anna", 60, actor=TESTER))[0]


def _ask(own: Process, path: str, session: str) -> tuple[float, int]:
    url = f"{own.url}/admin/applications/my-app/{path}"
    request = urllib.request.Request(url, headers={"Cookie": f"sessionid={session}"})
    began = time.monotonic()
    with urllib.request.urlopen(request) as response:
        body = response.read()
    assert response.status == 200 and b"</html>" in body
    return time.monotonic() - began, len(body)


ROWS = (Row("pages", pages),)
