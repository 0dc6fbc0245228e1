"""What a route promises, in one place: the gate enforces it and the OpenAPI document prints it."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Container, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from aiohttp import web
from marshmallow import Schema
from multidict import istr

from updater.access.limits import Traffic
from updater.access.principals import EVERYBODY, Permission, Principal
from updater.web.gate.late import Late, Routes
from updater.web.messages.bodies import ANYBODY, KNOWN, BodyLimits
from updater.web.messages.errors import Answer
from updater.web.messages.parsing import Reading, load_values, parse_json, parse_query

Handler = Callable[..., Awaitable[web.StreamResponse]]
BYTES = ("application/octet-stream",)


@dataclass(frozen=True)
class Requirement:
    """What a route asks of a principal beside its level: `holds`, else 403 with `refusal`; the document has `words`."""

    holds: Callable[[Principal], bool]
    refusal: str
    words: str


# With access control switched off, anybody would read everything, and make an account that changes this machine.
INSTALLATION = Requirement(
    lambda principal: principal.application is None and principal is not EVERYBODY,
    "This is about the whole installation: it needs a key that is not bound to one application, or a session; while "
    "access control is switched off, the dashboard or the command line",
    "a key bound to one application does not open it",
)
PERSON = Requirement(
    lambda principal: principal.user_id is not None,
    "This is for people who are signed in, not for keys",
    "a session alone",
)


@dataclass(frozen=True)
class Contract:
    """What a handler takes and gives. `level` None means public; `traffic` is which limits count its requests."""

    summary: str
    level: Permission | None = None
    requirement: Requirement | None = None
    path: Schema | None = None
    query: Schema | None = None
    body: Schema | None = None
    # Of a body that clients send all the time: reads it without schema machinery where it is as it should be.
    quickly: Reading | None = None
    # No body at all counts as an empty object, or as no bytes.
    body_optional: bool = False
    # Of small bodies; None: as the level says. A surface with a level of its own states them.
    limits: BodyLimits | None = None
    answers: Mapping[int, Schema | None] = field(default_factory=dict)
    failures: tuple[int, ...] = ()
    # What a request says in headers of its own protocol, and an answer: the name, and what it means.
    headers: Mapping[str, str] = field(default_factory=dict)
    told: Mapping[str, str] = field(default_factory=dict)
    # The handler reads path and query by itself, because it rarely has to: the check path counts microseconds.
    parses_itself: bool = False
    # Tells, of the handler's object and a request, whether nothing is awaited on the way to the answer, which is all in
    # memory: it is then given where the request is read. None: never. What it raises counts as no.
    at_once: Callable[[Any, web.Request], bool] | None = None
    # For bodies that are not JSON: the media type and its schema in OpenAPI's own words.
    raw_body: Mapping[str, Any] | None = None
    # Of a public route whose query or body names the application: how to find it there. The gate then asks who may.
    application_of: Callable[[Mapping[str, Any]], str] | None = None
    # Of answers that no schema describes, beside JSON where one does; else bytes.
    media_types: tuple[str, ...] = ()
    traffic: Traffic = Traffic.GENERAL

    def level_on(self, surface: Surface) -> Permission | None:
        """Return the level of a route on a surface: its own, else the surface's."""
        return surface.level if self.level is None else self.level

    @property
    def body_limits(self) -> BodyLimits:
        """Return how large and how slow a small body may be."""
        return self.limits or (ANYBODY if self.level is None else KNOWN)

    def is_of_clients(self, parameters: Container[str]) -> bool:
        """Tell whether installed clients ask this: it is public, and names an application, in its path or by itself."""
        return self.level is None and ("app_id" in parameters or self.application_of is not None)


def always(_: object, __: web.Request) -> bool:
    """Say for a contract that its handler never awaits anything."""
    return True


# Holds a request to an application that it may ask about: `Gate.require_application`.
REQUIRE_APPLICATION: web.AppKey[Callable[[web.Request, str], None]] = web.AppKey("require_application")


