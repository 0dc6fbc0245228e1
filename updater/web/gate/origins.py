"""Which site a request is for, and whether it came from there."""

from __future__ import annotations

from urllib.parse import urlsplit

from aiohttp import web

from updater.access.addresses import AddressReader
from updater.access.limits import client_of
from updater.web.gate.context import CONTEXT


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
        host = request.host.lower()
        # The browser's own word is enough: it can only make its own cookie stricter.
        if request.headers.get("Origin", "").lower() == f"https://{host}" or self._public == f"https://{host}":
            return True
        forwarded = request.headers.get("X-Forwarded-Proto", "")
        return forwarded.rpartition(",")[2].strip() == "https" and self._addresses.believes(request.remote or "")

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
        host = request.host.lower()
        if origin in (f"https://{host}", self._public):
            return True
        return origin == f"http://{host}" and not request.secure
