"""A blob store in a folder: `blobs/ab/cd/<sha256>`, written through `incoming/` on the same file system (`folders`).

The order that survived power cuts: write, fsync the file, rename, fsync the folder and every folder that is
new. A failed fsync gives the file up; it is never repeated, because the kernel may have dropped the pages.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import aiofiles

from updater.artifacts.blobs import BATCH_BYTES, BlobInfo, StoreReadOnly, batched
from updater.artifacts.digests import is_digest
from updater.artifacts.folders import NO_ROOM, BlobFolders, as_failures
from updater.artifacts.folders import sync_folder as sync_folder
from updater.database.place import find_refusal
from updater.errors import NotFound, StorageFull, Unavailable
from updater.permissions import create_file

_PROBE_S = 5.0
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EXDEV, errno.EMLINK, errno.ENOSYS, errno.EACCES)
_SHORTAGES = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.EINTR)

T = TypeVar("T")


class LocalBlobStore:
    """A `BlobStore` in a folder of this machine. Raises OSError when the folder cannot be made or written.

    Its files are for their owner alone, or with `group_reads` also for the group's eyes.
    """

    def __init__(self, root: Path, *, group_reads: bool = False) -> None:
        self.folders = BlobFolders(root, group_reads=group_reads)
        self._blobs = self.folders.blobs
        self._incoming = self.folders.incoming
        self._probed_s = -_PROBE_S
        self._refusal: str | None = None
        self.threads = ThreadPoolExecutor(max_workers=8, thread_name_prefix="blobs")

    def close(self) -> None:
        """Stop the worker threads when all work given to them is done."""
        self.threads.shutdown(wait=True)

    async def receive(self, chunks: AsyncIterator[bytes]) -> StagedFile:
        """Receive as `BlobStore.receive` says. While a thread writes one batch, the next is read from the client.

        Raises:
            StorageFull, Unavailable: the bytes cannot be written; nothing is left behind.
        """
        staged = StagedFile(self, self._incoming / uuid.uuid4().hex)
        writing: asyncio.Future[None] | None = None
        try:
            await staged.step(staged.create)
            async for batch in batched(chunks):
                if writing is not None:
                    await writing
                writing = asyncio.ensure_future(staged.step(staged.write, batch))
            if writing is not None:
                await writing
            await staged.step(staged.seal)
        except BaseException:
            await asyncio.shield(asyncio.ensure_future(_give_up(staged, writing)))
            raise
        return staged

    def locate(self, digest: str) -> Path:
        """Return the file of a blob, whether it exists or not. Raises ValueError when `digest` is none."""
        if not is_digest(digest):
            raise ValueError("not a digest")
        return self._blobs / digest[:2] / digest[2:4] / digest

    async def read(self, digest: str, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """Yield the bytes as `BlobStore.read` says.

        A file that cannot be read counts as missing. A shortage of this process (files, memory) stays an error, and so
        does a disk that fails as a whole or is no longer mounted: it would make every file a missing one.

        Raises:
            NotFound: the file is missing or cannot be read. Unavailable: a shortage, or the disk failed.
        """
        left = length
        with as_failures():
            path = self.locate(digest)
            try:
                async with aiofiles.open(path, "rb", opener=open_flat, executor=self.threads) as file:
                    await file.seek(start)
                    while left is None or left > 0:
                        piece = await file.read(BATCH_BYTES if left is None else min(BATCH_BYTES, left))
                        if not piece:
                            return
                        left = None if left is None else left - len(piece)
                        yield piece
            except OSError as error:
                if error.errno in _SHORTAGES or not await self.run(self._works):
                    raise
                raise NotFound("blob", "No such blob") from error

    def _works(self) -> bool:
        """Tell whether the folder of files is still there, and a file can be made beside it."""
        try:
            self.folders.require()
        except OSError:
            return False
        return _takes_files(self._incoming)

    async def delete(self, digest: str) -> None:
        """Remove a blob durably; one that does not exist is fine. Raises Unavailable when the disk failed."""
        await self.run(_unlink, self.locate(digest))

    async def scan(self) -> AsyncIterator[BlobInfo]:
        """Yield every visible blob, folder by folder in the order of digests, unordered inside one.

        Raises Unavailable.
        """
        for folder in await self.run(lambda: sorted(self._blobs.glob("??/??"))):
            for info in await self.run(_infos, folder):
                yield info

    async def probe(self) -> int:
        """Return the free bytes of the disk, after a small write to it, which is tried every 5 seconds at most.

        Raises:
            StoreReadOnly: the write failed. Unavailable: the folder of files is gone, or the disk failed.
        """
        return await self.run(self._probe)

    def _probe(self) -> int:
        try:
            self.folders.require()
            self.folders.make_incoming()
            free_bytes = shutil.disk_usage(self._blobs).free
            if time.monotonic() - self._probed_s >= _PROBE_S:
                self._refusal, self._probed_s = find_refusal(self._incoming), time.monotonic()
        except StorageFull:
            return 0
        except OSError as error:
            if error.errno == errno.EROFS:
                raise StoreReadOnly("The store takes no writes: " + os.strerror(errno.EROFS)) from error
            raise Unavailable("The folder of stored files is gone") from error
        if self._refusal is not None:
            raise StoreReadOnly(f"The store takes no writes: {self._refusal}")
        return free_bytes

    async def adopt(self, path: Path, digest: str, size_bytes: int) -> StagedFile | None:
        """Stage a file of this store's file system by a second name; the file itself stays where it is.

        Nothing may write to it any more, and its bytes are on disk. Returns: None where a file cannot have two names.

        Raises:
            StorageFull, Unavailable: the file is gone, or the store failed.
        """
        staged = StagedFile(self, self._incoming / uuid.uuid4().hex)
        try:
            await staged.step(staged.link, path, digest, size_bytes)
        except Unavailable as error:
            if isinstance(error.__cause__, OSError) and error.__cause__.errno in _NO_LINKS:
                return None
            raise
        return staged

    async def sweep(self, before: datetime) -> int:
        """Remove files that receptions left, untouched since a time (UTC); return their number. Raises Unavailable."""
        return sum([await self.run(_empty, each, before.timestamp()) for each in self.folders.staging])

    async def run(self, function: Callable[..., T], *arguments: object) -> T:
        """Run a function in a worker thread; errors of the operating system become failures.

        Raises:
            StorageFull: no room left. Unavailable: any other OSError.
        """
        with as_failures():
            return await asyncio.get_running_loop().run_in_executor(self.threads, function, *arguments)


class StagedFile:
    """A file in `incoming/` on its way to becoming a blob.

    Its steps run in worker threads, one at a time: a thread cannot be cancelled, so after a cancellation the next
    step waits for the one under way. A descriptor closed while a thread still writes to it would let that thread write
    into the next file with the same number.
    """

    def __init__(self, store: LocalBlobStore, path: Path) -> None:
        self.digest = ""
        self.size_bytes = 0
        self._store = store
        self._path = path
        self._descriptor = -1
        self._hash = hashlib.sha256()
        self._there = False
        self._last_step: asyncio.Future[None] | None = None

    def locate(self) -> Path:
        """Return the file in `incoming/`."""
        return self._path

    async def read(self) -> AsyncIterator[bytes]:
        """Yield the bytes as `Staged.read` says. Raises Unavailable."""
        with as_failures():
            async with aiofiles.open(self._path, "rb", executor=self._store.threads) as file:
                while piece := await file.read(BATCH_BYTES):
                    yield piece

    async def place(self) -> None:
        """Rename the file to its digest, durably, as `Staged.place` says. Raises StorageFull, Unavailable.

        It returns only when the rename has ended, even when cancelled: the caller holds the blob's row meanwhile.
        """
        try:
            await self.step(self._rename)
        except asyncio.CancelledError:
            await self._settle()
            raise

    async def discard(self) -> None:
        """Remove the file unless it was placed, even when cancelled. Raises Unavailable when the disk failed."""
        await asyncio.shield(asyncio.ensure_future(self.step(self._remove)))

    async def step(self, function: Callable[..., None], *arguments: object) -> None:
        """Run one step in a worker thread, after the step before it has ended. Raises StorageFull, Unavailable."""
        await self._settle()
        self._last_step = asyncio.ensure_future(self._store.run(function, *arguments))
        await asyncio.shield(self._last_step)

    async def _settle(self) -> None:
        if self._last_step is not None:
            await asyncio.wait([self._last_step])

    def create(self) -> None:
        """Create the file, in a worker thread. Raises OSError."""
        try:
            self._descriptor = create_file(self._path, self._store.folders.file_mode)
        except FileNotFoundError:
            self._store.folders.make_incoming()
            self._descriptor = create_file(self._path, self._store.folders.file_mode)
        self._there = True

    def link(self, path: Path, digest: str, size_bytes: int) -> None:
        """Take the bytes of another file, in a worker thread. Raises OSError."""
        try:
            os.link(path, self._path, follow_symlinks=False)
        except FileNotFoundError:
            self._store.folders.make_incoming()
            os.link(path, self._path, follow_symlinks=False)
        self._there, self.digest, self.size_bytes = True, digest, size_bytes

    def write(self, batch: bytes) -> None:
        """Append and hash one batch, in a worker thread. Raises OSError."""
        view = memoryview(batch)
        while view:
            view = view[os.write(self._descriptor, view) :]
        self._hash.update(batch)
        self.size_bytes += len(batch)

    def seal(self) -> None:
        """Sync the bytes to disk and compute the digest, in a worker thread. Raises OSError."""
        os.fsync(self._descriptor)
        self._close()
        self.digest = self._hash.hexdigest()

    def _rename(self) -> None:
        target = self._store.locate(self.digest)
        for folder in (target.parent.parent, target.parent):
            self._store.folders.ensure(folder)
        self._path.rename(target)
        self._there = False
        sync_folder(target.parent)

    def _remove(self) -> None:
        self._close()
        if self._there:
            self._path.unlink(missing_ok=True)
            self._there = False

    def _close(self) -> None:
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)


async def _give_up(staged: StagedFile, writing: asyncio.Future[None] | None) -> None:
    if writing is not None:
        await asyncio.gather(writing, return_exceptions=True)
    await staged.discard()


def _info(path: Path) -> BlobInfo | None:
    try:
        status = path.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None
    return BlobInfo(path.name, status.st_size, datetime.fromtimestamp(status.st_mtime, UTC))


def _infos(folder: Path) -> list[BlobInfo]:
    prefix = folder.parent.name + folder.name
    found = (_info(path) for path in folder.iterdir() if is_digest(path.name) and path.name.startswith(prefix))
    return [info for info in found if info is not None]


def _unlink(path: Path) -> None:
    try:
        path.unlink()
    except FileNotFoundError:
        return
    sync_folder(path.parent)


def _empty(folder: Path, before_s: float) -> int:
    count = 0
    for path in folder.iterdir() if folder.exists() else ():
        # Uploads go on meanwhile: what is listed may be placed or discarded before it is looked at.
        with suppress(FileNotFoundError):
            if not path.is_dir() and path.lstat().st_mtime < before_s:
                path.unlink()
                count += 1
    return count


def _takes_files(folder: Path) -> bool:
    """Tell whether a file can be made there. A full disk counts as working."""
    try:
        # Somebody may have removed the folder, which the next upload makes again.
        with tempfile.TemporaryFile(dir=folder if folder.exists() else folder.parent):
            return True
    except OSError as error:
        return error.errno in NO_ROOM


def open_flat(path: str, flags: int) -> int:
    """Open without following a planted link, or waiting for the other end of a planted FIFO."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
