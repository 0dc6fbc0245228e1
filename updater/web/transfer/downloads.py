"""The way out of a build, for every surface: send its bytes, count the download, tell the access log."""

from __future__ import annotations

import time
from collections.abc import Mapping

from aiohttp import web

from updater.catalog.model import Build
from updater.services import Services
from updater.web.gate.context import CONTEXT
from updater.web.transfer.delivery import DELIVERY
from updater.web.transfer.ranged import IMMUTABLE, Download, Ending


async def send_build(
    request: web.Request,
    services: Services,
    build: Build,
    *,
    file_name: str | None = None,
    cache_control: str = IMMUTABLE,
    headers: Mapping[str, str] | None = None,
) -> web.StreamResponse:
    """Send a build's bytes, whole or in ranges; an external build answers with its address.

    They are offered under the file's own name, or `file_name` where a surface has another one.

    Raises:
        Unavailable: the file cannot be read.
    """
    context = request[CONTEXT]
    if build.file is None:
        context.outcome = "redirected"
        return web.Response(status=302, headers={"Location": build.url or "", "Cache-Control": "no-cache"})
    stored = build.file
    delivery = request.app[DELIVERY]
    place = delivery.place_of(stored.digest)
    download = Download(place, stored.digest, stored.size_bytes, file_name or stored.name, build.created_at)
    began_s = time.monotonic()
    response = await delivery.send(request, download, cache_control=cache_control, headers=headers)
    context.sent_bytes = response.sent.body_bytes
    context.outcome = response.sent.ending.value
    handed_over = response.sent.ending is Ending.HANDED_OVER
    if request.method == "GET" and (handed_over or response.status in (200, 206)):
        # A download starts with the first byte, and is finished when its bytes have left, in however many requests.
        # What nginx or the object store sends counts as sent.
        whole = "Range" not in request.headers if handed_over else response.status == 200
        started = whole or "bytes=0-" in request.headers.get("Range", "").replace(" ", "").lower()
        services.telemetry.count_download(
            build.id,
            started=started,
            finished=services.telemetry.partial.add(
                (build.id, delivery.client_of(request)),
                [(span.start, span.stop) for span in response.spans],
                stored.size_bytes,
            ),
            sent_bytes=response.sent.body_bytes if response.sent.ending is Ending.COMPLETE else 0,
            duration_s=time.monotonic() - began_s,
        )
    return response
