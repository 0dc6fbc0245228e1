"""aiosqlite with one hand-over to its thread for a statement, where SQLAlchemy's use of it makes three or four.

SQLAlchemy makes a cursor, runs it, fetches the rows, and closes it, each in the connection's thread. To wake a thread
and to be woken by it takes longer than most statements. The thread's own functions (`_execute`) are private names
of aiosqlite.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import aiosqlite

# Rows that are fetched where a statement runs; a statement with more stays open for whoever reads on.
_AT_ONCE = 256
_END_S = 1


class SwiftConnection(aiosqlite.Connection):
    """A connection whose cursors cost one hand-over. It is no reason for the process to stay."""

    def __init__(self, connector: Callable[[], sqlite3.Connection]) -> None:
        super().__init__(connector, iter_chunk_size=_AT_ONCE)
        self._thread.daemon = True

    def cursor(self) -> SwiftCursor:  # type: ignore[override]
        """Return a cursor; it is made in the thread when it runs something."""
        return SwiftCursor(self)

    async def close(self) -> None:
        """Close it, and see its thread end: one that is late would speak to a loop that is closed."""
        await super().close()
        self.join()

    def join(self) -> None:
        """Wait for the thread, which was told to end and has nothing more to do."""
        self._thread.join(_END_S)

    async def in_thread(self, work: Callable[..., Any], *given: Any) -> Any:
        """Call a function in the thread, after what it was asked before."""
        return await self._execute(work, *given)  # type: ignore[no-untyped-call]


class SwiftCursor:
    """What SQLAlchemy asks of a cursor of aiosqlite. Its errors are those of sqlite3."""

    arraysize = 1
    rowcount = -1
    lastrowid: int | None = None
    description: Any = None

    def __init__(self, connection: SwiftConnection) -> None:
        self._connection = connection
        # The cursor of the thread while there may be more rows.
        self._open: sqlite3.Cursor | None = None
        self._rows: list[Any] = []

    async def __aenter__(self) -> SwiftCursor:
        return self

    async def execute(self, sql: str, parameters: Sequence[Any] = ()) -> SwiftCursor:
        """Run a statement, and fetch its first rows."""
        await self._connection.in_thread(self._run, sql, parameters, False)
        return self

    async def executemany(self, sql: str, parameters: Sequence[Sequence[Any]]) -> SwiftCursor:
        """Run a statement with each of the parameters."""
        await self._connection.in_thread(self._run, sql, parameters, True)
        return self

    async def fetchall(self) -> list[Any]:
        """Return the rows that were not returned yet."""
        rows, self._rows = self._rows, []
        if self._open is not None:
            rows += await self._connection.in_thread(self._fetch, None)
        return rows

    async def fetchmany(self, size: int | None = None) -> list[Any]:
        """Return the next rows, at most so many; none at the end."""
        size = size or self.arraysize
        rows, self._rows = self._rows[:size], self._rows[size:]
        if not rows and self._open is not None:
            return list(await self._connection.in_thread(self._fetch, size))
        return rows

    async def fetchone(self) -> Any:
        """Return the next row, or None."""
        return next(iter(await self.fetchmany(1)), None)

    async def __aiter__(self) -> AsyncIterator[Any]:
        while rows := await self.fetchmany(_AT_ONCE):
            for row in rows:
                yield row

    async def close(self) -> None:
        """End a statement that has more rows."""
        if self._open is not None:
            await self._connection.in_thread(self._end)

    # -- in the thread

    def _run(self, sql: str, parameters: Sequence[Any], many: bool) -> None:
        self._end()
        self._open = cursor = self._connection._conn.cursor()
        try:
            if many:
                cursor.executemany(sql, parameters)
            else:
                cursor.execute(sql, parameters)
            self.description, self.lastrowid = cursor.description, cursor.lastrowid
            self._rows = self._fetch(_AT_ONCE) if self.description else []
            self.rowcount = cursor.rowcount
        except BaseException:
            self._end()
            raise
        if not self.description:
            self._end()

    def _fetch(self, size: int | None) -> list[Any]:
        if self._open is None:
            return []
        rows = self._open.fetchall() if size is None else self._open.fetchmany(size)
        if size is None or len(rows) < size:
            self._end()
        return rows

    def _end(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None


async def connect(*given: Any, **named: Any) -> SwiftConnection:
    """Open a connection in a thread of its own; the arguments are those of `sqlite3.connect`.

    Raises:
        sqlite3.Error: it cannot be opened; its thread has ended then.
    """
    connection = SwiftConnection(lambda: sqlite3.connect(*given, **named))
    try:
        await connection
    except BaseException:
        connection.join()
        raise
    return connection
