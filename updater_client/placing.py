"""Where a fetched file ends up: a file that is replaced whole, or a device or pipe that is written into."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from updater_client.reserved import as_long_path

BLOCK_BYTES = 1024 * 1024
IN_USE_S = 5.0
"""A virus scanner has a new file open for a moment, and Windows renames none that is open."""
_LOOK_AGAIN_S = 0.1
# ERROR_ACCESS_DENIED, ERROR_SHARING_VIOLATION
_IN_USE = (5, 32)
_LOOK_FOR_READER_S = 0.1
# Names of what this process has open; they may lead to a regular file, which the shell has open as well.
_DESCRIPTORS = ("/dev/fd/", "/dev/std", "/proc/")


class Replaced:
    """A regular file, or one that is to be. Bytes collect in `part` beside it; links to it stay."""

    def __init__(self, path: Path) -> None:
        real = os.path.realpath(path)
        self.path = Path(as_long_path(real) if sys.platform == "win32" else real)
        self.part = self.path.with_name(self.path.name + ".part")

    async def settle(self) -> None:
        """Make the part durable, and give it the name, and the mode and owner of what it replaces.

        Raises:
            PermissionError: on Windows, what is to be replaced stayed open elsewhere for `IN_USE_S`.
        """
        await asyncio.to_thread(self._complete)
        until = time.monotonic() + IN_USE_S
        while True:
            try:
                await asyncio.to_thread(self.part.replace, self.path)
                break
            except PermissionError as error:
                if getattr(error, "winerror", None) not in _IN_USE:
                    raise
                if time.monotonic() > until:
                    advice = f"in use, or not to be written: close it and fetch again, {self.part.name} has the bytes"
                    raise PermissionError(errno.EACCES, advice, str(self.path)) from error
            await asyncio.sleep(_LOOK_AGAIN_S)
        await asyncio.to_thread(_sync_folder, self.path.parent)

    def _complete(self) -> None:
        with self.part.open("r+b") as file:
            os.fsync(file.fileno())
        if sys.platform == "win32":  # a mode has no more than "read only" there, which could not be replaced again
            return
        with contextlib.suppress(FileNotFoundError):
            before, ours = self.path.stat(), self.part.stat()
            if (before.st_uid, before.st_gid) != (ours.st_uid, ours.st_gid):
                with contextlib.suppress(PermissionError):
                    os.chown(self.part, before.st_uid, before.st_gid)
            self.part.chmod(stat.S_IMODE(before.st_mode) & 0o777)


class WrittenInto:
    """A device, a pipe, or what stdout leads to. Only verified bytes get there, so they collect in `part` elsewhere."""

    def __init__(self, path: Path, folder: Path) -> None:
        self.path = path
        self.part = folder / "part"

    async def settle(self) -> None:
        """Write the bytes of the part; a pipe is waited for until somebody reads it."""
        descriptor = await self._open()
        try:
            with self.part.open("rb") as file:
                while block := await asyncio.to_thread(file.read, BLOCK_BYTES):
                    await _write(descriptor, memoryview(block))
        finally:
            os.close(descriptor)

    async def _open(self) -> int:
        mode = self.path.stat().st_mode
        # Without blocking, so that an interruption is never held up by a pipe.
        flags = (
            os.O_WRONLY
            | getattr(os, "O_NONBLOCK", 0)
            | getattr(os, "O_BINARY", 0)
            | (os.O_APPEND if stat.S_ISREG(mode) else 0)
        )
        while True:
            try:
                return os.open(self.path, flags)
            except OSError as error:
                if error.errno != errno.ENXIO or not stat.S_ISFIFO(mode):
                    raise
            await asyncio.sleep(_LOOK_FOR_READER_S)


Place = Replaced | WrittenInto


@contextmanager
def open_place(path: Path) -> Iterator[Place]:
    """Give the place that a path names; what it collects elsewhere goes with the block.

    Raises:
        OSError: the path cannot be looked at, or no temporary folder can be made.
    """
    try:
        mode: int | None = path.stat().st_mode
    except FileNotFoundError:
        mode = None
    if mode is None or (stat.S_ISREG(mode) and not str(path.absolute()).startswith(_DESCRIPTORS)):
        yield Replaced(path)
        return
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    with tempfile.TemporaryDirectory(prefix="updater-") as folder:
        yield WrittenInto(path, Path(folder))


async def _write(descriptor: int, view: memoryview) -> None:
    while view:
        try:
            view = view[await asyncio.to_thread(os.write, descriptor, view) :]
        except BlockingIOError:
            await _until_writable(descriptor)


async def _until_writable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_writer(descriptor, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_writer(descriptor)


def _sync_folder(folder: Path) -> None:
    """Make a rename durable, where that can be asked for: not on Windows, on some shares, in a folder closed to us."""
    if sys.platform == "win32":
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except PermissionError:
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)
