"""The bytes of packages below a feed: some clients take bare names only, and look for them beside their list."""

from __future__ import annotations

from aiohttp import web

from updater.access.limits import Traffic
from updater.catalog.platforms import Target
from updater.errors import NotFound, Unavailable
from updater.services import Services
from updater.web.gate.routing import Contract
from updater.web.transfer.downloads import send_stored

PACKAGE = Contract(
    "A package of a feed",
    traffic=Traffic.DOWNLOAD,
    answers={200: None, 206: None, 302: None, 304: None, 412: None, 416: None},
    failures=(404,),
    media_types=("application/octet-stream", "multipart/byteranges"),
)


async def send_package(request: web.Request, services: Services, target: Target, name: str) -> web.StreamResponse:
    """Send a package or delta of an active release, on any channel, by its name, whose case does not count.

    Raises:
        NotFound: there is none. Unavailable: its bytes are damaged, or cannot be read now.
    """
    found = await services.feeds.find_package(request.match_info["app_id"], target, name)
    if found is None:
        raise NotFound("file", "No such package")
    build, file = found
    if file.quarantined:
        raise Unavailable("The stored file is damaged and is not served until it is repaired", retry_after_s=600)
    return await send_stored(request, services, build, file)
