"""The database as the stores see it: `read()` and `write()` give a connection in a transaction.

Which database it is, `sqlite.py` and `postgres.py` know; the stores' SQL is the same on both.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import Table, exists, func, select, text, update
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from updater.database.asynchronous import AsyncConnection, AsyncEngine
from updater.database.place import DatabasePlace
from updater.database.schema import bring_up_to_date
from updater.database.tables import change, metadata, revision
from updater.errors import Conflict, StorageFull, Unavailable

# How long a request waits for a connection: while another process holds the lock, those behind the first one
# would otherwise add up their waits.
POOL_TIMEOUT_S = 10
# The channel of LISTEN and NOTIFY.
CHANNEL = "updater_change"
_NO_ANSWER = (
    *("locked", "busy", "unable to open", "disk i/o", "closed", "readonly"),
    *("malformed", "not a database", "out of memory"),
)
# Source: PostgreSQL appendix A: class 08 connection, 40 rollback (deadlock), 53 resources, 55 not in the needed state
# (lock timeout), 57 operator intervention (shutdown, timeout), 58 and XX failures of the system below. And what changes
# under a running service: 25006 a standby that only reads, 28 the password, 3D the database is gone, 42501 rights.
_AWAY_STATES = ("08", "25006", "28", "3D", "40", "42501", "53", "55", "57", "58", "XX")

Connection = AsyncConnection
Listener = Callable[[set[str]], Awaitable[None]]
# Under which key a connection holds the topics that its transaction announces.
_ANNOUNCED = "announced"


class Database:
    """A pool to read with and one to write with. Build with `updater.database.opening.open_database`.

    `insert` is the dialect's INSERT. `shared` tells that other processes write to this database too. `migrator` is for
    statements that take as long as they take, where `writer` gives up before; `follower` is for
    memory that follows changes.
    """

    def __init__(
        self,
        reader: AsyncEngine,
        writer: AsyncEngine,
        *,
        insert: Callable[[Table], sqlite.Insert],
        shared: bool,
        migrator: AsyncEngine | None = None,
        follower: AsyncEngine | None = None,
        place: DatabasePlace | None = None,
    ) -> None:
        self.shared = shared
        self._reader = reader
        self._writer = writer
        self._migrator = migrator or writer
        self._follower = follower or reader
        self._insert = insert
        self._place = place
        self._listeners: list[Listener] = []

    def subscribe(self, listener: Listener) -> None:
        """Have `listener` called with the topics of each change: after a commit here, or when another process made it.

        It returns when the change is in its memory, and raises nothing.
        """
        self._listeners.append(listener)

    async def tell(self, topics: set[str]) -> None:
        """Tell all subscribers of committed changes; return when they know."""
        await asyncio.gather(*(listener(set(topics)) for listener in self._listeners))

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Give a connection in a read transaction.

        Raises:
            Unavailable: the database does not answer.
        """
        with translated():
            async with self._reader.begin() as connection:
                yield connection

    @asynccontextmanager
    async def read_to_follow(self) -> AsyncIterator[AsyncConnection]:
        """Give a connection as `read` does, but one that waits behind no request: for memory that follows changes.

        Raises:
            Unavailable: the database does not answer.
        """
        with translated():
            async with self._follower.begin() as connection:
                yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """Give a connection in a write transaction; what it did is on disk when the block has ended.

        What the transaction announced is then known to the subscribers of this process as well.

        Raises:
            Conflict: a row that must be unique exists already.
            Unavailable: the database does not answer, or is locked for too long.
            StorageFull: no room left.
        """
        announced: set[str] = set()
        with translated():
            async with self._writer.begin() as connection:
                connection.info[_ANNOUNCED] = announced
                yield connection
                if self._place is not None:  # before the commit: into a file that is gone, it would be lost
                    self._place.require(connection.info)
        if announced:
            await self.tell(announced)

    async def ping(self) -> None:
        """Read from the tables, on SQLite from the disk and not from a cache, and see whether writes are possible.

        Raises:
            Unavailable: it cannot be read or written, or its file was replaced. StorageFull: no room left.
        """
        if self._place is not None:
            await asyncio.to_thread(self._place.probe)
        async with self.read() as connection:
            if self.shared:
                await connection.execute(select(revision.c.value))
                if await connection.scalar(select(func.current_setting("transaction_read_only"))) == "on":
                    raise Unavailable("The database takes no writes")
                return
            await connection.execute(text("PRAGMA shrink_memory"))
            await connection.execute(select(*(exists().select_from(each) for each in metadata.tables.values())))

    def upsert(self, table: Table) -> sqlite.Insert:
        """Return an INSERT that takes `on_conflict_do_nothing` and `on_conflict_do_update`."""
        return self._insert(table)

    async def announce(self, connection: AsyncConnection, topic: str) -> None:
        """Tell subscribers, when the transaction commits, that what they hold of `topic` is old: here and elsewhere.

        The last statement of a transaction: on a shared database it makes announcing transactions wait for each
        other, so that revisions become visible in their order and no process misses one.
        """
        connection.info[_ANNOUNCED].add(topic)
        if not self.shared:
            return
        step = update(revision).values(value=revision.c.value + 1).returning(revision.c.value)
        value = await connection.scalar(step)
        row = self.upsert(change).values(topic=topic, revision=value)
        newer = {"revision": row.excluded.revision}
        await connection.execute(row.on_conflict_do_update(index_elements=[change.c.topic], set_=newer))
        await connection.execute(select(func.pg_notify(CHANNEL, topic)))

    async def migrate(self, before_new: Callable[[], None] = lambda: None) -> None:
        """Bring the schema up to date; `before_new` is called before a database without one gets it, and may raise.

        Raises:
            ConfigurationError: it was written by a newer version of this program. StorageFull, Unavailable.
        """
        with translated():
            try:
                await bring_up_to_date(self._migrator, before_new)
            finally:
                if self._migrator is not self._writer:
                    await self._migrator.dispose()

    async def close(self) -> None:
        """Close all connections."""
        for engine in {self._reader, self._follower, self._writer}:
            await engine.dispose()


class translated:
    """Turn the driver's errors into ours, so that no SQL text ever reaches a client."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, IntegrityError):
            raise Conflict("This exists already, or what it refers to is gone") from error
        if isinstance(error, PoolTimeoutError):
            raise Unavailable("The database is too busy at the moment") from error
        if isinstance(error, DBAPIError):
            if _is_full(error):
                raise StorageFull("No room left on the server to store this") from error
            if _is_away(error):
                raise Unavailable("The database does not answer at the moment") from error
        elif isinstance(error, OSError) or type(error).__module__.startswith("asyncpg"):
            # A connection that cannot be made is not wrapped by SQLAlchemy.
            raise Unavailable("The database does not answer at the moment") from error


def _is_full(error: DBAPIError) -> bool:
    return (
        "disk is full" in str(error.orig).lower()
        or getattr(error.orig, "errno", None) == errno.ENOSPC
        or state_of(error) == "53100"
    )


def _is_away(error: DBAPIError) -> bool:
    """Tell a database that cannot answer now from a statement it refuses."""
    if error.connection_invalidated or state_of(error).startswith(_AWAY_STATES):
        return True
    said = str(error.orig).lower()
    return any(words in said for words in _NO_ANSWER)


def state_of(error: DBAPIError) -> str:
    """Return PostgreSQL's code for an error, or an empty text."""
    return str(getattr(error.orig, "sqlstate", None) or "")
