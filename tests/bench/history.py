"""A year of figures, and a backup in which nothing is new."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import insert, update

from tests.bench.processes import KEY, LOAD_CORE, Process, service
from tests.bench.rows import Figure, Pace, Row, Runs
from tests.bench.seed import seed
from updater.catalog.platforms import ARCHITECTURES, PLATFORMS
from updater.database.opening import open_database
from updater.database.tables import blob, build, file, rollup
from updater.telemetry.model import STATUSES
from updater.telemetry.rollups import KEPT_LABELS, SLACK_LABELS, Measure
from updater.telemetry.spans import Span, floor, following

_REPORTS_A_DAY = 1_000_000
_BLOBS = 10_000
_HISTOGRAMS = (Measure.THROUGHPUT, Measure.INSTALL_TIME)


def figures(folder: Path, pace: Pace) -> Sequence[Figure]:
    """Ask for all figures over a year of a million reports a day, with as many labels as there may be."""
    seed(folder, 1)
    last = floor(datetime.now(UTC), Span.DAY)
    first = last - timedelta(days=365)
    asyncio.run(write_year(folder / "storage" / "updater.db", first, last))
    path = f"/api/v1/applications/my-app/figures?from={first.date()}&to={last.date()}&bucket=day"
    with service(folder) as own:
        took = Runs(tuple(1000 * _ask(own, path) for _ in range(pace.rounds)))
    return [Figure("figures over 365 days x 1,000,000 reports a day", took, at_most=200, unit=" ms")]


def backup(folder: Path, pace: Pace) -> Sequence[Figure]:
    """Back 10,000 stored files up again, none of them new, while the service runs: the whole command."""
    seed(folder, _BLOBS)
    storage = folder / "storage"
    asyncio.run(_store_blobs(storage))
    command = [sys.executable, "-m", "updater", "backup", str(folder / "backup"), "--json"]
    environment = os.environ | {"UPDATER_STORAGE__ROOT": str(storage)}
    with service(folder):
        copied, _ = _run(command, environment)
        assert copied == _BLOBS
        again = [_run(command, environment) for _ in range(pace.rounds)]
    assert not any(copied for copied, _ in again)
    took_s = Runs(tuple(seconds for _, seconds in again))
    return [Figure("backup of 10,000 unchanged files", took_s, at_most=2, unit=" s")]


def _ask(own: Process, path: str) -> float:
    request = urllib.request.Request(own.url + path, headers={"Authorization": f"Bearer {KEY}"})
    began = time.monotonic()
    with urllib.request.urlopen(request) as response:
        found = json.load(response)
    took_s = time.monotonic() - began
    assert sum(found["reports"][status] for status in STATUSES) == 365 * _REPORTS_A_DAY
    assert len(found["series"]) == 365
    return took_s


def _run(command: list[str], environment: dict[str, str]) -> tuple[int, float]:
    """Run a backup; return how many files it copied, and the seconds it took."""
    began = time.monotonic()
    pinned = ["taskset", "-c", LOAD_CORE, *command]
    said = subprocess.run(pinned, env=environment, check=True, capture_output=True, text=True).stdout
    return json.loads(said)["copied"], time.monotonic() - began


async def write_year(path: Path, first: datetime, last: datetime) -> None:
    """Write days and months of the year, and the hours of its last month."""
    async with open_database(None, path.parent) as database, database.write() as connection:
        for span, begin in ((Span.MONTH, floor(first, Span.MONTH)), (Span.DAY, first)):
            await connection.execute(insert(rollup), list(_rows(span, begin, last)))
        await connection.execute(insert(rollup), list(_rows(Span.HOUR, last - timedelta(days=31), last)))


def _rows(span: Span, begin: datetime, end: datetime) -> Iterator[dict[str, Any]]:
    at = begin
    while at < end:
        after = following(at, span)
        events = int(_REPORTS_A_DAY * ((after - at) / timedelta(days=1)))
        for measure in Measure:
            labels = _labels(measure)
            share, rest = divmod(events, len(labels))
            for number, label in enumerate(labels):
                amount = share + (rest if number == 0 else 0)
                yield {
                    "application_id": "my-app",
                    "span": span.value,
                    "measure": measure.value,
                    "starts_at": at,
                    "label": label,
                    "amount": amount,
                }
        at = after


def _labels(measure: Measure) -> list[str]:
    if measure is Measure.REPORT:
        return list(STATUSES)
    if measure in _HISTOGRAMS:
        return [str(number) for number in range(20, 80)]
    if measure in KEPT_LABELS:
        return [f"{measure.value} {number}" for number in range(KEPT_LABELS[measure] + SLACK_LABELS)]
    return [f"{platform}/{architecture}" for platform in PLATFORMS for architecture in ARCHITECTURES]


async def _store_blobs(root: Path) -> None:
    """Give each seeded build a small file of its own."""
    rows = []
    for number in range(_BLOBS):
        content = f"{number} ".encode() * 100
        digest = hashlib.sha256(content).hexdigest()
        folder = root / "blobs" / digest[:2] / digest[2:4]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / digest).write_bytes(content)
        rows.append({"digest": digest, "size_bytes": len(content), "created_at": datetime.now(UTC)})
    async with open_database(None, root) as database, database.write() as connection:
        await connection.execute(insert(blob), rows)
        await connection.execute(update(build).values(url=None, checksum_type=None, checksum=None, size_bytes=None))
        await connection.execute(insert(file), [_file(number, row["digest"]) for number, row in enumerate(rows, 1)])


def _file(build_id: int, digest: str) -> dict[str, Any]:
    return {
        "build_id": build_id,
        "name": "my-app.tar.gz",
        "name_key": "my-app.tar.gz",
        "kind": "archive",
        "is_primary": True,
        "digest": digest,
        "made_by": "developer",
        "created_at": datetime.now(UTC),
    }


ROWS = (Row("figures", figures), Row("backup", backup))
