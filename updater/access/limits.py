"""How much a client may ask: fixed windows of a minute by class of traffic, and downloads that run at once.

Owns which windows a request counts in. Who asks, and what a request is for, the gate tells.
"""

from __future__ import annotations

import functools
import hashlib
import ipaddress
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from enum import Enum
from typing import NamedTuple

from updater.access.shared import QuotaRequest, SharedWindows
from updater.access.windows import WindowStorage
from updater.settings import RateLimitSettings

# Reading an address costs more than counting, and few clients send most of the requests.
_KEPT_CLIENTS = 4_096
_WINDOW_S = 60
# Ids of so many characters are their own keys: what most clients send, a UUID.
_SHORT_ID = 40
# All addresses of a /48 of IPv6 together have so many times the limit of one client, a /64.
NETWORK_TIMES = 8
# A client that has as many downloads as it may is told to ask again after so long.
RETRY_DOWNLOAD_S = 5


class Traffic(Enum):
    """What a route is for, as limits see it. `FREE` is never refused: health and metrics.

    Feeds and the pieces of uploads count in the windows of downloads, but are none: they run at once with any number
    of them.
    """

    FREE = "free"
    GENERAL = "general"
    CHECK = "check"
    DOWNLOAD = "download"
    FEED = "feed"
    PIECE = "piece"


_AS_DOWNLOADS = (Traffic.DOWNLOAD, Traffic.FEED, Traffic.PIECE)


class Allowance(NamedTuple):
    """The state of a client's limit. `reset_at` is in whole seconds since the epoch, `retry_after_s` from now."""

    allowed: bool
    limit: int
    remaining: int
    reset_at: int
    retry_after_s: int


class WindowLimit:
    """One limit: so many in a minute, for each key. What counts as one, its owner says."""

    def __init__(self, name: str, amount: int, storage: WindowStorage | SharedWindows) -> None:
        self._amount = amount
        # Also how processes of earlier versions name it in Redis.
        self._before, self._after = f"{name}/", f"/{amount}/1/minute"
        self._storage = storage

    def quota(self, key: str) -> QuotaRequest:
        """Return what to ask Redis for before one is counted."""
        return QuotaRequest(self._before + key + self._after, self._amount)

    def hit(self, key: str) -> Allowance:
        """Count one. Returns: where the key stands after it."""
        count, left_s = self._storage.hit(self._before + key + self._after, _WINDOW_S)
        return self._allowance(count, left_s, allowed=count <= self._amount)

    def find_refusal(self, key: str) -> Allowance | None:
        """Count one. Returns: where the key stands when this was too much, else None, which costs less than to say."""
        count, left_s = self._storage.hit(self._before + key + self._after, _WINDOW_S)
        return None if count <= self._amount else self._allowance(count, left_s, allowed=False)

    def is_used_up(self, key: str) -> bool:
        """Tell whether one more would be too much, without counting."""
        return self._storage.peek(self._before + key + self._after, _WINDOW_S)[0] >= self._amount

    def peek(self, key: str) -> Allowance:
        """Return where a key stands, without counting; `allowed` tells whether one more would fit."""
        count, left_s = self._storage.peek(self._before + key + self._after, _WINDOW_S)
        return self._allowance(count, left_s, allowed=count < self._amount)

    def charge(self, key: str, amount: int) -> None:
        """Count what was used already, beyond the limit too."""
        self._storage.charge(self._before + key + self._after, _WINDOW_S, amount)

    def give_back(self, key: str) -> None:
        """Take one back."""
        self._storage.give_back(self._before + key + self._after)

    def _allowance(self, count: int, left_s: float, *, allowed: bool) -> Allowance:
        limit, reset_at = self._amount, int(time.time() + left_s) + 1
        if allowed:
            return Allowance(True, limit, limit - count, reset_at, 0)
        return Allowance(False, limit, 0, reset_at, int(left_s) + 1)


# A limit, and the key that counts there.
Window = tuple[WindowLimit, str]


