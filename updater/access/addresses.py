"""The address a request came from, behind any number of trusted proxies. PURE."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class AddressReader:
    """Reads the client's address. Only hops inside the `trusted` networks are believed.

    Raises:
        ValueError: an entry of `trusted` is no network in CIDR form.
    """

    def __init__(self, trusted: Sequence[str]) -> None:
        self._trusted: list[Network] = [ipaddress.ip_network(each) for each in trusted]

    def believes(self, peer: str) -> bool:
        """Tell whether the forwarding headers of this peer count: its address lies in a trusted network.

        False without trusted networks, and for a peer that is no IP address.
        """
        return bool(self._trusted) and self._is_trusted(peer)

    def client_address(self, peer: str, forwarded_for: str | None) -> str:
        """Return the right-most hop that is not a trusted proxy; the peer when it is none itself.

        Source: RFC 7239 section 7.4 on why only the last hops can be believed.
        """
        if not self.believes(peer) or not forwarded_for:
            return peer
        for hop in reversed(forwarded_for.split(",")):
            address = _address(hop)
            if address is None:
                return peer
            if not self._is_trusted(address):
                return address
            peer = address
        return peer

    def _is_trusted(self, text: str) -> bool:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return False
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._trusted)


def _address(hop: str) -> str | None:
    text = hop.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None
