"""Electron's autoUpdater: Squirrel.Mac, Squirrel.Windows, MSIX."""

from __future__ import annotations

import dataclasses

from aiohttp import web

from updater.access.limits import Traffic
from updater.catalog.platforms import Target
from updater.errors import NotFound
from updater.feeds.squirrel import TARGETS, SquirrelReleases, SquirrelUpdate
from updater.services import Services
from updater.web.feeds.answering import Feed, FeedDoor
from updater.web.feeds.packages import PACKAGE, send_package
from updater.web.feeds.schemas import FeedQuery, SquirrelAnswer
from updater.web.gate.routing import Contract, endpoint

_RELEASES, _PACKAGE_ENDING = "releases", ".nupkg"


class SquirrelFeed(Feed):
    """What Electron's autoUpdater asks."""

    def __init__(self, services: Services, door: FeedDoor) -> None:
        super().__init__(door)
        self._services = services

    def _is_ready(self, request: web.Request) -> bool:
        """Tell whether an answer awaits nothing: it is no package, and the feed is loaded. Raises as `is_loaded`."""
        path = request.match_info
        name = path.get("file_name") or path["version"]
        return not name.lower().endswith(_PACKAGE_ENDING) and self.is_loaded(request)

    @endpoint(
        Contract(
            "Electron's autoUpdater: what is new to a version",
            traffic=Traffic.FEED,
            query=FeedQuery(),
            parses_itself=True,
            at_once=_is_ready,
            answers={**PACKAGE.answers, 200: SquirrelAnswer(), 204: None},
            failures=(404, 422),
            media_types=("text/plain", *PACKAGE.media_types),
        )
    )
    async def get_update(self, request: web.Request) -> web.StreamResponse:
        """Return what is new to the version in the path, else 204; for `RELEASES` (in any case) the packages.

        A package is sent whatever case its ending has.
        """
        target, name = _target(request), request.match_info["version"]
        if name.lower() == _RELEASES:
            return await self.door.answer(request, SquirrelReleases(target))
        if name.lower().endswith(_PACKAGE_ENDING):
            return await send_package(request, self._services, target, name)
        return await self.door.answer(request, SquirrelUpdate(target), current=name)

    @endpoint(
        Contract(
            "Squirrel.Windows: the packages for a version",
            traffic=Traffic.FEED,
            query=FeedQuery(),
            parses_itself=True,
            at_once=_is_ready,
            answers=PACKAGE.answers,
            failures=(404, 422),
            media_types=("text/plain", *PACKAGE.media_types),
        )
    )
    async def get_releases(self, request: web.Request) -> web.StreamResponse:
        """Return `RELEASES`, in any case, as a client of the version in the path sees it."""
        target, name = _target(request), request.match_info["file_name"]
        if name.lower().endswith(_PACKAGE_ENDING):
            return await send_package(request, self._services, target, name)
        if name.lower() != _RELEASES:
            raise NotFound("feed", "No such file: expected RELEASES or a package")
        return await self.door.answer(request, SquirrelReleases(target), current=request.match_info["version"])

    @endpoint(dataclasses.replace(PACKAGE, summary="Squirrel.Windows: a package"))
    async def get_package(self, request: web.Request) -> web.StreamResponse:
        """Send a package, whole or in ranges; the case of its name does not count."""
        return await send_package(request, self._services, _target(request), f"{request.match_info['package']}.nupkg")


def _target(request: web.Request) -> Target:
    target = TARGETS.get(request.match_info["target"])
    if target is None:
        raise NotFound("feed", f"No such target: expected one of {', '.join(TARGETS)}")
    return target
