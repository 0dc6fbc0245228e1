"""API keys in requests: where each interface expects them, and what they open."""

from __future__ import annotations

import dataclasses

from aiohttp import hdrs, web
from multidict import istr

from updater.access.principals import EVERYBODY, Permission, Principal
from updater.access.service import AccessService
from updater.errors import Forbidden
from updater.web.gate.context import CONTEXT
from updater.web.gate.routing import Authenticator, Authorize
from updater.web.messages.path_keys import find_path_key

# Looked up for every request: an `istr` is folded once.
API_KEY = istr("X-API-Key")


def bearer_keys(access: AccessService) -> Authenticator:
    """Return the authenticator of API keys in the Authorization header, or before it in the path.

    Its `authorize` raises Unauthenticated and Forbidden as `AccessService.authorize`.
    """
    return Authenticator("key", _path_key_or_bearer, _hold_to_level(access), identify=access.identify, guessable=True)


def admin_keys(access: AccessService) -> Authenticator:
    """Return the authenticator of keys that administer the service itself: admin keys of no single application.

    Keys with less belong to build machines and clients, also where a signed-in person needs less than an administrator.
    While access control is switched off, a request without a key has none here: what changes this machine stays closed.
    """

    def identify(presented: str | None) -> Principal | None:
        found = access.identify(presented)
        return None if found is EVERYBODY else found

    def authorize(_: web.Request, principal: Principal | None, level: Permission, __: str | None = None) -> None:
        access.authorize(principal, max(level, Permission.ADMIN))
        if principal is not None and principal.application is not None:
            raise Forbidden("This needs a key that is not for one application")

    return dataclasses.replace(bearer_keys(access), identify=identify, authorize=authorize, least=Permission.ADMIN)


def header_keys(access: AccessService) -> Authenticator:
    """Return the authenticator of API keys in the header X-API-Key.

    Its `authorize` raises Unauthenticated and Forbidden as `AccessService.authorize`.
    """
    return Authenticator(
        "desktop-key", api_key, _hold_to_level(access), identify=access.identify, guessable=True, header=API_KEY
    )


def api_key(request: web.Request) -> str | None:
    """Return the value of the header X-API-Key; None when the request has none."""
    return request.headers.get(API_KEY)


def bearer(request: web.Request) -> str | None:
    """Return what follows `Bearer` in the Authorization header; None when the request has no such header.

    An empty text stands for a header of another scheme. Source: RFC 6750 section 2.1.
    """
    header = request.headers.get(hdrs.AUTHORIZATION)
    if header is None:
        return None
    scheme, _, token = header.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


async def authorize_again(request: web.Request, level: Permission, application_id: str, *, fresh: bool = True) -> None:
    """Hold a request to an application that its path does not name; with `fresh` by its credential as it is now.

    Raises:
        Unauthenticated, Forbidden: it does not open the application at this level, or was revoked meanwhile.
        Unavailable: that is not known now.
    """
    context = request[CONTEXT]
    authenticator = context.authenticator or context.matched.surface.authenticators[0]
    principal = context.principal
    if fresh and authenticator.identify is not None:
        principal = authenticator.identify(context.presented)
    elif fresh and authenticator.find is not None and context.presented is not None:
        principal = await authenticator.find(context.presented)
    authenticator.authorize(request, principal, level, application_id)


def _path_key_or_bearer(request: web.Request) -> str | None:
    in_path = find_path_key(request)
    return bearer(request) if in_path is None else in_path


def _hold_to_level(access: AccessService) -> Authorize:
    def authorize(
        _: web.Request, principal: Principal | None, level: Permission, application_id: str | None = None
    ) -> None:
        access.authorize(principal, level, application_id)

    return authorize
