"""Rollouts of several workers on one PostgreSQL that is lost, and whose holder of the lease is killed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, TCPConnector

from tests.conftest import KEYS
from tests.servers.postgres import Postgres, name_of
from tests.workers.processes import Started, serving

UPDATES = "/api/v1/updates/my-app"
LINUX = {"platform": "linux", "architecture": "amd64"}
WATCHED = {"per_address": 1_000, "min_addresses": 1}
CONNECTIONS = 12
OBEYED_S = 1.0  # DE-10
TAKEN_OVER_S = 15.0  # SC-4
ENOUGH = 30  # failures and nothing else, far beyond what halts
Start = Callable[..., AbstractContextManager[Started]]


@pytest.fixture
def url(postgres: Postgres) -> str:
    return postgres.create_migrated()


@pytest.fixture
def start(url: str, tmp_path: Path) -> Start:
    def workers(number: int, database_url: str | None = url) -> AbstractContextManager[Started]:
        storage = {"root": str(tmp_path / "data"), "database_url": database_url}
        return serving(tmp_path / "data", storage=storage, server={"workers": number})

    return workers


class Watchers:
    """Clients on kept connections, which are spread over the workers, that ask by hand again and again.

    `seen` has when each question was asked, in monotonic seconds, and which version was the answer to it: None for a
    refusal, empty for no update.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self.seen: list[tuple[float, str | None]] = []

    async def __aenter__(self) -> Watchers:
        self.sessions = [
            ClientSession(
                self._url, connector=TCPConnector(limit=1), headers={"Authorization": f"Bearer {KEYS['admin']}"}
            )
            for _ in range(CONNECTIONS)
        ]
        self._tasks = [asyncio.create_task(self._watch(each)) for each in self.sessions[1:]]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for each in self.sessions:
            await each.close()

    async def ask(self, session: ClientSession) -> str | None:
        query = {"current_version": "0.1.0", "manual": "true", **LINUX}
        async with session.get(f"{UPDATES}/check", params=query) as response:
            if response.status != 200:
                return None
            return str((await response.json()).get("latest_version") or "")

    async def _watch(self, session: ClientSession) -> None:
        while True:
            began_s = time.monotonic()
            self.seen.append((began_s, await self.ask(session)))
            await asyncio.sleep(0.005)

    def late_s(self, since_s: float, version: str) -> float:
        """Return how long after a moment somebody was still offered a version."""
        late = [began_s - since_s for began_s, found in self.seen if began_s > since_s and found == version]
        return max(late, default=0.0)

    async def call(
        self, method: str, path: str, body: Any = None, statuses: tuple[int, ...] = (200,)
    ) -> tuple[int, Any]:
        async with self.sessions[0].request(method, path, json=body) as response:
            assert response.status in statuses, await response.text()
            return response.status, await response.json()

    async def report(self, number: int, statuses: tuple[int, ...] = (200,)) -> int:
        body = {
            "current_version": "1.0.0",
            "target_version": "1.1.0",
            **LINUX,
            "status": "failed",
            "report_id": f"r-{number}",
            "client_id": f"c-{number}",
        }
        status, _ = await self.call("POST", f"{UPDATES}/status", body, statuses)
        return status

    async def rollout(self) -> Any:
        return (await self.call("GET", f"{UPDATES}/releases/1.1.0/rollout"))[1]


@asynccontextmanager
async def watching(started: Started, *stages: dict[str, Any]) -> AsyncIterator[Watchers]:
    """Publish 1.0.0 for all and 1.1.0 for some, and watch it."""
    async with Watchers(started.url) as watchers:
        await watchers.call(
            "POST", "/api/v1/applications", {"id": "my-app", "name": "x", "platforms": ["linux"]}, (201,)
        )
        plan = {"stages": list(stages) or [{"percent": 50}], "min_reports": 0, "halt": WATCHED}
        for version, more in (("1.0.0", {}), ("1.1.0", {"rollout": plan})):
            body = {
                "application_id": "my-app",
                "version": version,
                **LINUX,
                "download_url": f"https://releases.example.com/{version}",
                "checksum": "ab" * 32,
                "checksum_type": "sha256",
                **more,
            }
            await watchers.call("POST", f"{UPDATES}/register", body, (201,))
        await asyncio.sleep(1.5)
        yield watchers


async def test_another_worker_moves_stages_when_the_one_that_did_is_killed(
    start: Start, url: str, postgres: Postgres
) -> None:
    stages = [{"percent": number, "for_s": 1} for number in range(1, 20)]
    with start(3) as started:
        async with watching(started, *stages, {"percent": 100}) as watchers:
            took = []
            for _ in range(2):
                while (await watchers.rollout())["stage"]["number"] < 2:
                    await asyncio.sleep(0.1)
                ((holder,),) = postgres.ask(name_of(url), "SELECT holder FROM lease WHERE name = 'rollouts'")
                pid = int(holder.rpartition(":")[2])
                assert pid in started.workers().values()
                os.kill(pid, signal.SIGKILL)
                killed_s = time.monotonic()
                number = await stage_of(started)
                while await stage_of(started) == number:
                    assert time.monotonic() - killed_s < TAKEN_OVER_S, "nobody took over"
                    await asyncio.sleep(0.1)
                took.append(time.monotonic() - killed_s)
                await reconnect(watchers, started)
            print(f"the next stage began {', '.join(f'{each:.1f} s' for each in took)} after the kill")
            page = await asyncio.to_thread(started.call, "GET", f"{UPDATES}/history?limit=100", None, "read")
    entries = [each for each in json.loads(page)["entries"] if each["action"] == "rollout.advanced"]
    begun = [each["after"]["stage"] for each in reversed(entries)]
    assert begun == list(range(2, len(begun) + 2)), "no stage is skipped, and none begins twice"


