"""The senders of a download: this process, nginx in front of it, or the object store itself.

Conditions and ranges mean the same in all three. Where the other side could answer differently, this process
answers: nginx gets no request whose ranges are to be ignored, and the object store none that names our entity
tag, which it does not know, asks for several ranges or the last n bytes, which not every store serves, or for
the headers alone. Stores pass over If-Range; with a tag that is not ours that does no harm, since an address is
bound to its bytes for ever.

A browser saves a download under the name that comes with the bytes. Where the store cannot be told it, browsers get
them from this process.
"""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

from aiohttp import hdrs, web

from updater.access.addresses import AddressReader
from updater.access.limits import client_of
from updater.artifacts import ranges
from updater.artifacts.blobs import BlobStore
from updater.artifacts.presigning import Signed
from updater.artifacts.service import ArtifactService
from updater.catalog.model import BuildFile, StoredFile
from updater.errors import Unavailable
from updater.settings import Settings
from updater.web.gate.context import CONTEXT
from updater.web.transfer.ranged import (
    Download,
    DownloadResponse,
    Ending,
    Sent,
    content_disposition,
    prepare_offload,
    send_file,
)
from updater.web.transfer.wire import FileSource

ACCEL_PREFIX: Final = "/_blobs/"
"""The internal location of nginx that serves the folder `blobs`; scripts/nginx.conf has it."""

_CONDITIONS: Final = (hdrs.IF_NONE_MATCH, hdrs.IF_MATCH, hdrs.IF_RANGE)
_PLAIN_RANGE: Final = re.compile(r"bytes=([0-9]{1,18})-([0-9]{0,18})")
_KEPT_ADDRESSES: Final = 4096
_LOOK_HOLDS_S: Final = 5.0
# Much longer than it takes from `knows_address` to `send`.
_ANSWERED_WITHIN_S: Final = 5.0
_HANDED_OVER: Final = Sent(Ending.HANDED_OVER, 0, reached_end=True)

Sign = Callable[[str, int, str], Awaitable[Signed]]


class Delivery:
    """Sends downloads in the way that the settings choose."""

    def __init__(self, artifacts: ArtifactService, settings: Settings) -> None:
        storage, blobs = settings.storage, artifacts.blobs
        self._blobs = blobs
        self._inspector = artifacts.inspector
        self._looked_at_s: dict[str, float] = {}
        self._addresses: SignedAddresses | None = None
        if storage.blob_url is not None and storage.remote_downloads == "redirect":
            from updater.artifacts.remote import RemoteBlobStore  # here: most services have a local store

            if isinstance(blobs, RemoteBlobStore):
                self._addresses = SignedAddresses(blobs.sign, storage.signed_url_s)
        self._offloads = storage.offload is not None
        self._proxies = AddressReader(settings.server.trusted_proxies)

    def client_of(self, request: web.Request) -> str:
        """Return whose request this is, where downloads are told apart: an address, or the /64 of IPv6."""
        return client_of(request[CONTEXT].client_address(request, self._proxies))

    def place_of(self, digest: str) -> Path | BlobStore:
        """Return where this process reads the bytes of a blob: a path of this machine, or else the store."""
        return self._blobs.locate(digest) or self._blobs

    def knows_address(self, request: web.Request, stored: StoredFile | BuildFile) -> bool:
        """Tell whether `send` redirects a request for a file, and awaits nothing before that."""
        addresses = self._addresses
        if addresses is None or not _is_plain(request, stored.digest):
            return False
        signed = addresses.find(stored.digest, stored.name, for_s=_ANSWERED_WITHIN_S)
        return signed is not None and _is_redirected(request, signed)

    async def send(
        self, request: web.Request, download: Download, *, cache_control: str, headers: Mapping[str, str] | None
    ) -> DownloadResponse:
        """Answer a GET or HEAD, in the way that the settings choose. See `ranged.send_file`.

        Raises:
            Unavailable: the file cannot be read, or no address can be signed.
        """
        addresses = self._addresses
        if addresses is not None and _is_plain(request, download.digest):
            signed = addresses.find(download.digest, download.file_name) or await addresses.make(download)
            if _is_redirected(request, signed):
                return _redirect(request, download, signed.address, headers)
        try:
            return await self._send_local(request, download, cache_control, headers)
        except Unavailable:
            self._inspector.suspect(download.digest)
            raise

    async def _send_local(
        self, request: web.Request, download: Download, cache_control: str, headers: Mapping[str, str] | None
    ) -> DownloadResponse:
        """Send from this machine, through nginx or this process. Raises Unavailable."""
        if self._offloads and self._proxies.believes(request.remote) and isinstance(download.place, Path):
            offloaded = prepare_offload(
                request, download, ACCEL_PREFIX + _inner_path(download.place), cache_control, headers or {}
            )
            if offloaded is not None:
                await self._inspect(download, download.place)
                return offloaded
        inspect = self._inspector.inspect
        return await send_file(request, download, cache_control=cache_control, headers=headers, inspect=inspect)

    async def _inspect(self, download: Download, path: Path) -> None:
        """Look at a file that nginx will open; one look serves all downloads for `_LOOK_HOLDS_S` seconds.

        Raises:
            Unavailable: it is missing, damaged, or cannot be read.
        """
        now_s = time.monotonic()
        if now_s - self._looked_at_s.get(download.digest, -_LOOK_HOLDS_S) < _LOOK_HOLDS_S:
            return
        await (await FileSource.open(path, download.size_bytes, self._inspector.inspect)).close()
        if len(self._looked_at_s) >= _KEPT_ADDRESSES:
            self._looked_at_s.clear()
        self._looked_at_s[download.digest] = now_s


