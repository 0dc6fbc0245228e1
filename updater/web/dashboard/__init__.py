"""The pages at `/admin`, and the first page; `routes` has all routes on one screen.

Pages answer failures as pages, and lead to the sign-in page without a session. Their scripts ask the REST interface.
"""

from __future__ import annotations

import dataclasses

from aiohttp import web

from updater.access.limits import RateLimits
from updater.access.principals import Permission, Principal
from updater.services import Services
from updater.web.dashboard.home import Home
from updater.web.dashboard.page import SIGN_IN, PageKit
from updater.web.dashboard.policy import write_page
from updater.web.gate.late import Late, Routes
from updater.web.gate.metrics import Metrics
from updater.web.gate.origins import Origins
from updater.web.gate.routing import Surface
from updater.web.gate.sessions import ADMIN_REFUSAL, STAFF_REFUSAL, SessionAuthenticator
from updater.web.messages.errors import write_api
from updater.web.messages.links import Links

ICON = "/favicon.ico"


def build(
    services: Services,
    links: Links,
    sessions: SessionAuthenticator,
    origins: Origins,
    limits: RateLimits | None,
    metrics: Metrics,
) -> tuple[Surface, Surface]:
    """Return the surfaces, in the order in which they are matched.

    These are the pages, and the first page, which is a program's 404.

    The authenticator of the pages raises HTTPSeeOther, to the sign-in page, for a GET or HEAD without a session.
    """
    kit = PageKit(sessions)
    home = Home(kit)

    def pages() -> Routes:
        from updater.web.dashboard.routes import make_routes

        return make_routes(kit, services, links, sessions, origins, limits, metrics)

    home_routes = (web.get("/", home.show_home), web.get(ICON, home.get_icon))
    return _surfaces(sessions, Late(pages), home_routes)


def _surfaces(sessions: SessionAuthenticator, pages: Late, home: Routes) -> tuple[Surface, Surface]:
    def authorize(request: web.Request, principal: Principal | None, level: Permission, _: str | None) -> None:
        if principal is None and request.method in ("GET", "HEAD"):
            raise web.HTTPSeeOther(f"{SIGN_IN}?next={request.path}")
        refusal = ADMIN_REFUSAL if level >= Permission.ADMIN else STAFF_REFUSAL
        sessions.require(request, principal, level, refusal, form=True)

    by_script = sessions.alone(STAFF_REFUSAL)
    by_page = dataclasses.replace(by_script, authorize=authorize)
    return (
        Surface("pages", "/admin", (), (by_page,), write_page, described=False, late=pages),
        Surface("home", ICON, home, (sessions.beside_keys(),), write_api, described=False),
    )