def endpoint(contract: Contract) -> Callable[[Handler], Handler]:
    """Parse what the contract names and hand it to the handler: `(self, request[, path][, query][, body])`.

    The endpoint raises Invalid for what does not fit a schema, for a body what `parse_json` raises, and where query or
    body name the application what `Gate.require_application` raises.
    """

    def decorate(handler: Handler) -> Handler:
        @functools.wraps(handler)
        async def parse_and_call(self: Any, request: web.Request) -> web.StreamResponse:
            arguments = []
            if contract.path is not None:
                arguments.append(load_values(contract.path, dict(request.match_info)))
            if contract.query is not None:
                arguments.append(await parse_query(contract.query, request))
            if contract.body is not None:
                if contract.body_optional and not request.can_read_body:
                    arguments.append(load_values(contract.body, {}))
                else:
                    arguments.append(await parse_json(contract.body, request, contract.body_limits, contract.quickly))
            if contract.application_of is not None:
                request.app[REQUIRE_APPLICATION](request, contract.application_of(arguments[-1]))
            return await handler(self, request, *arguments)

        nothing_to_parse = contract.parses_itself or (contract.path is contract.query is contract.body is None)
        chosen: Any = handler if nothing_to_parse else parse_and_call
        chosen.contract = contract
        return cast(Handler, chosen)

    return decorate


ErrorWriter = Callable[[Answer, str], web.Response]
# Takes the request, its principal, the level that the route asks for, and the application that the path names.
Authorize = Callable[[web.Request, Principal | None, Permission, str | None], None]


@dataclass(frozen=True)
class Authenticator:
    """One kind of credential: where a request holds it, its principal, and what it opens.

    `read` returns None for a request without this credential. Exactly one of `identify` and `find` is set:
    `identify` answers from memory, also for None, since the check path must not pay for an await; `find` may ask the
    database, and is called with a credential only. Both return None for a credential that is wrong or over.
    `authorize` raises Unauthenticated or Forbidden. `recognises` tells, from memory, whether `find` knew a credential a
    short while ago: only such ones are looked up for an address that has used up its limit.
    """

    # The name of the security scheme in the OpenAPI document.
    scheme: str
    read: Callable[[web.Request], str | None]
    authorize: Authorize
    identify: Callable[[str | None], Principal | None] | None = None
    find: Callable[[str], Awaitable[Principal | None]] | None = None
    # A wrong credential is an attempt to guess one. Sessions and tokens end in the ordinary course of things.
    guessable: bool = False
    # The one header that `read` looks into: it is not called for requests without it. None: it looks elsewhere, too.
    header: istr | None = None
    recognises: Callable[[str], bool] = lambda _: False
    # What `authorize` asks for at least, whatever the route does; the OpenAPI document says it.
    least: Permission = Permission.NONE


@dataclass(frozen=True)
class Surface:
    """One documented interface: where it lives, its routes, its credentials and the shape of its errors.

    Of `authenticators`, the first one whose credential a request holds counts alone. A request without any is
    refused by the first.
    """

    name: str
    prefix: str | tuple[str, ...]
    routes: Routes
    authenticators: tuple[Authenticator, ...]
    write_error: ErrorWriter
    # Further routes, all below `prefix`, which `routes` are tried before.
    late: Late | None = None
    # The one application that all its paths are about; None when the paths name it.
    application: str | None = None
    # The level of routes whose contract names none; None: such routes are public.
    level: Permission | None = None
    # For the OpenAPI document: what `write_error` writes, None where that is the body of the REST document. Pages are
    # no interface, and not described.
    error: Schema | None = None
    described: bool = True

    @property
    def known_routes(self) -> Routes:
        """Return the routes that were read so far."""
        return self.routes if self.late is None else (*self.routes, *self.late.known)

    def read_routes(self) -> Routes:
        """Return all routes. Raises as `Late.read`."""
        return self.routes if self.late is None else (*self.routes, *self.late.read())

    @property
    def prefixes(self) -> tuple[str, ...]:
        """Return where it lives."""
        return (self.prefix,) if isinstance(self.prefix, str) else self.prefix


def contract_of(handler: Any) -> Contract | None:
    """Return a handler's contract; None for aiohttp's own handlers."""
    return getattr(handler, "contract", None)
