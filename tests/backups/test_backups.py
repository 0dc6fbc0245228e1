"""Backups of a running service: complete or visibly not, and back again byte for byte."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient

from tests.actors import TESTER
from tests.conftest import KEYS, OwnServer, Service, settings_tree
from updater.app import build_app, make_runner
from updater.artifacts.opening import open_blobs
from updater.backups.make import make_backup
from updater.backups.manifest import MANIFEST, find_manifest, get_manifest
from updater.backups.marker import RESTORING
from updater.backups.restore import restore_backup
from updater.composition import open_services
from updater.config import load
from updater.errors import Conflict, DigestMismatch, Invalid, NotFound
from updater.operations import OPERATIONS
from updater.processes.folder import hold_folder

pytestmark = pytest.mark.sqlite("a backup holds a copy of the embedded database; for others pg_dump makes it")
# Enough that a command that is killed at a third of them is never done already.
BUILDS = 90


def blob_path(root: Path, digest: str) -> Path:
    return root / "blobs" / digest[:2] / digest[2:4] / digest


def content_of(number: int) -> bytes:
    return b"%d " % number * 20_000


async def back_up(service: Any, folder: Path) -> dict[str, Any]:
    events = [event async for event in OPERATIONS["backup"](service.services, TESTER, folder=str(folder))]
    return events[-1]["result"]


async def restore(folder: Path, root: Path) -> int:
    with hold_folder(root), open_blobs(None, root) as blobs:
        steps = [step async for step in restore_backup(folder, root, blobs)]
    return steps[-1][1]


def hold_together(folder: Path) -> None:
    """Check a backup by itself: everything the manifest names is there and is what it says."""
    manifest = get_manifest(folder)
    assert hashlib.sha256((folder / manifest.database).read_bytes()).hexdigest() == manifest.database_sha256
    assert hashlib.sha256((folder / "secret").read_bytes()).hexdigest() == manifest.secret_sha256
    for digest, size in manifest.blobs.items():
        content = blob_path(folder, digest).read_bytes()
        assert (hashlib.sha256(content).hexdigest(), len(content)) == (digest, size)


async def test_a_backup_is_the_service_again(service: Any, tmp_path: Path, aiohttp_client: Any) -> None:
    for number in range(3):
        await service.publish(content_of(number), f"1.{number}.0")
    _, made_key = await service.services.access.create_key("made", "read", actor=TESTER)
    folder, root = tmp_path / "backup", tmp_path / "restored"
    assert await back_up(service, folder) == {"blobs": 3, "copied": 3, "missing": []}
    await service.publish(b"later", "2.0.0")
    hold_together(folder)
    assert await restore(folder, root) == 3

    settings = load(None, settings_tree(root))
    with hold_folder(root):
        async with open_services(settings) as services:
            client = await aiohttp_client(OwnServer(make_runner(build_app(services), settings)))
            headers = {"Authorization": f"Bearer {made_key}"}
            async with client.get("/api/v1/updates/my-app/releases", headers=headers) as response:
                assert (await response.json())["total_count"] == 3
            async with client.get("/api/v1/updates/my-app/download/1.1.0/linux/amd64") as response:
                assert await response.read() == content_of(1)
            assert [each.good async for each in services.artifacts.verify(actor=TESTER)] == [True] * 3
    assert (root / "secret").stat().st_mode & 0o777 == 0o600
    assert (root / "updater.db").stat().st_mode & 0o077 == 0


async def test_only_new_files_are_copied_and_unused_ones_go(service: Any, tmp_path: Path) -> None:
    folder = tmp_path / "backup"
    for number in range(3):
        await service.publish(content_of(number), f"1.{number}.0")
    await back_up(service, folder)
    first = get_manifest(folder)
    path = "/api/v1/updates/my-app/releases/1.0.0/linux/amd64"
    await service.call("DELETE", path, key="admin", status=200)
    await service.publish(b"new", "2.0.0")
    assert await back_up(service, folder) == {"blobs": 3, "copied": 1, "missing": []}
    hold_together(folder)
    second = get_manifest(folder)
    (gone,) = first.blobs.keys() - second.blobs.keys()
    assert not blob_path(folder, gone).exists()
    assert [path.name for path in folder.glob("database-*")] == [second.database]
    assert await back_up(service, folder) == {"blobs": 3, "copied": 0, "missing": []}


async def test_damaged_blobs_are_named_not_copied(service: Any, tmp_path: Path) -> None:
    for number in range(3):
        await service.publish(content_of(number), f"1.{number}.0")
    store, folder = service.services.artifacts.blobs, tmp_path / "backup"
    rotten, lost = (hashlib.sha256(content_of(number)).hexdigest() for number in (0, 1))
    store.locate(rotten).write_bytes(b"rotten")
    store.locate(lost).unlink()
    outcome = await back_up(service, folder)
    assert (outcome["blobs"], sorted(outcome["missing"])) == (3, sorted([rotten, lost]))
    hold_together(folder)
    assert set(get_manifest(folder).missing) == {rotten, lost}
    await restore(folder, tmp_path / "restored")
    assert not blob_path(tmp_path / "restored", rotten).exists()


async def test_writers_and_collectors_go_on_meanwhile(service: Any, tmp_path: Path) -> None:
    folder = tmp_path / "backup"
    await service.publish(content_of(0), "1.0.0")

    async def change() -> None:
        for number in range(1, 12):
            await service.publish(content_of(number), f"1.{number}.0")
            path = f"/api/v1/updates/my-app/releases/1.{number - 1}.0/linux/amd64"
            await service.call("DELETE", path, key="admin", status=200)
            async for _ in service.services.artifacts.collect(actor=TESTER, grace_s=0):
                pass

    changing = asyncio.create_task(change())
    while not changing.done():
        assert (await back_up(service, folder))["missing"] == []
        hold_together(folder)
        await asyncio.sleep(0)
    await changing


async def test_folders_that_do_not_fit_are_refused(service: Any, tmp_path: Path, start_service: Any) -> None:
    root = Path(service.services.settings.storage.root)
    for folder in (root, root / "backup", root.parent):
        with pytest.raises(Invalid):
            await back_up(service, folder)
    with pytest.raises(Invalid):
        await back_up(service, Path("relative"))
    strange = tmp_path / "strange"
    strange.mkdir()
    (strange / "thesis.txt").write_text("mine")
    with pytest.raises(Conflict, match="not empty"):
        await back_up(service, strange)
    folder = tmp_path / "backup"
    await back_up(service, folder)
    (folder / "secret").write_bytes(b"of another installation")
    with pytest.raises(Conflict, match="another installation"):
        await back_up(service, folder)


async def test_only_the_embedded_database_is_backed_up(service: Any, tmp_path: Path) -> None:
    storage = dataclasses.replace(service.services.settings.storage, database_url="postgresql://db.example.com/updater")
    settings = dataclasses.replace(service.services.settings, storage=storage)
    elsewhere = dataclasses.replace(service.services, settings=settings)
    with pytest.raises(Conflict, match="pg_dump"):
        [event async for event in OPERATIONS["backup"](elsewhere, TESTER, folder=str(tmp_path / "backup"))]
    assert not (tmp_path / "backup").exists()


async def test_only_one_at_a_time(service: Any, tmp_path: Path) -> None:
    await service.publish(content_of(0), "1.0.0")
    folder = tmp_path / "backup"
    root = Path(service.services.settings.storage.root)
    running = make_backup(folder, root, service.services.artifacts.blobs)
    await anext(running)
    with pytest.raises(Conflict, match="in use"):
        await back_up(service, folder)
    async for _ in running:
        pass
    await back_up(service, folder)


async def test_only_an_empty_store_is_restored_into(service: Any, tmp_path: Path) -> None:
    await service.publish(content_of(0), "1.0.0")
    folder, root = tmp_path / "backup", tmp_path / "restored"
    with pytest.raises(NotFound):
        await restore(tmp_path, root)
    await back_up(service, folder)
    await restore(folder, root)
    with pytest.raises(Conflict, match="not empty"):
        await restore(folder, root)


@pytest.mark.parametrize("part", ["database", "secret", "manifest"])
async def test_a_damaged_backup_is_not_taken_for_whole(service: Any, tmp_path: Path, part: str) -> None:
    await service.publish(content_of(0), "1.0.0")
    folder, root = tmp_path / "backup", tmp_path / "restored"
    await back_up(service, folder)
    manifest = get_manifest(folder)
    path = {"database": folder / manifest.database, "secret": folder / "secret", "manifest": folder / MANIFEST}
    damaged = path[part]
    content = bytearray(damaged.read_bytes())
    content[len(content) // 3] ^= 1 if part != "manifest" else 0xFF
    damaged.write_bytes(content)
    with pytest.raises(DigestMismatch):
        await restore(folder, root)
    assert not (root / "updater.db").exists()


# -- real processes, killed


async def fill(root: Path) -> None:
    """Publish many builds into a new data folder."""
    settings = load(None, settings_tree(root))
    with hold_folder(root):
        async with open_services(settings) as services:
            app = build_app(services)
            async with TestClient(OwnServer(make_runner(app, settings))) as client:
                service = Service(services, client.session, str(client.make_url("")).rstrip("/"))
                await service.application()
                for number in range(BUILDS):
                    await service.publish(content_of(number), f"1.{number}.0")


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a data folder with many builds, to be copied."""
    root = tmp_path_factory.mktemp("published") / "storage"
    asyncio.run(fill(root))
    return root


