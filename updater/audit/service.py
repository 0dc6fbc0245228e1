"""The use cases of the audit: record a change, list changes, verify the chain, cut its old end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from datetime import timedelta

from updater.audit.chain import ChainWalk
from updater.audit.model import Actor, AuditRow, Break, Entry, Filter
from updater.audit.store import AuditStore
from updater.clock import Clock, utc_now
from updater.database.engine import Connection, Database

APPLICATION_DELETED = "application.deleted"
# What the history of an application tells; the audit also knows of its settings, its files and the deletion before.
_HISTORY = ("release.", "build.", "file.", "rollout.", "channels.", "default_rollout.", "keys.")


# Returns up to which row everybody has read, asked in a transaction; None: nobody reads.
Reader = Callable[[Connection], Awaitable[int | None]]


class AuditService:
    """Records every change in the transaction that makes it."""

    def __init__(self, store: AuditStore, database: Database, *, clock: Clock = utc_now) -> None:
        self._store = store
        self._database = database
        self._clock = clock

    async def record(self, connection: Connection, actor: Actor, entry: Entry) -> None:
        """Add a row to the caller's transaction: the change and its row are kept together, or neither is.

        Call it after everything slow and right before `Database.announce`: from here on, transactions that record
        something wait for each other.
        """
        await self._store.append(connection, actor, entry, self._clock())

    async def hold(self, connection: Connection) -> None:
        """Make transactions that record something wait for each other from here on, before this one looks around."""
        await self._store.hold(connection)

    async def list_rows(self, wanted: Filter, *, limit: int = 50, offset: int = 0) -> tuple[list[AuditRow], int]:
        """Return one page of rows, newest first, and how many there are in all."""
        return await self._store.list_rows(wanted, limit=limit, offset=offset)

    async def list_newest(self, wanted: Filter, *, limit: int) -> tuple[list[AuditRow], bool]:
        """Return the newest rows, newest first, and whether there are more; the next page is before the last one's id.

        Unlike `list_rows` it counts nothing, so a page costs the same however many rows there are.
        """
        rows = await self._store.list_newest(wanted, limit=limit + 1)
        return rows[:limit], len(rows) > limit

    async def list_history(
        self, application_id: str, *, spellings: Collection[str] | None = None, limit: int = 50, offset: int = 0
    ) -> tuple[list[AuditRow], int]:
        """Return one page of an application's history, newest first, and how many entries it has in all.

        `spellings` limits it to one version. It begins anew when the application was deleted and created again.
        """
        begins_after = await self._store.find_last(application_id, APPLICATION_DELETED)
        texts = None if spellings is None else tuple(spellings)
        wanted = Filter(application_id, actions=_HISTORY, after_id=begins_after, spellings=texts)
        return await self._store.list_rows(wanted, limit=limit, offset=offset)

    async def list_versions(self, application_id: str | None, texts: Collection[str], pattern: str) -> list[str]:
        """Return the versions that rows name: those among `texts`, or LIKE `pattern`; of all applications for None."""
        return await self._store.list_versions(application_id, texts, pattern)

    async def verify(self) -> tuple[int, Break | None]:
        """Follow the whole chain; return how many rows hold, and the first break if there is one.

        Rows that are added meanwhile are left for the next time.
        """
        head = await self._store.read_head()
        walk = ChainWalk(head)
        async for rows in self._store.stream(head.last_id):
            for row in rows:
                found = walk.step(row)
                if found is not None:
                    return walk.rows, found
        return walk.rows, walk.end()

    async def cut(self, *, keep_days: int, keep_after: Reader | None = None, actor: Actor) -> int:
        """Remove rows older than so many days, from the old end of the chain; return how many.

        Rows after the number that `keep_after` returns stay, however old: somebody has not read them. It is asked while
        no transaction can record anything, so who goes back in a recorded change finds what was there.

        The chain keeps an anchor, so that `verify` still holds the rest; the cut is recorded itself.
        """
        before = self._clock() - timedelta(days=keep_days)
        async with self._database.write() as connection:
            await self._store.hold(connection)
            read_to = None if keep_after is None else await keep_after(connection)
            gone = await self._store.cut(connection, before, read_to)
            if gone:
                entry = Entry(
                    "audit.cut", "audit", after={"rows": gone, "before": before.isoformat(timespec="seconds")}
                )
                await self.record(connection, actor, entry)
        return gone
