"""Leases: work that one process at a time does, when several share a database."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import or_

from updater.clock import Clock, utc_now
from updater.database.engine import Database
from updater.database.tables import lease


class Leases:
    """Asks for leases in the name of one process, `holder`. Alone on its database, a process gets each one."""

    def __init__(self, database: Database, holder: str, *, clock: Clock = utc_now) -> None:
        self._database = database
        self._holder = holder
        self._clock = clock

    async def take(self, name: str, *, for_s: float) -> bool:
        """Take or extend a lease; return whether it is ours now. A holder that died loses it when it expires.

        Raises:
            Unavailable: the database does not answer.
        """
        if not self._database.shared:
            return True
        now = self._clock()
        wanted = self._database.upsert(lease).values(
            name=name, holder=self._holder, expires_at=now + timedelta(seconds=for_s)
        )
        mine = {"holder": wanted.excluded.holder, "expires_at": wanted.excluded.expires_at}
        statement = wanted.on_conflict_do_update(
            index_elements=[lease.c.name],
            set_=mine,
            where=or_(lease.c.holder == self._holder, lease.c.expires_at < now),
        ).returning(lease.c.name)
        async with self._database.write() as connection:
            return await connection.scalar(statement) is not None
