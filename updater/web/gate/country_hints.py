"""Where an update request comes from, as cheaply as the check path needs it: a header's text, or an address."""

from __future__ import annotations

from aiohttp import web

from updater.access.addresses import AddressReader
from updater.settings import Settings
from updater.web.gate.context import CONTEXT


class CountryHints:
    """Reads the place of a request; what it means is looked up later. None when no geography is configured."""

    def __init__(self, settings: Settings) -> None:
        self._header = settings.telemetry.country_header
        self._by_address = settings.telemetry.geoip_database is not None
        self._addresses = AddressReader(settings.server.trusted_proxies)

    def of(self, request: web.Request) -> str | None:
        """Return the country as a trusted proxy gave it, else the client's address.

        None when no geography is configured; empty when only a header is, and the request lacks it. The header
        `telemetry.country_header` comes before the address, in this order. Anybody else may write anything into it.
        """
        if self._header is not None and self._addresses.believes(request.remote):
            given = request.headers.getall(self._header, None)
            if given is not None:
                # The last one is the nearest proxy's own, also where it added a line instead of replacing the client's.
                return given[-1]
        if not self._by_address:
            return None if self._header is None else ""
        return request[CONTEXT].client_address(request, self._addresses)
