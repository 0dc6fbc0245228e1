"""Limits in the gate: which windows a request counts in, and the refusal when one is used up.

Nothing here reads more of a request than its address, a header or two, and a bounded part of its query.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from aiohttp import web
from multidict import istr

from updater.access.addresses import AddressReader
from updater.access.limits import Allowance, RateLimits, Traffic, Window, client_of
from updater.access.principals import EVERYBODY, Permission, Principal
from updater.errors import RateLimited
from updater.web.gate.context import RequestContext
from updater.web.gate.metrics import Metrics

# Where installed clients name themselves, beside the query: ours, and electron-updater.
_ID_HEADERS = (istr("X-Client-Id"), istr("x-user-staging-id"))
# `stagingId` is Velopack's. What it is worth does not matter here, so it stays encoded.
_ID_QUERY = re.compile(r"(?:^|&)(?:client_id|stagingId)=([^&]{1,200})")
_LONGEST_ID_CHARACTERS = 200
_MOST_QUERY_CHARACTERS = 2_048


class Limiter:
    """Counts requests, and refuses those beyond a limit."""

    def __init__(self, limits: RateLimits, addresses: AddressReader, metrics: Metrics) -> None:
        self._limits = limits
        self._addresses = addresses
        self._metrics = metrics

    def is_used_up(self, request: web.Request, context: RequestContext) -> bool:
        """Tell whether the client's address has nothing left, before its credential costs anything."""
        return not self._limits.peek(self._client(request, context)).allowed

    async def prefetch(self, request: web.Request, context: RequestContext) -> None:
        """Ask for what `admit` is about to count, where processes count together; else do nothing."""
        limits = self._limits
        if limits.shared is None or context.matched.traffic is Traffic.FREE:
            return
        windows = self._windows(request, context)
        if context.matched.traffic is Traffic.DOWNLOAD:
            windows = [*windows, limits.bytes_of(self._asker(request, context))]
        await limits.prefetch(windows)

    def admit(self, request: web.Request, context: RequestContext) -> None:
        """Count a request, where its route is limited at all. `end` must follow.

        Raises:
            RateLimited: a limit is used up; `context.allowance` is that limit's.
        """
        traffic = context.matched.traffic
        if traffic is Traffic.FREE:
            self._show(request, context)
            return
        allowance = context.allowance = self._limits.count(self._windows(request, context))
        if not allowance.allowed:
            self._refuse(allowance)
        if traffic is Traffic.DOWNLOAD:
            asker = self._asker(request, context)
            refusal = self._limits.begin_download(asker)
            if refusal is not None:
                context.allowance = refusal
                self._refuse(refusal)
            context.downloads_as = asker

    def end(self, context: RequestContext, sent_bytes: int) -> None:
        """Count out what `admit` counted in, however the request ended."""
        if context.downloads_as is not None:
            self._limits.end_download(context.downloads_as, sent_bytes)
            context.downloads_as = None

    def _show(self, request: web.Request, context: RequestContext) -> None:
        """Tell where the address stands. A credential that names nobody counts, since it was looked for."""
        client = self._client(request, context)
        if context.principal is None and context.authenticator is not None:
            self._limits.count(self._limits.of_address(client, Traffic.GENERAL))
        context.allowance = self._limits.peek(client)

    def _windows(self, request: web.Request, context: RequestContext) -> Sequence[Window]:
        principal, authenticator, traffic = context.principal, context.authenticator, context.matched.traffic
        limits = self._limits
        if principal is not None and principal is not EVERYBODY:
            client = self._client(request, context) if _is_shared(principal) else None
            return limits.of_principal(principal.id, client, traffic)
        client = self._client(request, context)
        if principal is None and authenticator is not None:
            return limits.of_unknown(client, guessed=authenticator.guessable)
        if traffic is Traffic.CHECK:
            client_id = find_client_id(request)
            if client_id is not None:
                return limits.of_client_id(client, client_id)
        return limits.of_address(client, traffic)

    def _asker(self, request: web.Request, context: RequestContext) -> str:
        principal = context.principal
        if principal is None or principal is EVERYBODY:
            return self._client(request, context)
        return f"{principal.id} {self._client(request, context)}" if _is_shared(principal) else principal.id

    def _client(self, request: web.Request, context: RequestContext) -> str:
        return client_of(context.client_address(request, self._addresses))

    def _refuse(self, allowance: Allowance) -> None:
        self._metrics.limited.inc()
        raise RateLimited("Too many requests", retry_after_s=max(1, allowance.retry_after_s))


def find_client_id(request: web.Request) -> str | None:
    """Return what an installed client calls itself, at most 200 characters of it; None when it does not."""
    query = request.rel_url.raw_query_string
    # Most queries name none, and a search for words costs a tenth of one for the pattern.
    if "client_id=" in query or "stagingId=" in query:
        found = _ID_QUERY.search(query, 0, _MOST_QUERY_CHARACTERS)
        if found is not None:
            return found[1]
    headers = request.headers
    for name in _ID_HEADERS:
        given = headers.get(name)
        if given:
            return given[:_LONGEST_ID_CHARACTERS]
    return None


def _is_shared(principal: Principal) -> bool:
    """Tell a key that a fleet may hold, in its installers: each address that uses it counts for itself."""
    return principal.key_hash is not None and principal.level < Permission.WRITE
