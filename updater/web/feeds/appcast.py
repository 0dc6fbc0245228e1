"""Appcasts, which Sparkle, WinSparkle and NetSparkle read."""

from __future__ import annotations

from aiohttp import web

from updater.access.limits import Traffic
from updater.errors import NotFound
from updater.feeds.appcast import read_word
from updater.web.feeds.answering import Feed
from updater.web.feeds.schemas import FeedQuery
from updater.web.gate.routing import Contract, endpoint


class AppcastFeed(Feed):
    """The one address of an application on a system: its `SUFeedURL`."""

    def _is_ready(self, request: web.Request) -> bool:
        question = read_word(request.match_info["system"])
        return question is None or self.door.waits_for_nothing(request, question.target)

    @endpoint(
        Contract(
            "Sparkle, WinSparkle, NetSparkle: the appcast",
            traffic=Traffic.FEED,
            query=FeedQuery(),
            parses_itself=True,
            at_once=_is_ready,
            answers={200: None, 304: None},
            failures=(404, 422, 503),
            media_types=("application/rss+xml",),
        )
    )
    async def get_appcast(self, request: web.Request) -> web.Response:
        """Return the release that is shown, and those below it; without any, an appcast without items.

        `system` is macos, windows or linux, which may be followed by -x64, -arm64 or -x86.
        """
        question = read_word(request.match_info["system"])
        if question is None:
            raise NotFound(
                "feed", "No such appcast: expected macos, windows or linux, then -x64, -arm64, -x86 or nothing"
            )
        return await self.door.answer(request, question, notes_of=question.target)
