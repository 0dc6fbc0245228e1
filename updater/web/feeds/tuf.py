"""TUF repositories: metadata and targets, byte for byte as they were published."""

from __future__ import annotations

import re
from typing import Final

from aiohttp import web

from updater.access.limits import Traffic
from updater.errors import NotFound
from updater.services import Services
from updater.web.feeds.answers import NO_CACHE, channel_in_path, feed_answer
from updater.web.gate.routing import Contract, endpoint
from updater.web.messages.answers import JSON
from updater.web.messages.paths import find_path
from updater.web.transfer.downloads import StoredBlob, send_blob
from updater.web.transfer.ranged import IMMUTABLE

_NUMBERED: Final = re.compile(r"[0-9]+\..+\.json", re.DOTALL)


class TufFeed:
    """The two addresses that a client of The Update Framework has."""

    def __init__(self, services: Services) -> None:
        self._offers = services.offers
        self._tuf = services.tuf

    @endpoint(
        Contract(
            "TUF metadata",
            traffic=Traffic.DOWNLOAD,
            answers={200: None, 304: None},
            failures=(404,),
            media_types=(JSON,),
        )
    )
    async def get_metadata(self, request: web.Request) -> web.Response:
        """Return a metadata file, such as `timestamp.json` or `2.root.json`; the end of the roots is 404."""
        channel, name = channel_in_path(request, self._offers), request.match_info["file_name"]
        found = await self._tuf.get_metadata(request.match_info["app_id"], channel, name)
        cache_control = IMMUTABLE if _NUMBERED.fullmatch(name) else NO_CACHE
        return feed_answer(request, found.body, JSON, cache_control=cache_control, digest=found.digest)

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
        channel, path = channel_in_path(request, self._offers), find_path(request, "path")
        if path is None:
            raise NotFound("target", "No such target is stored")
        found, prefixed = await self._tuf.get_target(request.match_info["app_id"], channel, path)
        blob = StoredBlob(found.digest, found.size_bytes, found.path.rpartition("/")[2], found.created_at)
        return await send_blob(request, blob, cache_control=IMMUTABLE if prefixed else NO_CACHE)
