"""How many requests a client may send: fixed windows of a minute, in the terms of the library `limits`."""

from __future__ import annotations

import functools
import ipaddress
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from limits import RateLimitItem, RateLimitItemPerMinute

from updater.access.shared import QuotaRequest, SharedWindows
from updater.access.windows import WindowStorage
from updater.settings import RateLimitSettings

# Making a key costs more than counting, and few clients send most of the requests.
_KEPT_KEYS = 4_096

# Longer names belong to nobody; the storage must not keep what they hold.
MAX_NAME_CHARACTERS = 100


class Allowance(NamedTuple):
    """Where a client stands. `reset_at` is in whole seconds since the epoch, `retry_after_s` from now."""

    allowed: bool
    limit: int
    remaining: int
    reset_at: int
    retry_after_s: int


class RateLimits:
    """The limits: anonymous, authenticated, wrong credentials, and attempts to sign in.

    With `shared` they are counted together with other processes, and `ready` must come right before counting.
    """

    def __init__(
        self, *, anonymous: int, authenticated: int, sign_in: int, shared: SharedWindows | None = None
    ) -> None:
        self.shared = shared
        self._storage = shared or WindowStorage()
        self.configure(anonymous=anonymous, authenticated=authenticated, sign_in=sign_in)

    def configure(self, *, anonymous: int, authenticated: int, sign_in: int) -> None:
        """Set the limits, in requests a minute; a limit that changed counts from zero."""
        self._anonymous = _Limit(RateLimitItemPerMinute(anonymous, namespace="anonymous"), self._storage)
        self._authenticated = _Limit(RateLimitItemPerMinute(authenticated, namespace="key"), self._storage)
        self._wrong = _Limit(RateLimitItemPerMinute(sign_in, namespace="wrong-credential"), self._storage)
        self._sign_in = _Limit(RateLimitItemPerMinute(sign_in, namespace="sign-in"), self._storage)
        self._sign_in_name = _Limit(RateLimitItemPerMinute(sign_in, namespace="sign-in-name"), self._storage)

    async def prefetch(self, *, principal_id: str | None, client: str, wrong: bool) -> None:
        """Get ready to count one request: of a known key, or else of an address, perhaps with a wrong credential."""
        if self.shared is None:
            return
        if principal_id is not None:
            needs = [self._authenticated.need(principal_id)]
        else:
            needs = [limit.need(client) for limit in (self._anonymous, *((self._wrong,) if wrong else ()))]
        await self.shared.prefetch(needs)

    def anonymous(self, client: str) -> Allowance:
        """Count one request of an address (see `client_of`)."""
        return self._anonymous.hit(client)

    def authenticated(self, principal_id: str) -> Allowance:
        """Count one request of a known key."""
        return self._authenticated.hit(principal_id)

    def wrong_credential(self, client: str) -> Allowance:
        """Count one wrong credential of an address."""
        return self._wrong.hit(client)

    async def sign_in(self, client: str, name: str) -> Allowance:
        """Count one attempt to sign in, of an address and for a name; the address comes first.

        An address that may not try any more cannot lock a name either.
        """
        name = name[:MAX_NAME_CHARACTERS]
        if self.shared is not None:
            await self.shared.prefetch([self._sign_in.need(client), self._sign_in_name.need(name)])
        by_address = self._sign_in.hit(client)
        return self._sign_in_name.hit(name) if by_address.allowed else by_address


@asynccontextmanager
async def open_limits(settings: RateLimitSettings) -> AsyncIterator[RateLimits | None]:
    """Give the limits for the block, or None when they are switched off.

    Raises:
        ConfigurationError: the extra for Redis is not installed.
    """
    if not settings.enabled:
        yield None
        return
    shared = SharedWindows(settings.storage_url) if settings.storage_url is not None else None
    limits = RateLimits(
        anonymous=settings.anonymous_per_minute,
        authenticated=settings.authenticated_per_minute,
        sign_in=settings.sign_in_per_minute,
        shared=shared,
    )
    if shared is None:
        yield limits
        return
    await shared.start()
    try:
        yield limits
    finally:
        await shared.close()


class _Limit:
    def __init__(self, item: RateLimitItem, storage: WindowStorage | SharedWindows) -> None:
        self._amount = item.amount
        self._expiry_s = item.get_expiry()
        self._key_for = functools.lru_cache(_KEPT_KEYS)(item.key_for)
        self._storage = storage

    def need(self, client: str) -> QuotaRequest:
        return QuotaRequest(self._key_for(client), self._amount)

    def hit(self, client: str) -> Allowance:
        count, reset_at = self._storage.hit(self._key_for(client), self._expiry_s)
        limit = self._amount
        if count <= limit:
            return Allowance(True, limit, limit - count, int(reset_at) + 1, 0)
        return Allowance(False, limit, 0, int(reset_at) + 1, max(1, int(reset_at - time.time()) + 1))


def client_of(address: str) -> str:
    """Return what counts as one client: an IPv4 address, or the /64 an IPv6 address is in."""
    if ":" not in address:
        return address
    try:
        parsed = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((parsed, 64), strict=False))
