"""What stock updaters ask, at `/feeds`; `routes` has all routes on one screen. See README.md beside this file."""

from __future__ import annotations

from updater.services import Services
from updater.web.gate.credentials import bearer_keys
from updater.web.gate.late import Late, Routes
from updater.web.gate.routing import Surface
from updater.web.gate.sessions import SessionAuthenticator
from updater.web.messages.errors import write_api
from updater.web.messages.links import Links


def build(services: Services, links: Links, sessions: SessionAuthenticator) -> Surface:
    """Assemble the surface."""

    def routes() -> Routes:
        from updater.web.feeds.routes import make_routes

        return make_routes(services, links)

    authenticators = (bearer_keys(services.access), sessions.beside_keys())
    return Surface("feeds", "/feeds/", (), authenticators, write_api, late=Late(routes))
