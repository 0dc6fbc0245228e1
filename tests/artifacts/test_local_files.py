"""The store in a folder, step by step: names, modes, syncs and what each failure of the disk becomes."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import stat
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import updater.artifacts.folders as folders
import updater.artifacts.local as local
from updater.artifacts.blobs import BATCH_BYTES, StoreReadOnly, batched
from updater.artifacts.digests import is_digest
from updater.artifacts.folders import BlobFolders, as_failures
from updater.artifacts.local import LocalBlobStore
from updater.errors import NotFound, StorageFull, Unavailable

CONTENT = bytes(range(256)) * 5000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LocalBlobStore]:
    with closing(LocalBlobStore(tmp_path)) as made:
        yield made


async def chunks(content: bytes = CONTENT, size: int = 100_000) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


async def put(store: LocalBlobStore, content: bytes = CONTENT) -> str:
    staged = await store.receive(chunks(content))
    await staged.place()
    return staged.digest


async def read(store: LocalBlobStore, *given: Any) -> bytes:
    return b"".join([piece async for piece in store.read(*given)])


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def fail(number: int) -> Any:
    def failing(*given: Any, **named: Any) -> Any:
        raise OSError(number, os.strerror(number))

    return failing


async def test_a_blob_from_reception_to_deletion(store: LocalBlobStore, tmp_path: Path) -> None:
    before = datetime.now(UTC) - timedelta(seconds=5)
    staged = await store.receive(chunks())
    assert (staged.digest, staged.size_bytes) == (DIGEST, len(CONTENT))
    assert staged.locate().read_bytes() == CONTENT
    assert staged.locate().parent == tmp_path / "incoming"
    assert b"".join([piece async for piece in staged.read()]) == CONTENT
    assert [len(piece) async for piece in staged.read()] == [BATCH_BYTES, len(CONTENT) - BATCH_BYTES]
    await staged.place()
    path = tmp_path / "blobs" / DIGEST[:2] / DIGEST[2:4] / DIGEST
    assert store.locate(DIGEST) == path
    assert path.read_bytes() == CONTENT
    await staged.discard()
    assert path.exists()
    (info,) = [info async for info in store.scan()]
    assert (info.digest, info.size_bytes) == (DIGEST, len(CONTENT))
    assert before < info.modified_at < before + timedelta(hours=1)
    assert info.modified_at.tzinfo is UTC
    for _ in range(2):
        await store.delete(DIGEST)
    assert not path.exists()
    with pytest.raises(NotFound, match=r"^No such blob$") as missing:
        await read(store, DIGEST)
    assert missing.value.kind == "blob"


async def test_an_empty_file_is_one(store: LocalBlobStore) -> None:
    digest = await put(store, b"")
    assert digest == hashlib.sha256(b"").hexdigest()
    assert await read(store, digest) == b""


@pytest.mark.parametrize(
    ("start", "length"), [(0, None), (7, None), (0, 0), (3, 1), (5, BATCH_BYTES + 3), (len(CONTENT), 4), (9, 10**9)]
)
async def test_parts_are_read(store: LocalBlobStore, start: int, length: int | None) -> None:
    await put(store)
    wanted = CONTENT[start:] if length is None else CONTENT[start : start + length]
    assert await read(store, DIGEST, start, length) == wanted
    assert max([len(piece) async for piece in store.read(DIGEST, start, length)], default=0) <= BATCH_BYTES


@pytest.mark.parametrize("name", ["", "x", DIGEST.upper(), DIGEST[1:], DIGEST + "0", "../" + DIGEST[3:]])
def test_only_digests_have_a_place(store: LocalBlobStore, name: str) -> None:
    with pytest.raises(ValueError, match=r"^not a digest$"):
        store.locate(name)
    assert not is_digest(name)
    assert is_digest(DIGEST)


async def test_a_scan_goes_by_folders_and_shows_blobs_alone(store: LocalBlobStore, tmp_path: Path) -> None:
    made = sorted([await put(store, str(number).encode()) for number in range(12)])
    folder = store.locate(made[0]).parent
    for name in ("x", "0" * 64 if made[0][:4] != "0000" else "1" * 64, "f" * 63):
        (folder / name).write_bytes(b"planted")
    (tmp_path / "blobs" / "loose").write_bytes(b"planted")
    assert [info.digest async for info in store.scan()] == made


async def test_a_blob_that_goes_during_a_scan_is_left_out(
    store: LocalBlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await put(store)
    seen = Path.iterdir

    def gone(path: Path) -> Any:
        listed = list(seen(path))
        for each in listed:
            each.unlink()
        return listed

    monkeypatch.setattr(Path, "iterdir", gone)
    assert [info async for info in store.scan()] == []


@pytest.mark.parametrize(("group", "file", "folder"), [(False, 0o600, 0o700), (True, 0o640, 0o750)])
async def test_who_may_read(tmp_path: Path, group: bool, file: int, folder: int) -> None:
    for other in (group, not group, group):  # opened, closed and opened again
        with closing(LocalBlobStore(tmp_path, group_reads=other)) as store:
            await put(store)
    path = tmp_path / "blobs" / DIGEST[:2] / DIGEST[2:4] / DIGEST
    assert [mode(each) for each in (path, *list(path.parents)[:3])] == [file, folder, folder, folder]
    with closing(LocalBlobStore(tmp_path, group_reads=group)) as store:
        staged = await store.receive(chunks(b"new"))
        assert mode(staged.locate()) == file
        await staged.place()
        assert mode(store.locate(staged.digest).parent) == folder
    assert mode(tmp_path / "incoming") == 0o700


async def test_what_is_discarded_is_gone(store: LocalBlobStore, tmp_path: Path) -> None:
    staged = await store.receive(chunks())
    await staged.discard()
    await staged.discard()
    assert list((tmp_path / "incoming").iterdir()) == []
    staged = await store.receive(chunks())
    staged.locate().unlink()
    await staged.discard()
    with pytest.raises(Unavailable):
        await staged.place()


async def test_a_client_that_breaks_off_leaves_nothing(
    store: LocalBlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: set[int] = set()
    closed: set[int] = set()
    write, close = os.write, os.close

    async def broken() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield bytes(BATCH_BYTES)
        raise ConnectionResetError

    monkeypatch.setattr(os, "write", lambda descriptor, data: (written.add(descriptor), write(descriptor, data))[1])
    monkeypatch.setattr(os, "close", lambda descriptor: (closed.add(descriptor), close(descriptor))[1])
    with pytest.raises(ConnectionResetError):
        await store.receive(broken())
    assert list((tmp_path / "incoming").iterdir()) == []
    assert written
    assert written <= closed


async def test_bytes_and_folders_are_on_disk_in_order(store: LocalBlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    log: list[str] = []
    rename, sync = Path.rename, local.sync_folder
    monkeypatch.setattr(os, "fsync", lambda descriptor: log.append(str(Path(f"/proc/self/fd/{descriptor}").readlink())))
    monkeypatch.setattr(Path, "rename", lambda path, to: (log.append("rename"), rename(path, to))[1])
    staged = await store.receive(chunks(b"x" * 3_000_000))
    first = [str(staged.locate())]
    assert log == first
    await staged.place()
    target = store.locate(staged.digest)
    wanted = [str(target.parents[2]), str(target.parents[1]), "rename", str(target.parent)]
    assert log[1:] == wanted
    log.clear()
    await store.delete(staged.digest)
    await store.delete(staged.digest)
    assert log == [str(target.parent)]
    assert sync is folders.sync_folder


async def test_short_writes_go_on(store: LocalBlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, bytes(data)[: len(data) // 2 + 1]))
    assert await put(store) == DIGEST
    monkeypatch.undo()
    assert await read(store, DIGEST) == CONTENT


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN])
async def test_a_shortage_makes_no_file_a_missing_one(
    store: LocalBlobStore, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    await put(store)
    with monkeypatch.context() as patch:
        patch.setattr(local, "open_flat", fail(number))
        with pytest.raises(Unavailable, match=r"^The store failed to read or write$"):
            await read(store, DIGEST)
        patch.setattr(local, "open_flat", fail(errno.EIO))
        with pytest.raises(NotFound):
            await read(store, DIGEST)


@pytest.mark.parametrize(
    ("number", "kind"), [(errno.EIO, Unavailable), (errno.ENOSPC, NotFound), (errno.EROFS, Unavailable)]
)
async def test_a_disk_that_fails_as_a_whole_makes_no_file_a_missing_one(
    store: LocalBlobStore, monkeypatch: pytest.MonkeyPatch, number: int, kind: type
) -> None:
    await put(store)
    monkeypatch.setattr(local, "open_flat", fail(errno.EIO))
    monkeypatch.setattr(local.tempfile, "TemporaryFile", fail(number))
    with pytest.raises(kind):
        await read(store, DIGEST)


async def test_a_folder_that_is_not_mounted_makes_no_file_a_missing_one(store: LocalBlobStore, tmp_path: Path) -> None:
    await put(store)
    (tmp_path / "blobs").rename(tmp_path / "away")
    with pytest.raises(Unavailable):
        await read(store, DIGEST)
    with pytest.raises(Unavailable, match=r"^The folder of stored files is gone$"):
        await store.probe()
    (tmp_path / "blobs").mkdir()
    with pytest.raises(Unavailable):
        await read(store, DIGEST)
    (tmp_path / "blobs").rmdir()
    (tmp_path / "away").rename(tmp_path / "blobs")
    assert await read(store, DIGEST) == CONTENT


async def test_a_missing_folder_of_receptions_is_made_again(store: LocalBlobStore, tmp_path: Path) -> None:
    (tmp_path / "incoming").rmdir()
    with pytest.raises(NotFound):
        await read(store, DIGEST)
    assert await put(store) == DIGEST
    (tmp_path / "incoming").rmdir()
    assert await store.probe() > 0
    assert (tmp_path / "incoming").is_dir()
    (tmp_path / "incoming").rmdir()
    assert await store.sweep(datetime.now(UTC)) == 0
    adopted = await store.adopt(store.locate(DIGEST), DIGEST, len(CONTENT))
    assert adopted is not None
    await adopted.discard()


async def test_a_file_is_adopted_by_a_second_name(store: LocalBlobStore, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.write_bytes(CONTENT)
    staged = await store.adopt(own, DIGEST, len(CONTENT))
    assert staged is not None
    assert (staged.digest, staged.size_bytes) == (DIGEST, len(CONTENT))
    assert own.samefile(staged.locate())
    await staged.place()
    assert own.samefile(store.locate(DIGEST))
    staged = await store.adopt(own, DIGEST, 1)
    assert staged is not None
    await staged.discard()
    assert (list((tmp_path / "incoming").iterdir()), own.exists()) == ([], True)
    (tmp_path / "planted").symlink_to(own)
    staged = await store.adopt(tmp_path / "planted", DIGEST, 1)
    assert staged is not None
    assert staged.locate().is_symlink(), "a planted link is not followed"


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOTSUP, errno.EXDEV, errno.EMLINK, errno.ENOSYS, errno.EACCES])
async def test_where_a_file_cannot_have_two_names_it_is_not_adopted(
    store: LocalBlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(os, "link", fail(number))
    assert await store.adopt(tmp_path / "any", DIGEST, 1) is None


@pytest.mark.parametrize(
    ("number", "kind"), [(errno.EIO, Unavailable), (errno.ENOSPC, StorageFull), (errno.ENOENT, Unavailable)]
)
async def test_what_cannot_be_adopted(
    store: LocalBlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type
) -> None:
    monkeypatch.setattr(os, "link", fail(number))
    with pytest.raises(kind):
        await store.adopt(tmp_path / "any", DIGEST, 1)


async def test_a_probe_writes_every_five_seconds(store: LocalBlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    now, refusals, asked = [1_000.0], [None, "no", None], []

    def find_refusal(folder: Path) -> str | None:
        asked.append(folder)
        return refusals[len(asked) - 1]

    monkeypatch.setattr(local, "find_refusal", find_refusal)
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    free = await store.probe()
    assert abs(free - os.statvfs(store._blobs).f_bavail * os.statvfs(store._blobs).f_frsize) < 1 << 30
    now[0] += 4.9
    assert await store.probe() > 0
    assert asked == [store._incoming]
    now[0] += 0.1
    for _ in range(2):
        with pytest.raises(StoreReadOnly, match=r"^The store takes no writes: no$"):
            await store.probe()
    assert len(asked) == 2
    now[0] += 5
    assert await store.probe() > 0


async def test_a_first_probe_writes_however_young_the_machine_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Path] = []
    monkeypatch.setattr(local, "find_refusal", asked.append)
    monkeypatch.setattr(time, "monotonic", lambda: 0.0)
    with closing(LocalBlobStore(tmp_path)) as store:
        await store.probe()
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (OSError(errno.EROFS, "x"), "The store takes no writes: Read-only file system"),
        (OSError(errno.EIO, "x"), "The folder of stored files is gone"),
    ],
)
async def test_a_probe_says_what_is_wrong(
    store: LocalBlobStore, monkeypatch: pytest.MonkeyPatch, failure: OSError, said: str
) -> None:
    monkeypatch.setattr(store.folders, "make_incoming", fail(failure.errno))
    with pytest.raises(Unavailable, match=rf"^{said}$") as refused:
        await store.probe()
    assert isinstance(refused.value, StoreReadOnly) == (failure.errno == errno.EROFS)


async def test_a_full_disk_has_no_room(store: LocalBlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(folder: Path) -> None:
        raise StorageFull("full")

    monkeypatch.setattr(local, "find_refusal", full)
    assert await store.probe() == 0


async def test_a_sweep_leaves_the_young_and_folders(store: LocalBlobStore, tmp_path: Path) -> None:
    incoming = tmp_path / "incoming"
    now = datetime.now(UTC)
    for name, age_s in (("old", 10), ("young", -10), ("at", 0)):
        (incoming / name).write_bytes(b"x")
        os.utime(incoming / name, (now.timestamp() - age_s,) * 2)
    (incoming / "folder").mkdir()
    os.utime(incoming / "folder", (1, 1))
    (incoming / "link").symlink_to(incoming / "young")
    os.utime(incoming / "link", (1, 1), follow_symlinks=False)
    assert await store.sweep(now) == 2
    assert sorted(path.name for path in incoming.iterdir()) == ["at", "folder", "young"]


async def test_a_step_waits_for_the_one_before_it(store: LocalBlobStore) -> None:
    staged = await store.receive(chunks(b""))
    log: list[str] = []
    begun, go_on = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow() -> None:
        loop.call_soon_threadsafe(begun.set)
        asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result()
        log.append("slow")

    first = asyncio.create_task(staged.step(slow))
    await begun.wait()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    second = asyncio.create_task(staged.step(lambda: log.append("second")))
    await asyncio.sleep(0)
    go_on.set()
    await second
    assert log == ["slow", "second"]


async def test_failures_of_the_system_have_their_kind() -> None:
    for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        with pytest.raises(StorageFull, match=r"^No room left on the server to store this$"), as_failures():
            raise OSError(number, "x")
    with pytest.raises(Unavailable, match=r"^The store failed to read or write$"), as_failures():
        raise OSError(errno.EIO, "x")
    with pytest.raises(ValueError, match=r"^as it is$"), as_failures():
        raise ValueError("as it is")


async def test_batches_are_of_a_mib() -> None:
    sizes = [len(each) async for each in batched(chunks(bytes(2 * BATCH_BYTES + 1), BATCH_BYTES // 4))]
    assert sizes == [BATCH_BYTES, BATCH_BYTES, 1]
    assert [each async for each in batched(chunks(b"abcdef", 2))] == [b"abcdef"]
    assert [each async for each in batched(chunks(b""))] == []


def test_files_are_not_waited_for_and_not_inherited(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    descriptor = local.open_flat(str(tmp_path / "pipe"), os.O_RDONLY)
    assert not os.get_inheritable(descriptor)
    os.close(descriptor)
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    with pytest.raises(OSError, match="symbolic links"):
        local.open_flat(str(tmp_path / "link"), os.O_RDONLY)


def test_a_file_in_place_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "blobs").write_bytes(b"")
    with pytest.raises(NotADirectoryError) as refused:
        BlobFolders(tmp_path, group_reads=False)
    assert (refused.value.errno, refused.value.filename) == (errno.ENOTDIR, str(tmp_path / "blobs"))
    assert refused.value.strerror == os.strerror(errno.ENOTDIR)


@pytest.mark.parametrize("kind", ["other mount", "other file system"])
def test_bytes_are_staged_where_a_rename_takes_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    rename, seen = Path.rename, Path.stat
    if kind == "other mount":
        monkeypatch.setattr(Path, "rename", fail(errno.EXDEV))
    else:

        def elsewhere(path: Path, **named: Any) -> Any:
            found = seen(path, **named)
            values = list(found)
            values[2] += path.name == "incoming"
            return os.stat_result(values)

        monkeypatch.setattr(Path, "stat", elsewhere)
    made = BlobFolders(tmp_path, group_reads=False)
    assert made.incoming == tmp_path / "blobs" / "incoming"
    assert made.partial == tmp_path / "blobs" / "partial"
    assert made.staging == {tmp_path / "incoming", made.incoming}
    assert mode(made.incoming) == 0o700
    again = BlobFolders(tmp_path, group_reads=False)
    assert again.incoming == made.incoming
    monkeypatch.undo()
    assert Path.rename is rename
    for folder in (tmp_path / "incoming", tmp_path / "blobs"):
        assert [each.name for each in folder.iterdir() if each.is_file()] == []
    usual = BlobFolders(tmp_path, group_reads=False)
    assert (usual.incoming, usual.staging) == (tmp_path / "incoming", {tmp_path / "incoming"})
    assert usual.partial == tmp_path / "partial"
