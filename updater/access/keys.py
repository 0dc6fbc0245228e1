"""API keys: how they are made, stored and recognised.

A key is 256 random bits, so one keyed hash is enough (a slow password hash would only slow the service). Stored is
HMAC-SHA-256 under a secret of this installation; the key itself is shown once.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import os
import secrets
import string
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from updater.access.principals import Permission, Principal
from updater.errors import ConfigurationError

PREFIX = "upd_"
# A feed key may stand in a path, and in file names of updaters: no case, no punctuation. It has 206 random bits.
FEED_KEY_CHARACTERS = 40
_FEED_ALPHABET = string.ascii_lowercase + string.digits
# Longer than any key that is made or may be configured; nothing longer is worth hashing.
MAX_KEY_CHARACTERS = 256
_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A stored key. `id` is None for a key from the settings. Times are aware, in UTC."""

    id: int | None
    name: str
    digest: str
    level: Permission
    application: str | None
    created_at: datetime | None
    expires_at: datetime | None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None

    def usable(self, now: datetime) -> bool:
        """Tell whether the key is neither revoked nor expired at `now`, which is aware UTC."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    def state(self, now: datetime) -> str:
        """Return `usable`, `expired` or `revoked`; what was revoked says so for ever. `now` is aware UTC."""
        if self.revoked_at is not None:
            return "revoked"
        return "usable" if self.usable(now) else "expired"

    def principal(self) -> Principal:
        """Return the principal of requests with this key."""
        return Principal(f"key:{self.digest[:16]}", self.name, self.level, self.application, self.digest)


def new_key() -> str:
    """Return a new key: the prefix `upd_` and 43 characters, of 32 random bytes."""
    return PREFIX + secrets.token_urlsafe(32)


def new_feed_key() -> str:
    """Return a new feed key: 40 lower-case letters and digits."""
    return "".join(secrets.choice(_FEED_ALPHABET) for _ in range(FEED_KEY_CHARACTERS))


def load_secret(path: Path) -> bytes:
    """Read the installation's secret of 32 bytes, made on first use and readable by its owner alone.

    It is on disk before any key is made with it: without it, no key could be recognised after a power cut.

    Raises:
        ConfigurationError: the file is damaged, or cannot be read or made.
    """
    try:
        if not path.exists():
            _make_secret(path)
        secret = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"storage.root: {path} cannot be used: {error.strerror}") from None
    if len(secret) != _SECRET_BYTES:
        raise ConfigurationError(f"storage.root: {path} is damaged; restore it from a backup")
    return secret


def _make_secret(path: Path) -> None:
    temporary = path.with_suffix(".new")
    descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        # Of several processes that start at once, one makes it. The folder itself is locked by who holds it.
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if path.exists():
            temporary.unlink(missing_ok=True)
            return
        os.fchmod(descriptor, 0o600)
        os.ftruncate(descriptor, 0)
        os.write(descriptor, secrets.token_bytes(_SECRET_BYTES))
        os.fsync(descriptor)
        temporary.replace(path)
    finally:
        os.close(descriptor)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class KeyRing:
    """All keys, in memory, found by their keyed hash. Build a new one after a change.

    Keys that were presented before are found by a quicker hash, keyed BLAKE2b under a secret of this object. HMAC for
    each request costs at least 10 % of the processor time of an update check with a key, a copied HMAC object at least
    6 % (see ARCHITECTURE.md). The text of a key is kept nowhere.
    """

    def __init__(self, secret: bytes, keys: Iterable[ApiKey]) -> None:
        self._secret = secret
        self._by_prefix: dict[str, list[tuple[ApiKey, Principal]]] = {}
        for key in keys:
            self._by_prefix.setdefault(key.digest[:16], []).append((key, key.principal()))
        self._quick = hashlib.blake2b(digest_size=32, key=secrets.token_bytes(32))
        self._met: dict[bytes, tuple[ApiKey, Principal]] = {}

    def keys(self) -> list[ApiKey]:
        """Return all keys, those that are revoked or expired too, in no particular order."""
        return [key for found in self._by_prefix.values() for key, _ in found]

    def recognise(self, presented: str, now: datetime) -> Principal | None:
        """Return the principal of the key with this text; None when it is unknown, revoked or expired.

        `now` is aware UTC.
        """
        if len(presented) > MAX_KEY_CHARACTERS:
            return None
        raw = presented.encode("utf-8", "surrogatepass")
        hashed = self._quick.copy()
        hashed.update(raw)
        quick = hashed.digest()
        found = self._met.get(quick)
        if found is None:
            found = self._find(presented)
            if found is None:
                return None
            self._met[quick] = found
        key, principal = found
        return principal if key.usable(now) else None

    def _find(self, presented: str) -> tuple[ApiKey, Principal] | None:
        digest = key_digest(self._secret, presented)
        for found in self._by_prefix.get(digest[:16], ()):
            if hmac.compare_digest(found[0].digest, digest):
                return found
        return None


def key_digest(secret: bytes, key: str) -> str:
    """Return what is kept of a key: HMAC-SHA-256 under `secret`, 64 hex digits. Source: RFC 2104."""
    return hmac.digest(secret, key.encode("utf-8", "surrogatepass"), "sha256").hex()
