"""The gate: the one middleware that every request passes.

In the order the documents give: rate limit, credential, permission, existence, then the handler; afterwards the
access log line and the metrics. It is one function because each further middleware costs the check path dearly.

What a refused request costs is bounded: the router reads paths of few parts only, credentials are named from memory,
and for an address that has used up its limit only a session that was good a short while ago is looked up.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import hdrs, web

from updater.access.addresses import AddressReader
from updater.access.limits import RateLimits
from updater.access.principals import Permission
from updater.catalog.model import APPLICATION_ID
from updater.errors import Failure, Forbidden, Malformed, NotFound
from updater.logs.loggers import get_logger
from updater.offers.snapshot import Snapshot
from updater.web.gate.access_log import AccessLog
from updater.web.gate.context import CONTEXT, MatchedRoute, RequestContext
from updater.web.gate.credentials import API_KEY
from updater.web.gate.cross_origin import CrossOrigin
from updater.web.gate.limiting import Limiter
from updater.web.gate.metrics import Metrics
from updater.web.gate.origins import require_own_authority
from updater.web.gate.routing import Surface, contract_of
from updater.web.messages.errors import Answer, answer_for, unexpected
from updater.web.messages.path_keys import hide_key
from updater.web.messages.user_agents import AgentReader

_log = get_logger("updater.request")
# Looked up for every request; each is an `istr`, which is folded once.
_CREDENTIAL_HEADERS = (hdrs.AUTHORIZATION, API_KEY, hdrs.CONTENT_LENGTH)
_UNMATCHED = "unmatched"
# How much of a path is logged.
_SHOWN_CHARACTERS = 300
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"))
# What the log says of requests that no status ended; the first as nginx has it.
CLIENT_GONE, ANSWER_CUT = 499, 599


@dataclass(frozen=True)
class GateParts:
    """What the gate needs of the house."""

    limits: RateLimits | None
    addresses: AddressReader
    metrics: Metrics
    access_log: AccessLog | None
    # Reads what the access log says of a client's software.
    agents: AgentReader
    # Raises NotFound for an application that does not exist.
    get_snapshot: Callable[[str], Snapshot]
    # Where several processes share a database: return when this one knows what the others did.
    catch_up: Callable[[], Awaitable[None]] | None = None
    # None: no page of another site reads anything.
    cross_origin: CrossOrigin | None = None


class Gate:
    """The middleware.

    A route belongs to its surface; a path with another method than its routes have belongs to the first surface whose
    prefix fits. `fallback` answers for paths of no surface.
    """

    def __init__(self, parts: GateParts, surfaces: Sequence[Surface], *, fallback: Surface) -> None:
        self._parts = parts
        self._surfaces = tuple(surfaces)
        self._matched: dict[web.AbstractRoute, MatchedRoute] = {}
        self._fallback = fallback
        self._cross_origin = parts.cross_origin
        # From now on every connection ends with its next answer.
        self.draining = False
        self._id_prefix = f"req_{secrets.token_hex(4)}"
        self._count = 0
        limits = parts.limits
        self._limiter = None if limits is None else Limiter(limits, parts.addresses, parts.metrics)
        self._shares_limits = limits is not None and limits.shared is not None

    @web.middleware
    async def handle(self, request: web.Request, handler: Callable[..., Any]) -> web.StreamResponse:
        """Let a request through, or answer why not.

        Raises:
            ConnectionError: the client is gone. CancelledError: the service stops, and the request outlasted
            `server.drain_s`. Any other error of a handler whose answer has begun; the connection is then cut.
        """
        started = time.perf_counter()
        self._count += 1
        found = request.match_info
        matched = self._matched.get(found.route) or self._match(request)
        surface = matched.surface
        application_id = found.get("app_id", surface.application)
        context = request[CONTEXT] = RequestContext(f"{self._id_prefix}{self._count:06x}", matched, application_id)
        context.closing = self.draining
        if self._cross_origin is not None and matched.of_clients:
            context.cross_origin = self._cross_origin.headers_for(request)
        try:
            if not _identify(request, context):
                await self._look_up(request, context)
            if self._limiter is not None:
                if self._shares_limits:
                    await self._limiter.prefetch(request, context)
                self._limiter.admit(request, context)
            try:
                self._admit(request, context)
            except NotFound:
                await self._look_again(request, application_id)
            response: web.StreamResponse | None = None
            if self._cross_origin is not None and request.method == hdrs.METH_OPTIONS:
                response = await self._cross_origin.preflight(request)
            if response is None:
                response = await handler(request)
        except ConnectionError:
            # The client is gone; aiohttp knows and stays quiet.
            self._record(request, context, CLIENT_GONE, context.sent_bytes, started)
            raise
        except asyncio.CancelledError:
            # The service stops, and this outlasted `server.drain_s`.
            context.outcome = "stopped"
            self._record(request, context, ANSWER_CUT, context.sent_bytes, started)
            raise
        except Exception as error:
            if context.begun:
                # The head is out: an error rendered now would be written into the download.
                _abort(request, context, error)
                self._record(request, context, ANSWER_CUT, context.sent_bytes, started)
                raise
            answer = _answer(error, context, request)
            context.outcome = answer.code
            response = surface.write_error(answer, context.id)
            if hdrs.CONNECTION in answer.headers:
                response.force_close()  # the header alone would let a client that goes on sending go on
        if not context.begun:
            context.closing = self.draining
            context.begin(response)
        body = getattr(response, "body", None)
        sent = len(body) if isinstance(body, bytes) else context.sent_bytes
        self._record(request, context, response.status, sent, started)
        return response

    def waits_for_nothing(self, request: web.Request) -> bool:
        """Tell whether `handle` waits for nothing on its way to the handler of a request that is no OPTIONS."""
        if self._shares_limits:
            return False
        found = request.match_info
        matched = self._matched.get(found.route) or self._match(request)
        for header in matched.looked_up:
            if header is None or header in request.headers:
                return False
        if self._parts.catch_up is not None:
            application_id = found.get("app_id", matched.surface.application)
            try:
                if application_id is not None:
                    self._parts.get_snapshot(application_id)
            except Failure:
                return False
        return True

    def _admit(self, request: web.Request, context: RequestContext) -> None:
        """Refuse in the documents' order. Raises Malformed, Unauthenticated, Forbidden, NotFound."""
        surface, level, _, known, _, _, requirement, _ = context.matched
        require_own_authority(request)
        if not known:
            return
        _refuse_duplicates(request)
        application_id = context.application_id
        if level is not None:
            authenticator = context.authenticator or surface.authenticators[0]
            authenticator.authorize(request, context.principal, level, application_id)
            if requirement is not None and (context.principal is None or not requirement.holds(context.principal)):
                raise Forbidden(requirement.refusal)
        if application_id is not None:
            self.require_application(request, application_id)

    def require_application(self, request: web.Request, application_id: str) -> None:
        """Require an application, and where the route itself is public, a credential for a private one.

        The one place that tells who may ask about an application as its installed clients do.

        Raises:
            NotFound: no such application. Unauthenticated, Forbidden: it is private. Unavailable: not known now.
        """
        snapshot, context = self._parts.get_snapshot(application_id), request[CONTEXT]
        if not snapshot.application.private or context.matched.level is not None:
            return
        context.private = True
        if context.failure is not None:
            raise context.failure
        authenticator = context.authenticator or context.matched.surface.authenticators[0]
        authenticator.authorize(request, context.principal, Permission.FEED, application_id)

    async def _look_again(self, request: web.Request, application_id: str | None) -> None:
        """Ask the database for an application another process may just have made: the last thing `_admit` asks.

        Raises:
            NotFound: it is not there either, or no application can have this id.
        """
        catch_up = self._parts.catch_up
        if catch_up is not None and application_id is not None and APPLICATION_ID.fullmatch(application_id):
            await catch_up()
        self.require_application(request, application_id or "")

    async def _look_up(self, request: web.Request, context: RequestContext) -> None:
        """Name the principal of a credential that the database knows.

        Public routes answer while the database does not: there, a failure leaves the request without a principal.
        """
        authenticator, presented = context.authenticator, context.presented
        if authenticator is None or authenticator.find is None or presented is None:
            return
        limiter = self._limiter
        if limiter is not None and not authenticator.recognises(presented) and limiter.is_used_up(request, context):
            return
        try:
            context.principal = await authenticator.find(presented)
        except Failure as error:
            if context.matched.level is not None:
                raise
            context.failure = error

    def _match(self, request: web.Request) -> MatchedRoute:
        """Return where a request went, and remember it for a known route."""
        route = request.match_info.route
        if route.resource is not None:
            matched = self._matched[route] = self.describe(route, route.resource.canonical)
            return matched
        # A path without any route belongs to no surface, wherever it lies.
        unknown = isinstance(request.match_info.http_exception, web.HTTPNotFound)
        surface = self._fallback if unknown else self._surface_of(request.path)
        return MatchedRoute(surface, None, _UNMATCHED, known=False)

    def describe(self, route: web.AbstractRoute, path: str) -> MatchedRoute:
        """Return the surface and the level of a route with this canonical path."""
        surface, contract = self._owner_of(route) or self._surface_of(path), contract_of(route.handler)
        if contract is None:
            return MatchedRoute(surface, None, path, known=False)
        level = contract.level_on(surface)
        of_clients = level is None and contract.is_of_clients(path)
        looked_up = tuple(each.header for each in surface.authenticators if each.find is not None)
        return MatchedRoute(surface, level, path, True, contract.traffic, of_clients, contract.requirement, looked_up)

    def _owner_of(self, route: web.AbstractRoute) -> Surface | None:
        """Return the first surface that has a route's handler; asked once for each route."""
        surfaces = (each for each in self._surfaces if any(own.handler == route.handler for own in each.known_routes))
        return next(surfaces, None)

    def _surface_of(self, path: str) -> Surface:
        return next((surface for surface in self._surfaces if path.startswith(surface.prefix)), self._fallback)

    def _record(self, request: web.Request, context: RequestContext, status: int, sent: int, started: float) -> None:
        """Count and log one request, however it ended."""
        if context.downloads_as is not None and self._limiter is not None:
            self._limiter.end(context, sent)
        duration_s = time.perf_counter() - started
        method = request.method
        # A client may send any word as a method.
        self._parts.metrics.observe(
            context.matched.path, method if method in _METHODS else "OTHER", status, sent, duration_s
        )
        access_log = self._parts.access_log
        if access_log is not None:
            principal = context.principal
            agent = self._parts.agents.of(request)
            access_log.add(
                {
                    "id": context.id,
                    "method": method,
                    "path": _shown_path(request),
                    "status": status,
                    "ms": int(duration_s * 1_000_000) / 1000,
                    "bytes": sent,
                    "application": context.application_id,
                    "outcome": context.outcome,
                    "key": principal.name if principal is not None else None,
                    "client": context.client_address(request, self._parts.addresses),
                    "agent": agent.text,
                    "agent_version": agent.version,
                    "agent_platform": agent.platform,
                }
            )


