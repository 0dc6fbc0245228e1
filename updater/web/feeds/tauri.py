"""Tauri's updater: the answer for one client, and the static file."""

from __future__ import annotations

from aiohttp import web

from updater.access.limits import Traffic
from updater.errors import NotFound
from updater.feeds.tauri import TauriLatest, read_update
from updater.web.feeds.answering import Feed
from updater.web.feeds.schemas import FeedQuery, TauriAnswer, TauriLatestAnswer, TauriQuery
from updater.web.gate.routing import Contract, endpoint


class TauriFeed(Feed):
    """The two addresses that an application of Tauri may have for its updates."""

    @endpoint(
        Contract(
            "Tauri: the update of a client",
            traffic=Traffic.FEED,
            query=TauriQuery(),
            parses_itself=True,
            at_once=Feed.is_loaded,
            answers={200: TauriAnswer(), 204: None, 304: None},
            failures=(404, 422, 503),
        )
    )
    async def get_update(self, request: web.Request) -> web.Response:
        """Return the newer release with its signature, or 204.

        `target` is linux, windows or darwin; `machine` is x86_64, aarch64, i686 or armv7.
        """
        match, query = request.match_info, request.query
        question = read_update(match["target"], match["machine"], query.get("bundle") or query.get("bundle_type"))
        if question is None:
            raise NotFound(
                "feed", "No such target: expected linux, windows or darwin, and x86_64, aarch64, i686 or armv7"
            )
        return await self.door.answer(request, question, current=match["current_version"])

    @endpoint(
        Contract(
            "Tauri: the static file",
            traffic=Traffic.FEED,
            query=FeedQuery(),
            parses_itself=True,
            at_once=Feed.is_loaded,
            answers={200: TauriLatestAnswer(), 304: None},
            failures=(404, 422, 503),
        )
    )
    async def get_latest(self, request: web.Request) -> web.Response:
        """Return the newest release that any target is shown, with the targets that have it."""
        return await self.door.answer(request, TauriLatest())
