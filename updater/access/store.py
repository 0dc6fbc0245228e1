"""The SQL of access: API keys, users and their sessions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, exists, func, insert, or_, select, update

from updater.access.keys import ApiKey
from updater.access.principals import Permission
from updater.access.sessions import Session
from updater.access.users import Role, User
from updater.database.asynchronous import AsyncConnection
from updater.database.engine import Database
from updater.database.tables import api_key, session, user_account

# The topic that announces changed keys; no application id holds a '#'.
KEYS = "#keys"


class AccessStore:
    """Reads and writes API keys. Every method raises Unavailable when the database does not answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list_keys(self) -> list[ApiKey]:
        """Return all keys, revoked ones too, oldest first; the order is that of their ids."""
        async with self._database.read_to_follow() as connection:
            rows = await connection.execute(select(api_key).order_by(api_key.c.id))
            return [
                ApiKey(
                    id=row.id,
                    name=row.name,
                    digest=row.digest,
                    level=Permission[row.level.upper()],
                    application=row.application_id,
                    created_at=row.created_at,
                    expires_at=row.expires_at,
                    revoked_at=row.revoked_at,
                    last_used_at=row.last_used_at,
                )
                for row in rows
            ]

    async def has_keys(self, connection: AsyncConnection) -> bool:
        """Tell whether there ever was a key, as the caller's transaction sees it."""
        return bool(await connection.scalar(select(exists(select(api_key.c.id)))))

    async def insert_key(self, connection: AsyncConnection, key: ApiKey) -> int:
        """Add a key in the caller's transaction, which announces `KEYS`; return its id."""
        values = {
            "name": key.name,
            "digest": key.digest,
            "level": key.level.word,
            "application_id": key.application,
            "created_at": key.created_at,
            "expires_at": key.expires_at,
        }
        return int(await connection.scalar(insert(api_key).values(values).returning(api_key.c.id)) or 0)

    async def revoke_key(self, connection: AsyncConnection, key_id: int, now: datetime) -> tuple[str, str] | None:
        """Revoke a key in the caller's transaction, which announces `KEYS`. `now` is aware, in UTC.

        Returns: the key's name and digest; None when no usable key has this id.
        """
        statement = update(api_key).where(api_key.c.id == key_id, api_key.c.revoked_at.is_(None))
        changed = statement.values(revoked_at=now).returning(api_key.c.name, api_key.c.digest)
        row = (await connection.execute(changed)).first()
        return None if row is None else (row.name, row.digest)

    async def note_used(self, used: Mapping[str, datetime]) -> None:
        """Store when keys were last used. `used` maps a key's digest to a time in UTC; a later stored time stays."""
        async with self._database.write() as connection:
            # Always in the same order, so that two processes cannot deadlock.
            for digest, at in sorted(used.items()):
                earlier = or_(api_key.c.last_used_at.is_(None), api_key.c.last_used_at < at)
                statement = update(api_key).where(api_key.c.digest == digest, earlier)
                await connection.execute(statement.values(last_used_at=at))


