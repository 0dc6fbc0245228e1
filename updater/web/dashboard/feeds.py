"""The feeds of an application: their addresses, the lines to paste, and what each shows or passes over."""

from __future__ import annotations

from itertools import groupby
from typing import Any, NamedTuple

from aiohttp import web
from marshmallow import Schema, fields

from updater.access.principals import Permission
from updater.catalog.platforms import Target
from updater.feeds.recipes import KEY_PLACE, feeds_base, list_recipes
from updater.feeds.registry import FeedSeen
from updater.services import Services
from updater.web.dashboard.page import HTML, PageKit
from updater.web.gate.routing import Contract, endpoint
from updater.web.messages.links import Links


class PassedOver(NamedTuple):
    """Releases that a feed passes over for one reason: the newest of them, and how many older ones."""

    version: str
    more: int
    reason: str


class FeedRow(NamedTuple):
    """A feed for a target: what it shows, None for nothing, and what it passes over."""

    feed: str
    target: Target
    url: str
    version: str | None
    passed_over: tuple[PassedOver, ...]


class FeedsQuery(Schema):
    """The channel whose feeds are shown; empty: the first."""

    channel = fields.String(load_default="")


class Feeds:
    """What a browser shows of feeds."""

    def __init__(self, kit: PageKit, services: Services, links: Links) -> None:
        self._kit = kit
        self._feeds = services.feeds
        self._links = links

    @endpoint(
        Contract(
            "The feeds of an application",
            Permission.WRITE,
            query=FeedsQuery(),
            answers={200: None},
            failures=(404, 422),
            media_types=HTML,
        )
    )
    async def show_feeds(self, request: web.Request, query: dict[str, Any]) -> web.Response:
        """Show what each feed of a channel shows, and what makes an updater ask it. Raises Invalid: no such channel."""
        application, channel, seen = await self._feeds.view(request.match_info["app_id"], query["channel"])
        origin = self._links.origin(request)
        base = feeds_base(application, channel, origin)
        served = {each.feed for each in seen if each.view.version is not None}
        recipes = list_recipes(application, channel, origin)
        context = {
            "application": application,
            "channel": channel,
            "channels": [(each, each) for each in application.channels],
            "rows": [_row(each, base) for each in seen],
            # Updaters that are shown something come first.
            "recipes": sorted(recipes, key=lambda each: each.feed not in served),
            "served": served,
            "key_place": KEY_PLACE,
        }
        return self._kit.render(request, "feeds.html", context)


def _row(seen: FeedSeen, base: str) -> FeedRow:
    groups = [list(group) for _, group in groupby(seen.view.passed_over, key=lambda each: each.reason)]
    passed_over = tuple(PassedOver(group[0].version, len(group) - 1, group[0].reason) for group in groups)
    return FeedRow(seen.feed, seen.target, f"{base}/{seen.url}", seen.view.version, passed_over)
