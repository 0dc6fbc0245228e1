"""A backup is worth what was checked of it: the database before the last one goes, files in turn, all at a restore."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import updater.backups.make as make
from tests.backups.test_backups import back_up, blob_path, content_of, hold_together
from tests.conftest import settings_tree
from updater.backups.manifest import get_manifest
from updater.errors import DigestMismatch

pytestmark = pytest.mark.sqlite("a backup holds a copy of the embedded database; for others pg_dump makes it")
COUNT = 6


@pytest.fixture
async def folder(service: Any, tmp_path: Path) -> Path:
    """Return a backup of a service with some builds."""
    for number in range(COUNT):
        await service.publish(content_of(number), f"1.{number}.0", file_name=f"app-{number}.bin")
    await back_up(service, tmp_path / "backup")
    return tmp_path / "backup"


def digest_of(service: Any, number: int) -> str:
    import hashlib

    return hashlib.sha256(content_of(number)).hexdigest()


def rot(path: Path) -> None:
    """Change one bit; size and times stay."""
    before, content = path.stat(), bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def restore(folder: Path, root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **settings_tree(root)}
    command = [sys.executable, "-m", "updater", "restore", str(folder), *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


async def test_a_damaged_database_leaves_the_last_backup(service: Any, folder: Path, tmp_path: Path) -> None:
    before = get_manifest(folder)
    path = tmp_path / "storage" / "updater.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (page,) = database.execute("SELECT rootpage FROM sqlite_master WHERE name = 'release'").fetchone()
        (size,) = database.execute("PRAGMA page_size").fetchone()
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(os.urandom(size))
    with pytest.raises(DigestMismatch, match="last backup stays"):
        await back_up(service, folder)
    assert get_manifest(folder) == before
    hold_together(folder)
    assert restore(folder, tmp_path / "restored").returncode == 0


async def test_files_in_the_backup_are_hashed_in_turn(
    service: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(make, "CHECKED_WITHIN_RUNS", 3)
    rotten = [digest_of(service, number) for number in range(COUNT)]
    for digest in rotten:
        rot(blob_path(folder, digest))
    repaired: list[str] = []
    for _ in range(3):
        outcome = await back_up(service, folder)
        assert outcome["copied"] == len(outcome["repaired"]) == 2
        repaired += outcome["repaired"]
    assert sorted(repaired) == sorted(rotten)
    hold_together(folder)
    assert "repaired" not in await back_up(service, folder)


async def test_an_index_that_lost_a_row_leaves_the_last_backup(service: Any, folder: Path, tmp_path: Path) -> None:
    """Its pages hold together. What the index does not lead to would be missing in the backup, without a word."""
    path = tmp_path / "storage" / "updater.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        found = "SELECT rootpage FROM sqlite_master WHERE type = 'index' AND tbl_name = 'file' ORDER BY name LIMIT 1"
        (page,) = database.execute(found).fetchone()
        (size,) = database.execute("PRAGMA page_size").fetchone()
    with path.open("rb") as file:
        file.seek((page - 1) * size)
        old = file.read(size)
    await service.publish(b"one more", "7.0.0")
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(old)
    with pytest.raises(DigestMismatch, match="last backup stays"):
        await back_up(service, folder)
    hold_together(folder)


async def test_what_is_damaged_in_both_places_is_named(service: Any, folder: Path) -> None:
    digest = digest_of(service, 1)
    rot(blob_path(folder, digest))
    service.services.artifacts.blobs.locate(digest).unlink()
    outcome = None
    for _ in range(COUNT):
        outcome = await back_up(service, folder)
    assert outcome is not None
    assert outcome["missing"] == [digest]
    (named,) = outcome["files"]
    where = {"platform": "linux", "architecture": "amd64", "name": "app-1.bin"}
    assert named == {"digest": digest, "application": "my-app", "version": "1.1.0", **where}
    hold_together(folder)


@pytest.mark.parametrize("how", ["rotten", "lost", "a folder"])
async def test_a_restore_keeps_what_is_whole_and_names_the_rest(
    service: Any, folder: Path, tmp_path: Path, how: str
) -> None:
    digest, root = digest_of(service, 2), tmp_path / "restored"
    path = blob_path(folder, digest)
    if how == "rotten":
        rot(path)
    else:
        path.unlink()
    if how == "a folder":
        path.mkdir()
    done = restore(folder, root)
    assert done.returncode == 9
    assert done.stdout == f"{COUNT - 1} files restored and verified\n"
    assert digest in done.stderr
    assert "my-app 1.2.0 linux/amd64 app-2.bin" in done.stderr
    for number in range(COUNT):
        there = blob_path(root, digest_of(service, number))
        assert there.exists() is (number != 2)
    assert (root / "updater.db").exists()
    again = restore(folder, tmp_path / "again", "--json")
    assert again.returncode == 9
    told = json.loads(again.stdout)
    assert (told["blobs"], told["missing"]) == (COUNT - 1, [digest])
    assert [each["version"] for each in told["files"]] == ["1.2.0"]


async def test_verify_names_builds(service: Any, tmp_path: Path) -> None:
    from tests.actors import TESTER
    from updater.operations import OPERATIONS

    await service.publish(content_of(0), "1.0.0", file_name="app.bin")
    await service.publish(content_of(0), "1.0.0", platform="windows", file_name="app.exe")
    rot(service.services.artifacts.blobs.locate(digest_of(service, 0)))
    outcome = [event async for event in OPERATIONS["verify"](service.services, TESTER)][-1]["result"]
    assert [(each["platform"], each["name"]) for each in outcome["files"]] == [
        ("linux", "app.bin"),
        ("windows", "app.exe"),
    ]


async def test_what_is_no_file_in_a_backup_is_named_and_holds_nothing_up(
    service: Any, folder: Path, tmp_path: Path
) -> None:
    """A pipe would be waited for, and a link could lead anywhere."""
    pipe, link = (blob_path(folder, digest_of(service, number)) for number in (0, 1))
    pipe.unlink()
    os.mkfifo(pipe)
    content = link.read_bytes()
    link.unlink()
    (tmp_path / "elsewhere").write_bytes(content)
    link.symlink_to(tmp_path / "elsewhere")
    ran = await asyncio.wait_for(asyncio.to_thread(restore, folder, tmp_path / "restored"), 60)
    assert ran.returncode == 9
    assert "1.0.0" in ran.stderr and "1.1.0" in ran.stderr and "1.2.0" not in ran.stderr
