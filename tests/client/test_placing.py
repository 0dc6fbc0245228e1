"""Where a fetched file ends up: what is no regular file is written into, what is one is replaced as it was.

Control: a rename onto whatever is there.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import stat
from pathlib import Path

import pytest

from tests.client.conftest import Answers
from tests.conftest import LINUX, QUICK
from updater_client import Build, DigestMismatch, UpdateClient

DATA = os.urandom(3_000_000)


@pytest.fixture
def build(answers: Answers) -> Build:
    from aiohttp import web

    async def handle(request: web.Request) -> web.Response:
        return web.Response(body=DATA)

    answers.handle = handle
    return Build("1", LINUX, f"{answers.url}/f", hashlib.sha256(DATA).hexdigest().upper(), "sha256")


async def fetch(build: Build, path: Path) -> None:
    async with UpdateClient("http://127.0.0.1:9", retry=QUICK) as client:
        fetched = await client.fetch(build, path)
    assert (fetched.path, fetched.size_bytes) == (path, len(DATA))


async def test_a_device_stays_a_device(build: Build, tmp_path: Path) -> None:
    before = Path("/dev/null").stat()
    await fetch(build, Path("/dev/null"))
    after = Path("/dev/null").stat()
    assert stat.S_ISCHR(after.st_mode)
    assert (before.st_ino, before.st_mode) == (after.st_ino, after.st_mode)
    assert not Path("/dev/null.part").exists()


async def test_a_pipe_gets_the_bytes_when_somebody_reads_it(build: Build, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    task = asyncio.create_task(fetch(build, pipe))
    await asyncio.sleep(0.3)
    assert await asyncio.to_thread(pipe.read_bytes) == DATA
    await task
    assert [each.name for each in tmp_path.iterdir()] == ["pipe"]


async def test_waiting_for_a_reader_can_be_cancelled(build: Build, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    task = asyncio.create_task(fetch(build, pipe))
    await asyncio.sleep(0.5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 2)


async def test_wrong_bytes_reach_no_pipe(build: Build, tmp_path: Path) -> None:
    wrong = Build("1", LINUX, build.download_url, "00" * 32, "sha256")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with pytest.raises(DigestMismatch):
        await fetch(wrong, pipe)
    assert os.read(reader, 10) == b""
    os.close(reader)


@pytest.mark.parametrize("mode", [0o755, 0o600, 0o444])
async def test_what_is_replaced_keeps_its_mode(build: Build, tmp_path: Path, mode: int) -> None:
    path = tmp_path / "tool"
    path.write_bytes(b"old")
    path.chmod(mode)
    await fetch(build, path)
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (DATA, mode)


async def test_a_link_stays_and_leads_to_the_new_bytes(build: Build, tmp_path: Path) -> None:
    real, link, dangling = tmp_path / "folder" / "real", tmp_path / "link", tmp_path / "dangling"
    real.parent.mkdir()
    real.write_bytes(b"old")
    link.symlink_to(real)
    dangling.symlink_to(tmp_path / "folder" / "new")
    for path in (link, dangling):
        await fetch(build, path)
        assert path.is_symlink()
        assert path.read_bytes() == DATA
    assert sorted(each.name for each in real.parent.iterdir()) == ["new", "real"]