GATE = web.AppKey("gate", Gate)


def _identify(request: web.Request, context: RequestContext) -> bool:
    """Read the credential of a request, and name its principal; False when `_look_up` has to do that.

    Where access control is off, requests without a key have a principal too, and no other credential is read.
    """
    headers = request.headers
    for authenticator in context.matched.surface.authenticators:
        header = authenticator.header
        presented = authenticator.read(request) if header is None or header in headers else None
        identify = authenticator.identify
        principal = None if identify is None else identify(presented)
        if presented is not None or principal is not None:
            context.authenticator, context.presented, context.principal = authenticator, presented, principal
            return identify is not None
    return True


def _answer(error: Exception, context: RequestContext, request: web.Request) -> Answer:
    answer = answer_for(error)
    if answer is None:
        _log.error("request.failed", id=context.id, path=_shown_path(request), exc_info=error)
        return unexpected()
    if answer.status >= 500:
        _log.warning("request.unavailable", id=context.id, path=_shown_path(request), cause=repr(error.__cause__))
    return answer


def _shown_path(request: web.Request) -> str:
    raw = request.rel_url.raw_path
    return hide_key(request.path if "%" in raw else raw)[:_SHOWN_CHARACTERS]


def _abort(request: web.Request, context: RequestContext, error: Exception) -> None:
    _log.warning("request.cut", id=context.id, path=_shown_path(request), cause=type(error).__name__)
    if request.transport is not None:
        request.transport.abort()


def _refuse_duplicates(request: web.Request) -> None:
    """Refuse a credential given twice: two readers could each believe another one. Raises Malformed."""
    headers = request.headers
    for name in _CREDENTIAL_HEADERS:
        if name in headers and len(headers.getall(name)) > 1:
            raise Malformed(f"The header {name} was given more than once")
