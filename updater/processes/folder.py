"""The data folder: locked by one process at a time; other processes reach that one through a socket in it.

Separate from the composition, so that a command that only asks the running service imports none of it.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path

from updater.errors import ConfigurationError
from updater.permissions import PRIVATE_FILE, PRIVATE_FOLDER, SHARED_FOLDER, make_folder, set_mode
from updater.settings import StorageSettings

LOCK_FILE, CONTROL_SOCKET = "lock", "control.sock"
# What lies in the folder beside `blobs`, whose modes belong to the store.
_PRIVATE = (
    *("updater.db", "updater.db-wal", "updater.db-shm", "secret", "restoring", "incoming", "deployments"),
    *(LOCK_FILE, "workers.lock"),
)
_SOCKET_PATH_BYTES = 108


class FolderInUse(ConfigurationError):
    """Another process holds the data folder."""


def claim_folder(settings: StorageSettings) -> AbstractContextManager[None]:
    """Hold the data folder for the block, unless a shared database lets several processes use it.

    Raises:
        FolderInUse: another process holds it. ConfigurationError: it cannot be made or written.
    """
    root = Path(settings.root)
    if settings.database_url is None:
        return hold_folder(root)
    try:
        _make_durable(root)
    except OSError as error:
        raise ConfigurationError(f"storage.root: {root} cannot be used: {error.strerror}") from None
    return nullcontext()


@contextmanager
def hold_folder(root: Path, lock_file: str = LOCK_FILE) -> Iterator[None]:
    """Make the data folder and lock it for the block: the embedded database and store belong to one process.

    Raises:
        FolderInUse: another process holds it. ConfigurationError: it cannot be made or written.
    """
    try:
        _make_durable(root)
        descriptor = os.open(root / lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigurationError(f"storage.root: {error.filename or root} cannot be used: {error.strerror}") from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FolderInUse(f"storage.root: {root} is in use by another process") from None
        except OSError as error:
            raise ConfigurationError(f"storage.root: {root} cannot be locked: {error.strerror}") from None
        yield
    finally:
        os.close(descriptor)


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
        import structlog

        structlog.get_logger(__name__).warning("storage.modes_changed", root=str(root), changed=changed)


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
