"""The updates interface of document 003 at `/api`; `routes` has all routes on one screen."""

from __future__ import annotations

from aiohttp import hdrs, web

from updater.access.principals import Permission, Principal
from updater.errors import Forbidden, Unauthenticated
from updater.services import Services
from updater.web.gate.credentials import bearer
from updater.web.gate.late import Late, Routes
from updater.web.gate.routing import Authenticator, Surface
from updater.web.messages.errors import write_api_as_400
from updater.web.messages.numbers import number_in_path

PREFIX = "/api/"


def build(services: Services) -> Surface:
    """Assemble the surface."""

    def routes() -> Routes:
        from updater.web.updates.routes import make_routes

        return make_routes(services)

    def identify(presented: str | None) -> Principal | None:
        return None if presented is None else services.tokens.identify(presented)

    tokens = Authenticator("token", bearer, _authorize, identify=identify, header=hdrs.AUTHORIZATION)
    return Surface("updates", PREFIX, (), (tokens,), write_api_as_400, late=Late(routes))


def _authorize(request: web.Request, principal: Principal | None, level: Permission, _: str | None) -> None:
    if principal is None:
        raise Unauthenticated("A valid token is required")
    if principal.level < level:
        raise Forbidden("This needs a token whose claims allow deployments")
    if "user_id" in request.match_info and number_in_path(request, "user_id") != principal.user_id:
        raise Forbidden("The token is for another user")
