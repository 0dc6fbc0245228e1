"""`blobs` may be a link to another disk, or a mount of its own: bytes are staged where they will lie."""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.durability.conftest import require
from updater.artifacts.local import LocalBlobStore
from updater.clock import END_OF_TIME


async def once(content: bytes) -> AsyncIterator[bytes]:
    yield content


@pytest.fixture
def root() -> Iterator[Path]:
    """Give a folder on the disk; that of the other tests lies in memory."""
    with TemporaryDirectory() as folder:
        yield Path(folder)


def link_to_memory(root: Path, other: Path) -> None:
    require(root.stat().st_dev != other.stat().st_dev, "needs two file systems")
    (root / "blobs").symlink_to(other)


def mount_of_the_same_disk(root: Path, other: Path) -> None:
    """A bind mount has the device of its disk, and no rename goes across it all the same."""
    beside = root / "beside"
    beside.mkdir()
    (root / "blobs").mkdir()
    done = os.geteuid() == 0 and subprocess.run(["mount", "--bind", beside, root / "blobs"], capture_output=True)
    require(bool(done) and done.returncode == 0, "needs the right to mount")


@pytest.mark.parametrize("lay", [link_to_memory, mount_of_the_same_disk])
async def test_blobs_may_lie_elsewhere(lay: Callable[[Path, Path], None], root: Path, tmp_path: Path) -> None:
    lay(root, tmp_path)
    try:
        with closing(LocalBlobStore(root)) as store:
            staged = await store.receive(once(b"bytes"))
            await staged.place()
            assert [info.digest async for info in store.scan()] == [staged.digest]
            assert b"".join([piece async for piece in store.read(staged.digest)]) == b"bytes"
            assert await store.receive(once(b"left behind"))
            (root / "incoming" / "older").touch()
            assert await store.sweep(END_OF_TIME) == 2
            assert [path.name for path in (root / "blobs").iterdir() if path.is_file()] == []
        with closing(LocalBlobStore(root)) as store:
            assert [info.digest async for info in store.scan()] == [staged.digest]
    finally:
        with suppress(OSError):
            subprocess.run(["umount", root / "blobs"], capture_output=True)


async def test_one_file_system_has_one_staging_folder(root: Path) -> None:
    with closing(LocalBlobStore(root)) as store:
        assert store.folders.incoming == root / "incoming"
        assert {path.name for path in root.rglob("*")} == {"blobs", "incoming"}
