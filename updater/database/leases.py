"""Leases: work that one process at a time does, when several share a database."""

from __future__ import annotations

import time

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
        # Until when, by the clock that only counts, what was taken is ours for certain.
        self._until_s: dict[str, float] = {}

    async def take(self, name: str, *, for_s: float) -> bool:
        """Take or extend a lease; return whether it is ours now. A holder that died loses it when it expires.

        Whoever asks for a lease of this name asks for the same time.

        Raises:
            Unavailable: the database does not answer.
        """
        if not self._database.shared:
            return True
        asked_s = time.monotonic()
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
            taken = await connection.scalar(statement) is not None
        self._until_s[name] = asked_s + for_s if taken else asked_s
        return taken

    def holds(self, name: str) -> bool:
        """Tell, without asking, whether a lease is still ours: it is not when this process stood still for too long."""
        return not self._database.shared or time.monotonic() < self._until_s.get(name, 0.0)
