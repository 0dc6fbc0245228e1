"""Uploads that resume, by tus 1.0.0, at `/api/v1/uploads`; `routes` has all routes on one screen. See README.md."""

from __future__ import annotations

from updater.services import Services
from updater.web.gate.credentials import bearer_keys
from updater.web.gate.late import Late, Routes
from updater.web.gate.metrics import Metrics
from updater.web.gate.routing import Surface
from updater.web.gate.sessions import SessionAuthenticator
from updater.web.messages.links import Links
from updater.web.tus.protocol import PREFIX, write_tus


def build(services: Services, links: Links, metrics: Metrics, sessions: SessionAuthenticator) -> Surface:
    """Assemble the surface."""

    def routes() -> Routes:
        from updater.web.tus.routes import make_routes

        return make_routes(services, links, metrics)

    authenticators = (bearer_keys(services.access), sessions.beside_keys())
    return Surface("tus", PREFIX, (), authenticators, write_tus, late=Late(routes))
