"""What operators and readers of the interface ask for: metrics, the OpenAPI document, the docs page."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web

from updater.access.limits import Traffic
from updater.errors import ConfigurationError
from updater.web.gate.metrics import CONTENT_TYPE, Metrics
from updater.web.gate.routing import Contract, endpoint

_STATIC = Path(__file__).parent / "static"
# The package is looked up, not imported: its import would read all its renderers into memory.
_RENDERER = "offapi"
ASSETS = {
    "start.js": "text/javascript",
    "docs.css": "text/css",
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
}
_OF_RENDERER = {"swagger-ui.css": "swagger_style.css", "swagger-ui-bundle.js": "swagger_bundle.js"}
# Swagger UI draws its icons from data: addresses. What scripts set on an element's `style` needs no permission.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)


class Pages:
    """The pages. `describe` gives the OpenAPI document; it is called in a thread, when first asked for."""

    def __init__(self, metrics: Metrics, describe: Callable[[], dict[str, Any]]) -> None:
        self._metrics = metrics
        self._describe = describe
        self._page = (_STATIC / "docs.html").read_text()
        self._files = _find_files()

    @cached_property
    def _document(self) -> bytes:
        return orjson.dumps(self._describe(), option=orjson.OPT_INDENT_2)

    @endpoint(
        Contract("Metrics for Prometheus", traffic=Traffic.FREE, answers={200: None}, media_types=("text/plain",))
    )
    async def get_metrics(self, request: web.Request) -> web.Response:
        """Return all figures in the text format of Prometheus.

        Source: Prometheus exposition format 0.0.4.
        """
        return web.Response(body=await self._metrics.render_all(), headers={"Content-Type": CONTENT_TYPE})

    @endpoint(Contract("This document", answers={200: None}, media_types=("application/json",)))
    async def get_document(self, request: web.Request) -> web.Response:
        """Return the OpenAPI document."""
        return web.Response(body=await asyncio.to_thread(lambda: self._document), content_type="application/json")

    @endpoint(Contract("The docs page", answers={200: None}, media_types=("text/html",)))
    async def get_docs(self, request: web.Request) -> web.Response:
        """Return the docs page."""
        headers = {"Content-Security-Policy": _POLICY, "Referrer-Policy": "same-origin"}
        return web.Response(text=self._page, content_type="text/html", headers=headers)

    @endpoint(
        Contract(
            "A file of the docs page",
            answers={200: None, 206: None, 304: None, 412: None, 416: None},
            failures=(404,),
            media_types=tuple(sorted(set(ASSETS.values()))),
        )
    )
    async def get_asset(self, request: web.Request) -> web.StreamResponse:
        """Return one file of the docs page: our own, or one of the renderer's package.

        Raises:
            HTTPNotFound: the page has no file of this name.
        """
        name = request.match_info["asset"]
        if name not in ASSETS:
            raise web.HTTPNotFound
        headers = {"Content-Type": ASSETS[name], "X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache"}
        return web.FileResponse(self._files[name], headers=headers)


def _find_files() -> dict[str, Path]:
    """Return where each file of the page is. Raises ConfigurationError without the renderer's package."""
    found = importlib.util.find_spec(_RENDERER)
    if found is None or found.origin is None:
        raise ConfigurationError(
            f"the package {_RENDERER} is not installed; install what scripts/requirements.txt names"
        )
    package = Path(found.origin).parent
    return {name: package / _OF_RENDERER[name] if name in _OF_RENDERER else _STATIC / name for name in ASSETS}
