"""The files of all pages: the style sheet, scripts, the icon."""

from __future__ import annotations

from pathlib import Path

from aiohttp import web

from updater.web.dashboard.page import HTML, OVERVIEW, PageKit
from updater.web.gate.routing import Contract, endpoint

STATIC = Path(__file__).parent / "static"
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_ASSETS = {each.name: _TYPES[each.suffix] for each in sorted(STATIC.iterdir()) if each.suffix in _TYPES}


class Assets:
    """Gives files out as they lie beside this module."""

    @endpoint(Contract("Go to the overview", answers={303: None}, media_types=HTML))
    async def go_home(self, request: web.Request) -> web.Response:
        """Lead to the overview."""
        return PageKit.redirect(OVERVIEW)

    @endpoint(Contract("A file of the pages", answers={200: None}, failures=(404,), media_types=tuple(_TYPES.values())))
    async def get_asset(self, request: web.Request) -> web.StreamResponse:
        """Return a style sheet, script or icon.

        Raises:
            HTTPNotFound: the pages have no file of this name.
        """
        name = request.match_info["name"]
        if name not in _ASSETS:
            raise web.HTTPNotFound
        headers = {"Content-Type": _ASSETS[name], "X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache"}
        return web.FileResponse(STATIC / name, headers=headers)
