"""How many connections there may be at once: of one address, and in all.

A new connection, when it is full, replaces one that waits for nothing but its next request, the oldest first, or else
the one whose body a stranger has been sending for longest. Where there is neither, it is refused with 503. So an office
behind one address and a proxy's pool are not refused for what they keep open, and a client that opens connections only
to hold them loses its own.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict
from typing import Any, Final

from aiohttp.web_protocol import RequestHandler

from updater.access.addresses import AddressReader
from updater.access.limits import client_of
from updater.logs.loggers import get_logger
from updater.web.gate.metrics import Metrics
from updater.web.messages.bodies import PendingBodies
from updater.web.messages.errors import Answer, write_api
from updater.web.server.internals import is_idle

RETRY_AFTER_S: Final = 5
_LOG_EVERY_S: Final = 60.0
# How many busy connections are passed over in the search for an idle one; they are asked last the next time.
_TRIES: Final = 16

_log = get_logger(__name__)

Connections = OrderedDict[RequestHandler, str | None]


class ConnectionLimiter:
    """The open connections of a server. At most `most`, and `most_per_address` of one address; 0: no bound.

    An address is one of IPv4, or a /64 of IPv6. Those that `addresses` believes are proxies: for them only `most`
    counts, and none of theirs is closed, since they would have to tell their own clients.
    """

    def __init__(
        self,
        most: int,
        most_per_address: int,
        addresses: AddressReader,
        metrics: Metrics,
        bodies: PendingBodies,
    ) -> None:
        self._most = most
        self._most_per_address = most_per_address
        self._addresses = addresses
        self._metrics = metrics
        self._bodies = bodies
        self._all: Connections = OrderedDict()
        self._by_address: dict[str, Connections] = {}
        self._unsaid = 0
        self._say_again_s = 0.0

    def __len__(self) -> int:
        return len(self._all)

    def admit(self, connection: RequestHandler, transport: asyncio.Transport) -> bool:
        """Count a new connection in. False when there is no room for it; it has then got a 503, and is closed.

        Room is made by closing idle connections, the oldest first, and where there is none the one with the oldest body
        of a stranger; of the same address when that one has its share, then of all.
        """
        peer = transport.get_extra_info("peername")
        # Behind a Unix socket there is no address.
        host = peer[0] if isinstance(peer, tuple) else ""
        address = None if not host or self._addresses.believes(host) else client_of(host)
        mine = self._by_address.get(address) if address is not None else None
        if mine is not None and self._is_full(mine, self._most_per_address):
            self._refuse(transport, "address", host)
            return False
        if self._is_full(self._all, self._most):
            self._refuse(transport, "all", host)
            return False
        self._all[connection] = address
        if address is not None:
            self._by_address.setdefault(address, OrderedDict())[connection] = address
        return True

    def release(self, connection: RequestHandler) -> None:
        """Count a connection out; one that was refused or is out already changes nothing."""
        address = self._all.pop(connection, None)
        if address is not None:
            mine = self._by_address[address]
            del mine[connection]
            if not mine:
                del self._by_address[address]

    def _is_full(self, connections: Connections, most: int) -> bool:
        return 0 < most <= len(connections) and not self._make_room(connections)

    def _make_room(self, connections: Connections) -> bool:
        """Close the oldest idle connection, if one is found soon."""
        for _ in range(min(_TRIES, len(connections))):
            connection, address = next(iter(connections.items()))
            transport = connection.transport
            # What is still in its buffer would keep it open.
            is_free = is_idle(connection) and transport is not None and not transport.get_write_buffer_size()
            if is_free and address is not None:
                self._close(connection)
                return True
            connections.move_to_end(connection)
        slow = self._find_slow(connections)
        if slow is not None:
            self._close(slow)
        return slow is not None

    def _find_slow(self, connections: Connections) -> RequestHandler | None:
        """Return the connection with the oldest body of a stranger; of few connections, some connection with one."""
        if len(self._bodies) <= len(connections):
            pending = (each for each in self._bodies if self._all.get(each) is not None and each in connections)
            return next(pending, None)
        return next((each for each in connections if each in self._bodies and self._all.get(each) is not None), None)

    def _close(self, connection: RequestHandler) -> None:
        self.release(connection)
        connection.force_close()
        self._metrics.recycled.inc()

    def _refuse(self, transport: asyncio.Transport, bound: str, host: str) -> None:
        self._metrics.refused.labels(bound).inc()
        self._unsaid += 1
        now_s = asyncio.get_running_loop().time()
        if now_s >= self._say_again_s:
            _log.warning("connections.refused", refused=self._unsaid, bound=bound, client=host, open=len(self))
            self._unsaid, self._say_again_s = 0, now_s + _LOG_EVERY_S
        transport.write(_refusal())
        transport.close()


def _refusal() -> bytes:
    answer = Answer(503, "SERVICE_UNAVAILABLE", "There are too many connections at the moment")
    return render_closing(answer, "Service Unavailable", f"Retry-After: {RETRY_AFTER_S}\r\n")


def render_closing(answer: Answer, reason: str, headers: str = "") -> bytes:
    """Render an answer for a connection that ends with it, outside of aiohttp. `headers` are lines ending in CRLF."""
    response: Any = write_api(answer, f"req_{secrets.token_hex(7)}")
    body: bytes = response.body
    head = (
        f"HTTP/1.1 {answer.status} {reason}\r\nServer: updater\r\nConnection: close\r\n{headers}"
        "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
        f"Content-Type: {response.headers['Content-Type']}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
