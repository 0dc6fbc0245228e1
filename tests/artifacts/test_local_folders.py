"""The folders and staged files of a local store where something is in the way, was interrupted or is handed over."""

from __future__ import annotations

import asyncio
import ctypes
import errno
import gc
import os
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

import updater.artifacts.folders as folders
import updater.artifacts.local as local
import updater.artifacts.staged as staging
from tests.artifacts.test_local_files import CONTENT, DIGEST, chunks, fail, mode, put
from updater.artifacts.blobs import BATCH_BYTES, batched
from updater.artifacts.folders import BlobFolders, sync_folder
from updater.artifacts.local import LocalBlobStore
from updater.artifacts.staged import StagedFile
from updater.errors import StorageFull


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LocalBlobStore]:
    with closing(LocalBlobStore(tmp_path)) as made:
        yield made


def test_all_folders_above_it_are_made(tmp_path: Path) -> None:
    made = BlobFolders(tmp_path / "a" / "b", group_reads=False)
    assert made.blobs.is_dir()


def test_knowing_that_folders_are_durable_takes_next_to_no_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There may be 65,536 of them: as paths they would take 22 MiB."""
    synced: list[str] = []
    monkeypatch.setattr(folders, "sync_folder", lambda folder: synced.append(folder.name))
    made = BlobFolders(tmp_path, group_reads=False)
    outer = made.blobs / "ab"
    made.ensure(outer)
    tracemalloc.start()
    for number in range(256):
        made.ensure(outer / f"{number:02x}")
    grown = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, folders.__file__)])
    held_bytes = sum(each.size for each in grown.statistics("filename"))
    tracemalloc.stop()
    assert synced[-257:] == ["blobs", *["ab"] * 256]
    assert held_bytes < 8_192
    synced.clear()
    for folder in (outer, outer / "00", outer / "ff"):
        made.ensure(folder)
    assert synced == []
    made.ensure(made.blobs / "00")
    assert synced == ["blobs"]


def test_a_folder_with_files_in_place_of_the_opened_one_will_do(tmp_path: Path) -> None:
    made = BlobFolders(tmp_path, group_reads=False)
    made.blobs.rename(tmp_path / "away")
    (made.blobs / "ab" / "cd").mkdir(parents=True)
    with pytest.raises(FileNotFoundError) as refused:
        made.require()
    assert refused.value.errno == errno.ENOENT
    assert refused.value.strerror == "another, empty folder is in its place"
    assert refused.value.filename == str(made.blobs)
    (made.blobs / "ab" / "cd" / "any").touch()
    made.require()


def test_staging_among_the_blobs_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "rename", fail(errno.EXDEV))
    with capture_logs() as logs:
        for _ in range(2):
            BlobFolders(tmp_path, group_reads=False)
    folder = str(tmp_path / "blobs" / "incoming")
    assert logs == [{"event": "storage.staging_inside_blobs", "log_level": "info", "folder": folder}]


def test_what_a_try_left_stays_where_it_cannot_be_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "unlink", fail(errno.EROFS))
    assert BlobFolders(tmp_path, group_reads=False).incoming == tmp_path / "incoming"


async def placed(root: Path, *, group_reads: bool) -> Path:
    """Give a store one file; return the file."""
    with closing(LocalBlobStore(root, group_reads=group_reads)) as store:
        return store.locate(await put(store))


async def test_modes_are_given_once(tmp_path: Path) -> None:
    file = await placed(tmp_path, group_reads=False)
    file.chmod(0o644)
    BlobFolders(tmp_path, group_reads=False)
    assert mode(file) == 0o644, "the mode of the folder says that all was done"
    BlobFolders(tmp_path, group_reads=True)
    assert [mode(each) for each in (file, *list(file.parents)[:3])] == [0o640, 0o750, 0o750, 0o750]


@pytest.mark.parametrize("group", [True, False])
async def test_a_change_of_modes_that_was_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, group: bool
) -> None:
    """While it is opened or closed, the group cannot enter; opening goes on at the next start."""
    file = await placed(tmp_path, group_reads=not group)
    set_mode = folders.set_mode

    def interrupted(path: Path, wanted: int) -> bool:
        if path == file:
            raise KeyboardInterrupt
        return set_mode(path, wanted)

    with monkeypatch.context() as patch:
        patch.setattr(folders, "set_mode", interrupted)
        with pytest.raises(KeyboardInterrupt):
            BlobFolders(tmp_path, group_reads=group)
    assert mode(tmp_path / "blobs") == 0o700
    if group:
        BlobFolders(tmp_path, group_reads=True)
        assert [mode(each) for each in (file, *list(file.parents)[:3])] == [0o640, 0o750, 0o750, 0o750]


def test_only_folders_are_synced_as_such(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        sync_folder(tmp_path / "file")


def test_whether_files_can_be_made_is_tried_in_the_folder_itself(tmp_path: Path) -> None:
    (tmp_path / "incoming").symlink_to("/proc")  # even root makes no files there
    assert not local._takes_files(tmp_path / "incoming")
    assert local._takes_files(tmp_path)


async def test_the_threads_of_a_store_do_all_its_work_and_end_with_it(store: LocalBlobStore) -> None:
    await put(store)
    staged = await store.receive(chunks())
    done: list[str] = []
    store.threads.submit(lambda: (time.sleep(0.02), done.append("slow")))
    store.close()
    assert done == ["slow"]
    for pieces in (store.read(DIGEST), staged.read()):
        with pytest.raises(RuntimeError, match="shutdown"):
            await anext(pieces)
    with pytest.raises(RuntimeError, match="shutdown"):
        await store.run(done.append, "late")
    assert done == ["slow"]


async def test_a_planted_link_is_listed_as_itself(store: LocalBlobStore) -> None:
    """So it can be collected; its target is not looked at."""
    path = store.locate(DIGEST)
    path.parent.mkdir(parents=True)
    path.symlink_to("nowhere")
    assert [(info.digest, info.size_bytes) async for info in store.scan()] == [(DIGEST, len("nowhere"))]


@pytest.mark.parametrize(
    ("sizes", "batches"),
    [
        ([BATCH_BYTES - 1, 1, 5], [BATCH_BYTES, 5]),
        ([BATCH_BYTES, BATCH_BYTES - 1, 1], [BATCH_BYTES, BATCH_BYTES]),
        ([3 * BATCH_BYTES, 1], [3 * BATCH_BYTES, 1]),
    ],
)
async def test_a_batch_ends_at_a_mib(sizes: list[int], batches: list[int]) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for size in sizes:
            yield bytes(size)

    assert [len(batch) async for batch in batched(pieces())] == batches


async def test_what_was_never_made_is_discarded(
    store: LocalBlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file of somebody else at its path stays, and so does every open file."""
    (tmp_path / "other").write_bytes(b"kept")
    staged = StagedFile(store, tmp_path / "other")
    assert (staged.digest, staged.size_bytes) == ("", 0)
    with pytest.raises(FileExistsError):
        staged.create()
    closed: list[int] = []
    monkeypatch.setattr(os, "close", closed.append)
    await staged.discard()
    monkeypatch.undo()
    assert (closed, (tmp_path / "other").read_bytes()) == ([], b"kept")


