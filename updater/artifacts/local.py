"""A blob store in a folder: `blobs/ab/cd/<sha256>`, written through `incoming/` on the same file system.

The order that survived power cuts: write, fsync the file, rename, fsync the folder and every folder that is
new. A failed fsync gives the file up; it is never repeated, because the kernel may have dropped the pages.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import shutil
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import aiofiles

from updater.artifacts.blobs import BlobInfo
from updater.artifacts.digests import is_digest
from updater.errors import NotFound, StorageFull, Unavailable

# One hand-over to a thread per MiB: small enough to stay in cache, large enough to hide the hand-over.
BATCH_BYTES = 1 << 20
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

T = TypeVar("T")


class LocalBlobStore:
    """A `BlobStore` in a folder of this machine."""

    def __init__(self, root: Path) -> None:
        self._blobs = root / "blobs"
        self._incoming = root / "incoming"
        self._threads = ThreadPoolExecutor(max_workers=8, thread_name_prefix="blobs")
        for folder in (self._blobs, self._incoming):
            folder.mkdir(parents=True, exist_ok=True)

    def close(self) -> None:
        """Stop the worker threads."""
        self._threads.shutdown(wait=True)

    async def receive(self, chunks: AsyncIterator[bytes]) -> StagedFile:
        """See `BlobStore.receive`. While a thread writes one batch, the next is read from the client."""
        staged = StagedFile(self, self._incoming / uuid.uuid4().hex)
        writing: asyncio.Future[None] | None = None
        try:
            await self.run(staged.create)
            async for batch in _batches(chunks):
                if writing is not None:
                    await writing
                writing = asyncio.ensure_future(self.run(staged.write, batch))
            if writing is not None:
                await writing
            await self.run(staged.seal)
        except BaseException:
            # The thread may still hold the file: let it finish before the file goes.
            if writing is not None:
                await asyncio.gather(asyncio.shield(writing), return_exceptions=True)
            await asyncio.shield(staged.discard())
            raise
        return staged

    def locate(self, digest: str) -> Path:
        """See `BlobStore.locate`."""
        if not is_digest(digest):
            raise ValueError("not a digest")
        return self._blobs / digest[:2] / digest[2:4] / digest

    async def read(self, digest: str, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """See `BlobStore.read`."""
        left = length
        with _translated():
            try:
                async with aiofiles.open(self.locate(digest), "rb", executor=self._threads) as file:
                    await file.seek(start)
                    while left is None or left > 0:
                        piece = await file.read(BATCH_BYTES if left is None else min(BATCH_BYTES, left))
                        if not piece:
                            return
                        left = None if left is None else left - len(piece)
                        yield piece
            except FileNotFoundError:
                raise NotFound("blob", "No such blob") from None

    async def delete(self, digest: str) -> None:
        """See `BlobStore.delete`."""
        await self.run(_unlink, self.locate(digest))

    async def scan(self) -> AsyncIterator[BlobInfo]:
        """See `BlobStore.scan`."""
        for folder in await self.run(lambda: sorted(self._blobs.glob("??/??"))):
            for info in await self.run(_infos, folder):
                yield info

    async def probe(self) -> int:
        """See `BlobStore.probe`."""
        return await self.run(lambda: shutil.disk_usage(self._incoming).free)

    async def sweep(self) -> int:
        """See `BlobStore.sweep`."""
        return await self.run(_empty, self._incoming)

    async def run(self, function: Callable[..., T], *arguments: object) -> T:
        """Run in a worker thread, with the operating system's errors as ours."""
        with _translated():
            return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)


class StagedFile:
    """A file in `incoming/` on its way to becoming a blob."""

    def __init__(self, store: LocalBlobStore, path: Path) -> None:
        self.digest = ""
        self.size_bytes = 0
        self._store = store
        self._path = path
        self._descriptor = -1
        self._hash = hashlib.sha256()
        self._there = False

    async def place(self) -> None:
        """See `Staged.place`."""
        await self._store.run(self._rename)

    async def discard(self) -> None:
        """See `Staged.discard`."""
        await self._store.run(self._remove)

    def create(self) -> None:
        """Make the file (in a worker thread)."""
        self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
        self._there = True

    def write(self, batch: bytes) -> None:
        """Append and hash one batch (in a worker thread)."""
        view = memoryview(batch)
        while view:
            view = view[os.write(self._descriptor, view) :]
        self._hash.update(batch)
        self.size_bytes += len(batch)

    def seal(self) -> None:
        """Put the bytes on disk and name them (in a worker thread)."""
        os.fsync(self._descriptor)
        self._close()
        self.digest = self._hash.hexdigest()

    def _rename(self) -> None:
        target = self._store.locate(self.digest)
        for folder in (target.parent.parent, target.parent):
            try:
                folder.mkdir()
            except FileExistsError:
                continue
            sync_folder(folder.parent)
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


def sync_folder(folder: Path) -> None:
    """Make the folder's entries durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


async def _batches(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Gather chunks of any size into batches of about 1 MiB."""
    parts: list[bytes] = []
    size = 0
    async for chunk in chunks:
        parts.append(chunk)
        size += len(chunk)
        if size >= BATCH_BYTES:
            yield b"".join(parts)
            parts, size = [], 0
    if parts:
        yield b"".join(parts)


def _info(path: Path) -> BlobInfo | None:
    try:
        status = path.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None
    return BlobInfo(path.name, status.st_size, datetime.fromtimestamp(status.st_mtime, UTC))


def _infos(folder: Path) -> list[BlobInfo]:
    found = (_info(path) for path in folder.iterdir() if is_digest(path.name))
    return [info for info in found if info is not None]


def _unlink(path: Path) -> None:
    try:
        path.unlink()
    except FileNotFoundError:
        return
    sync_folder(path.parent)


def _empty(folder: Path) -> int:
    paths = list(folder.iterdir())
    for path in paths:
        path.unlink(missing_ok=True)
    return len(paths)


@contextmanager
def _translated() -> Iterator[None]:
    """Turn the operating system's errors into ours; a missing file stays what it is."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise StorageFull("No room left on the server to store this") from error
        raise Unavailable("The store failed to read or write") from error
