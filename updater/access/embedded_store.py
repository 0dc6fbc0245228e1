"""The SQL that lists keys and users of an embedded database without SQLAlchemy, which costs more than the listing.

The same rows as `updater.access.store` gives; `tests/access/test_embedded_store.py` holds one to the other.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from updater.access.keys import ApiKey
from updater.access.principals import Permission
from updater.access.users import Role, User
from updater.database.embedded import EmbeddedReader, find_embedded, read_time

_KEYS = """
    SELECT id, name, digest, level, application_id, created_at, expires_at, revoked_at, last_used_at
    FROM api_key ORDER BY id
"""
_USERS = "SELECT id, name, role, created_at, disabled_at, last_sign_in_at FROM user_account ORDER BY id"


class EmbeddedAccessReader:
    """Lists keys and users. Build with `find_access_reader`."""

    def __init__(self, reader: EmbeddedReader) -> None:
        self._reader = reader

    async def list_keys(self) -> list[ApiKey]:
        """Return all keys in the order of their ids, revoked ones too.

        Raises:
            Unavailable: the database cannot be read.
        """
        return [
            ApiKey(
                id=row["id"],
                name=row["name"],
                digest=row["digest"],
                level=Permission[row["level"].upper()],
                application=row["application_id"],
                created_at=_time(row["created_at"]),
                expires_at=_time(row["expires_at"]),
                revoked_at=_time(row["revoked_at"]),
                last_used_at=_time(row["last_used_at"]),
            )
            for row in self._reader.rows(_KEYS)
        ]

    async def list_users(self) -> list[User]:
        """Return all users in the order of their ids, disabled ones too.

        Raises:
            Unavailable: the database cannot be read.
        """
        return [
            User(
                id=row["id"],
                name=row["name"],
                role=Role[row["role"].upper()],
                created_at=read_time(row["created_at"]),
                disabled_at=_time(row["disabled_at"]),
                last_sign_in_at=_time(row["last_sign_in_at"]),
            )
            for row in self._reader.rows(_USERS)
        ]


def find_access_reader(root: Path) -> EmbeddedAccessReader | None:
    """Return a reader of the data folder's embedded database; None when that has to be opened another way.

    None when there is no database yet, when it is damaged, and when its schema is not the present one.
    """
    reader = find_embedded(root)
    return None if reader is None else EmbeddedAccessReader(reader)


def _time(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else read_time(microseconds)
