"""A simulated release day over HTTP: a good build, a slightly bad one and a very bad one go out in stages.

Half of the fleet still has the release before the last: those install the last good one meanwhile, and are the control
arm. An install whose update failed stays where it is, and does not try that build again.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, TCPConnector

from tests.conftest import KEYS
from tests.workers.processes import serving

UPDATES = "/api/v1/updates/my-app"
LINUX = {"platform": "linux", "architecture": "amd64"}
GOOD_RATE = 0.01
STAGES = (5, 20, 50, 100)  # a hundredth of a small fleet may be two installs, too few for any verdict
AT_ONCE = 16


@dataclass
class Install:
    """One copy of the application: its id, its address, its version, and the builds that failed on it."""

    number: int
    version: str
    failed: frozenset[str] = frozenset()

    @property
    def address(self) -> str:
        return f"198.{18 + (self.number >> 16)}.{self.number >> 8 & 255}.{self.number & 255}"


class Fleet:
    """Installs that check in random order, take what they are offered, and report."""

    def __init__(self, session: ClientSession, size: int, version: str, bad: dict[str, float], seed: int) -> None:
        self._session, self._bad, self._random = session, bad, random.Random(seed)
        self.installs = [Install(number, "0.9.0" if number % 2 else "1.0.0") for number in range(size)]
        self.version = version
        self.taken = 0  # installs that took the new build, whether it worked or not
        self.reports = 0
        self.after_halt = 0  # new offers after the halt was acknowledged
        self.halted = False

    async def visit(self, each: Install) -> None:
        """Let one install check and, when it is offered something, install and report."""
        headers = {"X-Forwarded-For": each.address}
        query = {"current_version": each.version, "client_id": f"install-{each.number}", **LINUX}
        knew = self.halted
        async with self._session.get(f"{UPDATES}/check", params=query, headers=headers) as response:
            assert response.status == 200
            offered = (await response.json()).get("latest_version")
        if offered == self.version:
            self.after_halt += knew
        if offered is None or offered in each.failed or offered == each.version:
            return
        fails = self._random.random() < self._bad.get(offered, GOOD_RATE)
        body = {
            "current_version": each.version,
            "target_version": offered,
            **LINUX,
            "status": "failed" if fails else "completed",
            "report_id": f"{each.number}-{offered}",
            "client_id": f"install-{each.number}",
        }
        self.taken += offered == self.version
        async with self._session.post(f"{UPDATES}/status", json=body, headers=headers) as response:
            assert response.status == 200
        self.reports += 1
        if fails:
            each.failed |= {offered}
        else:
            each.version = offered

    async def run(self, ended: asyncio.Event) -> None:
        """Visit installs, in a new random order each time, until the day has ended."""
        order = itertools.chain.from_iterable(iter(self._shuffled, None))

        async def visitor() -> None:
            while not ended.is_set():
                await self.visit(next(order))

        await asyncio.gather(*(visitor() for _ in range(AT_ONCE)))

    def _shuffled(self) -> list[Install]:
        return self._random.sample(self.installs, len(self.installs))


async def call(session: ClientSession, method: str, path: str, body: Any = None, status: int = 200) -> Any:
    headers = {"Authorization": f"Bearer {KEYS['admin']}"}
    async with session.request(method, f"{UPDATES}{path}", json=body, headers=headers) as response:
        assert response.status == status, await response.text()
        return await response.json()


async def publish(session: ClientSession, version: str, **more: Any) -> None:
    body = {
        "application_id": "my-app",
        "version": version,
        **LINUX,
        "download_url": f"https://releases.example.com/{version}",
        "checksum": "ab" * 32,
        "checksum_type": "sha256",
        **more,
    }
    await call(session, "POST", "/register", body, 201)


@dataclass(frozen=True)
class Day:
    """How a release day ended: `percent` is the stage of that moment."""

    state: str
    percent: float
    fleet: int
    taken: int
    reports: int
    after_halt: int
    reason: str | None

    def __str__(self) -> str:
        share = 100 * self.taken / self.fleet
        return (
            f"{self.state} at {self.percent:g} %: {self.taken} of {self.fleet} installs took it ({share:.2f} %), "
            f"{self.reports} reports about it, {self.after_halt} offers after the halt, reason {self.reason}"
        )


async def live_through(url: str, size: int, rate: float, stage_s: int, most_s: float, seed: int, **plan: Any) -> Day:
    """Publish 1.1.0, which fails at `rate`, and wait until it is for all or halted."""
    async with ClientSession(url, connector=TCPConnector(limit=AT_ONCE + 2)) as session:
        headers = {"Authorization": f"Bearer {KEYS['admin']}"}
        made = {"id": "my-app", "name": "x", "platforms": ["linux"]}
        async with session.post("/api/v1/applications", json=made, headers=headers) as response:
            assert response.status == 201
        for version in ("0.9.0", "1.0.0"):
            await publish(session, version)
        # A hundredth of a small fleet would never send the 20 reports that are asked for by default.
        stages = [{"percent": each, "for_s": stage_s} for each in STAGES]
        await publish(session, "1.1.0", rollout={"stages": stages, "min_reports": min(20, size // 200), **plan})
        fleet, ended = Fleet(session, size, "1.1.0", {"1.1.0": rate}, seed), asyncio.Event()
        running = asyncio.create_task(fleet.run(ended))
        try:
            async with asyncio.timeout(most_s):
                while not running.done():
                    rollout = await call(session, "GET", "/releases/1.1.0/rollout")
                    (arm,) = rollout["platforms"]
                    if rollout["state"] == "complete" or arm["state"] == "halted":
                        break
                    await asyncio.sleep(0.05)
            if arm["state"] == "halted":
                taken, fleet.halted = fleet.taken, True
                await asyncio.sleep(2)  # the others go on, and get the control
            else:
                taken = fleet.taken
        finally:
            ended.set()
            await running
        halt = arm["halt"]
        numbers = halt["rollout"] if halt else arm["rollout"]
        return Day(
            "halted" if halt else rollout["state"],
            rollout["percent"],
            size,
            taken,
            numbers["completed"] + numbers["failed"],
            fleet.after_halt,
            halt["reason"] if halt else None,
        )


SMALL = pytest.param(600, 2, id="600 installs")
LARGE = pytest.param(10_000, 15, id="10000 installs", marks=[pytest.mark.long, pytest.mark.timeout(1_200)])


@pytest.mark.parametrize(("size", "stage_s"), [SMALL, LARGE])
@pytest.mark.parametrize("build", ["good", "slightly bad", "very bad"])
async def test_a_release_day(tmp_path: Path, size: int, stage_s: int, build: str) -> None:
    rate = {"good": GOOD_RATE, "slightly bad": 0.05, "very bad": 0.5}[build]
    server = {"trusted_proxies": ["127.0.0.0/8"]}
    with serving(tmp_path / "data", server=server) as started:
        day = await live_through(started.url, size, rate, stage_s, most_s=40 * stage_s, seed=7)
    print(f"{build} ({rate:.0%} against {GOOD_RATE:.0%}): {day}")
    assert day.after_halt == 0
    if build == "good":
        assert (day.state, day.reason) == ("complete", None)
    elif build == "very bad":
        assert day.state == "halted"
        assert day.reports <= 60
        assert day.taken <= 0.2 * size
    elif size >= 10_000:  # a small fleet installs a slightly bad build before that can be told from chance
        assert day.state == "halted"
        assert day.percent <= 50


@pytest.mark.long
async def test_without_its_guard_a_very_bad_day_goes_on(tmp_path: Path) -> None:
    """The control: nothing watches."""
    with serving(tmp_path / "data", server={"trusted_proxies": ["127.0.0.0/8"]}) as started:
        day = await live_through(started.url, 600, 0.5, 2, most_s=120, seed=7, halt={"enabled": False})
    print(day)
    assert (day.state, day.reason) == ("complete", None)
