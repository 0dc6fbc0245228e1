"""Leases: work that one process at a time does, when several share a database."""

from __future__ import annotations

from sqlalchemy import BigInteger, cast, extract, func, or_

from updater.database.engine import Database
from updater.database.tables import lease


class Leases:
    """Asks for leases in the name of one process, `holder`. Alone on its database, a process gets each one.

    Time is that of the database, so that no process with a wrong clock keeps a lease from the others.
    """

    def __init__(self, database: Database, holder: str) -> None:
        self._database = database
        self._holder = holder

    async def take(self, name: str, *, for_s: float) -> bool:
        """Take or extend a lease; return whether it is ours now. A holder that died loses it when it expires.

        Whoever asks for a lease of this name asks for the same time.

        Raises:
            Unavailable: the database does not answer.
        """
        if not self._database.shared:
            return True
        # In microseconds, as the column is.
        now = cast(extract("epoch", func.clock_timestamp()) * 1_000_000, BigInteger)
        expires_at = now + round(for_s * 1_000_000)
        wanted = self._database.upsert(lease).values(name=name, holder=self._holder, expires_at=expires_at)
        mine = {"holder": wanted.excluded.holder, "expires_at": wanted.excluded.expires_at}
        statement = wanted.on_conflict_do_update(
            index_elements=[lease.c.name],
            set_=mine,
            # One that ends later than if it were taken now is from before the clock was set back.
            where=or_(lease.c.holder == self._holder, lease.c.expires_at < now, lease.c.expires_at > expires_at),
        ).returning(lease.c.name)
        async with self._database.write() as connection:
            return await connection.scalar(statement) is not None
