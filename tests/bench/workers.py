"""Several processes on PostgreSQL: what two answer against one, and what a rolling restart costs the clients.

A machine with two cores has none left for the load, so speed is counted in processor time, with all of them on one core
and the load on the other: two workers can answer as much as the busier one of them leaves room for. Beside the cost of
an answer that takes in how evenly connections are spread; it leaves out what cores of their own would share, such as
memory bandwidth.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import signal
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.bench.checks import QUESTIONS, write_script
from tests.bench.processes import KEY, SERVER_CORE, Process, create_application, service, wrk
from tests.bench.rows import Figure, Pace, Row, Runs, interleave, rate
from tests.servers.postgres import Postgres, run_postgres
from tests.workers.load import Load, download

_CONNECTIONS = 256
_REQUESTS, _CLIENTS = 100_000, 32
_DOWNLOADS, _DOWNLOAD_BYTES, _DOWNLOAD_S = 50, 20 << 20, 30.0
_READY_S = 60.0
_DOWNLOAD = "/api/v1/updates/my-app/download/1.0.0/linux/amd64"


def two_against_one(folder: Path, pace: Pace) -> Sequence[Figure]:
    """Compare the checks that two workers can answer with those of one process, on a database each."""
    script = write_script(folder)
    with (
        run_postgres() as postgres,
        _on_postgres(folder / "one", postgres, core=SERVER_CORE) as one,
        _on_postgres(folder / "two", postgres, core=SERVER_CORE, server__workers=2) as two,
    ):
        pair = _workers(folder / "two")
        shares: list[float] = []

        def both() -> float:
            before = [each.cpu_s() for each in pair]
            answered = wrk(two.url, script, seconds=pace.load_s, connections=_CONNECTIONS)
            used = [each.cpu_s() - start for each, start in zip(pair, before, strict=True)]
            shares.append(max(used) / sum(used))
            return answered / max(used)

        def alone() -> float:
            before_s = one.cpu_s()
            answered = wrk(one.url, script, seconds=pace.load_s, connections=_CONNECTIONS)
            return answered / (one.cpu_s() - before_s)

        mine, theirs = interleave(pace, both, alone)
    share = sorted(shares)[len(shares) // 2]
    what = f"checks a second of two workers, against one; the busier one did {share:.0%}"
    return [rate(what, mine, theirs, at_least=1.7)]


def rolling_restart(folder: Path, pace: Pace) -> Sequence[Figure]:
    """Restart again and again under 32 clients, until they had 100,000 answers, and under 50 slow downloads."""
    content = random.Random(1).randbytes(_DOWNLOAD_BYTES)
    with (
        run_postgres() as postgres,
        _on_postgres(folder, postgres, content=content, server__workers=2, server__drain_s=5) as parent,
    ):
        load, broken = asyncio.run(_under_load(parent, hashlib.sha256(content).hexdigest()))
    failed, broke = Runs((float(load.failures.total()),)), Runs((float(len(broken)),))
    exchanged = len(_workers(folder)) - 2
    what = f"of {load.answered:,} requests, failed while {exchanged} workers were exchanged {dict(load.failures) or ''}"
    return [
        Figure(what, failed, at_most=0),
        Figure(f"of {_DOWNLOADS} downloads of 20 MB, broke in a rolling restart", broke, at_most=0),
    ]


async def _under_load(parent: Process, digest: str) -> tuple[Load, list[str]]:
    async with Load(parent.url, QUESTIONS[0], clients=_CLIENTS) as load:
        await load.until(1_000)
        fetching = [
            asyncio.create_task(download(parent.url, _DOWNLOAD, digest, took_s=_DOWNLOAD_S)) for _ in range(_DOWNLOADS)
        ]
        await asyncio.sleep(1)
        while load.answered < _REQUESTS or not all(each.done() for each in fetching):
            os.kill(parent.pid, signal.SIGHUP)
            # Long enough for a whole one; what is asked for during one follows it.
            await asyncio.sleep(10)
    return load, [each for each in await asyncio.gather(*fetching) if each is not None]


@contextmanager
def _on_postgres(
    root: Path, postgres: Postgres, *, content: bytes = b"bytes", core: str | None = None, **more: Any
) -> Iterator[Process]:
    """Run a service on an empty database, with an application and its first build."""
    url = postgres.create_database()
    with service(root, core=core, storage__database_url=url, **more) as started:
        _wait_until_ready(started)
        create_application(started)
        # All workers have to hear of it.
        time.sleep(2)
        _put(started, content)
        time.sleep(2)
        yield started


def _wait_until_ready(server: Process) -> None:
    """A parent listens before its workers answer; requests that arrive meanwhile wait."""
    urllib.request.urlopen(f"{server.url}/health", timeout=_READY_S).close()


def _workers(root: Path) -> list[Process]:
    """Return the workers of the service that runs there, with what they use of the processor."""
    lines = [json.loads(line) for line in (root / "service.log").read_text().splitlines() if line.startswith("{")]
    return [Process(each["pid"], "", 0) for each in lines if each["event"] == "worker.started"]


def _put(server: Process, content: bytes) -> None:
    address = f"{server.url}/api/v1/updates/my-app/builds/1.0.0/linux/amd64"
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/octet-stream"}
    urllib.request.urlopen(urllib.request.Request(address, content, headers, method="PUT")).close()


ROWS = (Row("workers", two_against_one), Row("rolling-restart", rolling_restart))
