"""Which addresses may be connected to: public ones, and those that the settings allow. PURE."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network
_GLOBAL_UNICAST = ip_network("2000::/3")
# Sources: RFC 6052, RFC 8215 (both forms of NAT64), RFC 4291 (IPv4-compatible), RFC 2765 (IPv4-translated).
_EMBEDDING = tuple(
    IPv6Network(each) for each in ("64:ff9b::/96", "64:ff9b:1::/48", "::/96", "::ffff:0:0:0/96", "::ffff:0:0/96")
)
# What Python's `is_global` lets pass, or does so in some versions: 6to4 relays, protocol assignments, 6to4,
# documentation, Teredo.
_NOT_PUBLIC = tuple(
    ip_network(each)
    for each in ("192.0.0.0/24", "192.88.99.0/24", "100.64.0.0/10", "2001::/23", "2001:db8::/32", "3fff::/20")
)
_SIX_TO_FOUR = IPv6Network("2002::/16")


def may_connect(host: str, allowed: Sequence[Network] = ()) -> bool:
    """Tell whether an address, as a socket is about to be connected to it, is public or in an allowed network."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return False
    inner = _embedded(address)
    if any(each in network for each in (address, inner) if each is not None for network in allowed):
        return True
    if inner is not None and not _is_public(inner):
        return False
    return _is_public(address) or (inner is not None and not address.is_multicast and address not in _SIX_TO_FOUR)


def _embedded(address: IPv4Address | IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address that an IPv6 address leads to, in any of the ways there are."""
    if isinstance(address, IPv4Address):
        return None
    if address in _SIX_TO_FOUR:
        return IPv4Address((int(address) >> 80) & 0xFFFFFFFF)
    return IPv4Address(int(address) & 0xFFFFFFFF) if any(address in each for each in _EMBEDDING) else None


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if address.is_multicast or address.is_reserved or not address.is_global:
        return False
    if isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST:
        return False
    return not any(address in each for each in _NOT_PUBLIC)