class SignedAddresses:
    """Signed addresses by digest and file name. One is handed out again until half of its life is over."""

    def __init__(self, sign: Sign, lifetime_s: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._sign = sign
        self._lifetime_s = lifetime_s
        self._clock = clock
        self._kept: dict[tuple[str, str], tuple[float, Signed]] = {}

    def find(self, digest: str, file_name: str, *, for_s: float = 0) -> Signed | None:
        """Return a kept address that is handed out now, and for so long; None when none is."""
        kept = self._kept.get((digest, file_name))
        return kept[1] if kept is not None and self._clock() + for_s < kept[0] else None

    async def make(self, download: Download) -> Signed:
        """Sign a new address, and keep it. Raises Unavailable."""
        now_s = self._clock()
        signed = await self._sign(download.digest, self._lifetime_s, content_disposition(download.file_name))
        if len(self._kept) >= _KEPT_ADDRESSES:
            self._kept.clear()
        self._kept[download.digest, download.file_name] = now_s + self._lifetime_s / 2, signed
        return signed


def _is_redirected(request: web.Request, signed: Signed) -> bool:
    return signed.names_file or not _is_navigation(request)


def _is_navigation(request: web.Request) -> bool:
    """Tell whether a browser follows a link. What a script or an installer fetches, it names itself."""
    headers = request.headers
    return headers.get("Sec-Fetch-Mode") == "navigate" or "text/html" in headers.get(hdrs.ACCEPT, "")


def _redirect(
    request: web.Request, download: Download, address: str, headers: Mapping[str, str] | None
) -> DownloadResponse:
    response = DownloadResponse(status=302, headers=headers)
    # A signed address expires, so caches must not keep the redirect.
    response.headers[hdrs.CACHE_CONTROL] = "no-store"
    response.headers[hdrs.LOCATION] = address
    response.headers[hdrs.CONTENT_LENGTH] = "0"
    if hdrs.RANGE not in request.headers:
        response.sent, response.spans = _HANDED_OVER, (ranges.ByteRange(0, download.size_bytes),)
        return response
    plan = ranges.plan("GET", request.headers, download.etag, download.size_bytes)
    reached_end = any(part.stop == download.size_bytes for part in plan.ranges)
    response.sent = _HANDED_OVER._replace(reached_end=reached_end)
    response.spans = plan.ranges
    return response


def _is_plain(request: web.Request, digest: str) -> bool:
    """Tell whether the object store gives the answer that this process would give."""
    headers = request.headers
    if request.method != "GET":
        return False
    asked = headers.get(hdrs.RANGE)
    if asked is not None and not _is_plain_range(asked):
        return False
    for name in _CONDITIONS:
        value = headers.get(name)
        if value is not None and (digest in value or "*" in value):
            return False
    return True


def _is_plain_range(asked: str) -> bool:
    """Tell one range from the beginning; stores answer one that ends before it begins with 416, we as none."""
    found = _PLAIN_RANGE.fullmatch(asked)
    return found is not None and (not found[2] or int(found[1]) <= int(found[2]))


def _inner_path(place: Path) -> str:
    return "/".join(place.parts[-3:])


DELIVERY: Final = web.AppKey("delivery", Delivery)
