"""Where a fetched file ends up: a file that is replaced whole, or a device or pipe that is written into."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BLOCK_BYTES = 1024 * 1024
_LOOK_FOR_READER_S = 0.1
# Names of what this process has open; they may lead to a regular file, which the shell has open as well.
_DESCRIPTORS = ("/dev/fd/", "/dev/std", "/proc/")


class Replaced:
    """A regular file, or one that is to be. Bytes collect in `part` beside it; links to it stay."""

    def __init__(self, path: Path) -> None:
        self.path = Path(os.path.realpath(path))
        self.part = self.path.with_name(self.path.name + ".part")

    async def settle(self) -> None:
        """Make the part durable, and give it the name, and the mode and owner of what it replaces."""
        await asyncio.to_thread(self._settle)

    def _settle(self) -> None:
        with self.part.open("r+b") as file:
            os.fsync(file.fileno())
        with contextlib.suppress(FileNotFoundError):
            before, ours = self.path.stat(), self.part.stat()
            if os.name != "nt" and (before.st_uid, before.st_gid) != (ours.st_uid, ours.st_gid):
                with contextlib.suppress(PermissionError):
                    os.chown(self.part, before.st_uid, before.st_gid)
            self.part.chmod(stat.S_IMODE(before.st_mode) & 0o777)
        self.part.replace(self.path)
        _sync_folder(self.path.parent)


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
        flags = os.O_WRONLY | getattr(os, "O_NONBLOCK", 0) | (os.O_APPEND if stat.S_ISREG(mode) else 0)
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
    """Make a rename durable. Windows can neither open nor sync a folder."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
