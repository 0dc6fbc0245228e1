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

# No user has a longer name; the rest of a longer one is cut off, so that clients cannot fill the storage.
MAX_NAME_CHARACTERS = 100


class Allowance(NamedTuple):
    """The state of a client's limit. `reset_at` is in whole seconds since the epoch, `retry_after_s` from now."""

    allowed: bool
    limit: int
    remaining: int
    reset_at: int
    retry_after_s: int


class RateLimits:
    """The limits: anonymous, authenticated, wrong credentials, and attempts to sign in.

    With `shared` they are counted together with other processes, and `prefetch` must come right before counting.
    """

    def __init__(
        self, *, anonymous: int, authenticated: int, sign_in: int, shared: SharedWindows | None = None
    ) -> None:
        self.shared = shared
        self._storage = shared or WindowStorage()
        self.configure(anonymous=anonymous, authenticated=authenticated, sign_in=sign_in)

    def configure(self, *, anonymous: int, authenticated: int, sign_in: int) -> None:
        """Set the limits, in requests a minute; a limit that changed counts from zero.

        Args:
            anonymous: for an address without a credential.
            authenticated: for a known key, session or token.
            sign_in: for wrong credentials of an address, sign-in attempts of an address, and sign-in attempts for a
            name.
        """
        self._anonymous = _Limit(RateLimitItemPerMinute(anonymous, namespace="anonymous"), self._storage)
        self._authenticated = _Limit(RateLimitItemPerMinute(authenticated, namespace="key"), self._storage)
        self._wrong = _Limit(RateLimitItemPerMinute(sign_in, namespace="wrong-credential"), self._storage)
        self._sign_in = _Limit(RateLimitItemPerMinute(sign_in, namespace="sign-in"), self._storage)
        self._sign_in_name = _Limit(RateLimitItemPerMinute(sign_in, namespace="sign-in-name"), self._storage)

    async def prefetch(self, *, principal_id: str | None, client: str, wrong: bool) -> None:
        """Fetch shares from Redis, so that one request can be counted; without shared windows do nothing.

        Args:
            principal_id: the known principal of the request, or None.
            client: the address (see `client_of`); counts when `principal_id` is None.
            wrong: whether a wrong credential will be counted too.
        """
        if self.shared is None:
            return
        if principal_id is not None:
            quotas = [self._authenticated.quota(principal_id)]
        else:
            quotas = [limit.quota(client) for limit in (self._anonymous, *((self._wrong,) if wrong else ()))]
        await self.shared.prefetch(quotas)

    def anonymous(self, client: str) -> Allowance:
        """Count one request of an address (see `client_of`). Returns: where the address stands after it."""
        return self._anonymous.hit(client)

    def authenticated(self, principal_id: str) -> Allowance:
        """Count one request of a known principal. Returns: where the principal stands after it."""
        return self._authenticated.hit(principal_id)

    def wrong_credential(self, client: str) -> Allowance:
        """Count one wrong credential of an address. Returns: where the address stands after it."""
        return self._wrong.hit(client)

    async def sign_in(self, client: str, name: str) -> Allowance:
        """Count one attempt to sign in, first for the address, then for the name.

        An address that is over its limit does not count for the name, so it cannot lock the name.

        Returns: the allowance of the address when it is over its limit, else that of the name.
        """
        name = name[:MAX_NAME_CHARACTERS]
        if self.shared is not None:
            await self.shared.prefetch([self._sign_in.quota(client), self._sign_in_name.quota(name)])
        by_address = self._sign_in.hit(client)
        return self._sign_in_name.hit(name) if by_address.allowed else by_address


@asynccontextmanager
async def open_limits(settings: RateLimitSettings) -> AsyncIterator[RateLimits | None]:
    """Give the limits for the block, or None when they are switched off.

    Raises:
        ConfigurationError: the extra for Redis is not installed, the address does not fit, or Redis refuses for good.
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

    def quota(self, client: str) -> QuotaRequest:
        return QuotaRequest(self._key_for(client), self._amount)

    def hit(self, client: str) -> Allowance:
        count, reset_at = self._storage.hit(self._key_for(client), self._expiry_s)
        limit = self._amount
        if count <= limit:
            return Allowance(True, limit, limit - count, int(reset_at) + 1, 0)
        return Allowance(False, limit, 0, int(reset_at) + 1, max(1, int(reset_at - time.time()) + 1))


def client_of(address: str) -> str:
    """Return what counts as one client: an IPv4 address, or the /64 network of an IPv6 address.

    A zone is dropped, an IPv4-mapped address is its IPv4 address, and what is no IPv6 address is returned as it is.
    """
    if ":" not in address:
        return address
    try:
        parsed = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((parsed, 64), strict=False))
