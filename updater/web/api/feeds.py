"""What each feed of an application shows, and what it passes over: for publishers who wonder."""

from __future__ import annotations

from typing import Any

from aiohttp import web
from marshmallow import Schema, fields

from updater.access.principals import Permission
from updater.errors import Invalid
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


class FeedsAnswer(Schema):
    """All feeds of an application."""

    feeds = fields.List(fields.Nested(FeedItem), required=True)


class Feeds:
    """Tells what feeds show."""

    def __init__(self, services: Services, links: Links) -> None:
        self._feeds = services.feeds
        self._offers = services.offers
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
        application = self._offers.get_application(request.match_info["app_id"])
        channel = query["channel"] or application.channels[0]
        if channel not in application.channels:
            raise Invalid({"channel": f"expected one of {', '.join(application.channels)}"})
        base = f"{self._links.origin(request)}/feeds/{application.id}/{channel}"
        seen = await self._feeds.view(application.id, application.channels.index(channel))
        return json_answer(
            {
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
                ]
            }
        )
