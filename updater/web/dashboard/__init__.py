"""The pages at `/admin`: sign-in and the dashboard of the default deployment: all routes on one screen.

Pages answer failures as pages, and lead to the sign-in page without a session. What the dashboard's script asks for
answers in the shape of document 001, whose interface it belongs to.
"""

from __future__ import annotations

import dataclasses

import aiohttp_jinja2
import jinja2
from aiohttp import web

from updater.access.attempts import SignInAttempts
from updater.access.limits import RateLimits
from updater.access.principals import Permission, Principal
from updater.services import Services
from updater.web.dashboard.live import Live
from updater.web.dashboard.pages import Pages
from updater.web.dashboard.policy import write_page
from updater.web.dashboard.sign_in import HOME, SIGN_IN, SignIn
from updater.web.gate.origins import Origins
from updater.web.gate.routing import Surface
from updater.web.gate.sessions import STAFF_REFUSAL, SessionAuthenticator
from updater.web.messages.errors import write_admin


def build(
    services: Services, sessions: SessionAuthenticator, origins: Origins, limits: RateLimits | None
) -> tuple[Surface, Surface]:
    """Return the surfaces, in the order in which they are matched: what the dashboard's script asks for, and the pages.

    The authenticator of the pages raises HTTPSeeOther, to the sign-in page, for a GET or HEAD without a session.
    """
    sign_in = SignIn(services.people, sessions, origins, SignInAttempts(services.people, limits))
    pages = Pages(services.deployments, sessions)
    live = Live(services.deployments)
    live_routes = (
        web.get("/admin/live/state/", live.get_state),
        web.post("/admin/live/update/", live.start_update),
        web.get("/admin/live/events/", live.follow_run),
    )
    page_routes = (
        web.get("/admin/", pages.go_home),
        web.get(HOME, pages.show_dashboard),
        web.get(SIGN_IN, sign_in.show_sign_in),
        web.post(SIGN_IN, sign_in.sign_in),
        web.post("/admin/sign-out/", sign_in.sign_out),
        web.get("/admin/assets/{name}", pages.get_asset),
    )

    def authorize(request: web.Request, principal: Principal | None, level: Permission, _: str | None) -> None:
        if principal is None and request.method in ("GET", "HEAD"):
            raise web.HTTPSeeOther(f"{SIGN_IN}?next={request.path}")
        sessions.require(request, principal, level, STAFF_REFUSAL, form=True)

    by_script = sessions.alone(STAFF_REFUSAL)
    return (
        Surface(
            "live",
            "/admin/live/",
            live_routes,
            (by_script,),
            write_admin,
            level=Permission.ADMIN,
            described=False,
        ),
        Surface(
            "pages",
            "/admin/",
            page_routes,
            (dataclasses.replace(by_script, authorize=authorize),),
            write_page,
            described=False,
        ),
    )


def prepare(application: web.Application) -> None:
    """Give an application the templates of the pages."""
    loader = jinja2.PackageLoader("updater.web.dashboard")
    aiohttp_jinja2.setup(application, loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
