"""The address a request came from, behind trusted proxies. PURE."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

# Among trusted networks: the peers of Unix sockets.
UNIX = "unix"
# Nobody has more proxies in a row. A header of 32 KB could name thousands.
MAX_HOPS = 32

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class AddressReader:
    """Reads the client's address. Only hops inside the `trusted` networks are believed.

    The word `unix` among `trusted` stands for every peer of a Unix socket. A peer is what `request.remote` is: an IP
    address, any other text for a Unix socket (usually empty), and None for a connection that has lost its peer.

    Raises:
        ValueError: an entry of `trusted` is no network in CIDR form.
    """

    def __init__(self, trusted: Sequence[str]) -> None:
        self._trusts_unix = UNIX in trusted
        self._trusted: list[Network] = [ipaddress.ip_network(each) for each in trusted if each != UNIX]
        self._trusts_any = bool(trusted)

    def believes(self, peer: str | None) -> bool:
        """Tell whether the forwarding headers of this peer count: it lies in a trusted network, or is a trusted socket.

        False without trusted networks, and for a peer that is not known.
        """
        if not self._trusts_any or peer is None:
            return False
        if self._trusts_unix and _address(peer) is None:
            return True
        return self._is_trusted(peer)

    def client_address(self, peer: str | None, forwarded_for: str | None) -> str:
        """Return the right-most hop that is not a trusted proxy; the peer when it is none itself.

        At most the last `MAX_HOPS` hops are read; with more trusted ones, the last one read is returned. Empty for a
        Unix socket without such a header. Source: RFC 7239 section 7.4 on why only the last hops can be believed.
        """
        if peer is None or not forwarded_for or not self.believes(peer):
            return peer or ""
        for hop in reversed(forwarded_for.rsplit(",", MAX_HOPS)[-MAX_HOPS:]):
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
