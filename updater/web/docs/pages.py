"""What operators and readers of the interface ask for: metrics, the OpenAPI document, the docs page."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web
from swagger_ui_bundle import swagger_ui_path

from updater.access.limits import Traffic
from updater.web.gate.metrics import CONTENT_TYPE, Metrics
from updater.web.gate.routing import Contract, endpoint

ASSETS = {
    "start.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui-standalone-preset.js": "text/javascript",
    "favicon-32x32.png": "image/png",
}
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>updater API</title>
<link rel="icon" type="image/png" href="docs/favicon-32x32.png">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="docs"></div>
<noscript>The document itself is at <a href="openapi.json">openapi.json</a>.</noscript>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/swagger-ui-standalone-preset.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
_START = """SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis, SwaggerUIStandalonePreset],
});
"""
# Swagger UI sets style attributes and draws its icons from data: addresses.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)


class Pages:
    """The pages. `describe` gives the OpenAPI document; it is built when first asked for."""

    def __init__(self, metrics: Metrics, describe: Callable[[], dict[str, Any]]) -> None:
        self._metrics = metrics
        self._describe = describe
        self._assets = Path(swagger_ui_path)

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
        return web.Response(body=self._document, content_type="application/json")

    @endpoint(Contract("The docs page", answers={200: None}, media_types=("text/html",)))
    async def get_docs(self, request: web.Request) -> web.Response:
        """Return the docs page."""
        headers = {"Content-Security-Policy": _POLICY, "Referrer-Policy": "same-origin"}
        return web.Response(text=_PAGE, content_type="text/html", headers=headers)

    @endpoint(
        Contract(
            "A file of the docs page",
            answers={200: None, 206: None, 304: None, 412: None, 416: None},
            failures=(404,),
            media_types=tuple(sorted(set(ASSETS.values()))),
        )
    )
    async def get_asset(self, request: web.Request) -> web.StreamResponse:
        """Return one file of the docs page, from the installed package.

        Raises:
            HTTPNotFound: the page has no file of this name.
        """
        name = request.match_info["name"]
        if name == "start.js":
            return web.Response(text=_START, content_type="text/javascript")
        if name not in ASSETS:
            raise web.HTTPNotFound
        headers = {"Content-Type": ASSETS[name], "X-Content-Type-Options": "nosniff"}
        return web.FileResponse(self._assets / name, headers=headers)
