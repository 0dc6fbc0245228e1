"""The place of the embedded database: whether the open file is still the one at its path, and can be written.

SQLite goes on writing into a file that was removed or replaced: such a write is acknowledged and lost.
"""

from __future__ import annotations

import errno
import os
import tempfile
import time
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

from updater.errors import StorageFull, Unavailable

_PROBE_S = 5.0
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_LOG = "write-ahead log"
Identity = tuple[int, int]


class DatabasePlace:
    """The files of one open database: the database itself, and the write-ahead log of each connection."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._log = path.with_name(f"{path.name}-wal")
        self._file: Identity | None = None
        self._probed_s = -_PROBE_S
        self._refusal: str | None = None

    def opened(self, info: MutableMapping[Any, Any]) -> None:
        """Remember what a new connection has open; `info` is what the pool keeps beside the connection.

        Raises:
            Unavailable: it has opened another file than the connections before it.
        """
        self._file = self._file or _identity(self._path)
        self._require(self._path, self._file)
        info[_LOG] = _identity(self._log)

    def require(self, info: MutableMapping[Any, Any] | None = None) -> None:
        """Refuse to go on when a file was removed, moved or replaced; some microseconds.

        Raises:
            Unavailable: the file at the path is not the open one.
        """
        if self._file is not None:
            self._require(self._path, self._file)
        if info is not None and info.get(_LOG) is not None:
            self._require(self._log, info[_LOG])

    def probe(self) -> None:
        """Write and flush a small file beside the database, every 5 seconds at most. Blocking.

        Raises:
            Unavailable: the files were replaced, or the file system takes no writes.
        """
        self.require()
        if time.monotonic() - self._probed_s >= _PROBE_S:
            self._refusal = find_refusal(self._path.parent)
            self._probed_s = time.monotonic()
        if self._refusal is not None:
            raise Unavailable(f"The folder of the database takes no writes: {self._refusal}")

    def _require(self, path: Path, expected: Identity | None) -> None:
        if _identity(path) != expected:
            raise Unavailable("The database file was removed or replaced while it was open; restart the service")


def find_refusal(folder: Path) -> str | None:
    """Write and flush a small file without a name; return why that fails, None when it works.

    Raises:
        StorageFull: there is no room.
    """
    try:
        with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
            file.write(b"?")
            os.fsync(file.fileno())
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise StorageFull("No room left on the server to store this") from None
        return os.strerror(error.errno) if error.errno else str(error)
    return None


def _identity(path: Path) -> Identity | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
