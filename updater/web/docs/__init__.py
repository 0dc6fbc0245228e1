"""The OpenAPI document, its page, and the metrics page. This surface sees all others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiohttp import web

from updater.access.service import AccessService
from updater.web.docs.pages import Pages
from updater.web.gate.credentials import bearer_keys
from updater.web.gate.metrics import Metrics
from updater.web.gate.routing import Surface
from updater.web.messages.errors import write_api


def build(access: AccessService, metrics: Metrics, describe: Callable[[], dict[str, Any]]) -> Surface:
    """Return the surface; `describe` is called for the OpenAPI document when the first request asks for it.

    Routes are matched in this order.
    """
    pages = Pages(metrics, describe)
    routes = (
        web.get("/metrics", pages.get_metrics),
        web.get("/api/v1/openapi.json", pages.get_document),
        web.get("/api/v1/docs", pages.get_docs),
        web.get("/api/v1/docs/{name}", pages.get_asset),
    )
    return Surface("ops", "/metrics", routes, (bearer_keys(access),), write_api)
