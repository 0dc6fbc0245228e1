"""The way out: builds and their files, by their names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiohttp import web

from updater.access.limits import Traffic
from updater.access.principals import Permission
from updater.services import Services
from updater.web.api.targets import target_in_path
from updater.web.gate.context import CONTEXT
from updater.web.gate.routing import Contract, endpoint
from updater.web.transfer.delivery import DELIVERY
from updater.web.transfer.downloads import send_build, send_stored


def _of_bytes(summary: str, at_once: Callable[[Any, web.Request], bool]) -> Contract:
    return Contract(
        summary,
        traffic=Traffic.DOWNLOAD,
        at_once=at_once,
        answers={200: None, 206: None, 302: None, 304: None, 412: None, 416: None},
        failures=(404, 422),
        media_types=("application/octet-stream", "multipart/byteranges"),
    )


class Downloads:
    """What installed clients download."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def _redirects_to_build(self, request: web.Request) -> bool:
        path = request.match_info
        known = self._services.downloads.find_known_build(path["app_id"], path["version"], target_in_path(request))
        return known is not None and (known.file is None or request.app[DELIVERY].knows_address(request, known.file))

    def _redirects_to_file(self, request: web.Request) -> bool:
        path, target = request.match_info, target_in_path(request)
        known = self._services.downloads.find_known_file(path["app_id"], path["version"], target, path["file_name"])
        return known is not None and request.app[DELIVERY].knows_address(request, known[1])

    @endpoint(_of_bytes("Download a build", _redirects_to_build))
    async def download(self, request: web.Request) -> web.StreamResponse:
        """Send the bytes, whole or in ranges; an external build answers with its address."""
        application_id = request.match_info["app_id"]
        build = await self._services.downloads.get_build(
            application_id,
            request.match_info["version"],
            target_in_path(request),
            sees_drafts=request[CONTEXT].may(Permission.READ, application_id),
        )
        return await send_build(request, self._services, build)

    @endpoint(_of_bytes("Download a file", _redirects_to_file))
    async def download_file(self, request: web.Request) -> web.StreamResponse:
        """Send a file of a build by its own name, whole or in ranges."""
        path = request.match_info
        build, stored = await self._services.downloads.get_file(
            path["app_id"],
            path["version"],
            target_in_path(request),
            path["file_name"],
            sees_drafts=request[CONTEXT].may(Permission.READ, path["app_id"]),
        )
        return await send_stored(request, self._services, build, stored)
