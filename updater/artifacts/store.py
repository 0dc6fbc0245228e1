"""The SQL of blobs: which digests exist, and whether they may be served."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, exists, func, or_, select, union, update

from updater.database.asynchronous import AsyncConnection
from updater.database.engine import Database
from updater.database.tables import blob, blob_use, build, file, release
from updater.database.tuf_tables import tuf_metadata, tuf_target
from updater.database.uses import FileUse, find_uses


@dataclass(frozen=True, slots=True)
class KnownBlob:
    """A row of the blob table."""

    digest: str
    size_bytes: int
    verified_at: datetime | None
    quarantined_at: datetime | None


class ArtifactStore:
    """Reads and writes blob rows. Methods that take a connection run in the caller's transaction.

    Every method raises Unavailable when the database does not answer.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(
        self,
        connection: AsyncConnection,
        digest: str,
        size_bytes: int,
        now: datetime,
        **further: str | None,
    ) -> bool:
        """Record that the digest is about to be used, and hold its row until the transaction ends.

        Fresh bytes will replace the present ones, so a quarantine ends. `further` are other digests of them by column,
        None where one is not known; those that are known already stay.

        Returns: whether there was a quarantine.
        """
        known = {name: value for name, value in further.items() if value is not None}
        row = {"digest": digest, "size_bytes": size_bytes, "created_at": now, "verified_at": now, **known}
        statement = self._database.upsert(blob).values(row)
        again = {"created_at": now, "verified_at": now, **known}
        quarantined_at = await connection.scalar(
            statement.on_conflict_do_update(index_elements=[blob.c.digest], set_=again).returning(blob.c.quarantined_at)
        )
        if quarantined_at is None:
            return False
        await connection.execute(update(blob).where(blob.c.digest == digest).values(quarantined_at=None))
        return True

    async def hold(self, connection: AsyncConnection, digest: str, now: datetime) -> None:
        """Hold the digest's row, made when missing, until the transaction ends. An existing row keeps its values.

        A new row has a size of 0 bytes; the caller removes it again (`forget`).
        """
        row = {"digest": digest, "size_bytes": 0, "created_at": now}
        statement = self._database.upsert(blob).values(row)
        same = {"digest": statement.excluded.digest}
        await connection.execute(statement.on_conflict_do_update(index_elements=[blob.c.digest], set_=same))

    async def is_used(self, connection: AsyncConnection, digest: str) -> bool:
        """Tell whether anything uses the digest. Hold its row before: a new build claims it."""
        return bool(await connection.scalar(select(exists().where(blob_use.c.digest == digest))))

    async def list_applications(self, connection: AsyncConnection, digest: str) -> list[str]:
        """Return the applications that offer the digest in one of their files, by id."""
        wanted = (
            select(release.c.application_id)
            .join(build, build.c.release_id == release.c.id)
            .join(file, file.c.build_id == build.c.id)
            .where(file.c.digest == digest)
            .distinct()
        )
        of_repositories = (
            select(each.c.application_id).where(each.c.digest == digest).distinct()
            for each in (tuf_metadata, tuf_target)
        )
        return sorted(await connection.scalars(union(wanted, *of_repositories)))

    async def forget(self, connection: AsyncConnection, digest: str) -> None:
        """Remove the row of an unused digest; without such a row do nothing."""
        await connection.execute(delete(blob).where(blob.c.digest == digest))

    async def list_unused(self, before: datetime) -> list[str]:
        """Return digests that nothing uses and that were last claimed before a time (UTC), in no particular order."""
        used = exists().where(blob_use.c.digest == blob.c.digest)
        async with self._database.read() as connection:
            rows = await connection.scalars(select(blob.c.digest).where(~used, blob.c.created_at < before))
            return list(rows)

    async def known(self, digests: Iterable[str]) -> set[str]:
        """Return those of the digests that have a row, in use or not. Raises Unavailable."""
        async with self._database.read() as connection:
            return set(await connection.scalars(select(blob.c.digest).where(blob.c.digest.in_(list(digests)))))

    async def list_to_verify(
        self, *, digest: str | None = None, before: datetime | None = None, limit: int | None = None
    ) -> list[KnownBlob]:
        """Return every blob that is used or in quarantine, longest unverified first.

        The order is that of the last check, never verified ones first, then of the digests. `digest` chooses one,
        `before` (UTC) those whose last check is older, and `limit` the first ones.
        """
        used = exists().where(blob_use.c.digest == blob.c.digest)
        statement = (
            select(blob.c.digest, blob.c.size_bytes, blob.c.verified_at, blob.c.quarantined_at)
            .where(or_(used, blob.c.quarantined_at.is_not(None)))
            .order_by(blob.c.verified_at.nulls_first(), blob.c.digest)
            .limit(limit)
        )
        if digest is not None:
            statement = statement.where(blob.c.digest == digest)
        if before is not None:
            statement = statement.where(or_(blob.c.verified_at.is_(None), blob.c.verified_at < before))
        async with self._database.read() as connection:
            return [KnownBlob(*row) for row in await connection.execute(statement)]

    async def note_verified(
        self, connection: AsyncConnection, each: KnownBlob, *, now: datetime, good: bool
    ) -> bool | None:
        """Store the outcome of a check; return whether the blob's serving state changed. `now` is in UTC.

        None when the blob was removed or its bytes were replaced since `each` was read: nothing is stored, since the
        check was of other bytes.
        """
        quarantined_at = None if good else each.quarantined_at or now
        same = (
            blob.c.digest == each.digest,
            blob.c.verified_at.is_not_distinct_from(each.verified_at),
            blob.c.quarantined_at.is_not_distinct_from(each.quarantined_at),
        )
        statement = update(blob).where(*same).values(verified_at=now, quarantined_at=quarantined_at)
        if (await connection.execute(statement)).rowcount == 0:
            return None
        return (each.quarantined_at is None) != good

    async def find_uses(self, digests: Collection[str]) -> list[FileUse]:
        """Return the files of builds that have these bytes, by application, version and target."""
        return await find_uses(self._database, digests)

    async def list_damaged(self) -> list[str]:
        """Return the digests of the blobs in quarantine."""
        wanted = select(blob.c.digest).where(blob.c.quarantined_at.is_not(None)).order_by(blob.c.digest)
        async with self._database.read() as connection:
            return list(await connection.scalars(wanted))

    async def total(self) -> tuple[int, int, int]:
        """Return the number of blobs, the sum of their sizes in bytes, and how many are in quarantine."""
        sums = func.count(), func.coalesce(func.sum(blob.c.size_bytes), 0), func.count(blob.c.quarantined_at)
        async with self._database.read() as connection:
            row = (await connection.execute(select(*sums).select_from(blob))).one()
            return int(row[0]), int(row[1]), int(row[2])