async def stage_of(started: Started) -> int:
    """Return the present stage, asked on a new connection: a kept one may have ended with its worker."""
    page = await asyncio.to_thread(started.call, "GET", f"{UPDATES}/releases/1.1.0/rollout", None, "read")
    return int(json.loads(page)["stage"]["number"])


async def reconnect(watchers: Watchers, started: Started) -> None:
    await watchers.__aexit__()
    await watchers.__aenter__()


CHANGES: dict[str, tuple[str, str, Any]] = {
    "pause": ("POST", f"{UPDATES}/releases/1.1.0/rollout/pause", {}),
    "resume": ("POST", f"{UPDATES}/releases/1.1.0/rollout/resume", {}),
    "zero percent": ("PUT", f"{UPDATES}/releases/1.1.0/rollout", {"percent": 0, "halt": WATCHED}),
    "half": ("PUT", f"{UPDATES}/releases/1.1.0/rollout", {"percent": 50, "halt": WATCHED}),
    "withdraw": ("POST", f"{UPDATES}/releases/1.1.0/withdraw", {}),
    "restore": ("POST", f"{UPDATES}/releases/1.1.0/restore", {}),
}


@pytest.mark.parametrize("workers", [pytest.param(0, id="sqlite"), pytest.param(3, id="3 workers")])
async def test_every_change_is_obeyed_within_a_second(start: Start, workers: int) -> None:
    with start(workers) if workers else start(1, None) as started:
        async with watching(started) as watchers:
            late: dict[str, float] = {}

            async def hold(name: str, was: str, becomes: str, since_s: float) -> None:
                assert await watchers.ask(watchers.sessions[0]) == becomes, "the answering process obeys at once"
                await asyncio.sleep(1.5)
                late[name] = watchers.late_s(since_s, was)
                assert watchers.late_s(time.monotonic() - 0.3, becomes) > 0, "somebody still asks"

            for name, (method, path, body) in CHANGES.items():
                await watchers.call(method, path, body)
                versions = ("1.0.0", "1.1.0") if name in ("resume", "half", "restore") else ("1.1.0", "1.0.0")
                await hold(name, *versions, time.monotonic())
            for number in range(ENOUGH):
                await watchers.report(number)
                if (await watchers.rollout())["platforms"][0]["state"] == "halted":
                    break
            await hold("halt", "1.1.0", "1.0.0", time.monotonic())
            print(
                f"{len(watchers.seen)} checks; last stale answer after "
                + ", ".join(f"{n} {s:.3f} s" for n, s in late.items())
            )
            assert max(late.values()) < OBEYED_S


@pytest.mark.timeout(300)
@pytest.mark.parametrize("how", ["freeze", "stop"])
async def test_a_database_that_is_lost_while_a_halt_is_due(start: Start, postgres: Postgres, how: str) -> None:
    """Reports are refused meanwhile; once one is acknowledged and halts, nobody is offered the release a second on."""
    with start(2) as started:
        async with watching(started) as watchers:
            number = 0
            while True:  # as many as leave one to go
                rollout = await watchers.rollout()
                if rollout["platforms"][0]["evidence"]["ceiling"] * 3 >= rollout["platforms"][0]["limit"]:
                    break
                await watchers.report(number)
                number += 1
            assert rollout["platforms"][0]["state"] == "open"
            (postgres.freeze if how == "freeze" else postgres.stop)()
            try:
                began_s = time.monotonic()
                for _ in range(2):
                    assert await watchers.report(number, (503,)) == 503
                refused_s = time.monotonic() - began_s
            finally:
                (postgres.thaw if how == "freeze" else postgres.start)()
            back_s = time.monotonic()
            while await watchers.report(number, (200, 503)) != 200:
                await asyncio.sleep(0.05)
            (arm,) = (await watchers.rollout())["platforms"]
            if arm["state"] != "halted":
                number += 1
                await watchers.report(number)
                (arm,) = (await watchers.rollout())["platforms"]
            acknowledged_s = time.monotonic()
            assert (arm["state"], arm["rollout"]["failed"]) == ("halted", number + 1)
            assert await watchers.ask(watchers.sessions[0]) != "1.1.0"
            await asyncio.sleep(3)
            late_s = watchers.late_s(acknowledged_s, "1.1.0")
            print(
                f"{how}: refused twice in {refused_s:.1f} s, acknowledged {acknowledged_s - back_s:.2f} s after the "
                f"return, the last offer {late_s:.3f} s after that"
            )
            assert late_s < OBEYED_S
            assert watchers.late_s(time.monotonic() - 1, "1.0.0") > 0, "the others get the control"
