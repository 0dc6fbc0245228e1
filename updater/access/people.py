"""The use cases of people: create users, sign them in and out, recognise their sessions. Changes: `accounts`."""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from updater.access.sessions import (
    Session,
    fits_token,
    form_token,
    is_session_id,
    new_session_id,
    session_digest,
)
from updater.access.store import PeopleStore
from updater.access.users import Passwords, Role, User, check_user, clean_name, is_name
from updater.audit.model import Actor, ActorKind, Entry
from updater.audit.service import AuditService
from updater.clock import Clock, utc_now
from updater.database.engine import Connection, Database
from updater.errors import Conflict, Failure, Invalid, NotFound, Unauthenticated
from updater.settings import AccessSettings

# A session's last use is stored this often at most: a write on each request would cost a flush.
_NOTE_EVERY_S = 60
_MAX_SCRIPT_MINUTES = 60 * 24 * 365
# Sessions that were good a short while ago: each takes some hundred bytes.
_KEPT_SESSIONS = 4_096
_SET_UP = "The first account is there already; sign in with it"


class PeopleService:
    """Users and their sessions, both in the database: what one process revokes, every process refuses."""

    def __init__(
        self,
        store: PeopleStore,
        settings: AccessSettings,
        database: Database,
        audit: AuditService,
        *,
        secret: bytes,
        clock: Clock = utc_now,
    ) -> None:
        self._store = store
        self._database = database
        self._audit = audit
        self._secret = secret
        self._clock = clock
        self.passwords = Passwords()
        # Users are never removed, so this is asked until the first one is there.
        self._has_users = False
        # The digests of sessions found last, the latest at the end.
        self._recent: OrderedDict[str, None] = OrderedDict()
        self.configure(settings)

    def configure(self, settings: AccessSettings) -> None:
        """Take new settings; the life and the idle time of sessions hold for sessions opened from now on."""
        self._idle_s = settings.session_idle_minutes * 60
        self._lasts = timedelta(hours=settings.session_hours)

    # -- users

    async def create_user(self, name: str, role: str, password: str, *, actor: Actor) -> User:
        """Add a user.

        Raises:
            Invalid: name, role or password do not fit. Conflict: the name is taken.
        """
        try:
            return await self._create(name, role, password, actor, first=False)
        except Conflict:
            raise Conflict(f"A user named {clean_name(name)} exists already") from None

    async def create_first_user(self, name: str, password: str, *, actor: Actor) -> User:
        """Add an administrator while there is no user; of several at once, one is added.

        Raises:
            Invalid: name or password do not fit. Conflict: there is a user.
        """
        if await self.has_users():
            raise Conflict(_SET_UP)
        try:
            return await self._create(name, Role.ADMIN.word, password, actor, first=True)
        except Conflict:
            raise Conflict(_SET_UP) from None

    async def _create(self, name: str, role: str, password: str, actor: Actor, *, first: bool) -> User:
        cleaned, checked = check_user(name, role, password)
        kept = await self.passwords.hash(password)
        async with self._database.write() as connection:
            user = await self._store.insert_user(connection, cleaned, checked, kept, self._clock())
            if first:
                # Concurrent callers wait here, and then see whom the one before them has added.
                await self._audit.hold(connection)
                if await self._store.count_users(connection) > 1:
                    raise Conflict(_SET_UP)
            await self._record(connection, actor, "user.created", cleaned, after={"role": checked.word})
        return user

    async def has_users(self) -> bool:
        """Tell whether there is a user, be it a disabled one."""
        self._has_users = self._has_users or await self._store.has_users()
        return self._has_users

    async def list_users(self) -> list[User]:
        """Return all users, disabled ones too, oldest first; the order is that of their ids."""
        return await self._store.list_users()

    async def get_user(self, name: str) -> User:
        """Return the user with this name, in any case and with blanks around it. Raises NotFound."""
        found = await self.find_user(name)
        if found is None:
            raise NotFound("user", "No user has this name")
        return found[0]

    # -- sessions

    async def sign_in(self, name: str, password: str) -> tuple[str, Session]:
        """Open a session with a name and a password.

        Returns: the session's id, which is stored nowhere, and the session.

        Raises:
            Unauthenticated: unknown name, wrong password or disabled user; all take equally long and look the same.
        """
        found = await self.find_user(name)
        user, kept = found if found is not None else (None, None)
        fits = await self.passwords.fits(kept, password)
        now = self._clock()
        if user is not None and fits and user.disabled_at is None:
            actor = user.principal().actor
            opened = await self._open(user, now, now + self._lasts, self._idle_s, kept, actor)
            if opened is not None:
                return opened
        raise Unauthenticated("The name or the password is wrong")

    async def open_script_session(self, name: str, minutes: float, *, actor: Actor) -> tuple[str, Session]:
        """Open a session for a script. It ends after `minutes`, used or not.

        Returns: the session's id, which is stored nowhere, and the session.

        Raises:
            Invalid: `minutes` is not above 0 and at most one year. NotFound: no such user. Conflict: the user is
            disabled.
        """
        if not 0 < minutes <= _MAX_SCRIPT_MINUTES:
            raise Invalid({"minutes": f"expected more than 0 and at most {_MAX_SCRIPT_MINUTES}"})
        user = await self.get_user(name)
        now = self._clock()
        opened = await self._open(user, now, now + timedelta(minutes=minutes), None, None, actor)
        if opened is None:
            raise Conflict(f"{user.name} is disabled")
        return opened

    async def find_session(self, presented: str) -> Session | None:
        """Return the session with this id, and store its use at most once a minute.

        None when there is no such session, it is over, idle for too long, or its user is disabled.
        """
        return next(iter(await self.list_sessions([presented])), None)

    async def list_sessions(self, presented: Sequence[str]) -> list[Session]:
        """Return the sessions with these ids as `find_session` would, in no order: one question to the database."""
        digests = [session_digest(self._secret, each) for each in presented if is_session_id(each)]
        if not digests:
            return []
        now = self._clock()
        usable = [each for each in await self._store.list_sessions(digests) if each.usable(now)]
        for digest in digests:
            self._recent.pop(digest, None)
        for session in usable:
            self._recent[session.digest] = None
            if len(self._recent) > _KEPT_SESSIONS:
                self._recent.popitem(last=False)
            if (now - session.last_used_at).total_seconds() >= _NOTE_EVERY_S:
                # Reading must work while the database cannot be written.
                with contextlib.suppress(Failure):
                    await self._store.note_use(session.digest, now)
        return usable

    def recognises(self, presented: str) -> bool:
        """Tell, from memory, whether this process found a session with this id lately. It may have ended since."""
        return is_session_id(presented) and session_digest(self._secret, presented) in self._recent

    async def sign_out(self, presented: str) -> None:
        """End the session with this id, if there is one. Raises Unavailable when the database does not answer."""
        if not is_session_id(presented):
            return
        async with self._database.write() as connection:
            name = await self._store.delete_session(connection, session_digest(self._secret, presented))
            if name is not None:
                await self._record(connection, Actor(ActorKind.USER, name), "session.ended", name)

    async def find_user(self, name: str) -> tuple[User, str] | None:
        """Return the user with this name, as `get_user` does, and the stored hash of the password; None for nobody."""
        cleaned = clean_name(name)
        # PostgreSQL has no text with a null character in it, and refuses to look for one.
        return await self._store.find_user(cleaned) if is_name(cleaned) else None

    async def _open(
        self,
        user: User,
        now: datetime,
        expires_at: datetime,
        idle_s: int | None,
        password_hash: str | None,
        actor: Actor,
    ) -> tuple[str, Session] | None:
        session_id = new_session_id()
        session = Session(session_digest(self._secret, session_id), user, now, now, expires_at, idle_s)
        async with self._database.write() as connection:
            if not await self._store.insert_session(connection, session, password_hash):
                return None
            after = {"expires_at": expires_at.isoformat(timespec="seconds")}
            await self._record(connection, actor, "session.opened", user.name, after=after)
        return session_id, session

    async def _record(
        self, connection: Connection, actor: Actor, action: str, name: str, after: Mapping[str, Any] | None = None
    ) -> None:
        await self._audit.record(connection, actor, Entry(action, f"user {name}", after=after))

    # -- forms

    def form_token(self, bound_to: str) -> str:
        """Return the CSRF token of forms: 64 hex digits, derived from a session id or a sign-in cookie."""
        return form_token(self._secret, bound_to)

    def fits_token(self, bound_to: str, presented: str) -> bool:
        """Tell, in constant time, whether a form's CSRF token belongs to this session id or sign-in cookie."""
        return fits_token(self._secret, bound_to, presented)
