"""From which address a request came, as limits and bounds count it."""

from __future__ import annotations

from aiohttp import web

from updater.access.addresses import AddressReader
from updater.access.limits import client_of
from updater.settings import Settings
from updater.web.gate.context import CONTEXT


class Senders:
    """Reads the address of the client behind trusted proxies: an IPv4 address, or the /64 network of IPv6."""

    def __init__(self, settings: Settings) -> None:
        self._addresses = AddressReader(settings.server.trusted_proxies)

    def address(self, request: web.Request) -> str:
        """Return the address; empty behind a Unix socket that no proxy names the client for."""
        return client_of(request[CONTEXT].client_address(request, self._addresses))
