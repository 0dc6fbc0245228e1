"""What is particular to the store in a folder."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import updater.artifacts.folders as folders
import updater.artifacts.staged as staging
from updater.artifacts.local import LocalBlobStore
from updater.artifacts.staged import StagedFile
from updater.clock import utc_now
from updater.errors import NotFound, StorageFull, Unavailable

MIB = 1 << 20
DIGEST = hashlib.sha256(b"bytes").hexdigest()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LocalBlobStore]:
    with closing(LocalBlobStore(tmp_path)) as made:
        yield made


async def once(content: bytes) -> AsyncIterator[bytes]:
    yield content


async def pieces(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), 200_000):
        await asyncio.sleep(0)
        yield content[start : start + 200_000]


async def place(store: LocalBlobStore, content: bytes) -> StagedFile:
    staged = await store.receive(pieces(content))
    await staged.place()
    return staged


def failing(call: Callable[..., Any], number: int, times: int = 1) -> Callable[..., Any]:
    """Fail the first calls, then work: code that tries again succeeds, and is detected."""
    left = [times]

    def spoilt(*given: Any, **named: Any) -> Any:
        if left[0] > 0:
            left[0] -= 1
            raise OSError(number, os.strerror(number))
        return call(*given, **named)

    return spoilt


@pytest.mark.parametrize(
    ("number", "kind"), [(errno.EIO, Unavailable), (errno.ENOSPC, StorageFull), (errno.EDQUOT, StorageFull)]
)
@pytest.mark.parametrize("name", ["write", "fsync", "open"])
async def test_a_failing_disk_fails_the_reception(
    store: LocalBlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, number: int, kind: type
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, name, failing(getattr(os, name), number))
        with pytest.raises(kind):
            await store.receive(once(b"bytes"))
    assert list((tmp_path / "incoming").iterdir()) == []


async def test_the_folder_of_a_killed_upload_is_synced_by_the_next(
    store: LocalBlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "blobs" / DIGEST[:2] / DIGEST[2:4]).mkdir(parents=True)
    synced: list[Path] = []
    sync = staging.sync_folder
    for module in (folders, staging):
        monkeypatch.setattr(module, "sync_folder", lambda folder: (synced.append(folder), sync(folder)))
    blobs = tmp_path / "blobs"
    for _ in range(2):
        await (await store.receive(once(b"bytes"))).place()
    last = blobs / DIGEST[:2] / DIGEST[2:4]
    assert synced == [blobs, blobs / DIGEST[:2], last, last]


async def test_a_folder_removed_meanwhile_is_made_again(store: LocalBlobStore, tmp_path: Path) -> None:
    await (await store.receive(once(b"bytes"))).place()
    folder = tmp_path / "blobs" / DIGEST[:2]
    (folder / DIGEST[2:4] / DIGEST).unlink()
    (folder / DIGEST[2:4]).rmdir()
    folder.rmdir()
    await (await store.receive(once(b"bytes"))).place()
    assert (folder / DIGEST[2:4] / DIGEST).read_bytes() == b"bytes"


async def test_a_vanished_store_is_unavailable(store: LocalBlobStore, tmp_path: Path) -> None:
    (tmp_path / "blobs").rmdir()
    with pytest.raises(Unavailable):
        await store.probe()
    (tmp_path / "incoming").rmdir()
    tmp_path.rename(tmp_path.with_name("elsewhere"))
    with pytest.raises(Unavailable):
        await store.receive(once(b"bytes"))


async def test_a_cancelled_placing_ends_when_the_rename_has_ended(
    store: LocalBlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its caller holds the blob's row: letting it go earlier would let a collection in between."""
    staged = await store.receive(once(b"bytes"))
    begun, go_on = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    sync = staging.sync_folder

    def slow(folder: Path) -> None:
        loop.call_soon_threadsafe(begun.set)
        asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result()
        sync(folder)

    monkeypatch.setattr(staging, "sync_folder", slow)
    placing = asyncio.create_task(staged.place())
    await begun.wait()
    placing.cancel()
    await asyncio.sleep(0.02)
    assert not placing.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await placing
    assert [info.digest async for info in store.scan()] == [DIGEST]


@pytest.mark.parametrize("planted", ["symlink", "directory", "fifo"])
async def test_what_is_no_file_is_not_read(store: LocalBlobStore, tmp_path: Path, planted: str) -> None:
    (tmp_path / "outside").write_bytes(b"bytes")
    path = store.locate(DIGEST)
    path.parent.mkdir(parents=True)
    {
        "symlink": lambda: path.symlink_to(tmp_path / "outside"),
        "directory": path.mkdir,
        "fifo": lambda: os.mkfifo(path),
    }[planted]()
    with pytest.raises(NotFound):
        assert [piece async for piece in store.read(DIGEST)] == []


