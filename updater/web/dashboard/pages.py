"""The dashboard page and the files of all pages."""

from __future__ import annotations

from pathlib import Path

import aiohttp_jinja2
from aiohttp import web

from updater.access.principals import Permission
from updater.deployments.service import DeploymentService
from updater.web.dashboard.policy import page_headers
from updater.web.gate.context import CONTEXT
from updater.web.gate.routing import Contract, endpoint
from updater.web.gate.sessions import SessionAuthenticator

_STATIC = Path(__file__).parent / "static"
_ASSETS = {"style.css": "text/css", "dashboard.js": "text/javascript", "icon.svg": "image/svg+xml"}
_ASSET_TYPES = tuple(_ASSETS.values())


class Pages:
    """What a browser shows. The figures on it are asked for by the page's own script."""

    def __init__(self, deployments: DeploymentService, sessions: SessionAuthenticator) -> None:
        self._deployments = deployments
        self._sessions = sessions

    @endpoint(Contract("Go to the dashboard", answers={303: None}, media_types=("text/html",)))
    async def go_home(self, request: web.Request) -> web.Response:
        """Lead to the dashboard."""
        return web.Response(status=303, headers={"Location": "/admin/dashboard/", **page_headers()})

    @endpoint(Contract("The dashboard", Permission.WRITE, answers={200: None}, media_types=("text/html",)))
    async def show_dashboard(self, request: web.Request) -> web.Response:
        """Show the default deployment."""
        principal = request[CONTEXT].principal
        ids = self._deployments.ids
        context = {
            "name": principal.name if principal is not None else "",
            "token": self._sessions.token(request),
            "deployment": self._deployments.get() if ids else None,
        }
        response = aiohttp_jinja2.render_template("dashboard.html", request, context)
        response.headers.update(page_headers())
        return response

    @endpoint(
        Contract("A file of the pages", answers={200: None}, failures=(404,), media_types=tuple(_ASSETS.values()))
    )
    async def get_asset(self, request: web.Request) -> web.StreamResponse:
        """Return a style sheet, script or icon.

        Raises:
            HTTPNotFound: the pages have no file of this name.
        """
        name = request.match_info["name"]
        if name not in _ASSETS:
            raise web.HTTPNotFound
        headers = {"Content-Type": _ASSETS[name], "X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache"}
        return web.FileResponse(_STATIC / name, headers=headers)
