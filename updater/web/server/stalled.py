"""The end of clients that do not take their answers.

Downloads of stored files watch themselves, more closely (`updater.web.transfer.wire`). This looks at all other
answers: pages, documents, their files, and what is left in a buffer when a connection is closed.
aiohttp waits for such a client for ever.
"""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from updater.logs.loggers import get_logger
from updater.web.messages.pace import Acceptance, Pace
from updater.web.server.internals import cancel_handler, is_idle, list_transports
from updater.web.transfer.wire import find_position, reset_on_close

LOOK_S: Final = 5.0
STALL_S: Final = 30.0

_log = get_logger("updater.request")


class StalledClientMonitor:
    """Looks at all connections of a server now and then, from `start` to `stop`."""

    def __init__(self, server: web.Server, min_bytes_per_s: int) -> None:
        self._server = server
        self._min_bytes_per_s = min_bytes_per_s
        self._late: dict[RequestHandler, Acceptance] = {}
        self._next: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()

    def start(self) -> None:
        """Look from now on, every `LOOK_S` seconds."""
        self._next = self._loop.call_later(LOOK_S, self._look)

    def stop(self) -> None:
        """Look no more."""
        if self._next is not None:
            self._next.cancel()

    def _look(self) -> None:
        self.start()
        before, self._late = self._late, {}
        for connection, transport in list_transports(self._server):
            buffered_bytes = transport.get_write_buffer_size()
            if is_idle(connection) and not buffered_bytes:
                continue
            position = find_position(transport.get_extra_info("socket"))
            if position is None:
                continue
            acked, offered = position[0], position[1] + buffered_bytes
            if acked < offered:
                acceptance = before.get(connection)
                if acceptance is None:
                    acceptance = Acceptance(Pace(self._min_bytes_per_s), self._loop.time(), acked, offered)
                self._late[connection] = acceptance
                if not acceptance.keeps(self._loop.time(), acked, offered) or acceptance.stalled_s >= STALL_S:
                    _cut(connection, transport)


def _cut(connection: RequestHandler, transport: asyncio.Transport) -> None:
    _log.info("request.not_taken", client=(transport.get_extra_info("peername") or ("",))[0])
    cancel_handler(connection)
    reset_on_close(transport.get_extra_info("socket"))
    transport.abort()
