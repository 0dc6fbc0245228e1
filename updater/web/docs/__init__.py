"""The OpenAPI document, its page, and the metrics page. This surface sees all others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from aiohttp import web

from updater.access.service import AccessService
from updater.web.docs.pages import Pages
from updater.web.gate.credentials import bearer_keys
from updater.web.gate.metrics import Metrics
from updater.web.gate.routing import Surface
from updater.web.messages.errors import write_api


def build(access: AccessService, metrics: Metrics, surfaces: Callable[[], Sequence[Surface]]) -> Surface:
    """Return the surface; `surfaces` are described when the first request asks for the OpenAPI document.

    Routes are matched in this order.
    """

    def describe() -> dict[str, Any]:
        from updater.web.docs.openapi import build_document  # here: apispec, for a document that few ask for

        return build_document(surfaces())

    pages = Pages(metrics, describe)
    routes = (
        web.get("/metrics", pages.get_metrics),
        web.get("/api/v1/openapi.json", pages.get_document),
        web.get("/api/v1/docs", pages.get_docs),
        web.get("/api/v1/docs/{asset}", pages.get_asset),
    )
    return Surface("ops", "/metrics", routes, (bearer_keys(access),), write_api)
