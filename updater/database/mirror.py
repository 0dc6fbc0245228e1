"""What a process keeps in memory of the database, and how it follows changes: read again, with retries.

A change marks its topics before it is answered; one task reads them again, one after the other, so that an older
reading never wins. What cannot be read again is served as it was for `STALE_S` at most, and then refused.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from updater.errors import Unavailable
from updater.logs.loggers import get_logger

EVERYTHING = "*"
"""The topic of a change to all applications; no application id holds an asterisk."""
STALE_S = 1.0
LARGE_S = 10.0
"""How long reading many rows again may take: so long the database's driver waits for an answer, too."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.02, 1.0
_log = get_logger(__name__)


class Mirror:
    """Follows the changes of some topics for one holder of memory, named `name` in the log.

    `reread` reads topics again and puts them in place; it may raise anything, and is then asked again. A reading that
    goes on for more than `slow_s` seconds counts as one that fails.
    """

    def __init__(self, name: str, reread: Callable[[set[str]], Awaitable[None]], *, slow_s: float = STALE_S) -> None:
        self._name = name
        self._reread = reread
        self._slow_s = slow_s
        # Topics whose memory is old, each with the monotonic time in seconds of the first change that was not read.
        # While it is empty, `require_current` need not be called.
        self.old: dict[str, float] = {}
        self._wanted: set[str] = set()
        self._waiting: list[asyncio.Future[None]] = []
        self._reading: asyncio.Task[None] | None = None
        self._fails = False

    async def follow(self, topics: set[str]) -> None:
        """Read topics again. Returns when memory has them, or when that has failed for `STALE_S`; it goes on then."""
        if not topics:
            return
        now_s = time.monotonic()
        for topic in topics:
            self.old.setdefault(topic, now_s)
        self._wanted |= topics
        done = asyncio.get_running_loop().create_future()
        self._waiting.append(done)
        if self._reading is None:
            self._reading = asyncio.create_task(self._read(), name=f"mirror of {self._name}")
        while not done.done():
            await asyncio.wait({done}, timeout=STALE_S)
            if self._fails and time.monotonic() - now_s >= STALE_S:
                return

    def require_current(self, topic: str) -> None:
        """Refuse to serve from memory that is known to be old and cannot be read again.

        Raises:
            Unavailable: the topic changed more than `STALE_S` ago, and reading it again has failed since; or it changed
                so long ago that reading it counts as failing.
        """
        if not self.old:
            return
        since_s = min(self.old.get(each, float("inf")) for each in (topic, EVERYTHING))
        if time.monotonic() - since_s > (STALE_S if self._fails else self._slow_s):
            raise Unavailable("A change cannot be read from the database at the moment")

    async def close(self) -> None:
        """Stop reading, and let go of everything that waits for it."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        for each in self._waiting:
            if not each.done():
                each.cancel()

    async def _read(self) -> None:
        pause_s = _FIRST_PAUSE_S
        try:
            while self._wanted:
                topics, self._wanted = self._wanted, set()
                count = len(self._waiting)
                began_s = time.monotonic()
                try:
                    await self._reread(topics)
                except Exception as error:
                    self._wanted |= topics
                    self._note_failure(error)
                    await asyncio.sleep(pause_s)
                    pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
                    continue
                pause_s = _FIRST_PAUSE_S
                waiting, self._waiting = self._waiting[:count], self._waiting[count:]
                self._note_success(topics, waiting, began_s)
        finally:
            self._reading = None

    def _note_failure(self, error: Exception) -> None:
        if not self._fails:
            expected = isinstance(error, Unavailable)
            _log.error("memory.not_current", memory=self._name, exc_info=None if expected else error)
        self._fails = True

    def _note_success(self, topics: set[str], waiting: list[asyncio.Future[None]], began_s: float) -> None:
        if self._fails:
            _log.info("memory.current", memory=self._name)
        self._fails = False
        for topic in topics:
            if topic in self._wanted:  # it changed again meanwhile: after this reading had begun
                self.old[topic] = max(self.old[topic], began_s)
            else:
                self.old.pop(topic, None)
        for each in waiting:
            if not each.done():
                each.set_result(None)
