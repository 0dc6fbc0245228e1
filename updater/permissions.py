"""Who may read what this program stores: its own user, and nginx's group where nginx sends the files.

Modes are given to each file and folder as it is made. The umask belongs to the whole process and to the commands that
it starts, so it is neither relied on nor changed.
"""

from __future__ import annotations

import os
import socket
import stat
from contextlib import suppress
from pathlib import Path

PRIVATE_FILE, PRIVATE_FOLDER = 0o600, 0o700
# The group may read, where `storage.offload` lets another program send the files.
SHARED_FILE, SHARED_FOLDER = 0o640, 0o750
_KEPT_BITS = stat.S_ISUID | stat.S_ISGID


def make_folder(path: Path, mode: int = PRIVATE_FOLDER) -> None:
    """Make one folder with exactly this mode. Raises FileExistsError, OSError."""
    path.mkdir(mode=mode)
    set_mode(path, mode)


def make_folders(path: Path) -> None:
    """Make a folder and those above it that are missing, for the owner alone. Raises OSError."""
    for each in reversed([each for each in (path, *path.parents) if not each.exists()]):
        with suppress(FileExistsError):
            make_folder(each)


def set_mode(path: Path, mode: int) -> bool:
    """Give a file or folder this mode; return whether it has changed. Set-group bits of folders stay.

    A folder with the sticky bit is shared on purpose, and one that another user owns cannot be changed: both are
    logged and left as they are. Raises OSError when there is nothing at `path`.
    """
    found = path.stat().st_mode
    if found & 0o777 == mode:
        return False
    if found & stat.S_ISVTX:
        return _leave(path, found, "shared by all users")
    try:
        path.chmod(mode | (found & _KEPT_BITS))
    except OSError as error:
        return _leave(path, found, str(error.strerror))
    return True


def _leave(path: Path, mode: int, reason: str) -> bool:
    # Imported here: short commands do without a log.
    from updater.logs.loggers import get_logger

    get_logger(__name__).warning("storage.mode_left", path=str(path), mode=oct(stat.S_IMODE(mode)), reason=reason)
    return False


def open_private(path: str, flags: int) -> int:
    """Open or make a file that only its owner may read: an `opener` for `open`. Raises OSError."""
    return os.open(path, flags | os.O_CLOEXEC, PRIVATE_FILE)


def create_file(path: Path, mode: int = PRIVATE_FILE) -> int:
    """Make a file with exactly this mode; return its descriptor, for writing. Raises FileExistsError, OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        if stat.S_IMODE(os.fstat(descriptor).st_mode) != mode:
            os.fchmod(descriptor, mode)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def bind_private(path: str) -> socket.socket:
    """Return a Unix socket bound to `path`, to which only its owner may connect. Raises OSError.

    Source: unix(7) and Linux, `unix_bind`: the file takes its mode from the socket's own.
    """
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        os.fchmod(bound.fileno(), PRIVATE_FILE)
        bound.bind(path)
    except OSError:
        bound.close()
        raise
    return bound
