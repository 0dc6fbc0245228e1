"""Addresses that answers hold."""

from __future__ import annotations

import functools
import re
from typing import ClassVar
from urllib.parse import quote

from aiohttp import hdrs, web

from updater.catalog.model import Build
from updater.errors import Malformed
from updater.web.messages.path_keys import PREFIX, find_path_key

# Source: RFC 3986 section 3.2.2, without percent-encoding: no real host name needs it.
_HOST = re.compile(r"(?:[A-Za-z0-9._~-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")


@functools.lru_cache(256)
def _origin_of(scheme: str, host: str) -> str:
    """Return the origin; of each update check, so it is remembered. Raises Malformed for a host that is none."""
    if _HOST.fullmatch(host) is None:
        raise Malformed("The Host header is not a host name")
    return f"{scheme}://{host}"


def host_of(request: web.Request) -> str:
    """Return the Host header, empty without one.

    Not `request.host`: that is the host of an absolute request target, without its port, or else of our own socket.
    """
    return request.headers.get(hdrs.HOST, "")


class Links:
    """Builds addresses on `public_url`, or on the origin a request came to when none is set.

    Downloads of stored files are on `cdn_url` when there is one.
    """

    DOWNLOAD_PATH: ClassVar[str] = "/api/v1/updates/{app_id}/download/{version}/{platform}/{arch}"

    def __init__(self, public_url: str | None, cdn_url: str | None = None) -> None:
        self._public_url = public_url.rstrip("/") if public_url else None
        self._cdn_url = cdn_url.rstrip("/") if cdn_url else None

    def origin(self, request: web.Request) -> str:
        """Return scheme and host, without a slash at the end. Raises Malformed for a Host header that is none."""
        if self._public_url is not None:
            return self._public_url
        return _origin_of(request.scheme, host_of(request))

    def download_origin(self, request: web.Request) -> str:
        """Return what download addresses begin with: the CDN's origin, else `origin`; then the key of the path, if any.

        Raises:
            Malformed: without a CDN and `public_url`, for a Host header that is no host name.
        """
        origin, key = self._cdn_url or self.origin(request), find_path_key(request)
        return origin if key is None else f"{origin}{PREFIX}{key}"

    def download_url(self, build: Build, origin: str) -> str:
        """Return where the bytes are: the external address, or our own on `origin`, which `download_origin` gives."""
        if build.url is not None:
            return build.url
        return self._build_path(build, origin, "")

    def _build_path(self, build: Build, origin: str, safe: str) -> str:
        path = self.DOWNLOAD_PATH.format(
            app_id=build.application_id,
            version=quote(build.version.text, safe=safe),
            platform=build.target.platform,
            arch=build.target.architecture,
        )
        return origin + path

    def file_url(self, build: Build, file_name: str, origin: str) -> str:
        """Return where a file of a build is, on `origin`, which `download_origin` gives.

        `+` stays as it is: electron-updater looks for the version of a release in the path.
        """
        return f"{self._build_path(build, origin, '+')}/{quote(file_name, safe='+')}"
