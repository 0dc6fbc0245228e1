"""A file in `incoming/` on its way to becoming a blob, and what waits to be written to it."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections import deque
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

import aiofiles

from updater.artifacts.blobs import BATCH_BYTES
from updater.artifacts.folders import BlobFolders, as_failures, sync_folder
from updater.permissions import create_file

MOST_WAITING_BYTES: Final = 4 << 20
"""How much of one file may wait for the thread that writes it."""
WRITE_BACK_BYTES: Final = 8 << 20
"""After so many bytes the kernel is told to begin with writing them to the disk."""

_LARGE_BYTES: Final = 128 << 10  # joining costs more than a call for each
_BEGIN_ONLY: Final = 2  # SYNC_FILE_RANGE_WRITE

T = TypeVar("T")


class Store(Protocol):
    """What a staged file needs of its store."""

    folders: BlobFolders
    threads: ThreadPoolExecutor

    def locate(self, digest: str) -> Path:
        """Return the file of a blob."""

    async def run(self, function: Callable[..., T], *arguments: object) -> T:
        """Run a function in a worker thread. Raises StorageFull, Unavailable."""


class Backlog:
    """Bytes between the event loop, which puts them, and one thread at a time, which takes them."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._chunks: deque[bytes] = deque()
        self._put_bytes = 0
        self._done_bytes = 0
        self._taken_bytes = 0
        self._room: asyncio.Future[None] | None = None

    @property
    def waiting_bytes(self) -> int:
        """How many bytes were put and are not done, those among them that are worked on."""
        return self._put_bytes - self._done_bytes

    def put(self, chunk: bytes) -> None:
        """Add bytes, in the event loop."""
        if chunk:
            self._chunks.append(chunk)
            self._put_bytes += len(chunk)

    async def wait_for_room(self, taking: asyncio.Future[None]) -> None:
        """Wait, in the event loop, until half of what may wait is done, or `taking` has ended."""
        self._room = self._loop.create_future()
        if self.waiting_bytes > MOST_WAITING_BYTES // 2:  # the thread may have looked just before
            await asyncio.wait((self._room, taking), return_when=asyncio.FIRST_COMPLETED)
        self._room = None

    def take(self) -> bytes:
        """Return the next bytes, in the thread, small ones joined; what it took before is done. Empty: none wait."""
        self._done_bytes = self._taken_bytes
        room = self._room
        if room is not None and self.waiting_bytes <= MOST_WAITING_BYTES // 2:
            self._loop.call_soon_threadsafe(_end, room)
        parts: list[bytes] = []
        size = 0
        while self._chunks and (not parts or size + len(self._chunks[0]) <= BATCH_BYTES):
            parts.append(self._chunks.popleft())
            size += len(parts[-1])
            if len(parts[-1]) >= _LARGE_BYTES or (self._chunks and len(self._chunks[0]) >= _LARGE_BYTES):
                break
        self._taken_bytes += size
        return parts[0] if len(parts) == 1 else b"".join(parts)


class StagedFile:
    """A file in `incoming/` on its way to becoming a blob.

    Its steps run in worker threads, one at a time: a thread cannot be cancelled, so after a cancellation the next
    step waits for the one under way. A descriptor closed while a thread still writes to it would let that thread write
    into the next file with the same number.
    """

    def __init__(self, store: Store, path: Path) -> None:
        self.digest = ""
        self.size_bytes = 0
        self._store = store
        self._path = path
        self._descriptor = -1
        self._hash = hashlib.sha256()
        self._begun_bytes = 0
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
        await asyncio.shield(self._begin(function, *arguments))

    def _begin(self, function: Callable[..., None], *arguments: object) -> asyncio.Future[None]:
        self._last_step = asyncio.ensure_future(self._store.run(function, *arguments))
        return self._last_step

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

    async def append(self, chunks: AsyncIterator[bytes]) -> None:
        """Append and hash all chunks. While a thread writes, the next ones are received.

        The thread works through what has come until nothing is left; so it is handed over to as seldom as may be.

        Raises:
            StorageFull, Unavailable. Whatever `chunks` raises; a step may go on then, and `discard` waits for it.
        """
        backlog = Backlog()
        writing: asyncio.Future[None] | None = None
        async for chunk in chunks:
            backlog.put(chunk)
            if writing is None or writing.done():
                if backlog.waiting_bytes >= BATCH_BYTES:
                    if writing is not None:
                        writing.result()
                    writing = self._begin(self._drain, backlog)
                    writing.add_done_callback(_notice)
            elif backlog.waiting_bytes >= MOST_WAITING_BYTES:
                await backlog.wait_for_room(writing)
        if writing is not None:
            await asyncio.shield(writing)
        await self.step(self._drain, backlog)

    def _drain(self, backlog: Backlog) -> None:
        while batch := backlog.take():
            self.write(batch)

    def write(self, batch: bytes) -> None:
        """Append and hash one batch, in a worker thread. Raises OSError."""
        view = memoryview(batch)
        while view:
            view = view[os.write(self._descriptor, view) :]
        self._hash.update(batch)
        self.size_bytes += len(batch)
        if self.size_bytes - self._begun_bytes >= WRITE_BACK_BYTES:
            begin_write_back(self._descriptor, self._begun_bytes, self.size_bytes - self._begun_bytes)
            self._begun_bytes = self.size_bytes

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


def begin_write_back(descriptor: int, offset: int, size_bytes: int) -> None:
    """Let the kernel begin to write a part of a file to the disk, and wait for none of it.

    Nothing is durable before the fsync, which then has less to wait for, and tells of what failed meanwhile. Where the
    system has no such call, nothing happens.
    Source: sync_file_range(2).
    """
    with suppress(AttributeError, OSError):
        _sync_file_range(descriptor, offset, size_bytes, _BEGIN_ONLY)


def _sync_file_range(descriptor: int, offset: int, size_bytes: int, flags: int) -> None:
    import ctypes  # here: with the first file of this size

    ctypes.CDLL(None).sync_file_range(descriptor, ctypes.c_int64(offset), ctypes.c_int64(size_bytes), flags)


def _end(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)


def _notice(ended: asyncio.Future[Any]) -> None:
    """Take note of a failure that nobody awaits any more: what ended the reception is told."""
    if not ended.cancelled():
        ended.exception()
