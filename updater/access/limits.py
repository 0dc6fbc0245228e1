"""How many requests a client may send: fixed windows of a minute, counted by the library `limits`."""

from __future__ import annotations

import ipaddress
import time
from dataclasses import dataclass

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import MemoryStorage


@dataclass(frozen=True, slots=True)
class Allowance:
    """Where a client stands. `reset_at` is in whole seconds since the epoch, `retry_after_s` from now."""

    allowed: bool
    limit: int
    remaining: int
    reset_at: int
    retry_after_s: int


class RateLimits:
    """The three limits: anonymous, authenticated, and wrong credentials."""

    def __init__(self, *, anonymous: int, authenticated: int, sign_in: int) -> None:
        self._storage = MemoryStorage()
        self.configure(anonymous=anonymous, authenticated=authenticated, sign_in=sign_in)

    def configure(self, *, anonymous: int, authenticated: int, sign_in: int) -> None:
        """Set the limits, in requests a minute; what was counted so far stays."""
        self._anonymous = RateLimitItemPerMinute(anonymous, namespace="anonymous")
        self._authenticated = RateLimitItemPerMinute(authenticated, namespace="key")
        self._sign_in = RateLimitItemPerMinute(sign_in, namespace="sign-in")

    def anonymous(self, client: str) -> Allowance:
        """Count one request of an address (see `client_of`)."""
        return self._hit(self._anonymous, client)

    def authenticated(self, principal_id: str) -> Allowance:
        """Count one request of a known key."""
        return self._hit(self._authenticated, principal_id)

    def wrong_credential(self, client: str) -> Allowance:
        """Count one wrong credential of an address."""
        return self._hit(self._sign_in, client)

    def _hit(self, item: RateLimitItem, client: str) -> Allowance:
        key = item.key_for(client)
        count = self._storage.incr(key, item.get_expiry())
        reset_at = self._storage.get_expiry(key)
        limit = item.amount
        wait_s = max(1, int(reset_at - time.time()) + 1) if count > limit else 0
        return Allowance(count <= limit, limit, max(0, limit - count), int(reset_at) + 1, wait_s)


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
