"""Whether the clock is believed. A wrong one would remove for ever what is not old: reports, releases, logs, files.

The reference is a time in the database, moved on every hour while the clock is believed, so that a service without any
traffic has one too; and within a process a clock that only counts. What neither explains is doubted until an operator
confirms the clock. A service that was switched off for longer than a week is such a case: nothing tells it from a clock
that is wrong.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from updater.audit.model import Actor, Entry
from updater.audit.service import AuditService
from updater.clock import Clock, utc_now
from updater.database.engine import Database
from updater.errors import Conflict
from updater.logs.loggers import get_logger
from updater.timekeeping.judgement import find_doubt
from updater.timekeeping.store import TimekeepingStore

_MOVED_EVERY: Final = timedelta(hours=1)
_REMEDY: Final = (
    "Nothing is removed for its age until the clock is right, or confirmed with `updater retain --confirm-clock`"
)
_log = get_logger(__name__)


def _counted_s() -> float:
    """Return seconds that pass while the machine sleeps, too, and that nobody sets."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class TimekeepingService:
    """Compares the clock with what was seen before. `doubt` is what the last look showed: a text, or None."""

    def __init__(
        self,
        store: TimekeepingStore,
        database: Database,
        audit: AuditService,
        *,
        clock: Clock = utc_now,
        counted_s: Callable[[], float] = _counted_s,
    ) -> None:
        self.doubt: str | None = None
        self._store = store
        self._database = database
        self._audit = audit
        self._clock = clock
        self._counted_s = counted_s
        self._confirmed_at: datetime | None = None
        self._began_at: datetime
        self._began_s: float
        self._began_well: bool
        self._looked: bool
        self._begin()

    async def look(self) -> str | None:
        """Look at the clock; return why it is not believed, None when it is. A believed time is kept once an hour.

        The first look is to come before this process writes any time of its own. Raises Unavailable, StorageFull.
        """
        mark = await self._store.find_mark()
        if mark is not None and mark.confirmed_at is not None and mark.confirmed_at != self._confirmed_at:
            self._confirmed_at = mark.confirmed_at  # by another process, or before this one began
            self._begin()
        seen_at = mark.at if mark is not None else await self._store.find_newest()
        now = self._clock()
        if not self._began_well and seen_at is not None and find_doubt(now, seen_at, timedelta(0)) is None:
            # A machine without a clock of its own began at some time, and was told the right one later.
            self._begin()
        drift = now - self._began_at - timedelta(seconds=self._counted_s() - self._began_s)
        doubt = find_doubt(now, seen_at, drift)
        self._began_well = self._began_well and (doubt is None or self._looked)
        self._looked = True
        if doubt is not None and self.doubt is None:
            _log.error("clock.doubted", why=doubt)
        elif doubt is None and self.doubt is not None:
            _log.info("clock.believed")
        self.doubt = doubt
        if mark is None and seen_at is not None and doubt is not None:
            await self._store.advance(seen_at)  # what is written from now on has the doubted time
        elif doubt is None and (mark is None or now - mark.at >= _MOVED_EVERY):
            await self._store.advance(now)
        return doubt

    async def require_believed(self) -> None:
        """Refuse to go on while the clock is not believed.

        Raises:
            Conflict: it is not; the text says why and what to do. Unavailable, StorageFull.
        """
        doubt = await self.look()
        if doubt is not None:
            raise Conflict(f"{doubt}. {_REMEDY}")

    async def confirm(self, *, actor: Actor) -> None:
        """Believe the clock as it is now; what compares with it goes on from here. Raises Unavailable, StorageFull."""
        now = self._clock()
        async with self._database.write() as connection:
            await self._store.confirm(connection, now)
            shown = now.isoformat(timespec="seconds")
            await self._audit.record(connection, actor, Entry("clock.confirmed", "clock", after={"at": shown}))
        self._confirmed_at = now
        self._begin()
        self.doubt = None

    def _begin(self) -> None:
        # A process whose first look was doubted has nothing to count from.
        self._began_well, self._looked = True, False
        self._began_at, self._began_s = self._clock(), self._counted_s()
