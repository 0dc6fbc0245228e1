"""electron-updater: `latest.yml` and its like."""

from __future__ import annotations

from aiohttp import web

from updater.access.limits import Traffic
from updater.errors import NotFound
from updater.feeds.electron import read_name
from updater.web.feeds.answering import Feed
from updater.web.feeds.schemas import FeedQuery
from updater.web.gate.routing import Contract, endpoint


class ElectronFeed(Feed):
    """The one address that electron-updater asks."""

    @endpoint(
        Contract(
            "electron-updater: the newest release",
            traffic=Traffic.FEED,
            query=FeedQuery(),
            parses_itself=True,
            at_once=Feed.is_loaded,
            answers={200: None, 304: None},
            failures=(404, 422, 503),
            media_types=("text/yaml",),
        )
    )
    async def get_yml(self, request: web.Request) -> web.Response:
        """Return `latest.yml` (windows), `latest-mac.yml`, `latest-linux.yml` or `latest-linux-arm64.yml`.

        Another word than `latest` is the channel that the client asks for.
        """
        found = read_name(request.match_info["file_name"])
        if found is None:
            raise NotFound("feed", "No such file: expected latest.yml, latest-mac.yml or latest-linux.yml")
        channel, question = found
        return await self.door.answer(request, question, channel=channel)
