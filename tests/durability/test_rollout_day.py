"""A day of a rollout, of seconds, on which the service is killed at random moments again and again.

No stage is skipped, none begins twice or has less than its time; no install that was given the new release is given
the one before later; and each report is evidence once, however often it was sent.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Iterator

import pytest

from tests.durability.conftest import Place, Warm
from tests.durability.fleet import STAGES, VERSION, Fleet, ask
from tests.durability.rounds import rounds_of

PROXY = {"trusted_proxies": ["127.0.0.0/8"]}
# One thing broken each, and the word of what is found.
BROKEN = {
    "two arms": """
import os
from hashlib import sha256
from updater.rollouts.dice import Dice
Dice.take = lambda self, identity: sha256(b"%d" % os.getpid() + self.salted + identity).digest() < self.bound""",
    "evidence": """
from updater.telemetry.recorder import Recorder
import dataclasses, uuid
record = Recorder.record
async def again(self, event): await record(self, dataclasses.replace(event, report_id=str(uuid.uuid4())))
Recorder.record = again""",
    "stage": """
import datetime
import updater.rollouts.moves as moves
step = moves.step
moves.step = lambda rollout, now: step(rollout, now + datetime.timedelta(hours=1))""",
}


@pytest.fixture(autouse=True)
def ended(warm: Warm) -> Iterator[None]:
    """End what a failed test leaves running."""
    yield
    warm.end_all()


def live_through(warm: Warm, place: Place, *, size: int, stage_s: int, kills: int) -> Fleet:
    """Kill the service so often while the stages go on, and once more at the end of the last one."""
    seed = int(os.environ.get("FAULT_SEED") or random.SystemRandom().getrandbits(32))
    print(f"FAULT_SEED={seed}")
    fleet = Fleet(size, seed)
    server = warm.start(place, server=PROXY)
    fleet.prepare(server, stage_s)
    for _ in range(kills):
        gone = threading.Event()
        visitors = fleet.visit_until_gone(server, gone)
        time.sleep(fleet.random.uniform(0.05, 2 * len(STAGES) * stage_s / kills))
        gone.set()
        server.kill()
        for each in visitors:
            each.join()
        server = warm.start(place, server=PROXY)
    deadline_s = time.monotonic() + 60 + 4 * len(STAGES) * stage_s
    while ask(server, f"/releases/{VERSION}/rollout")["stage"]["number"] <= len(STAGES):
        assert time.monotonic() < deadline_s
        time.sleep(0.1)
    fleet.hold(server, stage_s)
    server.kill()
    fleet.hold(warm.start(place, server=PROXY), stage_s)
    inside = sum(each.inside for each in fleet.installs)
    print(f"{kills} kills, {inside} of {size} installs inside; {dict(sorted(fleet.counts.items()))}")
    return fleet


SMALL = pytest.param(40, 2, 4, id="short", marks=pytest.mark.sqlite("a lease has to run out first"))
LARGE = pytest.param(2_000, 60, rounds_of(200), id="long", marks=pytest.mark.long)


@pytest.mark.parametrize(("size", "stage_s", "kills"), [SMALL, LARGE])
def test_a_day_with_kills(warm: Warm, place: Place, size: int, stage_s: int, kills: int) -> None:
    fleet = live_through(warm, place, size=size, stage_s=stage_s, kills=kills)
    assert fleet.violations == []
    assert fleet.counts["rollout arm"] > 0 and fleet.counts["control arm"] > 0


@pytest.mark.parametrize("noticed", [pytest.param(each, marks=pytest.mark.long) for each in BROKEN])
def test_what_is_broken_is_noticed(noticed: str, place: Place) -> None:
    """The control."""
    broken = Warm(BROKEN[noticed])
    try:
        fleet = live_through(broken, place, size=60, stage_s=4, kills=5)
    finally:
        broken.close()
    print(fleet.violations[:5])
    assert any(each.startswith(noticed) for each in fleet.violations)
    assert {each.partition(":")[0] for each in fleet.violations} == {noticed}
