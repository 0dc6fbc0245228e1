"""The way out of stored files, for every surface: send the bytes, tell the access log, count downloads of builds."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from aiohttp import web

from updater.catalog.file_store import SERVER
from updater.catalog.files import FileKind
from updater.catalog.model import Build, BuildFile, ReleaseStatus, StoredFile
from updater.services import Services
from updater.web.gate.context import CONTEXT
from updater.web.transfer.delivery import DELIVERY
from updater.web.transfer.ranged import IMMUTABLE, Download, DownloadResponse, Ending


class StoredBlob(NamedTuple):
    """A stored file: the digest and size of its bytes, the name that it is offered under, and since when."""

    digest: str
    size_bytes: int
    file_name: str
    created_at: datetime


async def send_blob(
    request: web.Request, blob: StoredBlob, *, cache_control: str, headers: Mapping[str, str] | None = None
) -> DownloadResponse:
    """Send a stored file's bytes, whole or in ranges, and tell the access log.

    Raises:
        Unavailable: the file cannot be read.
    """
    delivery = request.app[DELIVERY]
    place = delivery.place_of(blob.digest)
    download = Download(place, blob.digest, blob.size_bytes, blob.file_name, blob.created_at)
    response = await delivery.send(request, download, cache_control=cache_control, headers=headers)
    context = request[CONTEXT]
    context.sent_bytes = response.sent.body_bytes
    context.outcome = response.sent.ending.value
    return response


_INSTALLED = frozenset({FileKind.INSTALLER, FileKind.ARCHIVE, FileKind.PACKAGE, FileKind.DELTA})


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
    if build.file is None:
        request[CONTEXT].outcome = "redirected"
        return web.Response(status=302, headers={"Location": build.url or "", "Cache-Control": "no-cache"})
    return await send_stored(
        request, services, build, build.file, file_name=file_name, cache_control=cache_control, headers=headers
    )


async def send_stored(
    request: web.Request,
    services: Services,
    build: Build,
    stored: StoredFile | BuildFile,
    *,
    file_name: str | None = None,
    cache_control: str = IMMUTABLE,
    headers: Mapping[str, str] | None = None,
) -> web.StreamResponse:
    """Send a file of a build, whole or in ranges. What clients install counts as a download of the build.

    A draft is for those who try it: no cache keeps it, and it counts as nothing. What the server made itself may be
    replaced, so caches ask each time.

    Raises:
        Unavailable: the file cannot be read.
    """
    is_draft = build.status is ReleaseStatus.DRAFT
    if is_draft:
        cache_control = "private, no-store"
    elif isinstance(stored, BuildFile) and stored.made_by == SERVER:
        cache_control = "no-cache"
    began_s = time.monotonic()
    # A companion has a time of its own: who asks by date must hear of one that took another's place.
    since = stored.created_at if isinstance(stored, BuildFile) else build.created_at
    blob = StoredBlob(stored.digest, stored.size_bytes, file_name or stored.name, since)
    response = await send_blob(request, blob, cache_control=cache_control, headers=headers)
    handed_over = response.sent.ending is Ending.HANDED_OVER
    if is_draft or not _is_installed(stored):
        return response
    if request.method == "GET" and (handed_over or response.status in (200, 206)):
        # A download starts with the first byte, and is finished when its bytes have left, in however many requests.
        # What nginx or the object store sends counts as sent.
        whole = "Range" not in request.headers if handed_over else response.status == 200
        started = whole or "bytes=0-" in request.headers.get("Range", "").replace(" ", "").lower()
        services.telemetry.count_download(
            build.id,
            started=started,
            finished=services.telemetry.partial.add(
                (stored.id, request.app[DELIVERY].client_of(request)),
                [(span.start, span.stop) for span in response.spans],
                stored.size_bytes,
            ),
            sent_bytes=response.sent.body_bytes if response.sent.ending is Ending.COMPLETE else 0,
            duration_s=time.monotonic() - began_s,
        )
    return response


def _is_installed(stored: StoredFile | BuildFile) -> bool:
    """Tell a file that a client installs from those that help it to. A build's primary file is always one."""
    return not isinstance(stored, BuildFile) or stored.primary or stored.kind in _INSTALLED
