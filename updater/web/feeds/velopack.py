"""Velopack: its list of packages, and the packages."""

from __future__ import annotations

import dataclasses

from aiohttp import web

from updater.access.limits import Traffic
from updater.catalog.platforms import Target
from updater.errors import NotFound
from updater.feeds.velopack import TARGETS, VelopackReleases, is_list
from updater.services import Services
from updater.web.feeds.answering import Feed, FeedDoor
from updater.web.feeds.packages import PACKAGE, send_package
from updater.web.feeds.schemas import FeedQuery, VelopackAnswer
from updater.web.gate.routing import Contract, endpoint


class VelopackFeed(Feed):
    """What Velopack asks."""

    def __init__(self, services: Services, door: FeedDoor) -> None:
        super().__init__(door)
        self._services = services

    def _is_ready(self, request: web.Request) -> bool:
        path = request.match_info
        return is_list(path["file_name"]) and self.door.waits_for_nothing(request, TARGETS.get(path["rid"].lower()))

    @endpoint(
        Contract(
            "Velopack: the packages",
            traffic=Traffic.FEED,
            query=FeedQuery(),
            parses_itself=True,
            at_once=_is_ready,
            answers={**PACKAGE.answers, 200: VelopackAnswer()},
            failures=(404, 422),
            media_types=PACKAGE.media_types,
        )
    )
    async def get_releases(self, request: web.Request) -> web.StreamResponse:
        """Return `releases.{word}.json`; the channel is the address's, whatever word the client asks for."""
        target, name = _target(request), request.match_info["file_name"]
        if is_list(name):
            return await self.door.answer(request, VelopackReleases(target), notes_of=target)
        if name.lower().endswith(".nupkg"):
            return await send_package(request, self._services, target, name)
        raise NotFound("feed", "No such file: expected releases.json of a channel, or a package")

    @endpoint(dataclasses.replace(PACKAGE, summary="Velopack: a package"))
    async def get_package(self, request: web.Request) -> web.StreamResponse:
        """Send a package, whole or in ranges; the case of its name does not count."""
        return await send_package(request, self._services, _target(request), f"{request.match_info['package']}.nupkg")


def _target(request: web.Request) -> Target:
    target = TARGETS.get(request.match_info["rid"].lower())
    if target is None:
        raise NotFound("feed", f"No such target: expected one of {', '.join(TARGETS)}")
    return target
