"""Everybody at once: clients that check, report and download, publishers, people at the dashboard, and machines."""

from __future__ import annotations

import asyncio
import random
from collections import Counter, deque
from collections.abc import Callable, Coroutine
from typing import Any

from aiohttp import ClientSession, ClientTimeout, TCPConnector

from tests.conftest import KEYS
from tests.web.tus.talking import PIECE, TUS, metadata

UPDATES = "/api/v1/updates/my-app"
FEED = "/feeds/my-app/stable"
LINUX = {"platform": "linux", "architecture": "amd64"}
VERSIONS = 300
KEPT = 10  # builds; the oldest leaves when another one comes
TASKS = 8
_APP = "/admin/applications/my-app/"
PAGES = (
    "/admin/dashboard/",
    _APP,
    f"{_APP}feeds/",
    f"{_APP}explain/?current_version=0.1.0&platform=linux&architecture=amd64",
    f"{_APP}history/",
    f"{_APP}settings/",
    f"{_APP}figures/",
    f"{_APP}figures/?range=year",
    f"{_APP}charts/adoption.svg?range=year",
)
READINGS = (
    "/health",
    "/metrics",
    "/api/v1/openapi.json",
    f"{UPDATES}/releases",
    f"{UPDATES}/history",
    "/api/v1/applications/my-app/figures",
)
FEEDS = (f"{FEED}/electron/latest-linux.yml", f"{FEED}/appcast/linux.xml", f"{FEED}/tauri/latest.json")


