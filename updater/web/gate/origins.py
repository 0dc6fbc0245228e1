"""Which site a request is for, and whether it came from there."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

from updater.access.addresses import AddressReader
from updater.access.limits import client_of
from updater.errors import Malformed
from updater.web.gate.context import CONTEXT
from updater.web.messages.links import host_of

# Source: RFC 9112 section 3.2: absolute-form, or authority-form, which has no scheme.
_TARGET: Final = re.compile(r"(?:([a-z][a-z0-9+.-]*)://)?([^/?#\\]*)", re.IGNORECASE)
_AUTHORITY: Final = re.compile(r"(\[[0-9a-f:.]+\]|[^\[\]@:]+)(?::([0-9]{0,5}))?")
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


def require_own_authority(request: web.Request) -> None:
    """Refuse a request target that names another scheme or authority than the connection and the Host header.

    Whoever trusts one of the two would otherwise be told the other. Cases and a default port do not matter.

    Source: RFC 9112 section 3.2.2, RFC 9110 sections 4.2.4 (no user information) and 7.4 (misdirected requests).

    Raises:
        Malformed: they differ.
    """
    target = request.raw_path
    if target[:1] == "/" or target == "*":
        return
    # Matches the empty text at least.
    scheme, authority = _TARGET.match(target).groups()  # type: ignore[union-attr]
    scheme = (scheme or request.scheme).lower()
    named = _normal(authority, scheme)
    if scheme != request.scheme or named is None or named != _normal(host_of(request), scheme):
        raise Malformed("The request target is for another host than the Host header")


def _normal(authority: str, scheme: str) -> tuple[str, int | None] | None:
    """Return host and port as they compare; None for what is no host and port."""
    found = _AUTHORITY.fullmatch(authority.lower())
    if found is None:
        return None
    host, port = found.groups()
    return host, int(port) if port else _DEFAULT_PORTS.get(scheme)


class Origins:
    """Knows our own origins, also behind a proxy that ends TLS."""

    def __init__(self, public_url: str | None, addresses: AddressReader) -> None:
        parts = urlsplit(public_url or "")
        self._public = f"{parts.scheme}://{parts.netloc}".lower() if public_url else None
        self._addresses = addresses

    def client(self, request: web.Request) -> str:
        """Return the address that counts as one client for limits: of IPv4, or a /64 of IPv6."""
        return client_of(request[CONTEXT].client_address(request, self._addresses))

    def is_secure(self, request: web.Request) -> bool:
        """Tell whether the browser spoke https: to us, to a trusted proxy, or to our public address.

        Asked in this order: the connection, the Origin header and `server.public_url`, X-Forwarded-Proto of a proxy.
        """
        if request.secure:
            return True
        host = host_of(request).lower()
        # The browser's own word is enough: it can only make its own cookie stricter.
        if request.headers.get("Origin", "").lower() == f"https://{host}" or self._public == f"https://{host}":
            return True
        # The last word is the nearest proxy's own, also where it added a line instead of a word.
        forwarded = ",".join(request.headers.getall("X-Forwarded-Proto", ()))
        return forwarded.rpartition(",")[2].strip() == "https" and self._addresses.believes(request.remote)

    def is_foreign(self, request: web.Request) -> bool:
        """Tell whether a browser says that another site's page sent this request.

        Source: Fetch Metadata Request Headers, section 2.3; RFC 6454 section 7. A request that says nothing comes
        from no browser of this decade.
        """
        if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
            return True
        origins = request.headers.getall("Origin", ())
        return any(not self._is_own(request, origin.lower()) for origin in origins)

    def _is_own(self, request: web.Request, origin: str) -> bool:
        host = host_of(request).lower()
        if origin in (f"https://{host}", self._public):
            return True
        return origin == f"http://{host}" and not request.secure
