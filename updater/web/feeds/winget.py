"""WinGet: a REST source with the one package of an application."""

from __future__ import annotations

from typing import Any

from aiohttp import hdrs, web

import updater.feeds.winget as winget
from updater.access.limits import Traffic
from updater.catalog.model import Application
from updater.errors import NotFound
from updater.services import Services
from updater.web.feeds.answering import FeedDoor
from updater.web.feeds.answers import channel_in_path, feed_answer
from updater.web.feeds.schemas import FeedQuery, WingetQuery, WingetSearchBody
from updater.web.gate.routing import Contract, endpoint
from updater.web.messages.links import Links


class WingetFeed:
    """The three addresses below a source of WinGet."""

    def __init__(self, door: FeedDoor, services: Services, links: Links) -> None:
        self._door = door
        self._offers = services.offers
        self._links = links

    @endpoint(
        Contract(
            "WinGet: what the source is",
            traffic=Traffic.FEED,
            query=FeedQuery(),
            parses_itself=True,
            answers={200: None, 304: None},
            failures=(404,),
            media_types=(winget.MEDIA_TYPE,),
        )
    )
    async def get_information(self, request: web.Request) -> web.Response:
        """Return what the source says of itself."""
        application = self._require_source(request)
        body = winget.render_information(application, channel_in_path(request, self._offers))
        return feed_answer(request, body, winget.MEDIA_TYPE)

    @endpoint(
        Contract(
            "WinGet: search",
            traffic=Traffic.FEED,
            body=WingetSearchBody(),
            answers={200: None, 204: None},
            failures=(400, 404, 413, 415, 422, 503),
            media_types=(winget.MEDIA_TYPE,),
        )
    )
    async def search_manifests(self, request: web.Request, body: dict[str, Any]) -> web.Response:
        """Return the package with its versions when the search fits it, else 204."""
        if not winget.is_match(winget.names_of(self._require_source(request)), body):
            return web.Response(status=204)
        return await self._door.answer(request, winget.WingetSearch())

    @endpoint(
        Contract(
            "WinGet: manifests",
            traffic=Traffic.FEED,
            query=WingetQuery(),
            parses_itself=True,
            answers={200: None, 304: None},
            failures=(404, 422, 503),
            media_types=(winget.MEDIA_TYPE,),
        )
    )
    async def get_manifests(self, request: web.Request) -> web.Response:
        """Return the manifests of the package, of one version if the query names it."""
        names = winget.names_of(self._require_source(request))
        if request.match_info["package"].casefold() != names["PackageIdentifier"].casefold():
            raise NotFound("package", f"No such package: expected {names['PackageIdentifier']}")
        answer = await self._door.answer(request, winget.WingetManifests())
        version = request.query.get("Version")
        if version is None or answer.status != 200 or not isinstance(answer.body, bytes):
            return answer
        selected = winget.select_version(answer.body, version)
        if selected is None:
            raise NotFound("release", "No such version of the package")
        cache_control = answer.headers[hdrs.CACHE_CONTROL]
        return feed_answer(request, selected, winget.MEDIA_TYPE, cache_control=cache_control)

    def _require_source(self, request: web.Request) -> Application:
        """Return the application. Raises NotFound: it has no such feed, or WinGet would not take its addresses."""
        application = self._offers.get_application(request.match_info["app_id"])
        if not winget.FEED.is_of(application):
            raise NotFound("feed", "This application has no WinGet feed: its `feeds.winget` is not set")
        if not self._links.origin(request).startswith("https://"):
            raise NotFound("feed", "WinGet takes a source over https alone: ask over TLS, or set server.public_url")
        return application
