"""The desktop update API of document 002, mounted for one application: all routes on one screen. See README.md."""

from __future__ import annotations

import dataclasses

from aiohttp import web

from updater.services import Services
from updater.settings import DesktopSettings
from updater.web.desktop.management import Management
from updater.web.desktop.offers import Offers
from updater.web.desktop.packages import Packages
from updater.web.desktop.rendering import Names
from updater.web.desktop.reports import Reports
from updater.web.gate.country_hints import CountryHints
from updater.web.gate.credentials import header_keys
from updater.web.gate.identity import IdentityReader
from updater.web.gate.metrics import Metrics
from updater.web.gate.routing import Surface
from updater.web.messages.errors import Answer, write_api_as_400
from updater.web.messages.links import Links
from updater.web.transfer.uploads import delay_continue

# DELETE on one of the other paths is 405, not the deletion of a version of that name.
_VERSION = "{version:(?!(?:latest|status|upload)$)[^/]+}"


def build(services: Services, links: Links, metrics: Metrics, settings: DesktopSettings) -> Surface:
    """Assemble the surface for one entry of the settings."""
    names = Names(settings, links)
    identities = IdentityReader(services.settings)
    places = CountryHints(services.settings)
    offers = Offers(services.offers, names, services.telemetry.checks, places, identities)
    packages = Packages(services, names, metrics)
    reports = Reports(services, names.application, identities)
    management = Management(services, names.application)
    prefix = settings.prefix
    routes = (
        web.get(f"{prefix}/latest", offers.get_latest),
        web.get(f"{prefix}/download/{{version}}/{{platform}}", packages.download),
        web.get(f"{prefix}/compatibility/{{current_version}}", offers.get_compatibility),
        web.post(f"{prefix}/status", reports.report_status),
        web.post(f"{prefix}/upload", packages.upload, expect_handler=delay_continue),
        web.get(f"{prefix}/admin/list", management.list_updates),
        web.delete(f"{prefix}/{_VERSION}", management.deactivate_update),
    )
    keys = header_keys(services.access)
    return Surface("desktop", f"{prefix}/", routes, (keys,), write_error, application=names.application)


def write_error(answer: Answer, request_id: str) -> web.Response:
    """Render the REST document's body with this interface's statuses: whatever is wrong with a body is 400."""
    headers = dict(answer.headers)
    if answer.status == 401:
        headers["WWW-Authenticate"] = 'ApiKey header="X-API-Key"'
    return write_api_as_400(dataclasses.replace(answer, headers=headers), request_id)
