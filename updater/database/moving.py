"""Move all rows into an empty database of the other kind: out of the embedded one when it is outgrown."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final, NamedTuple

from sqlalchemy import Table, func, insert, select

from updater.database.all_tables import metadata
from updater.database.columns import RowId
from updater.database.engine import Connection, Database
from updater.database.tables import change, lease, revision
from updater.errors import Conflict

# What belongs to running processes, not to what they keep.
_PASSING: Final = frozenset({change, lease, revision})
_BATCH_ROWS: Final = 1_000


class Moved(NamedTuple):
    """How far it is: rows moved of one table, and of all."""

    table: str
    rows: int
    done: int
    total: int


async def move_rows(source: Database, target: Database) -> AsyncIterator[Moved]:
    """Copy every row, in one transaction of the target: it has all of them, or none. The source is only read.

    Both must be migrated, and must not be written to meanwhile.

    Raises:
        Conflict: the target holds rows already. StorageFull, Unavailable: one of them fails; the target is empty.
    """
    tables = [table for table in metadata.sorted_tables if table not in _PASSING]
    async with source.read() as reading, target.write() as writing:
        for table in tables:
            if await _count(writing, table):
                raise Conflict("The database that storage.database_url names holds rows already; give an empty one")
        total = sum([await _count(reading, table) for table in tables])
        done = 0
        for table in tables:
            rows = 0
            async for batch in _batches(reading, table):
                await writing.execute(insert(table), batch)
                rows, done = rows + len(batch), done + len(batch)
                yield Moved(table.name, rows, done, total)
            await _count_on(writing, table)


async def _batches(connection: Connection, table: Table) -> AsyncIterator[list[dict[str, Any]]]:
    async with connection.stream(select(table).order_by(*table.primary_key)) as found:
        async for rows in found.mappings().partitions(_BATCH_ROWS):
            yield [dict(row) for row in rows]


async def _count(connection: Connection, table: Table) -> int:
    return int(await connection.scalar(select(func.count()).select_from(table)) or 0)


async def _count_on(connection: Connection, table: Table) -> None:
    """Let the next row get the number after the highest one: rows that bring their own do not count it up."""
    number = table.columns.get("id")
    if number is not None and number.type is RowId and connection.dialect.name == "postgresql":
        sequence = func.pg_get_serial_sequence(table.name, "id")
        highest = select(func.max(number)).scalar_subquery()
        await connection.execute(select(func.setval(sequence, func.coalesce(highest, 1), highest.is_not(None))))
