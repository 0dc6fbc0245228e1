"""A service that is used for eight hours holds no more at the end than when it was warm.

The jobs of eight hours happen in `SOAK_S` seconds (20 minutes): their pauses are cut to match, while requests come as
fast as they are answered. Hours are those of the jobs.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import time

import pytest

from tests.actors import TESTER
from tests.conftest import settings_tree
from tests.durability.conftest import Launch, Place, Server, launch, place  # noqa: F401 - fixtures
from tests.soak.using import Use, until
from tests.soak.watching import Watch, slope
from tests.webhooks.receiving import receiving
from updater.composition import open_services
from updater.config import load
from updater.processes.folder import claim_folder

pytestmark = pytest.mark.sqlite("WAL is its own; PostgreSQL watches over its own memory")
HOURS = 8
SOAK_S = float(os.environ.get("SOAK_S") or 1_200)
SAMPLE = 0.1  # of the files; all of them take minutes while requests come as fast as they are answered
# All that a run may grow by in an hour.
MOST = {"memory_mib": 1.0, "descriptors": 0.5, "threads": 0.25, "wal_mib": 1.0}
SECTIONS = {
    "webhooks": {"allow_private": ["127.0.0.0/8"]},
    "storage": {"scrub_days": 1},
    "retention": {"keep_releases": 20, "audit_days": 1},
    "rate_limit": {"enabled": True, "anonymous_per_minute": 10**9, "downloads_per_minute": 10**9},
}
# A job's turns are told at the end, when the service stops.
HURRIED = """
import json, sys
from collections import Counter
import updater.background as background
for name, value in list(vars(background).items()):
    if name.endswith("_S"):
        setattr(background, name, value / {factor})
from updater.processes.jobs import Jobs
turns, attempt = Counter(), Jobs.attempt
async def counted(self, job, work, *, every_s):
    turns[job] += 1
    return await attempt(self, job, work, every_s=every_s)
Jobs.attempt = counted
{more}
from updater.cli import main
try:
    main()
finally:
    print("turns", json.dumps(turns), file=sys.stderr, flush=True)
"""
# What a check leaves behind: memory and, now and then, a descriptor and a thread that ends never.
LEAKED_BYTES = 4_096
LEAKS = f"""
import os, threading
from updater.offers.service import OfferService
kept, present = [], OfferService.present
def leaking(self, application_id):
    kept.append(os.urandom({LEAKED_BYTES}))
    if len(kept) % 4 == 0:
        os.dup(0)
    if len(kept) % 20 == 0:
        threading.Thread(target=threading.Event().wait, daemon=True).start()
    return present(self, application_id)
