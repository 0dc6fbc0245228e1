"""The use cases of accounts: change users, list and end their sessions. Nobody is locked out by accident.

One administrator who can sign in is always left, nobody takes the own account away, and a change of role, password or
state ends the user's sessions in its own transaction.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from updater.access.people import PeopleService
from updater.access.sessions import Session, is_session_number, session_digest, session_number
from updater.access.store import PeopleStore
from updater.access.users import Role, User, check_changes
from updater.audit.model import Actor, Entry
from updater.audit.service import AuditService
from updater.clock import Clock, utc_now
from updater.database.engine import Database
from updater.errors import Conflict, Invalid, NotFound

_LAST = "{} is the last administrator who can sign in; make another one first"
_OWN = "You cannot disable your own account or lower your own role; another administrator can"
_OWN_PASSWORD = "Your own password is changed with the present one, at your account"  # noqa: S105 - a sentence


class AccountService:
    """Changes users, and ends sessions."""

    def __init__(
        self,
        store: PeopleStore,
        people: PeopleService,
        database: Database,
        audit: AuditService,
        *,
        secret: bytes,
        clock: Clock = utc_now,
    ) -> None:
        self._store = store
        self._people = people
        self._database = database
        self._audit = audit
        self._secret = secret
        self._clock = clock

    async def change_user(
        self,
        name: str,
        *,
        actor: Actor,
        role: str | None = None,
        disabled: bool | None = None,
        password: str | None = None,
    ) -> User:
        """Change a user; what is None stays. A change of what was otherwise ends all of the user's sessions at once.

        Returns: the user as it is then.

        Raises:
            Invalid: role or password do not fit. NotFound: no user has this name. Conflict: it is the last
            administrator who can sign in, or it is the actor's own account: one does not lock oneself out.
        """
        wanted = check_changes(role, password)
        user = await self._people.get_user(name)
        own = actor == user.principal().actor
        if own and password is not None:
            raise Conflict(_OWN_PASSWORD)
        kept = None if password is None else await self._people.passwords.hash(password)
        async with self._database.write() as connection:
            held = {each.id: each for each, _ in await self._store.hold_users(connection, user.id)}
            before = held[user.id]
            after = self._changed(before, wanted, disabled)
            entries = _entries(before, after)
            if own and entries:
                raise Conflict(_OWN)
            if _administrates(before) and not any(map(_administrates, [*_others(held, user.id), after])):
                raise Conflict(_LAST.format(user.name))
            values: dict[str, object] = {"role": after.role.word, "disabled_at": after.disabled_at}
            if kept is not None:
                values["password_hash"] = kept
                entries.append(_entry("user.password_set", after))
            if entries:
                await self._store.change_user(connection, user.id, values)
                await self._store.delete_sessions(connection, user.id)
            for entry in entries:
                await self._audit.record(connection, actor, entry)
        return after

    def _changed(self, user: User, role: Role | None, disabled: bool | None) -> User:
        after = user if role is None else dataclasses.replace(user, role=role)
        if disabled is None or disabled == (user.disabled_at is not None):
            return after
        return dataclasses.replace(after, disabled_at=self._clock() if disabled else None)

    async def change_own_password(self, session_id: str, present: str, password: str) -> int:
        """Give the person of a session a new password, and end all other sessions of that person.

        Returns: how many sessions ended.

        Raises:
            Invalid: `current_password` is not the present one, or the new one does not fit. NotFound: there is no such
            session. Conflict: another change of the password came between.
        """
        session = await self._people.find_session(session_id)
        if session is None:
            raise NotFound("session", "The session is over")
        user, kept = session.user, None
        found = await self._people.find_user(user.name)
        if found is not None:
            kept = found[1]
        if not await self._people.passwords.fits(kept, present):
            raise Invalid({"current_password": "is not your present password"})
        check_changes(None, password)
        new = await self._people.passwords.hash(password)
        async with self._database.write() as connection:
            held = {each.id: stored for each, stored in await self._store.hold_users(connection, user.id)}
            if held.get(user.id) != kept:
                raise Conflict("Your password was changed meanwhile")
            await self._store.change_user(connection, user.id, {"password_hash": new})
            ended = await self._store.delete_sessions(connection, user.id, but=session.digest)
            await self._audit.record(connection, user.principal().actor, _entry("user.password_set", user))
        return ended

    # -- sessions

    async def list_sessions(self, name: str) -> list[Session]:
        """Return a user's open sessions, the latest opened first. Raises NotFound when no user has this name."""
        user, now = await self._people.get_user(name), self._clock()
        found = [each for each in await self._store.list_sessions_of(user.id) if each.usable(now)]
        return sorted(found, key=lambda each: (each.created_at, each.digest), reverse=True)

    async def end_session(self, name: str, number: str, *, actor: Actor) -> None:
        """End a user's session at once. Raises NotFound: no user has this name, or no session of it this number."""
        user = await self._people.get_user(name)
        async with self._database.write() as connection:
            ended = is_session_number(number) and await self._store.delete_sessions(connection, user.id, number=number)
            if not ended:
                raise NotFound("session", "No session of this user has this number")
            await self._audit.record(connection, actor, _entry("session.ended", user, before={"session": number}))

    async def end_sessions(self, name: str, *, actor: Actor, but: str | None = None) -> int:
        """End a user's sessions at once, all but the one with the id `but`; return how many. Raises NotFound."""
        user = await self._people.get_user(name)
        kept = None if but is None else session_digest(self._secret, but)
        async with self._database.write() as connection:
            ended = await self._store.delete_sessions(connection, user.id, but=kept)
            if ended:
                await self._audit.record(
                    connection, actor, _entry("session.all_ended", user, before={"sessions": ended})
                )
        return ended

    def number_of(self, session_id: str) -> str:
        """Return the number of the session with this id, whether or not there is one."""
        return session_number(session_digest(self._secret, session_id))


def _administrates(user: User) -> bool:
    return user.role is Role.ADMIN and user.disabled_at is None


def _others(held: Mapping[int, User], user_id: int) -> Sequence[User]:
    return [each for each in held.values() if each.id != user_id]


def _entries(before: User, after: User) -> list[Entry]:
    """Return what the audit tells of a changed role and state."""
    found = []
    if before.role != after.role:
        roles: list[dict[str, Any]] = [{"role": each.role.word} for each in (before, after)]
        found.append(_entry("user.role_set", after, before=roles[0], after=roles[1]))
    if (before.disabled_at is None) != (after.disabled_at is None):
        found.append(_entry("user.enabled" if after.disabled_at is None else "user.disabled", after))
    return found


def _entry(
    action: str, user: User, *, before: Mapping[str, Any] | None = None, after: Mapping[str, Any] | None = None
) -> Entry:
    return Entry(action, f"user {user.name}", before=before, after=after)
