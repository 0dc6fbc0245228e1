"""The use cases of access: identify, authorise, and manage keys."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import hmac
from datetime import datetime

from updater.access.keys import ApiKey, KeyRing, key_digest, new_feed_key, new_key
from updater.access.principals import EVERYBODY, Permission, Principal
from updater.access.store import KEYS, AccessStore
from updater.audit.model import SYSTEM, Actor, Entry
from updater.audit.service import AuditService
from updater.clock import Clock, utc_now
from updater.database.engine import Connection, Database
from updater.database.mirror import Mirror
from updater.errors import Conflict, Failure, Forbidden, Invalid, NotFound, Unauthenticated
from updater.settings import LEVELS, AccessSettings, ApiKeySettings


class AccessService:
    """Identifies and authorises requests. Call `load` before use, and after another process changed keys."""

    def __init__(
        self,
        store: AccessStore,
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
        self._ring = KeyRing(secret, ())
        self._used: dict[str, datetime] = {}
        self._mirror = Mirror("keys", self._reread)
        database.subscribe(self._follow)
        self.configure(settings)

    def configure(self, settings: AccessSettings) -> None:
        """Take new settings; `load` must follow, in this order."""
        self._enabled = settings.enabled
        self._configured = settings.api_keys

    async def load(self) -> None:
        """Read all keys into memory: those of the settings that are enabled, and those of the database.

        Raises:
            Unavailable: the database does not answer; the keys known before stay in use.
        """
        self._ring = KeyRing(self._secret, [*self.list_configured_keys(), *await self._store.list_keys()])

    async def close(self) -> None:
        """Stop following changes."""
        await self._mirror.close()

    async def _follow(self, topics: set[str]) -> None:
        await self._mirror.follow(topics & {KEYS})

    async def _reread(self, _: set[str]) -> None:
        await self.load()

    # -- on each request

    def identify(self, presented: str | None) -> Principal | None:
        """Return the principal of a presented key, and note in memory that the key was used.

        None when the key is missing, unknown, expired or revoked. With access control switched off every request is
        `EVERYBODY`, whatever it presents.

        Raises:
            Unavailable: keys were changed, and the change cannot be read.
        """
        if not self._enabled:
            return EVERYBODY
        if presented is None:
            return None
        self._mirror.require_current(KEYS)
        now = self._clock()
        principal = self._ring.recognise(presented, now)
        if principal is not None and principal.key_hash is not None:
            self._used[principal.key_hash] = now
        return principal

    def find_key(self, presented: str) -> Principal | None:
        """Return the principal of a key, whether or not access control is switched on. Raises Unavailable."""
        self._mirror.require_current(KEYS)
        return self._ring.recognise(presented, self._clock())

    def authorize(self, principal: Principal | None, level: Permission, application_id: str | None = None) -> None:
        """Require a level and, for a key of one application, that application.

        Raises:
            Unauthenticated: the request has no valid credential. Forbidden: its credential does not allow this.
        """
        if principal is None:
            raise Unauthenticated("A valid API key is required")
        if principal.level < level:
            raise Forbidden(f"This needs a key with {level.word} permission")
        if principal.application is not None and application_id not in (None, principal.application):
            raise Forbidden("This key is for another application")

    # -- managing keys

    def hash_source(self, text: str) -> str:
        """Return the keyed hash of what somebody is known by, such as an address: 20 characters, never to be undone.

        Two of a billion are the same with a probability of 4e-19: 120 bits. Source: RFC 7693 (BLAKE2b with a key).
        """
        spelt = f"source:{text}".encode("utf-8", "surrogatepass")
        return base64.urlsafe_b64encode(hashlib.blake2b(spelt, key=self._secret, digest_size=15).digest()).decode()

    async def create_key(
        self,
        name: str,
        level: str,
        *,
        actor: Actor,
        application: str | None = None,
        expires_at: datetime | None = None,
    ) -> tuple[ApiKey, str]:
        """Make a key; it need not wait for its application to exist. A feed key is always for one application.

        Returns: the key, and its text, which is stored nowhere.

        Raises:
            Invalid: name, level, application or expiry do not fit. StorageFull, Unavailable: no key was made.
        """
        problems = {}
        if not 1 <= len(name) <= 100 or not name.isprintable():
            problems["name"] = "expected 1 to 100 printable characters"
        if level not in LEVELS:
            problems["level"] = f"expected {', '.join(LEVELS[:-1])} or {LEVELS[-1]}"
        elif level == "feed" and application is None:
            problems["application"] = "a feed key is for one application; name it"
        if expires_at is not None and expires_at <= self._clock():
            problems["expires_at"] = "expected a time in the future"
        if problems:
            raise Invalid(problems)
        text = new_feed_key() if level == "feed" else new_key()
        digest = key_digest(self._secret, text)
        key = ApiKey(None, name, digest, Permission[level.upper()], application, self._clock(), expires_at)
        async with self._database.write() as connection:
            key = await self._insert(connection, key, actor)
        return key, text

    async def create_first_key(self) -> str | None:
        """Make an admin key if the database never held a key.

        When several processes start at once, one of them makes it.

        Returns: the key's text, which is stored nowhere; None when there was a key already.
        """
        text = new_key()
        key = ApiKey(None, "first admin", key_digest(self._secret, text), Permission.ADMIN, None, self._clock(), None)
        async with self._database.write() as connection:
            # Concurrent callers wait here, before they look whether there is a key.
            await self._audit.hold(connection)
            if await self._store.has_keys(connection):
                return None
            await self._insert(connection, key, SYSTEM)
        return text

    async def _insert(self, connection: Connection, key: ApiKey, actor: Actor) -> ApiKey:
        added = dataclasses.replace(key, id=await self._store.insert_key(connection, key))
        after = {"level": key.level.word, "application": key.application, "expires_at": _text(key.expires_at)}
        entry = Entry("key.created", f"key {added.id} {key.name}", after=after)
        await self._audit.record(connection, actor, entry)
        await self._database.announce(connection, KEYS)
        return added

    def keys(self) -> list[ApiKey]:
        """Return all keys from memory, also those of the settings; in no order, without their last use."""
        return self._ring.keys()

    async def list_keys(self) -> list[ApiKey]:
        """Return the keys of the database, revoked ones too, oldest first, with their last use up to this moment."""
        await self.flush_used()
        return await self._store.list_keys()

    def list_configured_keys(self) -> list[ApiKey]:
        """Return the enabled keys of the settings, in the order of the settings; they have no id and no last use."""
        return [_configured(self._secret, each) for each in self._configured if each.enabled]

    async def revoke_key(self, key_id: int, *, actor: Actor, by: str | None = None) -> None:
        """Revoke a key at once. `by` is the digest of the key that asks for it; None for a person or an operator.

        Raises:
            NotFound: no usable key has this id. Conflict: a key revokes itself, which would lock its owner out.
        """
        async with self._database.write() as connection:
            revoked = await self._store.revoke_key(connection, key_id, self._clock())
            if revoked is None:
                raise NotFound("key", f"No usable key has id {key_id}")
            name, digest = revoked
            if by is not None and hmac.compare_digest(by, digest):
                raise Conflict("A key cannot revoke itself; use another one, a session or the command line")
            await self._audit.record(connection, actor, Entry("key.revoked", f"key {key_id} {name}"))
            await self._database.announce(connection, KEYS)

    async def flush_used(self) -> None:
        """Store when keys were last used. Called periodically: a write on each request would cost a flush.

        Raises:
            Unavailable, StorageFull: the uses are kept in memory for the next call.
        """
        used, self._used = self._used, {}
        if used:
            try:
                await self._store.note_used(used)
            except Failure:
                self._used = {**used, **self._used}
                raise


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="seconds")


def _configured(secret: bytes, each: ApiKeySettings) -> ApiKey:
    level = max(Permission[word.upper()] for word in each.permissions)
    return ApiKey(None, each.name, key_digest(secret, each.key), level, each.application, None, each.expires_at)