OfferService.present = leaking
"""


async def sign_in(place: Place) -> str:  # noqa: F811
    """Make a person who may look at everything; return their cookie."""
    settings = load(None, settings_tree(place.root))
    with claim_folder(settings.storage):
        async with open_services(settings) as services:
            await services.people.create_user("anna", "admin", "correct horse battery", actor=TESTER)
            session, _ = await services.people.open_script_session("anna", 1_440, actor=TESTER)
    return f"sessionid={session}"


async def soak(
    launch: Launch,  # noqa: F811
    place: Place,  # noqa: F811
    *,
    hour_s: float,
    seconds: float,
    more: str = "",
) -> tuple[Use, Watch, str]:
    """Use a service, of which an hour takes `hour_s`, for so many seconds; return what it said at the end, too."""
    cookie = await sign_in(place)
    program = ("-c", HURRIED.format(factor=3_600 / hour_s, more=more))
    server = await asyncio.to_thread(lambda: launch(program=program, **SECTIONS))
    await asyncio.to_thread(server.create_application)
    async with receiving() as receiver:
        await asyncio.to_thread(server.call, "POST", "/webhooks", {"url": receiver.url})
        use = Use(f"http://127.0.0.1:{server.port}", cookie, random.SystemRandom().getrandbits(32))
        with Watch(server.pid, place.root / "updater.db-wal", hour_s) as watch:
            async with use:
                await until(lambda: all(use.done[each.__name__] for each in use.moves))
                ends_s = time.monotonic() + seconds
                while time.monotonic() < ends_s:
                    await asyncio.sleep(10)
                    await asyncio.to_thread(keep_house, server, use)
                    print(f"{use.done.total()} requests, {watch.told()}", flush=True)
        await until(lambda: len(receiver.got) > 0)
        receiver.got.clear()
    assert await asyncio.to_thread(server.stop) == 0
    return use, watch, server.said()


def keep_house(server: Server, use: Use) -> None:
    """Do what an operator does beside the jobs."""
    try:
        server.operate("collect", grace_s=0)
        assert server.operate("verify", sample=SAMPLE)["bad"] == []
    except KeyError as error:  # it was refused, with its reason
        use.refused[str(error)] += 1
    except TimeoutError:  # all others kept it from its turn
        use.refused["no word of it for a minute"] += 1
    except AssertionError as error:
        use.failures[str(error)] += 1


def turns_of(said: str) -> dict[str, int]:
    (line,) = [line for line in said.splitlines() if line.startswith("turns ")]
    turns: dict[str, int] = json.loads(line.partition(" ")[2])
    return turns


def broken_jobs(said: str) -> list[str]:
    """Return the failures of jobs that are our own; what does not answer in time is a warning."""
    return [line for line in said.splitlines() if '"job.failed"' in line and '"level":"error"' in line]


async def test_what_is_used_fails_nothing(launch: Launch, place: Place) -> None:  # noqa: F811
    """The short form: each kind of use, and each job of an hour; nothing is said of growth."""
    use, watch, said = await soak(launch, place, hour_s=20, seconds=0)
    assert use.failures == {}
    assert broken_jobs(said) == []
    assert {"totals", "check_counts", "scrub", "rollouts", "retention_releases", "uploads"} <= set(turns_of(said))
    assert len(watch.samples) > 1


@pytest.mark.long
@pytest.mark.timeout(2 * SOAK_S + 600)
async def test_eight_hours(launch: Launch, place: Place) -> None:  # noqa: F811
    use, watch, said = await soak(launch, place, hour_s=SOAK_S / HOURS, seconds=SOAK_S)
    print(watch.told())
    print(f"{use.done.total()} requests: {dict(use.done)}; turns of jobs: {turns_of(said)}")
    print(f"refused for want of time: {dict(use.refused)}")
    assert use.failures == {}
    assert broken_jobs(said) == []
    growth = watch.growth()
    assert {name: each for name, each in growth.items() if each > MOST[name]} == {}


@pytest.mark.long
async def test_what_leaks_is_noticed(launch: Launch, place: Place) -> None:  # noqa: F811
    """The control; and somebody who reads without end, so that the log cannot begin anew."""
    use, watch, _ = await soak(launch, place, hour_s=SOAK_S / HOURS, seconds=60, more=LEAKS + reading(place))
    print(watch.told())
    checks = use.done["check"] + use.done["check_anew"]
    growth, lasted_h = watch.growth(), watch.samples[-1].at_h
    assert growth["memory_mib"] * lasted_h > 0.5 * checks * LEAKED_BYTES / (1 << 20)
    assert {name for name, each in growth.items() if each > MOST[name]} == set(MOST)


def reading(place: Place) -> str:  # noqa: F811
    """Return code that opens a transaction on the database of a service, when that is there, and never ends it."""
    return f"""
import sqlite3
def read():
    database = sqlite3.connect({str(place.root / "updater.db")!r}, isolation_level=None)
    database.execute("BEGIN")
    database.execute("SELECT count(*) FROM application").fetchall()
    threading.Event().wait()
reader = threading.Timer(5, read)
reader.daemon = True
reader.start()
"""


def test_slope() -> None:
    noise = [0.5 if number % 2 else -0.5 for number in range(100)]
    hours = [number / 10 for number in range(100)]
    assert slope(hours, [70 + 1.5 * hour + each for hour, each in zip(hours, noise, strict=True)]) == pytest.approx(
        1.5, abs=0.02
    )
    assert slope([1.0], [5.0]) == 0
