"""Who asks: the identity that rollouts know a client by. It decides who is inside, and never enters a cache.

Source: the first of the query's or body's `client_id`, `X-Client-Id`, `x-user-staging-id` (electron-updater),
`stagingId` in the query (Velopack), and the client's address as limits see it.
"""

from __future__ import annotations

import ipaddress
from typing import NamedTuple

from aiohttp import web
from multidict import istr

from updater.access.addresses import AddressReader
from updater.access.limits import client_of
from updater.errors import Invalid
from updater.settings import Settings
from updater.web.gate.context import CONTEXT
from updater.web.messages.client_fields import is_identity

_CLIENT_ID, _STAGING_ID = istr("X-Client-Id"), istr("x-user-staging-id")


class Identity(NamedTuple):
    """What a client is known by: `kind` is where it was found, `address` for a client that names no id."""

    kind: str
    value: str


class IdentityReader:
    """Reads identities; addresses as the settings trust proxies."""

    def __init__(self, settings: Settings) -> None:
        self._addresses = AddressReader(settings.server.trusted_proxies)

    def of(self, request: web.Request, client_id: str | None = None, staging_id: str | None = None) -> Identity:
        """Return the identity of a client: an id that it gave, else its address.

        Args:
            request: the request.
            client_id: the checked `client_id` of its query or body.
            staging_id: `stagingId` of its query, unchecked.
        """
        return self.stated(request, client_id, staging_id) or Identity("address", self.address(request))

    def stated(self, request: web.Request, client_id: str | None, staging_id: str | None = None) -> Identity | None:
        """Return the id that a client gave; None without one. What does not fit counts as not given."""
        if client_id:
            return Identity("client_id", client_id)
        headers = request.headers
        for name in (_CLIENT_ID, _STAGING_ID):
            value = headers.get(name)
            if value is not None and is_identity(value):
                return Identity(name.lower(), value)
        if staging_id is not None and is_identity(staging_id):
            return Identity("stagingId", staging_id)
        return None

    def named(
        self, request: web.Request, client_id: str | None, staging_id: str | None, address: str | None
    ) -> Identity:
        """Return for whom somebody asks: an id that is given, else an address, else the address of who asks.

        Raises:
            Invalid: `address` is none, or there is neither an id nor an address.
        """
        found = client_at(address) if address else self.address(request)
        stated = self.stated(request, client_id, staging_id)
        if stated is not None:
            return stated
        if not found:
            raise Invalid({"address": "is needed: neither an id nor an address is known"})
        return Identity("address", found)

    def address(self, request: web.Request) -> str:
        """Return the client's address as limits see it: IPv4, or the /64 network of an IPv6 address."""
        return client_of(request[CONTEXT].client_address(request, self._addresses))


def client_at(address: str) -> str:
    """Return what counts as one client at an address. Raises Invalid for what is no address."""
    try:
        ipaddress.ip_address(address)
    except ValueError:
        raise Invalid({"address": "expected an IP address"}) from None
    return client_of(address)
