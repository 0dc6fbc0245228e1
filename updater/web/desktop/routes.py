"""All routes of the surface on one screen, for one application."""

from __future__ import annotations

from aiohttp import web

from updater.services import Services
from updater.settings import DesktopSettings
from updater.web.desktop.management import Management
from updater.web.desktop.offers import Offers
from updater.web.desktop.packages import Packages
from updater.web.desktop.rendering import Names
from updater.web.desktop.reports import Reports
from updater.web.gate.country_hints import CountryHints
from updater.web.gate.identity import IdentityReader
from updater.web.gate.late import Routes
from updater.web.gate.metrics import Metrics
from updater.web.messages.links import Links
from updater.web.transfer.uploads import delay_continue

# DELETE on one of the other paths is 405, not the deletion of a version of that name.
_VERSION = "{version:(?!(?:latest|status|upload)$)[^/]+}"


def make_routes(services: Services, links: Links, metrics: Metrics, settings: DesktopSettings) -> Routes:
    """Return the routes for one entry of the settings."""
    names = Names(settings, links)
    identities = IdentityReader(services.settings)
    places = CountryHints(services.settings)
    offers = Offers(services.offers, names, services.telemetry.checks, places, identities)
    packages = Packages(services, names, metrics)
    reports = Reports(services, names.application, identities)
    management = Management(services, names.application)
    prefix = settings.prefix
    return (
        web.get(f"{prefix}/latest", offers.get_latest),
        web.get(f"{prefix}/download/{{version}}/{{platform}}", packages.download),
        web.get(f"{prefix}/compatibility/{{current_version}}", offers.get_compatibility),
        web.post(f"{prefix}/status", reports.report_status),
        web.post(f"{prefix}/upload", packages.upload, expect_handler=delay_continue),
        web.get(f"{prefix}/admin/list", management.list_updates),
        web.delete(f"{prefix}/{_VERSION}", management.deactivate_update),
    )