async def test_sweeping_removes_what_interrupted_receptions_left(store: LocalBlobStore, tmp_path: Path) -> None:
    (tmp_path / "incoming" / "left").write_bytes(b"half")
    (tmp_path / "incoming" / "folder").mkdir()
    assert await store.sweep(utc_now()) == 1
    assert [path.name for path in (tmp_path / "incoming").iterdir()] == ["folder"]


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5, 8, 13, 40])
async def test_a_cancelled_reception_leaves_nothing(store: LocalBlobStore, tmp_path: Path, turns: int) -> None:
    """At whatever point it is cancelled, even again while it cleans up, and while others go on."""
    content = os.urandom(2 * MIB)

    async def receive_then_cancel(pause_s: float) -> None:
        task = asyncio.ensure_future(store.receive(pieces(os.urandom(2 * MIB))))
        for _ in range(turns):
            await asyncio.sleep(0)
        await asyncio.sleep(pause_s)
        for _ in range(2):
            task.cancel()
            await asyncio.sleep(0)
        outcome = (await asyncio.gather(task, return_exceptions=True))[0]
        if not isinstance(outcome, BaseException):
            await outcome.discard()

    others = [asyncio.ensure_future(place(store, content)) for _ in range(3)]
    await asyncio.gather(*(receive_then_cancel(number / 2000) for number in range(12)))
    placed = {(await other).digest for other in others}
    async with asyncio.timeout(20):
        while any((tmp_path / "incoming").iterdir()):  # a thread that was at it ends its piece
            await asyncio.sleep(0.01)
    assert {info.digest async for info in store.scan()} == placed
    assert b"".join([piece async for piece in store.read(placed.pop())]) == content
    assert await store.sweep(utc_now()) == 0


async def test_chunks_of_any_size_are_one_file_and_the_disk_begins_early(
    store: LocalBlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[tuple[int, int]] = []

    def note(descriptor: int, offset: int, size_bytes: int) -> None:
        assert os.fstat(descriptor).st_size >= offset + size_bytes
        begun.append((offset, size_bytes))

    monkeypatch.setattr(staging, "begin_write_back", note)
    monkeypatch.setattr(staging, "WRITE_BACK_BYTES", MIB)
    sizes = [0, 1, 3 * MIB, 0, *range(1, 2000), 200_000, 7, 200_000, *(0, MIB) * 8, 1]
    content = [os.urandom(size) for size in sizes]

    async def chunks() -> AsyncIterator[bytes]:
        for number, each in enumerate(content):
            if number % 50 == 0:
                await asyncio.sleep(0)
            yield each

    staged = await store.receive(chunks())
    assert staged.digest == hashlib.sha256(b"".join(content)).hexdigest()
    assert staged.size_bytes == sum(sizes)
    assert b"".join([piece async for piece in staged.read()]) == b"".join(content)
    assert [offset for offset, _ in begun] == [0, *(offset + size for offset, size in begun[:-1])]
    assert sum(sizes) - sum(size for _, size in begun) < MIB
    await staged.discard()


def test_the_disk_begins_where_the_system_knows_how(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tmp_path / "file").open("wb") as file:
        file.write(bytes(MIB))
        file.flush()
        staging.begin_write_back(file.fileno(), 0, MIB)
        monkeypatch.setattr("ctypes.CDLL", lambda _: object())
        staging.begin_write_back(file.fileno(), 0, MIB)


async def test_a_slow_disk_holds_the_reception_up_before_it_fills_the_memory(
    store: LocalBlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, taken, write = threading.Event(), 0, StagedFile.write

    def write_when_told(self: StagedFile, batch: bytes) -> None:
        assert go_on.wait(30)
        write(self, batch)

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal taken
        for _ in range(40):
            yield bytes(MIB // 2)
            taken += MIB // 2

    monkeypatch.setattr(StagedFile, "write", write_when_told)
    receiving = asyncio.create_task(store.receive(chunks()))
    async with asyncio.timeout(30):
        while taken < staging.MOST_WAITING_BYTES - MIB:
            await asyncio.sleep(0.01)
    for _ in range(100):
        await asyncio.sleep(0)
    assert taken + MIB // 2 == staging.MOST_WAITING_BYTES, "with the one that was given last"
    assert not receiving.done()
    go_on.set()
    staged = await receiving
    assert staged.digest == hashlib.sha256(bytes(20 * MIB)).hexdigest()
    await staged.discard()


async def test_sweeping_while_receptions_end_disturbs_nobody(
    store: LocalBlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that was listed may be placed before it is looked at."""
    (tmp_path / "incoming" / "left").write_bytes(b"half")
    staged = [await store.receive(once(bytes([number]))) for number in range(3)]
    lstat = Path.lstat

    def after_placing(path: Path) -> os.stat_result:
        for each in tmp_path.joinpath("incoming").iterdir():
            if each.name != "left":
                each.unlink()
        return lstat(path)

    monkeypatch.setattr(Path, "lstat", after_placing)
    assert await store.sweep(utc_now()) == 1
    for each in staged:
        await each.discard()
