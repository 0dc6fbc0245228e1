"""Verify the chain in bounded time, and tell what the last verification came to.

The outcome of a verification is a row of the audit itself: it tells how far the chain was followed, when, and by whom,
in every process and after every restart, and reading it costs one look at an index. One that ran out of time tells
where it stopped, and the next one goes on there.
"""

from __future__ import annotations

import asyncio
import json
import time

from updater.audit.chain import ChainWalk
from updater.audit.model import Actor, AuditRow, Break, ChainState, Check, Entry, Filter, Head
from updater.audit.service import AuditService
from updater.audit.store import AuditStore
from updater.database.engine import Database
from updater.errors import Conflict

VERIFIED = "audit.verified"
MAX_CHECK_S = 10.0


class AuditChecks:
    """Verifies the chain, one verification at a time in each process."""

    def __init__(self, store: AuditStore, audit: AuditService, database: Database) -> None:
        self._store = store
        self._audit = audit
        self._database = database
        self._running = asyncio.Lock()

    async def get_state(self) -> ChainState:
        """Return where the chain ends, and how far it was verified. No row is followed for it."""
        head = await self._store.read_head()
        found = await self._store.list_newest(Filter(actions=(VERIFIED,)), limit=1)
        return ChainState(head, _check(found[0]) if found else None)

    async def verify(self, *, actor: Actor, within_s: float = MAX_CHECK_S) -> ChainState:
        """Follow the chain for so many seconds at most, and record what it came to.

        It goes on where one that was not complete stopped, else it begins at the chain's old end. Rows that are added
        meanwhile are left for the next time.

        Raises:
            Conflict: this process verifies the chain already.
        """
        if self._running.locked():
            raise Conflict("The audit is being verified at the moment")
        async with self._running:
            state = await self.get_state()
            head, begun = state.head, state.check
            if begun is not None and (begun.complete or begun.broken or begun.last_id < head.anchor_id):
                begun = None
            walk = ChainWalk(head, None if begun is None else (begun.last_id, begun.last_hash))
            after = -1 if begun is None else begun.last_id
            broken, complete = await self._follow(walk, head, after, time.monotonic() + within_s)
            last_id, last_hash = walk.place
            outcome = {
                "first_id": head.anchor_id + 1 if begun is None else begun.first_id,
                "last_id": last_id,
                "last_hash": last_hash,
                "rows": walk.rows + (0 if begun is None else begun.rows),
                "complete": complete,
                "broken": None if broken is None else {"id": broken.id, "why": broken.why},
            }
            async with self._database.write() as connection:
                await self._audit.record(connection, actor, Entry(VERIFIED, "audit", after=outcome))
            return await self.get_state()

    async def _follow(self, walk: ChainWalk, head: Head, after: int, until: float) -> tuple[Break | None, bool]:
        """Return the first break, and whether the walk came to an end in time."""
        async for rows in self._store.stream(head.last_id, after=after):
            for row in rows:
                found = walk.step(row)
                if found is not None:
                    return found, True
            if time.monotonic() >= until and walk.place[0] < head.last_id:
                return None, False
        return walk.end(), True


def _check(row: AuditRow) -> Check:
    told = json.loads(row.after or "{}")
    broken = told["broken"]
    return Check(
        at=row.at,
        by=row.actor,
        first_id=told["first_id"],
        last_id=told["last_id"],
        last_hash=told["last_hash"],
        rows=told["rows"],
        complete=told["complete"],
        broken=None if broken is None else Break(broken["id"], broken["why"]),
    )
