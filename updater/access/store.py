"""The SQL of access: API keys."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import insert, select, update

from updater.access.keys import ApiKey
from updater.access.principals import Level
from updater.database.engine import Database
from updater.database.tables import api_key


class AccessStore:
    """Reads and writes keys."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list_keys(self) -> list[ApiKey]:
        """Return all keys, revoked ones too, oldest first."""
        async with self._database.read() as connection:
            rows = await connection.execute(select(api_key).order_by(api_key.c.id))
            return [
                ApiKey(
                    id=row.id,
                    name=row.name,
                    digest=row.digest,
                    level=Level[row.level.upper()],
                    application=row.application_id,
                    created_at=row.created_at,
                    expires_at=row.expires_at,
                    revoked_at=row.revoked_at,
                    last_used_at=row.last_used_at,
                )
                for row in rows
            ]

    async def insert_key(self, key: ApiKey) -> int:
        """Add a key; return its id."""
        values = {
            "name": key.name,
            "digest": key.digest,
            "level": key.level.word,
            "application_id": key.application,
            "created_at": key.created_at,
            "expires_at": key.expires_at,
        }
        async with self._database.write() as connection:
            new_id = await connection.scalar(insert(api_key).values(values).returning(api_key.c.id))
            return int(new_id)

    async def revoke_key(self, key_id: int, now: datetime) -> bool:
        """Revoke a key; return whether there was a usable one."""
        statement = update(api_key).where(api_key.c.id == key_id, api_key.c.revoked_at.is_(None))
        async with self._database.write() as connection:
            return (await connection.execute(statement.values(revoked_at=now))).rowcount > 0

    async def note_used(self, used: Mapping[str, datetime]) -> None:
        """Keep when keys, by their digest, were last used."""
        async with self._database.write() as connection:
            for digest, at in used.items():
                await connection.execute(update(api_key).where(api_key.c.digest == digest).values(last_used_at=at))
