"""Scoop: the manifest of an application."""

from __future__ import annotations

from aiohttp import web

from updater.access.limits import Traffic
from updater.errors import NotFound
from updater.feeds.scoop import ScoopManifest
from updater.web.feeds.answering import Feed
from updater.web.feeds.schemas import FeedQuery
from updater.web.gate.routing import Contract, endpoint


class ScoopFeed(Feed):
    """The one address that `scoop install` takes."""

    @endpoint(
        Contract(
            "Scoop: the manifest",
            traffic=Traffic.FEED,
            query=FeedQuery(),
            parses_itself=True,
            at_once=Feed.is_loaded,
            answers={200: None, 304: None},
            failures=(404, 422, 503),
            media_types=("application/json",),
        )
    )
    async def get_manifest(self, request: web.Request) -> web.Response:
        """Return the manifest; it is called after the application."""
        match = request.match_info
        if match["manifest"] != match["app_id"]:
            raise NotFound("feed", f"No such manifest: expected {match['app_id']}.json")
        return await self.door.answer(request, ScoopManifest())
