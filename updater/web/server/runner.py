"""aiohttp's server with our error shape for what never reaches the gate.

A request that the HTTP parser refuses has no route and no middleware; aiohttp would answer it with plain text that
quotes the input, and log a traceback. The same goes for an unknown `Expect`.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import Coroutine, Sequence
from typing import Any, Final, cast

from aiohttp import web
from aiohttp.http_exceptions import ContentEncodingError, LineTooLong
from aiohttp.web_protocol import RequestHandler

from updater.logs.loggers import get_logger
from updater.web.messages.errors import Answer, answer_for, unexpected, write_api
from updater.web.messages.pace import RECEIVE_BYTES, receive_at_most
from updater.web.server.at_once import AtOnce
from updater.web.server.connections import ConnectionLimiter, render_closing
from updater.web.server.internals import OwnRunner, OwnServer, begin_answering, find_server, is_idle, read_apart
from updater.web.server.stalled import StalledClientMonitor

_log = get_logger("updater.request")


_POLL_S = 0.05
# aiohttp bounds each header, and their number: together 4 MB, which take 5 ms to read. Nobody's come to so much.
MAX_HEAD_BYTES: Final = 64 * 1024


class _Connection(RequestHandler):
    # What came of a request whose head is not complete; whether nothing but whole requests without bodies came so far,
    # each by itself, and with a head to be kept: what comes next is then the beginning of a request, and may be known.
    __slots__ = ("_at_once", "_head_bytes", "_is_plain")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, when the limiter admits it."""
        self._head_bytes = 0
        self._is_plain = True
        server = cast(_Server, find_server(self))
        self._at_once = server.at_once
        if server.limiter.admit(self, cast(asyncio.Transport, transport)):
            receive_at_most(cast(asyncio.Transport, transport), RECEIVE_BYTES)
            super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """End, and make room for another one."""
        server = find_server(self)
        if server is not None:
            cast(_Server, server).limiter.release(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on. A request whose head does not end within `MAX_HEAD_BYTES` is refused with 400, unread."""
        at_once = self._at_once
        if not is_idle(self):
            super().data_received(data)
            self._is_plain = self._is_plain and at_once.learn(self, data)
        elif self._is_plain and at_once.answer(self, data):
            return
        else:
            read_apart(self, data)
            self._is_plain = self._is_plain and at_once.learn(self, data)
            if at_once.answer_read(self):
                self._head_bytes = 0
                return
            begin_answering(self)
        if not is_idle(self):
            self._head_bytes = 0
            return
        self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD_BYTES:
            transport = self.transport
            if transport is not None:
                transport.write(_head_too_large())
            self.force_close()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what could not be parsed, or what failed outside the gate, without a word of the input.

        Raises:
            ConnectionError: the client is gone, or the answer has begun.
        """
        if isinstance(exc, ConnectionError):
            raise exc  # aiohttp lets a client that left go without a word
        if status >= 500:
            _log.error("request.failed", exc_info=exc)
        else:
            _log.info("request.unreadable", client=request.remote, cause=type(exc).__name__)
        if request.writer.output_size > 0:
            raise ConnectionError("The answer has begun already")
        answer = unexpected() if status >= 500 else _unreadable(exc)
        response = _write(answer)
        response.force_close()
        return response

    def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> Coroutine[Any, Any, tuple[web.StreamResponse, bool]]:
        """Send an answer; an HTTPException is written as an error of the REST document.

        The gate makes plain responses of all errors, so an exception comes from before it.
        """
        # Asking an abstract class costs a microsecond, and nearly all answers are plain.
        plain = type(resp) is web.Response
        answer = None if plain or not isinstance(resp, web.HTTPException) else answer_for(resp)
        return super().finish_response(request, resp if answer is None else _write(answer), start_time)


class _Server(OwnServer):
    connection_class = _Connection
    limiter: ConnectionLimiter
    at_once: AtOnce


class Runner(OwnRunner):
    """An `AppRunner` whose connections answer in the error shape of the REST document, and that ends gently.

    `limiter` says which connections there may be; `at_once` answers what need not wait; `min_bytes_per_s` is what a
    client must take of an answer.
    """

    server_class = _Server

    def __init__(
        self,
        application: web.Application,
        *,
        limiter: ConnectionLimiter,
        at_once: AtOnce,
        min_bytes_per_s: int,
        **kwargs: Any,
    ) -> None:
        super().__init__(application, **kwargs)
        self._at_once = at_once
        self._limiter = limiter
        self._min_bytes_per_s = min_bytes_per_s
        self._monitor: StalledClientMonitor | None = None
        self._listening: Sequence[socket.socket] = ()

    async def listen(self, sockets: Sequence[socket.socket], *, at_once: int) -> None:
        """Answer on these sockets, accepting at most so many connections in one turn of the event loop.

        Raises:
            OSError: a socket cannot listen.
        """
        self._listening = sockets
        for each in sockets:
            await web.SockSite(self, each, backlog=at_once).start()

    async def drain(self, *, linger_s: float, patience: asyncio.Future[None]) -> None:
        """Accept no more, and return when every answer under way is sent, or when `patience` is over.

        For `linger_s` connections stay open without anything new being accepted: each learns with its next
        answer that it ends, so that no request meets a closing connection.

        Source: measured, with clients that keep connections and clients that do not; stopping at once loses some.
        """
        if self.server is None:
            return
        if linger_s:
            for listening in self._listening:
                asyncio.get_running_loop().remove_reader(listening.fileno())
            await asyncio.sleep(linger_s)
        for site in list(self.sites):
            await site.stop()
        while not patience.done():
            # aiohttp's own shutdown would stop reading the uploads that are under way.
            busy = [each for each in self.server.connections if not is_idle(each)]
            for each in self.server.connections:
                if is_idle(each):
                    # Its `close` would leave the connection open and deaf until the very end.
                    each.force_close()
            if not busy:
                return
            await asyncio.wait({patience}, timeout=_POLL_S)

    def prepare(self, server: _Server) -> None:
        """Give the server its limiter, and watch its connections from now on."""
        server.limiter = self._limiter
        server.at_once = self._at_once
        self._monitor = StalledClientMonitor(server, self._min_bytes_per_s)
        self._monitor.start()

    async def cleanup(self) -> None:
        """End all that is left."""
        if self._monitor is not None:
            self._monitor.stop()
        await super().cleanup()


def _unreadable(error: BaseException | None) -> Answer:
    if isinstance(error, ContentEncodingError):
        return Answer(415, "BAD_REQUEST", "Content-Encoding is not supported for request bodies")
    return Answer(400, "BAD_REQUEST", "A line is too long" if isinstance(error, LineTooLong) else "This is no HTTP")


def _head_too_large() -> bytes:
    return render_closing(Answer(400, "BAD_REQUEST", "The headers are too large"), "Bad Request")


def _write(answer: Answer) -> web.Response:
    response: Any = write_api(answer, f"req_{secrets.token_hex(7)}")
    response.headers["Server"] = "updater"
    return response  # type: ignore[no-any-return]
