"""Which stored files were hashed as they lie there now: a look at each file when it is opened to be sent.

A disk gives back wrong bytes without an error. So a file is hashed when it is opened for the first time since the
start, or since the file system says that it was touched: a small one before its first byte leaves, a large one in the
background, while it is sent. A file that was found wrong is refused at once, also while that cannot be written down.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import threading
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from updater.errors import Failure
from updater.logs.loggers import get_logger

SMALL_BYTES: Final = 8 << 20
"""A file up to this size is hashed before it leaves: some milliseconds, once."""

_KNOWN_FILES: Final = 32_768
_WAITING_FILES: Final = 10_000
_PIECE_BYTES: Final = 1 << 20
_log = get_logger(__name__)


class _Look(NamedTuple):
    """What the file system said of a file when its bytes were hashed, and whether they were those of its digest."""

    size_bytes: int
    modified_ns: int
    changed_ns: int
    inode: int
    is_whole: bool


class Inspector:
    """Remembers what was hashed, and has `check` hash what nobody looked at since it changed.

    A cache: digest -> the file's stat. Bound: 32,768 files, 10 MiB; the oldest leaves first, and is hashed again
    when it is opened. An entry dies with its file, and with a change of its size, times or inode; all of them with
    the process.

    `check` hashes a blob and says so with `remember`; it is called for one blob at a time.
    """

    def __init__(self, check: Callable[[str], Awaitable[None]]) -> None:
        self._check = check
        self._looks: dict[str, _Look] = {}
        self._waiting: dict[str, None] = {}
        self._turn = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._working: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        """Return how many files are remembered."""
        return len(self._looks)

    def start(self) -> None:
        """Let background checks run in this event loop; before, and after `close`, there are none."""
        self._loop = asyncio.get_running_loop()

    async def close(self) -> None:
        """Cancel what is being checked. Raises nothing."""
        self._loop = None
        if self._working is not None:
            self._working.cancel()
            await asyncio.gather(self._working, return_exceptions=True)

    def inspect(self, digest: str, descriptor: int, found: os.stat_result) -> None:
        """Look at an open file before it is sent; blocks, so call it in a worker thread.

        Raises:
            OSError: its bytes are not those of its digest, or cannot be read.
        """
        known = self._find(digest, found)
        if known is None and found.st_size <= SMALL_BYTES:
            with self._turn:  # of many that ask for the same file, one hashes it
                known = self._find(digest, found)
                if known is None:
                    known = _hash(descriptor, found.st_size) == digest
                    self.remember(digest, found, is_whole=known)
                    if not known:
                        self.suspect(digest)
        if known is None:
            self.suspect(digest)
        elif not known:
            raise OSError("its bytes are not those of its digest")

    def remember(self, digest: str, found: os.stat_result, *, is_whole: bool) -> None:
        """Keep what hashing a file showed; `found` is its state before and after. From any thread."""
        self._looks.pop(digest, None)
        self._looks[digest] = _look(found, is_whole=is_whole)
        while len(self._looks) > _KNOWN_FILES:
            self._looks.pop(next(iter(self._looks)), None)

    def forget(self, digest: str) -> None:
        """Forget a file that was removed. From any thread."""
        self._looks.pop(digest, None)

    def suspect(self, digest: str) -> None:
        """Have a blob hashed in the background, soon. From any thread; raises nothing."""
        if self._loop is not None and digest not in self._waiting:
            with contextlib.suppress(RuntimeError):  # the loop ends
                self._loop.call_soon_threadsafe(self._queue, digest)

    def _queue(self, digest: str) -> None:
        if self._loop is None or len(self._waiting) >= _WAITING_FILES:
            return
        self._waiting[digest] = None
        if self._working is None or self._working.done():
            self._working = asyncio.create_task(self._work(), name="inspection")

    async def _work(self) -> None:
        while self._waiting:
            digest = next(iter(self._waiting))
            try:
                await self._check(digest)
            except Failure as failure:
                _log.warning("blobs.not_checked", digest=digest, reason=failure.message)
            except Exception as error:
                _log.error("blobs.not_checked", digest=digest, exc_info=error)
            finally:
                self._waiting.pop(digest, None)

    def _find(self, digest: str, found: os.stat_result) -> bool | None:
        """Return what hashing the file as it is showed; None when nobody did."""
        look = self._looks.get(digest)
        return look.is_whole if look is not None and look == _look(found, is_whole=look.is_whole) else None


def _look(found: os.stat_result, *, is_whole: bool) -> _Look:
    return _Look(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, is_whole)


def _hash(descriptor: int, size_bytes: int) -> str:
    hasher, at = hashlib.sha256(), 0
    while at < size_bytes and (piece := os.pread(descriptor, _PIECE_BYTES, at)):
        hasher.update(piece)
        at += len(piece)
    return hasher.hexdigest()
