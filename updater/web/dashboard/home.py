"""What a browser finds at `/`: a page for people; programs find nothing there. And the icon it asks for unasked."""

from __future__ import annotations

from aiohttp import hdrs, web

from updater.access.principals import Permission
from updater.web.dashboard.assets import STATIC
from updater.web.dashboard.page import HTML, OVERVIEW, PageKit
from updater.web.gate.context import CONTEXT
from updater.web.gate.routing import Contract, endpoint
from updater.web.messages.accepting import prefers_html

_BY_ACCEPT = {hdrs.VARY: hdrs.ACCEPT}


class Home:
    """The first page."""

    def __init__(self, kit: PageKit) -> None:
        self._kit = kit

    @endpoint(Contract("The first page", answers={200: None, 303: None}, failures=(404,), media_types=HTML))
    async def show_home(self, request: web.Request) -> web.StreamResponse:
        """Say what this is, and lead on; lead staff that is signed in to the overview.

        Raises:
            HTTPNotFound: who asks has not asked for a page.
        """
        if not prefers_html(",".join(request.headers.getall(hdrs.ACCEPT, ()))):
            raise web.HTTPNotFound(headers=_BY_ACCEPT)
        principal = request[CONTEXT].principal
        if principal is not None and principal.level >= Permission.WRITE:
            response = self._kit.redirect(OVERVIEW)
        else:
            response = self._kit.render(request, "home.html")
        response.headers.update(_BY_ACCEPT)
        return response

    @endpoint(Contract("The icon", answers={200: None}, media_types=("image/svg+xml",)))
    async def get_icon(self, request: web.Request) -> web.StreamResponse:
        """Return the icon of the pages, for those that name none, such as JSON that a browser shows."""
        headers = {"Content-Type": "image/svg+xml", "Cache-Control": "public, max-age=86400"}
        return web.FileResponse(STATIC / "icon.svg", headers=headers)
