"""What this server needs of aiohttp and aiohttp keeps private.

No other file uses private names of aiohttp. They may change with any minor version, so setup.cfg pins it.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from aiohttp import StreamReader, hdrs, web
from aiohttp.helpers import rfc822_formatted_time, should_remove_content_length
from aiohttp.http import RawRequestMessage
from aiohttp.http_writer import _serialize_headers
from aiohttp.streams import EMPTY_PAYLOAD
from aiohttp.web_protocol import RequestHandler


class OwnServer(web.Server):
    """aiohttp's server, with connections of the class `connection_class`."""

    connection_class: type[RequestHandler] = RequestHandler

    def __call__(self) -> RequestHandler:
        """Make the protocol of a new connection."""
        return self.connection_class(self, loop=self._loop, **self._kwargs)


class OwnRunner(web.AppRunner):
    """aiohttp's runner, with a server of the class `server_class`. `prepare` gets it before it is used."""

    server_class: type[OwnServer] = OwnServer

    def prepare(self, server: Any) -> None:
        """Take the new server, of the class `server_class`."""

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        # aiohttp makes the server itself, and takes no class for it.
        server.__class__ = self.server_class
        self.prepare(server)
        return server


def find_server(connection: RequestHandler) -> OwnServer | None:
    """Return the server of a connection; None when the connection is lost."""
    return cast("OwnServer | None", connection._manager)


def list_transports(server: web.Server) -> list[tuple[RequestHandler, asyncio.Transport]]:
    """Return the connections of a server with their transports, in the order in which they came.

    A connection that was closed has lost its own, which may still have to send what is in its buffer.
    """
    return list(server._connections.items())


def is_idle(connection: RequestHandler) -> bool:
    """Tell whether a connection waits for a request; anything else is about to end by itself, or is an answer.

    Source: `RequestHandler.start` of aiohttp 3.14.
    """
    waiter = connection._waiter
    return waiter is not None and not waiter.done() and not connection._messages


def take_buffered(body: StreamReader) -> bytes:
    """Return what arrived of a body and was not read yet; once its connection is lost, aiohttp gives that to nobody."""
    return body._read_nowait(-1)


def cancel_handler(connection: RequestHandler) -> None:
    """Cancel the handler of a connection; a sendfile would not notice that its socket is closed.

    The handler raises CancelledError where it waits.
    """
    if connection._task_handler is not None:
        connection._task_handler.cancel()


def find_only_message(connection: RequestHandler) -> RawRequestMessage | None:
    """Return the request that a connection has read and not begun to answer, if it is one, and has no body."""
    messages = connection._messages
    if len(messages) != 1:
        return None
    message, payload = messages[0]
    return message if payload is EMPTY_PAYLOAD and isinstance(message, RawRequestMessage) else None


def read_apart(connection: RequestHandler, data: bytes) -> None:
    """Let a connection that waits for a request read `data`, and not begin to answer: `find_only_message` has it.

    `take_message` or `begin_answering` must follow. Source: `RequestHandler.data_received` of aiohttp 3.14.
    """
    waiter, connection._waiter = connection._waiter, None
    try:
        RequestHandler.data_received(connection, data)
    finally:
        connection._waiter = waiter


def begin_answering(connection: RequestHandler) -> None:
    """Let a connection answer what it has read, if that is a request. Source: as of `read_apart`."""
    waiter = connection._waiter
    if connection._messages and waiter is not None and not waiter.done():
        waiter.set_result(None)


def take_message(connection: RequestHandler) -> None:
    """Take the only request off a connection that has not begun to answer it. Source: `RequestHandler.start`."""
    connection._messages.popleft()
    if connection._parser is not None:
        connection._parser.message_consumed()


def make_match(
    application: web.Application, names: dict[str, str], route: web.AbstractRoute
) -> web.UrlMappingMatchInfo:
    """Make what the router says of a request. Source: `Application._handle` of aiohttp 3.14."""
    match = web.UrlMappingMatchInfo(names, route)
    match.add_app(application)
    match.freeze()
    return match


def make_request(message: RawRequestMessage, connection: RequestHandler, match: web.UrlMappingMatchInfo) -> web.Request:
    """Make a request without a body that the router matched. Source: `Application._handle` of aiohttp 3.14."""
    # Neither a writer nor a task: nothing of the answer is sent by the handler, and nothing waits. Bounds of bodies are
    # of no matter.
    request = web.Request(message, EMPTY_PAYLOAD, connection, None, None, connection._loop)  # type: ignore[arg-type]
    request._match_info = match
    return request


def render_head(response: web.StreamResponse, body_bytes: int) -> bytes:
    """Render the head of an answer of HTTP/1.1 to GET, and date it. Source: `StreamResponse._prepare_headers`."""
    headers = response.headers
    if not should_remove_content_length(hdrs.METH_GET, response._status):
        headers[hdrs.CONTENT_LENGTH] = str(body_bytes)
    else:
        headers.popall(hdrs.CONTENT_LENGTH, None)
    headers[hdrs.DATE] = rfc822_formatted_time()
    return _serialize_headers(f"HTTP/1.1 {response._status} {response._reason}", headers)


def note_answered(connection: RequestHandler) -> None:
    """Let a connection that has just been answered wait for its next request. Source: `RequestHandler.start`."""
    connection._next_keepalive_close_time = connection._loop.time() + connection._keepalive_timeout