class Use:
    """A mixed load; `failures` has every answer that should not have come. Random choices repeat with the seed.

    What says that it has no time now (503) is `refused`: how often that is so is the machine's affair.
    """

    def __init__(self, url: str, cookie: str, seed: int) -> None:
        self._url, self._cookie = url, cookie
        self._random = random.Random(seed)
        self.failures: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.done: Counter[str] = Counter()
        self._builds: deque[str] = deque()
        self._number = 0

    async def __aenter__(self) -> Use:
        self._stopping = False
        self._session = ClientSession(
            self._url, connector=TCPConnector(limit=2 * TASKS), timeout=ClientTimeout(total=300)
        )
        for _ in range(KEPT + 1):  # the oldest one leaves already
            await self.upload()
        for path in READINGS:  # each once; chance alone may leave one out of a short run
            await self._ask("GET", path, key="admin")
        for path in PAGES:
            await self._ask("GET", path, headers={"Cookie": self._cookie})
        self._tasks = [asyncio.create_task(self._repeat()) for _ in range(TASKS)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stopping = True
        await asyncio.gather(*self._tasks)
        await self._session.close()

    @property
    def moves(self) -> dict[Callable[[], Coroutine[Any, Any, None]], int]:
        """What is done, and how often beside the others."""
        return {
            self.check: 40,
            self.check_anew: 20,
            self.report: 20,
            self.download: 15,
            self.leave: 3,
            self.feed: 10,
            self.read: 6,
            self.page: 5,
            self.upload: 4,
            self.upload_pieces: 2,
            self.roll_out: 2,
            self.mistake: 4,
        }

    async def _repeat(self) -> None:
        moves, weights = list(self.moves), list(self.moves.values())
        while not self._stopping:
            (move,) = self._random.choices(moves, weights)
            try:
                await move()
            except Exception as error:
                self.failures[f"{move.__name__}: {type(error).__name__}: {error}"] += 1
            self.done[move.__name__] += 1

    async def _ask(self, method: str, path: str, *statuses: int, key: str | None = None, **more: Any) -> bytes:
        """Send a request; note an answer of another status as a failure."""
        headers = {**({"Authorization": f"Bearer {KEYS[key]}"} if key else {}), **more.pop("headers", {})}
        async with self._session.request(method, path, headers=headers, allow_redirects=False, **more) as response:
            body = await response.read()
            if response.status == 503:
                self.refused[path.partition("?")[0]] += 1
            elif response.status not in (statuses or (200,)):
                self.failures[f"{method} {path.partition('?')[0]}: {response.status} {body[:200]!r}"] += 1
            return body

    def _next(self) -> int:
        self._number += 1
        return self._number

    # -- clients

    async def check(self) -> None:
        query = {"current_version": f"0.0.{self._random.randrange(20)}", **LINUX}
        await self._ask("GET", f"{UPDATES}/check", params=query)

    async def check_anew(self) -> None:
        """Ask as a client that nobody knows, with one of some hundred versions: all that an application had."""
        query = {"current_version": f"0.{self._next() % VERSIONS}.0", "client_id": f"client-{self._next()}", **LINUX}
        await self._ask("GET", f"{UPDATES}/check", params=query)

    async def report(self) -> None:
        body = {"current_version": "0.0.1", "target_version": self._random.choice(self._builds), **LINUX}
        body |= {"status": self._random.choice(("completed", "failed")), "report_id": f"r-{self._next()}"}
        await self._ask("POST", f"{UPDATES}/status", json={**body, "client_id": f"client-{self._next()}"})

    async def download(self) -> None:
        """Get a build that may be deleted meanwhile, as a whole or in part."""
        headers = self._random.choice(({}, {"Range": "bytes=100-999"}, {"Range": "bytes=-10"}))
        path = f"{UPDATES}/download/{self._random.choice(self._builds)}/linux/amd64"
        await self._ask("GET", path, 200, 206, 404, headers=headers)

    async def leave(self) -> None:
        """Go away in the middle of a download."""
        path = f"{UPDATES}/download/{self._random.choice(self._builds)}/linux/amd64"
        async with self._session.get(path) as response:
            await response.content.readany()
            response.close()

    async def feed(self) -> None:
        await self._ask("GET", self._random.choice(FEEDS), 200, 204, 404)

    async def mistake(self) -> None:
        method, path, status = self._random.choice(
            (
                ("GET", f"{UPDATES}/check?current_version=one", 422),
                ("GET", f"/api/v1/updates/none-{self._next()}/check?current_version=1.0.0&platform=linux", 404),
                ("GET", f"/nothing/{self._next()}", 404),
                ("POST", "/api/v1/applications", 401),
            )
        )
        await self._ask(method, path, status, 404, 422)

    # -- people and machines

    async def read(self) -> None:
        await self._ask("GET", self._random.choice(READINGS), key="admin")

    async def page(self) -> None:
        await self._ask("GET", self._random.choice(PAGES), headers={"Cookie": self._cookie})

    # -- publishers

    async def upload(self) -> None:
        version = f"1.0.{self._next()}"
        content = self._random.randbytes(self._random.choice((1_000, 50_000, 400_000)))
        await self._ask("PUT", f"{UPDATES}/builds/{version}/linux/amd64", 201, key="write", data=content)
        await self._keep(version)

    async def upload_pieces(self) -> None:
        """Upload by tus, in two pieces; now and then it is given up."""
        version, content = f"1.0.{self._next()}", self._random.randbytes(60_000)
        said = {**LINUX, "application_id": "my-app", "version": version, "file_name": "a.bin"}
        headers = {**TUS, "Upload-Length": "60000", "Upload-Metadata": metadata(**said)}
        headers["Authorization"] = f"Bearer {KEYS['write']}"
        async with self._session.post("/api/v1/uploads", headers=headers) as response:
            if response.status == 503:
                self.refused["/api/v1/uploads"] += 1
                return
            assert response.status == 201, await response.text()
            url = response.headers["Location"]
        piece = {**headers, "Content-Type": PIECE}
        await self._ask("PATCH", url, 204, headers={**piece, "Upload-Offset": "0"}, data=content[:20_000])
        if self._random.random() < 0.3:
            await self._ask("DELETE", url, 204, headers=headers)
            return
        await self._ask("PATCH", url, 204, headers={**piece, "Upload-Offset": "20000"}, data=content[20_000:])
        await self._keep(version)

    async def _keep(self, version: str) -> None:
        """Delete the oldest build when there are enough, as a whole or after it was withdrawn."""
        self._builds.append(version)
        if len(self._builds) > KEPT:
            oldest = self._builds.popleft()
            if self._random.random() < 0.3:
                await self._ask("POST", f"{UPDATES}/releases/{oldest}/withdraw", 200, 404, key="write", json={})
            await self._ask("DELETE", f"{UPDATES}/releases/{oldest}/linux/amd64", 200, 404, key="admin")

    async def roll_out(self) -> None:
        """Set a plan for a release that may be gone or complete, with stages that pass by themselves."""
        path = f"{UPDATES}/releases/{self._random.choice(self._builds)}/rollout"
        stages = [{"percent": each, "for_s": 60} for each in (10, 50)]
        plan = {"stages": [*stages, {"percent": 100}], "min_reports": 0}
        await self._ask("PUT", path, 200, 404, 409, key="write", json=plan)


async def until(condition: Callable[[], bool], within_s: float = 300) -> None:
    """Wait for a condition. Raises TimeoutError."""
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.1)
