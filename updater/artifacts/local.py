"""A blob store in a folder: `blobs/ab/cd/<sha256>`, written through `incoming/` on the same file system (`folders`).

The order that survived power cuts: write, fsync the file, rename, fsync the folder and every folder that is
new. A failed fsync gives the file up; it is never repeated, because the kernel may have dropped the pages.
"""

from __future__ import annotations

import asyncio
import errno
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

from updater.artifacts.blobs import BATCH_BYTES, BlobInfo, StoreReadOnly
from updater.artifacts.digests import is_digest
from updater.artifacts.folders import NO_ROOM, BlobFolders, as_failures
from updater.artifacts.folders import sync_folder as sync_folder
from updater.artifacts.staged import StagedFile
from updater.database.place import find_refusal
from updater.errors import NotFound, StorageFull, Unavailable

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
        """Receive as `BlobStore.receive` says. While a thread writes, more is read from the client.

        Raises:
            StorageFull, Unavailable: the bytes cannot be written; nothing is left behind.
        """
        staged = StagedFile(self, self._incoming / uuid.uuid4().hex)
        try:
            await staged.step(staged.create)
            await staged.append(chunks)
            await staged.step(staged.seal)
        except BaseException:
            await staged.discard()
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
