"""The folders of a local store: where bytes are staged, who may read them, and how a new folder becomes durable.

Everything here blocks, and raises OSError.
"""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from updater.errors import StorageFull, Unavailable
from updater.logs.loggers import get_logger
from updater.permissions import PRIVATE_FILE, PRIVATE_FOLDER, SHARED_FILE, SHARED_FOLDER, make_folder, set_mode

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# `ab/cd` in `blobs`, and `ab`.
_INNER_FOLDERS = 0x10000
_FOLDERS = _INNER_FOLDERS + 0x100
_log = get_logger(__name__)


class BlobFolders:
    """`blobs`, and `incoming` on the same file system. Made when missing.

    Attributes:
        blobs: the folder of placed files.
        incoming: the folder of files that are being received; a rename takes them into `blobs`.
        partial: the folder for uploads that resume, on the same file system; made by whoever uses it.
        file_mode: the mode of each file.
    """

    def __init__(self, root: Path, *, group_reads: bool) -> None:
        self.blobs = root / "blobs"
        self.file_mode = SHARED_FILE if group_reads else PRIVATE_FILE
        self._folder_mode = SHARED_FOLDER if group_reads else PRIVATE_FOLDER
        # One byte for each folder: their paths would take 22 MiB once all were used.
        self._durable = bytearray(_FOLDERS)
        root.mkdir(parents=True, exist_ok=True)
        for folder in (self.blobs, root / "incoming"):
            with suppress(FileExistsError):
                make_folder(folder)
            if not folder.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
        sync_folder(root)
        self.incoming = self._staging(root / "incoming")
        self.staging = {root / "incoming", self.incoming}
        # Beside it, so that a file that has come whole needs no copy.
        self.partial = self.incoming.with_name("partial")
        self._open_to_group(group_reads)
        found = self.blobs.stat()
        self._opened = found.st_dev, found.st_ino

    def make_incoming(self) -> None:
        """Make the folder to stage in again, durably, when somebody removed it."""
        with suppress(FileExistsError):
            make_folder(self.incoming)
            sync_folder(self.incoming.parent)

    def require(self) -> None:
        """See that `blobs` is still the folder that was opened, or at least one with files in it.

        Raises:
            FileNotFoundError: it was moved away, or an empty one is in its place.
        """
        found = self.blobs.stat()
        if (found.st_dev, found.st_ino) != self._opened and not any(self.blobs.glob("??/??/*")):
            raise FileNotFoundError(errno.ENOENT, "another, empty folder is in its place", str(self.blobs))

    def ensure(self, folder: Path) -> None:
        """Make a folder of `blobs`, such as `ab` or `ab/cd` in it, whose entry is durable.

        A folder that exists may be so new that its parent is not synced yet: another upload is about to do that, or was
        killed before it could. So each folder is synced once per process.
        """
        number = self._number_of(folder)
        try:
            make_folder(folder, self._folder_mode)
        except FileExistsError:
            if self._durable[number]:
                return
        sync_folder(folder.parent)
        self._durable[number] = True

    def _number_of(self, folder: Path) -> int:
        if folder.parent == self.blobs:
            return _INNER_FOLDERS + int(folder.name, 16)
        return int(folder.parent.name + folder.name, 16)

    def _staging(self, usual: Path) -> Path:
        """Return the folder to stage in: one inside `blobs`, when that is another file system or another mount."""
        if _renames(usual, self.blobs):
            return usual
        inside = self.blobs / "incoming"
        if not inside.is_dir():
            make_folder(inside)
            sync_folder(self.blobs)
            _log.info("storage.staging_inside_blobs", folder=str(inside))
        return inside

    def _open_to_group(self, group_reads: bool) -> None:
        """Give what is there already the modes that are wanted now. The mode of `blobs` says that it was done.

        Opened from the bottom up and closed from the top down, so that after an interruption it is done again, or the
        rest cannot be reached.
        """
        if self.blobs.stat().st_mode & 0o777 == self._folder_mode:
            return
        if not group_reads:
            set_mode(self.blobs, self._folder_mode)
        for path in self.blobs.glob("??"):
            for folder in path.glob("??"):
                for file in folder.iterdir():
                    set_mode(file, self.file_mode)
                set_mode(folder, self._folder_mode)
            set_mode(path, self._folder_mode)
        set_mode(self.blobs, self._folder_mode)


@contextmanager
def as_failures() -> Iterator[None]:
    """Turn errors of the operating system into failures, for the block.

    Raises:
        StorageFull: no room left. Unavailable: any other OSError.
    """
    try:
        yield
    except OSError as error:
        if error.errno in NO_ROOM:
            raise StorageFull("No room left on the server to store this") from error
        raise Unavailable("The store failed to read or write") from error


def sync_folder(folder: Path) -> None:
    """Make the folder's entries durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _renames(source: Path, target: Path) -> bool:
    """Tell whether a file can be renamed from one folder into the other: not across mounts, even of one disk."""
    if source.stat().st_dev != target.stat().st_dev:
        return False
    name = f".try-{uuid.uuid4().hex}"
    try:
        (source / name).touch()
        (source / name).rename(target / name)
    except OSError as error:
        return error.errno != errno.EXDEV
    finally:
        for folder in (source, target):
            with suppress(OSError):
                (folder / name).unlink(missing_ok=True)
    return True