class PeopleStore:
    """Reads and writes users and sessions. Every method raises Unavailable when the database does not answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def insert_user(
        self, connection: AsyncConnection, name: str, role: Role, password_hash: str, now: datetime
    ) -> User:
        """Add a user in the caller's transaction, which fails with Conflict when the name is taken."""
        values = {"name": name, "role": role.word, "password_hash": password_hash, "created_at": now}
        new_id = await connection.scalar(insert(user_account).values(values).returning(user_account.c.id))
        return User(int(new_id), name, role, now)

    async def list_users(self) -> list[User]:
        """Return all users, disabled ones too, oldest first; the order is that of their ids."""
        async with self._database.read() as connection:
            rows = await connection.execute(select(user_account).order_by(user_account.c.id))
            return [_user(row) for row in rows]

    async def find_user(self, name: str) -> tuple[User, str] | None:
        """Return a user and the stored hash of the password; None when no user has this name (lower case)."""
        async with self._database.read() as connection:
            row = (await connection.execute(select(user_account).where(user_account.c.name == name))).first()
            return None if row is None else (_user(row), row.password_hash)

    async def count_users(self, connection: AsyncConnection) -> int:
        """Return how many users there are, disabled ones too, as the caller's transaction sees it."""
        return int(await connection.scalar(select(func.count()).select_from(user_account)) or 0)

    async def has_users(self) -> bool:
        """Tell whether there is a user, be it a disabled one."""
        async with self._database.read() as connection:
            return bool(await connection.scalar(select(exists(select(user_account.c.id)))))

    async def hold_users(self, connection: AsyncConnection, user_id: int) -> list[tuple[User, str]]:
        """Return a user and all administrators who are not disabled, each with the stored hash of the password.

        They stay as they are until the caller's transaction ends. In the order of their ids, so that two transactions
        cannot deadlock.
        """
        user = user_account.c
        administrates = and_(user.role == Role.ADMIN.word, user.disabled_at.is_(None))
        wanted = select(user_account).where(or_(user.id == user_id, administrates)).order_by(user.id)
        return [(_user(row), row.password_hash) for row in await connection.execute(wanted.with_for_update())]

    async def change_user(self, connection: AsyncConnection, user_id: int, values: Mapping[str, object]) -> None:
        """Set columns of a user in the caller's transaction."""
        await connection.execute(update(user_account).where(user_account.c.id == user_id).values(**values))

    async def delete_sessions(
        self, connection: AsyncConnection, user_id: int, *, but: str | None = None, number: str | None = None
    ) -> int:
        """End a user's sessions in the caller's transaction; return how many.

        All of them, all but that with the digest `but`, or those whose digest begins with `number`.
        """
        wanted = [session.c.user_id == user_id]
        if but is not None:
            wanted.append(session.c.digest != but)
        if number is not None:
            wanted.append(session.c.digest.startswith(number, autoescape=True))
        return (await connection.execute(delete(session).where(*wanted))).rowcount

    async def insert_session(self, connection: AsyncConnection, opened: Session, password_hash: str | None) -> bool:
        """Add a session and remove those that have expired by then, in the caller's transaction.

        Returns: False, and nothing is stored, when the user is disabled, or has another password hash than
        `password_hash` (None: not compared). Disabling and a new password end all sessions, and must not miss this one.
        """
        user = user_account.c
        fits = [user.id == opened.user.id, user.disabled_at.is_(None)]
        if password_hash is not None:
            fits.append(user.password_hash == password_hash)
        values = {
            "digest": opened.digest,
            "user_id": opened.user.id,
            "created_at": opened.created_at,
            "last_used_at": opened.last_used_at,
            "expires_at": opened.expires_at,
            "idle_s": opened.idle_s,
        }
        held = select(user.id).where(*fits).with_for_update(key_share=True)
        if await connection.scalar(held) is None:
            return False
        if password_hash is not None:
            signed_in = update(user_account).where(user.id == opened.user.id)
            await connection.execute(signed_in.values(last_sign_in_at=opened.created_at))
        await connection.execute(delete(session).where(session.c.expires_at <= opened.created_at))
        await connection.execute(insert(session).values(values))
        return True

    async def list_sessions(self, digests: Sequence[str]) -> list[Session]:
        """Return the sessions with these digests, usable or not, with their users, in no order."""
        return await self._read_sessions(session.c.digest.in_(digests))

    async def list_sessions_of(self, user_id: int) -> list[Session]:
        """Return the sessions of a user, usable or not, in no order."""
        return await self._read_sessions(session.c.user_id == user_id)

    async def _read_sessions(self, wanted: ColumnElement[bool]) -> list[Session]:
        statement = (
            select(session.c.digest, session.c.last_used_at, session.c.expires_at, session.c.idle_s)
            .add_columns(session.c.created_at.label("opened_at"), *user_account.c)
            .join(user_account, user_account.c.id == session.c.user_id)
            .where(wanted)
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(statement)).all()
        return [
            Session(row.digest, _user(row), row.opened_at, row.last_used_at, row.expires_at, row.idle_s) for row in rows
        ]

    async def note_use(self, digest: str, now: datetime) -> None:
        """Store when a session was last used. `now` is aware, in UTC."""
        async with self._database.write() as connection:
            await connection.execute(update(session).where(session.c.digest == digest).values(last_used_at=now))

    async def delete_session(self, connection: AsyncConnection, digest: str) -> str | None:
        """End a session in the caller's transaction.

        Returns: the name of its user; None when there is no such session.
        """
        owner = select(user_account.c.name).join(session, session.c.user_id == user_account.c.id)
        name: str | None = await connection.scalar(owner.where(session.c.digest == digest))
        await connection.execute(delete(session).where(session.c.digest == digest))
        return name


def _user(row: Any) -> User:
    return User(row.id, row.name, Role[row.role.upper()], row.created_at, row.disabled_at, row.last_sign_in_at)
