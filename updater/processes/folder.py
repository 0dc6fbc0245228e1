"""The data folder: locked by one process at a time; other processes reach that one through a socket in it.

Separate from the composition, so that a command that only asks the running service imports none of it.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path

from updater.errors import ConfigurationError
from updater.permissions import PRIVATE_FILE, PRIVATE_FOLDER, SHARED_FOLDER, make_folder, set_mode
from updater.settings import StorageSettings

LOCK_FILE, CONTROL_SOCKET = "lock", "control.sock"
# What lies in the folder beside `blobs`, whose modes belong to the store.
_PRIVATE = (
    *("updater.db", "updater.db-wal", "updater.db-shm", "secret", "restoring", "incoming", "deployments"),
    *(LOCK_FILE, "workers.lock", "last-backup.json"),
)
# What tells a folder that a service has used, or a restore.
_SIGNS = ("updater.db", "secret", "restoring")
_SOCKET_PATH_BYTES = 108
_NO_FOLDER_LOCKS = (errno.EBADF, errno.EINVAL, errno.ENOLCK, errno.ENOTSUP)


class FolderInUse(ConfigurationError):
    """Another process holds the data folder."""


class NoFolder(ConfigurationError):
    """There is no data folder at this place. `root` is made absolute."""

    def __init__(self, root: Path) -> None:
        super().__init__(
            f"storage.root: there is no data folder at {root.absolute()}; name the settings of the service with "
            "--config FILE, or its folder with UPDATER_STORAGE__ROOT. `updater serve` makes a new one"
        )


def claim_folder(settings: StorageSettings, *, make: bool = True) -> AbstractContextManager[None]:
    """Hold the data folder for the block, unless a shared database lets several processes use it.

    Only with `make` a missing folder is made; else it must be one that a service has used.

    Raises:
        NoFolder: without `make`, there is none. FolderInUse: another process holds it. ConfigurationError: it cannot
        be made or written.
    """
    root = Path(settings.root)
    if settings.database_url is None:
        return hold_folder(root, make=make)
    if not make:
        if not (root / "secret").exists():
            raise NoFolder(root)
        return nullcontext()
    try:
        _make_durable(root)
    except OSError as error:
        raise ConfigurationError(f"storage.root: {root} cannot be used: {error.strerror}") from None
    return nullcontext()


@contextmanager
def hold_folder(root: Path, lock_file: str = LOCK_FILE, *, make: bool = True) -> Iterator[None]:
    """Make the data folder and lock it for the block: the embedded database and store belong to one process.

    Locked are the folder itself, since anybody can remove a file in it, and the file, which older versions know.
    Without `make` the folder must be one that a service has used; nothing is made in any other folder.

    Raises:
        NoFolder: without `make`, there is none. FolderInUse: another process holds it. ConfigurationError: it cannot
        be made or written.
    """
    if not make and not root.is_dir():
        raise NoFolder(root)
    with ExitStack() as stack:
        try:
            if make:
                _make_durable(root)
            _lock(stack, root, os.O_RDONLY | os.O_DIRECTORY)
            used = make or any((root / name).exists() for name in _SIGNS)
            if used or (root / lock_file).exists():
                _lock(stack, root / lock_file, os.O_RDWR | os.O_CREAT)
            if not used:
                raise NoFolder(root)
        except BlockingIOError:
            raise FolderInUse(f"storage.root: {root} is in use by another process") from None
        except OSError as error:
            place = error.filename or root
            raise ConfigurationError(f"storage.root: {place} cannot be used: {error.strerror}") from None
        yield


def _lock(stack: ExitStack, path: Path, flags: int) -> None:
    """Lock a file or folder until the stack ends. Raises BlockingIOError: it is locked already. OSError."""
    descriptor = os.open(path, flags | os.O_CLOEXEC, 0o600)
    stack.callback(os.close, descriptor)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        # File systems on a network lock no folder; there the file alone is left.
        if error.errno not in _NO_FOLDER_LOCKS or not flags & os.O_DIRECTORY:
            error.filename = path
            raise


def _make_durable(root: Path) -> None:
    missing = [folder for folder in (root, *root.parents) if not folder.exists()]
    if missing:
        with suppress(FileExistsError):
            if root.parent in missing:
                root.parent.mkdir(parents=True, exist_ok=True)
            make_folder(root)
    for folder in missing:
        # Imported here: commands find the folder there, and need nothing else of the store.
        from updater.artifacts.local import sync_folder

        sync_folder(folder.parent)


def protect_folder(settings: StorageSettings) -> None:
    """Close an existing data folder to other users, and open it to nginx's group where nginx sends the files.

    A folder made by an older version, by systemd or by hand may have wider modes; what changes is logged. Only
    what this program puts into the folder is looked at.
    """
    root = Path(settings.root)
    modes = {root: SHARED_FOLDER if settings.group_reads else PRIVATE_FOLDER}
    for path in (root / name for name in _PRIVATE):
        if path.exists() and not path.is_socket():
            modes[path] = PRIVATE_FOLDER if path.is_dir() else PRIVATE_FILE
    changed = [path.name for path, mode in modes.items() if set_mode(path, mode)]
    if changed:
        # Imported here: short commands look for the folder, too, and do without a log.
        from updater.logs.loggers import get_logger

        get_logger(__name__).warning("storage.modes_changed", root=str(root), changed=changed)


@contextmanager
def short_path(path: Path) -> Iterator[str]:
    """Give a name for a socket at `path` that fits into a socket address, for the block.

    Source: unix(7), sun_path has 108 bytes; a data folder may lie deeper. Raises OSError when the folder is missing.
    """
    if len(os.fsencode(path)) < _SOCKET_PATH_BYTES:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
