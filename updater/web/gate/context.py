"""What the gate knows of one request, and what every answer carries.

The gate completes the answers that handlers return. A handler that sends its answer itself calls `begin` first: a hook
of aiohttp for all answers would cost the check path three microseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from aiohttp import hdrs, web
from multidict import CIMultiDict, istr

from updater.access.addresses import AddressReader
from updater.access.limits import Allowance, Traffic
from updater.access.principals import EVERYBODY, Permission, Principal
from updater.audit.model import Actor
from updater.errors import Failure
from updater.web.gate.routing import Authenticator, Requirement, Surface

# Set on every answer: an `istr` is folded once.
_SERVER, _REQUEST_ID = istr("Server"), istr("X-Request-Id")
_NO_SNIFF = istr("X-Content-Type-Options")
_FORWARDED_FOR = istr("X-Forwarded-For")
_LIMIT, _REMAINING, _RESET = istr("X-RateLimit-Limit"), istr("X-RateLimit-Remaining"), istr("X-RateLimit-Reset")


class MatchedRoute(NamedTuple):
    """Where a request went: the surface that answers, the level it asks for, the path for figures, and its limits.

    `level` None: the route is public. `known` False: no handler of ours has this path and method.
    """

    surface: Surface
    level: Permission | None
    path: str
    known: bool
    traffic: Traffic = Traffic.GENERAL
    # Installed clients ask this.
    of_clients: bool = False
    requirement: Requirement | None = None
    # The headers whose credentials the database has to name; None: one that is looked for elsewhere.
    looked_up: tuple[istr | None, ...] = ()


class RequestContext:
    """What the gate knows of one request. What most requests never change is set once, for all of them."""

    # What came of it, in a word for the access log: a handler's own, or the code of a refusal.
    outcome = "ok"
    principal: Principal | None = None
    # The credential that the request holds, and its kind; an unknown or expired one has no principal.
    presented: str | None = None
    authenticator: Authenticator | None = None
    allowance: Allowance | None = None
    # What kept the database from naming the principal, on a route that is public for most applications.
    failure: Failure | None = None
    # A public route was asked about a private application: no shared cache may keep the answer.
    private = False
    # As whom a download was counted in; None for everything else.
    downloads_as: str | None = None
    # What lets pages of other sites read the answer; None where no other site may.
    cross_origin: Mapping[str, str] | None = None
    begun = False
    # Set while the process drains: the connection ends with this answer.
    closing = False
    sent_bytes = 0
    # Worked out when it is first needed: reading it through proxies costs microseconds.
    _address: str | None = None

    def __init__(self, request_id: str, matched: MatchedRoute, application_id: str | None) -> None:
        self.id = request_id
        self.matched = matched
        self.application_id = application_id

    def client_address(self, request: web.Request, reader: AddressReader) -> str:
        """Return the address of the client that sent this request; empty behind a Unix socket.

        It is the last hop that is no trusted proxy. Source: `AddressReader`, RFC 7239 section 7.4.
        """
        address = self._address
        if address is None:
            peer = request.remote
            address = peer or ""
            if reader.believes(peer):
                address = reader.client_address(peer, ",".join(request.headers.getall(_FORWARDED_FOR, ())))
            self._address = address
        return address

    @property
    def actor(self) -> Actor:
        """Return who makes the changes of this request. Routes that change something ask for a permission."""
        return (self.principal or EVERYBODY).actor

    def may(self, level: Permission, application_id: str) -> bool:
        """Tell whether the credential opens an application at a level, where the route itself does not ask."""
        principal = self.principal
        return principal is not None and principal.level >= level and principal.application in (None, application_id)

    def begin(self, response: web.StreamResponse) -> None:
        """Add what every answer carries; from now on the answer is out, and errors can only cut it.

        `X-RateLimit-Reset` is in seconds since the epoch, UTC.
        """
        self.begun = True
        headers = response.headers
        if self.closing:
            response.force_close()
            headers[hdrs.CONNECTION] = "close"
        if response.status >= 400 and hdrs.CACHE_CONTROL not in headers:
            headers[hdrs.CACHE_CONTROL] = "no-store"
        if self.cross_origin is not None:
            _add_cross_origin(headers, self.cross_origin)
        if self.private:
            headers[hdrs.CACHE_CONTROL] = _private(headers.get(hdrs.CACHE_CONTROL))
        headers[_SERVER] = "updater"
        headers[_REQUEST_ID] = self.id
        headers[_NO_SNIFF] = "nosniff"
        allowance = self.allowance
        if allowance is not None:
            headers[_LIMIT] = str(allowance.limit)
            headers[_REMAINING] = str(allowance.remaining)
            headers[_RESET] = str(allowance.reset_at)


def _add_cross_origin(headers: CIMultiDict[str], granted: Mapping[str, str]) -> None:
    for name, value in granted.items():
        if name == hdrs.VARY and hdrs.VARY in headers:
            value = f"{headers[name]}, {value}"
        headers[name] = value


def _private(cache_control: str | None) -> str:
    """Take an answer's Cache-Control from shared caches. Source: RFC 9111 section 5.2.2.7."""
    if cache_control is None:
        return "private, no-cache"
    given = list(map(str.strip, cache_control.split(",")))
    if "private" in given or "no-store" in given:
        return cache_control
    return ", ".join(["private", *(each for each in given if each != "public")])


CONTEXT = web.RequestKey("context", RequestContext)


def begin(request: web.Request, response: web.StreamResponse) -> None:
    """Complete an answer that its handler is about to send.

    Call it before `prepare`, in this order. Without a gate there is nothing to add.
    """
    context = request.get(CONTEXT)
    if context is not None:
        context.begin(response)
