"""Health sees what broke under a running service, while update checks go on."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Service, StartService
from updater import health
from updater.artifacts import local
from updater.audit.model import SYSTEM
from updater.database import place

CHECK = "/api/v1/updates/my-app/check?current_version=0.1.0&platform=linux&architecture=amd64"
SQLITE = "its file is in the data folder"


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "KEPT_S", 0.0)
    monkeypatch.setattr(local, "_PROBE_S", 0.0)
    monkeypatch.setattr(place, "_PROBE_S", 0.0)


@pytest.fixture
async def running(service: Service) -> Service:
    await service.publish(b"bytes")
    assert (await asked(service))[:2] == (200, "healthy")
    return service


async def asked(service: Service) -> tuple[int, str, dict[str, str]]:
    """Return the status of the answer and the words for the whole and for each component that is not healthy."""
    answer, _ = await service.exchange("GET", "/health", key="read")
    told = await answer.json()
    parts = {name: part["message"] for name, part in told["components"].items() if part["status"] != "healthy"}
    checked = await service.call("GET", CHECK, status=200)
    assert checked["update_available"] is True, "checks go on"
    return answer.status, told["status"], parts


@pytest.mark.sqlite(SQLITE)
@pytest.mark.parametrize("how", ["removed", "replaced", "moved", "log removed"])
async def test_no_write_is_acknowledged_into_a_database_that_is_gone(
    running: Service, tmp_path: Path, how: str
) -> None:
    file = tmp_path / "storage" / "updater.db"
    if how == "removed":
        file.unlink()
    elif how == "log removed":
        file.with_name("updater.db-wal").unlink()
    else:
        file.rename(tmp_path / "elsewhere.db")
    if how == "replaced":
        file.write_bytes((tmp_path / "elsewhere.db").read_bytes())
    given = {"id": "other", "name": "Other", "platforms": ["linux"]}
    await running.call("POST", "/api/v1/applications", key="write", json=given, status=503)
    await running.call("PUT", "/api/v1/updates/my-app/builds/2.0.0/linux/amd64", key="write", data=b"x", status=503)
    if how != "log removed":
        status, word, parts = await asked(running)
        assert (status, word) == (200, "degraded")
        assert "removed or replaced" in parts["database"]
    if how == "moved":
        (tmp_path / "elsewhere.db").rename(file)
        await running.call("POST", "/api/v1/applications", key="write", json=given, status=201)


@pytest.mark.sqlite(SQLITE)
@pytest.mark.parametrize("part", ["all of it", "its second half"])
async def test_a_database_whose_pages_cannot_be_read_is_seen(running: Service, tmp_path: Path, part: str) -> None:
    file = tmp_path / "storage" / "updater.db"
    await checkpoint(running)
    size = file.stat().st_size
    # Written by another process: closing the file in this one would drop SQLite's locks on it.
    begin = 0 if part == "all of it" else size // 2
    program = "import sys; _, name, begin, size = sys.argv; f = open(name, 'r+b'); f.seek(int(begin)); "
    program += "f.write(bytes([165]) * int(size))"
    command = [sys.executable, "-c", program, str(file), str(begin), str(size - begin)]
    await asyncio.to_thread(subprocess.run, command, check=True)
    status, word, parts = await asked(running)
    assert (status, word, list(parts)) == (200, "degraded", ["database"])


async def checkpoint(service: Service) -> None:
    """Bring the write-ahead log into the file, so that pages are read from there."""
    engine = service.services.health._database._writer
    async with engine.connect() as connection:
        raw = await connection.get_raw_connection()
        await raw.driver_connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # type: ignore[union-attr]


async def test_a_store_that_is_moved_away_or_replaced_is_seen(running: Service, tmp_path: Path) -> None:
    blobs = tmp_path / "storage" / "blobs"
    blobs.rename(tmp_path / "elsewhere")
    status, word, parts = await asked(running)
    assert (status, word, list(parts)) == (503, "unhealthy", ["storage"])
    blobs.mkdir()
    assert (await asked(running))[0] == 503, "another, empty folder"
    blobs.rmdir()
    (tmp_path / "elsewhere").rename(blobs)
    assert (await asked(running))[:2] == (200, "healthy")


async def test_the_folder_of_receptions_is_made_again(running: Service, tmp_path: Path) -> None:
    incoming = tmp_path / "storage" / "incoming"
    incoming.rmdir()
    await running.publish(b"more bytes", "1.1.0")
    incoming.rmdir()
    assert (await asked(running))[:2] == (200, "healthy")
    assert incoming.is_dir()


async def test_a_file_system_that_takes_no_writes_is_seen(running: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "find_refusal", lambda _: os.strerror(30))
    monkeypatch.setattr(place, "find_refusal", lambda _: os.strerror(30))
    status, word, parts = await asked(running)
    assert (status, word) == (200, "degraded")
    assert "Read-only file system" in parts["storage"]


async def test_damaged_files_are_seen_and_counted(running: Service, tmp_path: Path) -> None:
    (file,) = (each for each in (tmp_path / "storage" / "blobs").rglob("*") if each.is_file())
    file.write_bytes(b"other")
    async for _ in running.services.artifacts.verify(actor=SYSTEM):
        pass
    answer, _ = await running.exchange("GET", "/health", key="read")
    told = await answer.json()
    assert (answer.status, told["status"]) == (200, "degraded")
    assert told["components"]["storage"]["message"].startswith("1 stored files are damaged")
    assert b"\nupdater_damaged_blobs 1.0\n" in (await running.exchange("GET", "/metrics"))[1]


async def test_a_flood_of_questions_probes_once_a_second(
    start_service: StartService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "KEPT_S", 1.0)
    service, probes = await start_service(), 0
    ping = service.services.health._database.ping

    async def counted() -> None:
        nonlocal probes
        probes += 1
        await ping()

    monkeypatch.setattr(service.services.health._database, "ping", counted)
    for _ in range(5):
        await asyncio.gather(*(service.exchange("GET", "/health") for _ in range(40)))
    assert probes <= 3
