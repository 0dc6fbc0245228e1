"""The SQL of uploads that resume: whose they are, how far they came, and what became of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, delete, func, insert, select, update

from updater.database.engine import Connection, Database
from updater.database.upload_tables import partial_upload


@dataclass(frozen=True, slots=True)
class PartialUpload:
    """An upload that resumes. `offset_bytes` is `length_bytes` exactly when it has an `outcome`. Times are in UTC.

    `said` is what its owner says of the file, as it was sent; `outcome` is `{"published": answer}` or
    `{"refused": failure}`, None while bytes are missing.
    """

    id: str
    place: str
    owner: str
    application_id: str
    said: str
    length_bytes: int
    offset_bytes: int
    outcome: Mapping[str, Any] | None
    created_at: datetime
    expires_at: datetime


class PartialStore:
    """Reads and writes the rows of uploads that resume. Every method raises Unavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def insert(self, each: PartialUpload, most: int) -> bool:
        """Add an upload, unless its owner has `most` open ones. Returns: whether it was added. Raises StorageFull."""
        mine = partial_upload.c.owner == each.owner, partial_upload.c.outcome.is_(None)
        async with self._database.write() as connection:
            if (await connection.scalar(select(func.count()).where(*mine)) or 0) >= most:
                return False
            await connection.execute(insert(partial_upload).values(asdict(each)))
        return True

    async def find(self, upload_id: str) -> PartialUpload | None:
        """Return one upload."""
        async with self._database.read() as connection:
            row = (await connection.execute(select(partial_upload).where(partial_upload.c.id == upload_id))).first()
        return None if row is None else PartialUpload(**row._mapping)

    async def list_of(self, owner: str, limit: int) -> list[PartialUpload]:
        """Return the uploads of a key or a person, newest first."""
        wanted = select(partial_upload).where(partial_upload.c.owner == owner)
        wanted = wanted.order_by(partial_upload.c.created_at.desc(), partial_upload.c.id).limit(limit)
        async with self._database.read() as connection:
            return [PartialUpload(**row._mapping) for row in await connection.execute(wanted)]

    async def count_missing(self, place: str) -> int:
        """Return how many bytes the open uploads of a folder still announce."""
        missing = func.coalesce(func.sum(partial_upload.c.length_bytes - partial_upload.c.offset_bytes), 0)
        mine = partial_upload.c.place == place, partial_upload.c.outcome.is_(None)
        async with self._database.read() as connection:
            return int(await connection.scalar(select(missing).where(*mine)) or 0)

    async def advance(self, upload_id: str, before: int, after: int, expires_at: datetime) -> bool:
        """Move the offset of an open upload from one number of bytes to another; tell whether it was there."""
        open_at = partial_upload.c.id == upload_id, partial_upload.c.offset_bytes == before
        values = {"offset_bytes": after, "expires_at": expires_at}
        statement = update(partial_upload).where(*open_at, partial_upload.c.outcome.is_(None)).values(values)
        async with self._database.write() as connection:
            return bool((await connection.execute(statement)).rowcount)

    async def settle(
        self, connection: Connection, upload_id: str, outcome: Mapping[str, Any], expires_at: datetime
    ) -> bool:
        """Store what became of an open upload, in the caller's transaction; tell whether it was still open."""
        values = {"offset_bytes": partial_upload.c.length_bytes, "outcome": outcome, "expires_at": expires_at}
        still_open = partial_upload.c.id == upload_id, partial_upload.c.outcome.is_(None)
        return bool((await connection.execute(update(partial_upload).where(*still_open).values(values))).rowcount)

    async def delete(self, upload_id: str) -> None:
        """Forget an upload; one that is not there is fine."""
        async with self._database.write() as connection:
            await connection.execute(delete(partial_upload).where(partial_upload.c.id == upload_id))

    async def delete_open(self, upload_id: str) -> None:
        """Forget an upload that has not ended."""
        still_open = partial_upload.c.id == upload_id, partial_upload.c.outcome.is_(None)
        async with self._database.write() as connection:
            await connection.execute(delete(partial_upload).where(*still_open))

    async def list_expired(self, place: str, now: datetime, elsewhere_before: datetime) -> list[str]:
        """Return the ids of uploads that expired: those of a folder by now, those of others before another time."""
        mine = and_(partial_upload.c.place == place, partial_upload.c.expires_at <= now)
        others = and_(partial_upload.c.place != place, partial_upload.c.expires_at <= elsewhere_before)
        async with self._database.read() as connection:
            return list(await connection.scalars(select(partial_upload.c.id).where(mine | others)))

    async def delete_expired(self, upload_id: str, now: datetime) -> bool:
        """Forget an upload if it has expired; tell whether it was there."""
        gone = partial_upload.c.id == upload_id, partial_upload.c.expires_at <= now
        async with self._database.write() as connection:
            return bool((await connection.execute(delete(partial_upload).where(*gone))).rowcount)

    async def list_open(self, ids: list[str]) -> set[str]:
        """Return those of the ids that are uploads which have not ended."""
        wanted = select(partial_upload.c.id).where(partial_upload.c.id.in_(ids), partial_upload.c.outcome.is_(None))
        async with self._database.read() as connection:
            return set(await connection.scalars(wanted))
