"""TUF repositories: metadata and targets, byte for byte as they were published."""

from __future__ import annotations

from aiohttp import web

from updater.access.limits import Traffic
from updater.errors import NotFound
from updater.services import Services
from updater.web.feeds.answers import channel_in_path
from updater.web.gate.routing import Contract, endpoint


class TufFeed:
    """The two addresses that a client of The Update Framework has."""

    def __init__(self, services: Services) -> None:
        self._offers = services.offers

    @endpoint(
        Contract(
            "TUF metadata",
            traffic=Traffic.DOWNLOAD,
            answers={200: None, 304: None},
            failures=(404,),
            media_types=("application/json",),
        )
    )
    async def get_metadata(self, request: web.Request) -> web.Response:
        """Return a metadata file, such as `timestamp.json` or `2.root.json`; the end of the roots is 404."""
        channel_in_path(request, self._offers)
        raise NotFound("metadata", "No such metadata was published")

    @endpoint(
        Contract(
            "TUF target",
            traffic=Traffic.DOWNLOAD,
            answers={200: None, 206: None, 302: None, 304: None, 412: None, 416: None},
            failures=(404,),
            media_types=("application/octet-stream", "multipart/byteranges"),
        )
    )
    async def get_target(self, request: web.Request) -> web.StreamResponse:
        """Send a target's bytes, whole or in ranges, also under its name with the SHA-256 before it."""
        channel_in_path(request, self._offers)
        raise NotFound("target", "No such target was published")
