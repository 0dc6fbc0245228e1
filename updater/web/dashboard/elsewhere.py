"""Addresses below /admin that are no page: with the last slash they may be one; else a page says so."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from updater.web.dashboard.page import HTML
from updater.web.dashboard.policy import page_headers
from updater.web.gate.routing import Contract, contract_of, endpoint

# What documents 000 and 001 ask for answers in its own shape.
ADDRESSES = ("/admin", "/admin/{rest:(?!(?:update|status)/).*}")


class Elsewhere:
    """Answers what no page answers."""

    def __init__(self, pages: Sequence[web.RouteDef]) -> None:
        self._pages = web.UrlDispatcher()
        self._pages.add_routes(pages)

    @endpoint(Contract("An address that is no page", answers={308: None}, failures=(404, 405), media_types=HTML))
    async def find_page(self, request: web.Request) -> web.Response:
        """Lead to the address with its last slash, with the query, where there is a page.

        Raises:
            HTTPMethodNotAllowed: the page takes other methods. HTTPNotFound: there is none.
        """
        failure = (await self._pages.resolve(request)).http_exception
        if isinstance(failure, web.HTTPMethodNotAllowed):
            raise failure
        path = request.rel_url.raw_path
        if not path.endswith("/"):
            url = request.rel_url.with_path(f"{path}/", encoded=True, keep_query=True)
            match = await request.app.router.resolve(request.clone(rel_url=url))
            if match.http_exception is None and contract_of(match.handler) is not contract_of(self.find_page):
                return web.Response(status=308, headers={"Location": str(url), **page_headers()})
        raise web.HTTPNotFound