async def test_a_file_has_its_mode_where_the_folder_was_gone(tmp_path: Path) -> None:
    with closing(LocalBlobStore(tmp_path, group_reads=True)) as store:
        (tmp_path / "incoming").rmdir()
        staged = await store.receive(chunks())
        assert mode(staged.locate()) == 0o640
        await staged.discard()


@pytest.mark.parametrize(("size_bytes", "times"), [(BATCH_BYTES - 1, 1), (BATCH_BYTES, 2)])
async def test_a_thread_is_given_a_mib_while_more_comes(
    store: LocalBlobStore, monkeypatch: pytest.MonkeyPatch, size_bytes: int, times: int
) -> None:
    given: list[str] = []
    run, errors = store.run, []

    def noted(function: Callable[..., Any], *arguments: object) -> Any:
        given.append(function.__name__)
        return run(function, *arguments)

    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
    monkeypatch.setattr(store, "run", noted)
    staged = await store.receive(chunks(bytes(size_bytes), size_bytes))
    assert given == ["create", *["_drain"] * times, "seal"]
    await staged.discard()
    assert errors == []


async def test_a_failure_behind_a_client_that_broke_off_is_not_reported_twice(
    store: LocalBlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
    failed = asyncio.Event()
    loop = asyncio.get_running_loop()

    def full(*given: Any) -> int:
        loop.call_soon_threadsafe(failed.set)
        raise OSError(errno.ENOSPC, "x")

    async def broken_off() -> AsyncIterator[bytes]:
        yield bytes(BATCH_BYTES)
        await failed.wait()
        raise EOFError

    monkeypatch.setattr(os, "write", full)
    with pytest.raises((EOFError, StorageFull)):
        await store.receive(broken_off())
    monkeypatch.undo()
    gc.collect()
    await asyncio.sleep(0)
    assert errors == []


@pytest.mark.parametrize(("sizes", "begun"), [((4, 5), []), ((4, 6, 9, 1), [(0, 10), (10, 10)]), ((25,), [(0, 25)])])
def test_the_disk_begins_whenever_so_much_was_written(
    store: LocalBlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sizes: tuple[int], begun: list[Any]
) -> None:
    found: list[tuple[int, ...]] = []

    def note(descriptor: int, offset: int, size_bytes: int, flags: int) -> None:
        assert os.fstat(descriptor).st_ino == (tmp_path / "file").stat().st_ino
        assert flags == 2, "SYNC_FILE_RANGE_WRITE"
        found.append((offset, size_bytes))

    monkeypatch.setattr(staging, "WRITE_BACK_BYTES", 10)
    monkeypatch.setattr(staging, "_sync_file_range", note)
    staged = StagedFile(store, tmp_path / "file")
    staged.create()
    for size in sizes:
        staged.write(bytes(size))
    staged.seal()
    assert found == begun


def test_a_system_that_cannot_begin_early_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", fail(errno.ENOSYS))
    staging.begin_write_back(-1, 0, 1)


async def test_a_listed_blob_tells_its_time(store: LocalBlobStore) -> None:
    await put(store, CONTENT)
    os.utime(store.locate(DIGEST), (1_700_000_000, 1_700_000_000))
    assert [info.modified_at async for info in store.scan()] == [datetime.fromtimestamp(1_700_000_000, UTC)]
