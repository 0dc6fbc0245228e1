"""What a route promises, in one place: the gate enforces it and the OpenAPI document prints it."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from aiohttp import web
from marshmallow import Schema

from updater.access.principals import Permission, Principal
from updater.web.messages.errors import Answer
from updater.web.messages.parsing import load_values, parse_json, parse_query

Handler = Callable[..., Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Contract:
    """What a handler takes and gives. `level` None means public."""

    summary: str
    level: Permission | None = None
    path: Schema | None = None
    query: Schema | None = None
    body: Schema | None = None
    answers: Mapping[int, Schema | None] = field(default_factory=dict)
    failures: tuple[int, ...] = ()
    # The handler reads path and query by itself, because it rarely has to: the check path counts microseconds.
    parses_itself: bool = False
    # For bodies that are not JSON: the media type and its schema in OpenAPI's own words.
    raw_body: Mapping[str, Any] | None = None
    # Of answers that no schema describes.
    media_types: tuple[str, ...] = ("application/octet-stream",)


def endpoint(contract: Contract) -> Callable[[Handler], Handler]:
    """Parse what the contract names and hand it to the handler: `(self, request[, path][, query][, body])`."""

    def decorate(handler: Handler) -> Handler:
        @functools.wraps(handler)
        async def parse_and_call(self: Any, request: web.Request) -> web.StreamResponse:
            arguments = []
            if contract.path is not None:
                arguments.append(load_values(contract.path, dict(request.match_info)))
            if contract.query is not None:
                arguments.append(await parse_query(contract.query, request))
            if contract.body is not None:
                arguments.append(await parse_json(contract.body, request))
            return await handler(self, request, *arguments)

        nothing_to_parse = contract.parses_itself or (contract.path is contract.query is contract.body is None)
        chosen: Any = handler if nothing_to_parse else parse_and_call
        chosen.contract = contract
        return cast(Handler, chosen)

    return decorate


ErrorWriter = Callable[[Answer, str], web.Response]
Identify = Callable[[str], Awaitable[Principal | None]]
Authorize = Callable[[web.Request, Principal | None, Contract], None]


@dataclass(frozen=True)
class Surface:
    """One documented interface: where it lives, its routes, how it signs in and how it says no.

    Without `identify` the credential is an API key. With it, the surface knows other people by itself, and no key
    opens it. `authorize` raises Unauthenticated or Forbidden where the rule for keys would not say it rightly.
    """

    name: str
    prefix: str | tuple[str, ...]
    routes: tuple[web.RouteDef, ...]
    credential: Callable[[web.Request], str | None]
    write_error: ErrorWriter
    description: str = ""
    # The one application that all its paths are about; None when the paths name it.
    application: str | None = None
    identify: Identify | None = None
    authorize: Authorize | None = None
    # For the OpenAPI document: the name of the credential that a contract's `level` asks for, and what `write_error`
    # writes, None where that is the body of the REST document. Pages are no interface, and not described.
    scheme: str = "key"
    error: Schema | None = None
    described: bool = True


def contract_of(handler: Any) -> Contract | None:
    """Return a handler's contract; None for aiohttp's own handlers."""
    return getattr(handler, "contract", None)
