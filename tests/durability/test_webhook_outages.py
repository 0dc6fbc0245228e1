"""Receivers that go away and come back at random, and a service that is killed at random meanwhile.

Each event reaches each receiver at least once, under one id, and after all that happened before it. The short form is
`test_webhook_kills`, with one receiver that is never away.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import pytest

from tests.durability.conftest import Place, Server, Warm
from tests.durability.fleet import GONE, ask
from tests.durability.rounds import rounds_of
from tests.webhooks.receiving import Got, Receiving, receiving

pytestmark = pytest.mark.long
KILLS = 200
SETTINGS: dict[str, Any] = {"webhooks": {"allow_private": ["127.0.0.0/8"]}}
OUTAGES = (204, 204, 204, 500, (429, {"Retry-After": "1"}), "hang", "reset", "die", "down")
# Days of tries, in seconds.
HURRIED = """
import updater.webhooks.schedule as schedule, updater.webhooks.sending as sending
schedule.PAUSES_S = (0.2,) * 100_000
sending.TIMEOUT_S = 2.0
"""
# One thing broken each, and the word of what is found.
BROKEN = {
    "lost": """
from updater.webhooks.delivery import Delivery
deliver = Delivery._deliver
async def marked(self, receiver, event):
    await self._store.note(receiver, None, {"cursor": event.number})
    return await deliver(self, receiver, event)
Delivery._deliver = marked""",
    "another id": """
import dataclasses, uuid
from updater.webhooks.delivery import Delivery
attempt = Delivery.attempt
async def renamed(self, receiver, event, number):
    return await attempt(self, receiver, dataclasses.replace(event, id=f"evt_{uuid.uuid4().hex}"), number)
Delivery.attempt = renamed""",
}


@dataclass
class Outages:
    """A run: receivers, what was acknowledged, and what broke a promise."""

    receivers: list[Receiving]
    random: random.Random
    acknowledged: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    _asked: int = 0

    async def work_until_killed(self, server: Server) -> None:
        """Let releases be published while receivers come and go, then kill the service."""
        gone = asyncio.Event()
        works = [asyncio.create_task(self._publish(server, gone))]
        works += [asyncio.create_task(self._come_and_go(each, gone)) for each in self.receivers]
        await asyncio.sleep(self.random.uniform(0.1, 2))
        gone.set()
        await asyncio.to_thread(server.kill)
        await asyncio.gather(*works)

    async def _publish(self, server: Server, gone: asyncio.Event) -> None:
        while not gone.is_set():
            self._asked += 1
            version = f"{self._asked}.0.0"
            try:
                status = await asyncio.to_thread(server.publish, b"bytes", version)
            except GONE:
                assert gone.is_set()
                return
            assert status == 201
            self.acknowledged.append(version)
            await asyncio.sleep(self.random.uniform(0, 0.2))

    async def _come_and_go(self, receiver: Receiving, gone: asyncio.Event) -> None:
        while not gone.is_set():
            standing = self.random.choice(OUTAGES)
            self.counts[str(standing)] += 1
            if standing == "down":
                await receiver.go_down()
            else:
                receiver.standing = standing
                await receiver.listen()
            await asyncio.sleep(self.random.uniform(0.05, 1))

    async def find_violations(self, server: Server) -> list[str]:
        """Let all receivers come back, and hold what they got to the service's own history."""
        for each in self.receivers:
            each.standing = 204
            await each.listen()
        happened = await asyncio.to_thread(published, server)
        found = [f"lost: {each} was acknowledged" for each in set(self.acknowledged) - set(happened)]
        try:
            async with asyncio.timeout(90):
                while any(happened[-1] not in versions_of(each.got) for each in self.receivers):
                    await asyncio.sleep(0.1)
        except TimeoutError:
            found.append(f"lost: {happened[-1]}, the last one")
        for number, each in enumerate(self.receivers):
            found += [f"{what}, at receiver {number}" for what in compare(each.got, happened)]
            self.counts[f"receiver {number} got"] += len(each.got)
        self.counts["events"] = len(happened)
        return found


def versions_of(got: Sequence[Got]) -> list[str]:
    return [each.tree["data"]["version"] for each in got if each.tree["type"] == "release.published"]


def compare(got: Sequence[Got], happened: Sequence[str]) -> list[str]:
    """Return what is wrong with what a receiver got: what comes again comes in a row, under the same id."""
    found = []
    in_a_row = [version for version, _ in groupby(versions_of(got))]
    if missing := set(happened) - set(in_a_row):
        found.append(f"lost: {sorted(missing)}")
    elif in_a_row != list(happened):
        found.append("out of order")
    ids = {(each.tree["data"]["version"], each.id) for each in got if each.tree["type"] == "release.published"}
    if len(ids) != len(set(in_a_row)):
        found.append(f"another id: {len(ids)} for {len(set(in_a_row))} events")
    return found


def published(server: Server) -> list[str]:
    """Return the versions in the order in which they were published, from the audit."""
    entries: list[dict[str, Any]] = []
    while page := ask(server, f"/history?limit=100&offset={len(entries)}")["entries"]:
        entries += page
    return [each["version"] for each in reversed(entries) if each["action"] == "release.published"]


async def live_through(place: Place, patch: str, kills: int) -> list[str]:
    seed = int(os.environ.get("FAULT_SEED") or random.SystemRandom().getrandbits(32))
    print(f"FAULT_SEED={seed}")
    warm = Warm(HURRIED + patch)
    try:
        async with receiving() as one, receiving() as other:
            run = Outages([one, other], random.Random(seed))
            for kill in range(kills):
                server = await asyncio.to_thread(warm.start, place, **SETTINGS)
                if not kill:
                    await asyncio.to_thread(server.create_application)
                    for each in run.receivers:
                        _, _, said = await asyncio.to_thread(server.call, "POST", "/webhooks", {"url": each.url})
                        assert "secret" in json.loads(said)
                await run.work_until_killed(server)
            server = await asyncio.to_thread(warm.start, place, **SETTINGS)
            found = await run.find_violations(server)
            await asyncio.to_thread(server.stop)
    finally:
        warm.end_all()
        warm.close()
    print(f"{kills} kills; {dict(sorted(run.counts.items()))}; {found[:5]}")
    return found


async def test_outages_and_kills(place: Place) -> None:
    assert await live_through(place, "", rounds_of(KILLS)) == []


@pytest.mark.parametrize("noticed", BROKEN)
async def test_what_is_broken_is_noticed(noticed: str, place: Place) -> None:
    """The control."""
    assert any(each.startswith(noticed) for each in await live_through(place, BROKEN[noticed], 12))
