"""The desktop update API of document 002, mounted by the settings; `routes` has all routes on one screen."""

from __future__ import annotations

import dataclasses

from aiohttp import web

from updater.services import Services
from updater.settings import DesktopSettings
from updater.web.gate.credentials import header_keys
from updater.web.gate.late import Late, Routes
from updater.web.gate.metrics import Metrics
from updater.web.gate.routing import Surface
from updater.web.messages.errors import Answer, write_api_as_400
from updater.web.messages.links import Links


def build(services: Services, links: Links, metrics: Metrics, settings: DesktopSettings) -> Surface:
    """Assemble the surface for one entry of the settings."""

    def routes() -> Routes:
        from updater.web.desktop.routes import make_routes

        return make_routes(services, links, metrics, settings)

    keys, prefix = header_keys(services.access), f"{settings.prefix}/"
    return Surface("desktop", prefix, (), (keys,), write_error, application=settings.application, late=Late(routes))


def write_error(answer: Answer, request_id: str) -> web.Response:
    """Render the REST document's body with this interface's statuses: whatever is wrong with a body is 400."""
    headers = dict(answer.headers)
    if answer.status == 401:
        headers["WWW-Authenticate"] = 'ApiKey header="X-API-Key"'
    return write_api_as_400(dataclasses.replace(answer, headers=headers), request_id)