@pytest.fixture
def full_root(published: Path, tmp_path: Path) -> Path:
    """Return a data folder with many builds that no process holds."""
    return shutil.copytree(published, tmp_path / "storage")


Command = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def command() -> Iterator[Command]:
    started: list[subprocess.Popen[bytes]] = []

    def start(root: Path, *words: str) -> subprocess.Popen[bytes]:
        environment = {**os.environ, **settings_tree(root, server={"port": 0}), "PYTHONPATH": ":".join(sys.path)}
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "updater", *words],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def run(command: Command, root: Path, *words: str) -> tuple[int, str]:
    process = command(root, *words)
    out, err = process.communicate(timeout=100)
    return process.returncode, (out + err).decode()


def count(folder: Path) -> int:
    return sum(1 for path in folder.glob("??/??/*"))


def kill_when(process: subprocess.Popen[bytes], reached: Callable[[], bool]) -> bool:
    """Kill the process as soon as something is true; return False when it ended before."""
    while not reached():
        if process.poll() is not None:
            return False
        time.sleep(0.0005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    return process.returncode == -signal.SIGKILL


async def test_a_killed_backup_is_no_backup_and_is_completed_by_the_next(
    full_root: Path, command: Command, tmp_path: Path
) -> None:
    folder = tmp_path / "backup"
    for files in (1, 15, 30):
        running = command(full_root, "backup", str(folder))
        assert kill_when(running, lambda files=files: count(folder / "blobs") >= files)
        assert find_manifest(folder) is None
        status, said = run(command, tmp_path / "restored", "restore", str(folder))
        assert (status, "no complete backup" in said) == (5, True)
    status, said = run(command, full_root, "backup", str(folder), "--json")
    assert status == 0, said
    assert 0 < json.loads(said)["copied"] < BUILDS
    hold_together(folder)
    assert len(get_manifest(folder).blobs) == BUILDS


async def test_a_killed_renewal_leaves_the_backup_before(full_root: Path, command: Command, tmp_path: Path) -> None:
    folder = tmp_path / "backup"
    assert run(command, full_root, "backup", str(folder))[0] == 0
    before = get_manifest(folder)
    # As if the store had other files now: those of the backup are copied anew.
    for digest in list(before.blobs)[:60]:
        blob_path(folder, digest).unlink()
    renewal = command(full_root, "backup", str(folder))
    assert kill_when(renewal, lambda: count(folder / "blobs") > BUILDS - 55)
    assert get_manifest(folder) == before
    assert (folder / before.database).exists()
    assert run(command, full_root, "backup", str(folder))[0] == 0
    hold_together(folder)


async def test_a_killed_restore_is_refused_by_serve_and_can_be_redone(
    full_root: Path, command: Command, tmp_path: Path
) -> None:
    folder, root = tmp_path / "backup", tmp_path / "restored"
    assert run(command, full_root, "backup", str(folder))[0] == 0
    for files in (1, 15, 30):
        restoring = command(root, "restore", str(folder))
        assert kill_when(restoring, lambda files=files: count(root / "blobs") >= files)
        assert (root / RESTORING).exists()
        status, said = run(command, root, "serve")
        assert (status, "was not finished" in said) == (1, True)
    status, said = run(command, root, "restore", str(folder))
    assert status == 0, said
    assert not (root / RESTORING).exists()
    status, said = run(command, root, "verify", "--json")
    assert (status, json.loads(said)) == (0, {"checked": BUILDS, "bad": []})
    for number in range(BUILDS):
        digest = hashlib.sha256(content_of(number)).hexdigest()
        assert blob_path(root, digest).read_bytes() == content_of(number)


async def test_backup_while_serving(full_root: Path, command: Command, tmp_path: Path) -> None:
    import aiohttp

    folder, root = tmp_path / "backup", tmp_path / "restored"
    serving = command(full_root, "serve")
    assert serving.stderr is not None
    loop = asyncio.get_running_loop()
    try:
        line = (await loop.run_in_executor(None, serving.stderr.readline)).decode()
        assert "listening on" in line, line
        status, said = await loop.run_in_executor(None, run, command, full_root, "backup", str(folder))
        assert status == 0, said
        url, headers = line.split()[-1] + "/api/v1/applications", {"Authorization": f"Bearer {KEYS['read']}"}
        async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as response:
            assert response.status == 200
    finally:
        serving.terminate()
    assert await loop.run_in_executor(None, serving.wait) == 0
    hold_together(folder)
    assert (await loop.run_in_executor(None, run, command, root, "restore", str(folder)))[0] == 0
