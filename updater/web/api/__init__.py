"""The REST API of document 004 at `/api/v1`. See README.md beside this file.

Here is what installed applications ask; `routes` has all other routes on one screen.
"""

from __future__ import annotations

from aiohttp import web

from updater.access.limits import RateLimits
from updater.access.principals import Permission
from updater.services import Services
from updater.web.api.checks import Checks
from updater.web.api.downloads import Downloads
from updater.web.api.health import Health
from updater.web.api.reports import Reports
from updater.web.api.targets import FILE_NAME, PREFIX
from updater.web.gate.country_hints import CountryHints
from updater.web.gate.credentials import admin_keys, bearer_keys
from updater.web.gate.identity import IdentityReader
from updater.web.gate.late import Late, Routes
from updater.web.gate.metrics import Metrics
from updater.web.gate.routing import Surface
from updater.web.gate.sessions import SessionAuthenticator
from updater.web.messages.errors import write_api
from updater.web.messages.links import Links


def build(
    services: Services, links: Links, metrics: Metrics, sessions: SessionAuthenticator, limits: RateLimits | None
) -> Surface:
    """Assemble the surface. It is also the fallback: `/health` and every unknown path answer in its shape."""
    identities, places = IdentityReader(services.settings), CountryHints(services.settings)
    checks = Checks(services.offers, links, services.telemetry.checks, places, identities)
    downloads, reports, health = Downloads(services), Reports(services, identities), Health(services)
    routes = (
        web.get(f"{PREFIX}/updates/{{app_id}}/check", checks.check_for_update),
        web.get(Links.DOWNLOAD_PATH, downloads.download),
        web.get(f"{Links.DOWNLOAD_PATH}/{FILE_NAME}", downloads.download_file),
        web.post(f"{PREFIX}/check", checks.check_for_update_by_body),
        web.get(f"{PREFIX}/updates/{{app_id}}/latest", checks.get_latest),
        web.get(f"{PREFIX}/latest", checks.get_latest_by_query),
        web.post(f"{PREFIX}/updates/{{app_id}}/status", reports.report_status),
        web.get("/health", health.get_health),
        web.get(f"{PREFIX}/health", health.get_health),
    )

    def others() -> Routes:
        from updater.web.api.routes import make_routes

        return make_routes(services, links, metrics, sessions, limits)

    authenticators = (bearer_keys(services.access), sessions.beside_keys())
    return Surface("api", PREFIX, routes, authenticators, write_api, late=Late(others))


def build_deployments(services: Services, sessions: SessionAuthenticator) -> Surface:
    """Assemble the part of the REST API that is about deployments.

    Staff that is signed in may do what document 001 lets it do; of keys, only those of administrators may.
    """

    def routes() -> Routes:
        from updater.web.api.routes import make_deployment_routes

        return make_deployment_routes(services)

    authenticators = (admin_keys(services.access), sessions.beside_keys())
    prefix = f"{PREFIX}/deployments"
    return Surface("deployments", prefix, (), authenticators, write_api, level=Permission.WRITE, late=Late(routes))