class RateLimits:
    """All limits, as the settings give them.

    With `shared`, windows are counted together with other processes, and `prefetch` must come right before counting.
    Downloads that run at once are counted by each process for itself.
    """

    def __init__(self, settings: RateLimitSettings, shared: SharedWindows | None = None) -> None:
        self.shared = shared
        self._storage = WindowStorage() if shared is None else shared
        self._running: dict[str, int] = {}
        self.configure(settings)

    def configure(self, settings: RateLimitSettings) -> None:
        """Set the limits; one that changed counts from zero."""
        sign_in = settings.sign_in_per_minute
        self._anonymous = self._pair("anonymous", settings.anonymous_per_minute)
        self._client_id = self._limit("client-id", settings.anonymous_per_minute)
        self._checks = self._pair("checks", settings.checks_per_minute)
        self._authenticated = self._pair("key", settings.authenticated_per_minute)
        self._downloads = self._pair("downloads", settings.downloads_per_minute)
        self._download_bytes = self._limit("download-bytes", settings.download_bytes_per_minute)
        self._downloads_at_once = settings.downloads_at_once
        self._wrong = self._limit("wrong-credential", sign_in)
        self.sign_in_address = self._limit("sign-in", sign_in)
        self.sign_in_name = self._limit("sign-in-name", sign_in)
        # What failures at one place count for a name: never all that the name has.
        self.sign_in_place = self._limit("sign-in-place", max(1, sign_in // 2))
        self.sign_in_device = self._limit("sign-in-device", sign_in)

    def _limit(self, name: str, amount: int) -> WindowLimit:
        return WindowLimit(name, amount, self._storage)

    def _pair(self, name: str, amount: int) -> _Pair:
        return _Pair(self._limit(name, amount), self._limit(f"{name}-network", amount * NETWORK_TIMES))

    # -- which windows a request counts in; clients are those of `client_of`. The first window is the one to be told of

    def of_address(self, client: str, traffic: Traffic) -> Sequence[Window]:
        """Return the windows of a request without a credential."""
        return (self._downloads if traffic in _AS_DOWNLOADS else self._anonymous).windows(client)

    def of_client_id(self, client: str, client_id: str) -> Sequence[Window]:
        """Return the windows of an update check that names its client: its own, and then the larger of its address."""
        if len(client_id) <= _SHORT_ID and client_id.isascii():
            # No digest begins so.
            key = f"{client} ={client_id}"
        else:
            digest = hashlib.blake2b(client_id.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()
            key = f"{client} {digest}"
        return [(self._client_id, key), *self._checks.windows(client)]

    def of_unknown(self, client: str, *, guessed: bool) -> Sequence[Window]:
        """Return the windows of a request whose credential names nobody. `guessed`: it may be a guess."""
        windows = self._anonymous.windows(client)
        return [*windows, (self._wrong, client)] if guessed else windows

    def of_principal(self, principal_id: str, client: str | None, traffic: Traffic) -> Sequence[Window]:
        """Return the windows of a known key, person or token; with `client`, it has them for each client."""
        pair = self._downloads if traffic in _AS_DOWNLOADS else self._authenticated
        return [(pair.limit, principal_id)] if client is None else pair.windows(client, f"{principal_id} ")

    # -- counting

    async def prefetch(self, windows: Sequence[Window]) -> None:
        """Fetch shares from Redis, so that one can be counted in each window; without shared windows do nothing."""
        if self.shared is not None:
            await self.shared.prefetch([limit.quota(key) for limit, key in windows])

    def count(self, windows: Sequence[Window]) -> Allowance:
        """Count one request. Returns: a window that is used up, else where the first one stands after it.

        The first windows may be anybody's invention, so none begins for a request that a later one refuses.
        """
        limit, key = windows[0]
        if len(windows) == 1:
            return limit.hit(key)
        for other, other_key in windows[1:]:
            if other.is_used_up(other_key):
                return other.peek(other_key)
        first = limit.hit(key)
        if first.allowed:
            for limit, key in windows[1:]:
                refusal = limit.find_refusal(key)
                if refusal is not None:
                    return refusal
        return first

    def peek(self, client: str) -> Allowance:
        """Return where an address stands, without counting: a window that is used up, else its own."""
        states = [limit.peek(key) for limit, key in self._anonymous.windows(client)]
        return next((each for each in states if not each.allowed), states[0])

    # -- downloads, each by who asks: the id of a principal, an address, or both

    def bytes_of(self, asker: str) -> Window:
        """Return the window of the bytes that somebody downloads."""
        return self._download_bytes, asker

    def begin_download(self, asker: str) -> Allowance | None:
        """Count a download in. Returns: None, or why there is none: the bytes of this minute, or too many at once."""
        allowance = self._download_bytes.peek(asker)
        if not allowance.allowed:
            return allowance
        running = self._running.get(asker, 0)
        if running >= self._downloads_at_once:
            most = self._downloads_at_once
            return Allowance(False, most, 0, int(time.time()) + RETRY_DOWNLOAD_S, RETRY_DOWNLOAD_S)
        self._running[asker] = running + 1
        return None

    def end_download(self, asker: str, sent_bytes: int) -> None:
        """Count a download out, and the bytes that it sent."""
        running = self._running.get(asker, 0) - 1
        if running > 0:
            self._running[asker] = running
        else:
            self._running.pop(asker, None)
        if sent_bytes:
            self._download_bytes.charge(asker, sent_bytes)


class _Pair(NamedTuple):
    """A limit of clients, and that of their networks."""

    limit: WindowLimit
    network: WindowLimit

    def windows(self, client: str, prefix: str = "") -> list[Window]:
        """Return the client's window and, for IPv6, that of its network; keys begin with `prefix`."""
        key = prefix + client
        if ":" not in client:
            return [(self.limit, key)]
        return [(self.limit, key), (self.network, prefix + network_of(client))]


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
    limits = RateLimits(settings, shared)
    if shared is None:
        yield limits
        return
    await shared.start()
    try:
        yield limits
    finally:
        await shared.close()


def client_of(address: str) -> str:
    """Return what counts as one client: an IPv4 address, or the /64 network of an IPv6 address.

    A zone is dropped, an IPv4-mapped address is its IPv4 address, and what is no IPv6 address is returned as it is.
    """
    return address if ":" not in address else _client_of(address)


@functools.lru_cache(_KEPT_CLIENTS)
def _client_of(address: str) -> str:
    try:
        parsed = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((parsed, 64), strict=False))


@functools.lru_cache(_KEPT_CLIENTS)
def network_of(client: str) -> str:
    """Return the /48 network of a client (see `client_of`) that is a /64 of IPv6, any other client as it is."""
    try:
        return str(ipaddress.IPv6Network(client, strict=False).supernet(new_prefix=48))
    except ValueError:
        return client
