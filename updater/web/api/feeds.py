"""What each feed of an application shows, and what it passes over: for publishers who wonder."""

from __future__ import annotations

from typing import Any

from aiohttp import web
from marshmallow import Schema, fields

from updater.access.principals import Permission
from updater.feeds.recipes import list_recipes
from updater.services import Services
from updater.web.gate.routing import Contract, endpoint
from updater.web.messages.answers import json_answer
from updater.web.messages.links import Links


class FeedsQuery(Schema):
    """The channel that is asked for; left out: the first."""

    channel = fields.String(load_default="")


class PassedOverItem(Schema):
    """A release that a feed does not show, and why."""

    version = fields.String(required=True)
    reason = fields.String(required=True)


class FeedItem(Schema):
    """A feed as clients of one target see it; `url` is what their configuration holds."""

    feed = fields.String(required=True)
    channel = fields.String(required=True)
    platform = fields.String(required=True)
    architecture = fields.String(required=True)
    url = fields.String(required=True)
    version = fields.String(required=True, allow_none=True)
    passed_over = fields.List(fields.Nested(PassedOverItem), required=True)


class RecipeItem(Schema):
    """Lines to paste into an application, and the file that they belong into."""

    updater = fields.String(required=True)
    feed = fields.String(required=True)
    file = fields.String(required=True)
    text = fields.String(required=True)


class FeedsAnswer(Schema):
    """All feeds of an application, and what makes updaters ask them."""

    recipes = fields.List(fields.Nested(RecipeItem), required=True)
    feeds = fields.List(fields.Nested(FeedItem), required=True)


class Feeds:
    """Tells what feeds show."""

    def __init__(self, services: Services, links: Links) -> None:
        self._feeds = services.feeds
        self._links = links

    @endpoint(
        Contract(
            "What each feed shows",
            Permission.READ,
            query=FeedsQuery(),
            answers={200: FeedsAnswer()},
            failures=(404, 422),
        )
    )
    async def list_feeds(self, request: web.Request, query: dict[str, Any]) -> web.Response:
        """List the feeds of an application on a channel.

        Each says what it shows to a client of unknown version that is outside every partial rollout, and which newer
        releases it passes over, with the reason.
        """
        application, channel, seen = await self._feeds.view(request.match_info["app_id"], query["channel"])
        origin = self._links.origin(request)
        base = f"{origin}/feeds/{application.id}/{channel}"
        return json_answer(
            {
                "recipes": [
                    {"updater": each.updater, "feed": each.feed, "file": each.file, "text": each.text}
                    for each in list_recipes(application, channel, origin)
                ],
                "feeds": [
                    {
                        "feed": each.feed,
                        "channel": channel,
                        "platform": each.target.platform,
                        "architecture": each.target.architecture,
                        "url": f"{base}/{each.url}",
                        "version": each.view.version,
                        "passed_over": [{"version": version, "reason": why} for version, why in each.view.passed_over],
                    }
                    for each in seen
                ],
            }
        )
