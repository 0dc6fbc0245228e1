"""The bytes of uploads that resume: one file each, in a folder of this machine, locked by whoever works on it.

How many bytes are durable, the database says; what a file has beyond that is dropped. So a killed process, a power cut
and a chunk with a wrong checksum are the same case. Any process of the machine may go on with a file: the lock is the
kernel's (flock), and who wants it asks the holder to let go, through a file beside it, since the holder may be waiting
for a connection that is dead.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import time
import uuid
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final, TypeVar

from updater.artifacts.blobs import BlobStore, Staged
from updater.artifacts.digesting import Digests, KnownDigests
from updater.artifacts.folders import as_failures, sync_folder
from updater.artifacts.local import LocalBlobStore
from updater.artifacts.partial_file import PartialFile
from updater.artifacts.received import Received
from updater.errors import Locked, NotFound, Unavailable
from updater.permissions import PRIVATE_FILE, create_file, make_folders

LOCK_S: Final = 10.0
"""How long a request waits for another one to let go of an upload."""
_POLL_S: Final = 0.05
_PLACE: Final = "place"
_WANTED: Final = ".wanted"

T = TypeVar("T")


class PartialFiles:
    """The folder of unfinished uploads. Made with the first one."""

    def __init__(self, folder: Path, *, file_mode: int = PRIVATE_FILE) -> None:
        self.folder = folder
        self._mode = file_mode
        self.digests = KnownDigests()
        self._threads = ThreadPoolExecutor(max_workers=8, thread_name_prefix="partial")
        self._place: str | None = None

    def close(self) -> None:
        """Stop the worker threads when all work given to them is done."""
        self._threads.shutdown(wait=True)

    async def run(self, function: Callable[..., T], *arguments: object) -> T:
        """Run a function in a worker thread; errors of the operating system become failures.

        Raises:
            StorageFull: no room left. Unavailable: any other OSError.
        """
        with as_failures():
            return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)

    def _wanted(self, name: str) -> Path:
        return self.folder / (name + _WANTED)

    async def place(self) -> str:
        """Return what tells this folder from those of other machines. Raises StorageFull, Unavailable."""
        if self._place is None:
            self._place = await self.run(_read_place, self.folder)
        return self._place

    async def create(self, name: str) -> None:
        """Make an empty file, durably. Raises StorageFull, Unavailable."""
        await self.run(self._create, self.folder / name)

    def _create(self, path: Path) -> None:
        try:
            descriptor = create_file(path, self._mode)
        except FileNotFoundError:
            make_folders(self.folder)
            descriptor = create_file(path, self._mode)
        os.close(descriptor)
        sync_folder(self.folder)

    async def remove(self, name: str) -> None:
        """Remove a file; one that is not there is fine. Raises Unavailable."""
        self.digests.forget(name)
        await self.run(self._remove, name)

    def _remove(self, name: str) -> None:
        for path in (self.folder / name, self._wanted(name)):
            path.unlink(missing_ok=True)

    async def list_untouched(self, before_s: float) -> list[str]:
        """Return the names of files that nobody wrote to since a time (seconds since the epoch). Raises Unavailable."""
        return await self.run(self._list_untouched, before_s)

    def _list_untouched(self, before_s: float) -> list[str]:
        found = []
        for path in self.folder.iterdir() if self.folder.exists() else ():
            with suppress(FileNotFoundError):
                if path.name != _PLACE and path.lstat().st_mtime < before_s:
                    found.append(path.name.removesuffix(_WANTED))
        return found

    @asynccontextmanager
    async def hold(self, name: str, *, wait_s: float = LOCK_S) -> AsyncIterator[PartialFile]:
        """Hold a file for the block. Whoever has it is asked to let go; it keeps what came until then.

        Raises:
            NotFound: there is no such file. Locked: nobody let go in `wait_s` seconds. Unavailable: it cannot be used.
        """
        path = self.folder / name
        descriptor = await self._lock(name, time.monotonic() + wait_s)
        held = PartialFile(path, self._wanted(name), descriptor, self.run, self.digests)
        try:
            yield held
        finally:
            await asyncio.shield(asyncio.ensure_future(held.close()))

    async def _lock(self, name: str, until_s: float) -> int:
        path, wanted = self.folder / name, self._wanted(name)
        while (descriptor := await self.run(_try_lock, path)) is None:
            if time.monotonic() >= until_s:
                raise Locked("This upload is being worked on by another request; ask again")
            await self.run(wanted.touch)
            await asyncio.sleep(_POLL_S)
        # Also when nobody waited: whoever gave up waiting left it.
        await self.run(wanted.unlink, True)
        return descriptor


@asynccontextmanager
async def staged(blobs: BlobStore, held: PartialFile, digests: Digests) -> AsyncIterator[Received]:
    """Stage a file that has come whole; what is not placed when the block ends is discarded. The file itself stays.

    Raises:
        StorageFull, Unavailable: the store cannot take it, or the file has other bytes than came.
    """
    found: Staged | None = None
    if isinstance(blobs, LocalBlobStore):
        found = await blobs.adopt(held.path, digests.digest, digests.position)
    if found is None:
        found = await blobs.receive(held.read())
    try:
        if found.digest != digests.digest:
            raise Unavailable("The file has other bytes than came; send it again")
        yield Received(found, digests.further)
    finally:
        await found.discard()


def _try_lock(path: Path) -> int | None:
    """Open and lock a file; None when somebody has it, or it was replaced meanwhile. Raises NotFound, OSError."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        raise NotFound("upload", "No such upload") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    with suppress(FileNotFoundError):
        if os.path.samestat(os.fstat(descriptor), path.lstat()):
            return descriptor
    os.close(descriptor)
    return None  # the next look finds what is there now


def _read_place(folder: Path) -> str:
    """Return the name of a folder, made on first use; of several processes that start at once, one makes it."""
    path = folder / _PLACE
    make_folders(folder)
    sync_folder(folder.parent)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        found = os.pread(descriptor, 64, 0).decode("ascii", "replace")
        if len(found) != 32:
            found = uuid.uuid4().hex
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, found.encode(), 0)
            os.fsync(descriptor)
            sync_folder(path.parent)
        return found
    finally:
        os.close(descriptor)
