"""Requests that are answered where they are read, before anything is made that could wait.

aiohttp gives each request two turns of the event loop, a task, and coroutines that write its answer: half of an update
check. Where a route's contract says of a request that it waits for nothing (`at_once`), gate and handler are called as
soon as the bytes are there. Nothing is decided here: the gate is the same, and whatever is not known here goes the
usual way.

Heads that aiohttp's parser has read before need not be read again. Nothing is read in another way then: the block of
header lines is the same, byte for byte. Of the request line, the path is one that the router has matched before, and
the query holds only characters that stand for themselves. All other heads the parser reads.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine
from typing import Any, Final, NamedTuple, TypeVar, cast

from aiohttp import hdrs, web
from aiohttp.http import HttpVersion11, RawRequestMessage
from aiohttp.web_protocol import RequestHandler
from multidict import istr
from yarl import URL

from updater.logs.loggers import get_logger
from updater.web.gate.middleware import GATE
from updater.web.gate.routing import contract_of
from updater.web.messages.errors import unexpected
from updater.web.server.connections import render_closing
from updater.web.server.internals import (
    find_only_message,
    make_match,
    make_request,
    note_answered,
    render_head,
    take_message,
)
from updater.web.server.router import Router

MAX_KNOWN: Final = 512
MAX_HEAD_BYTES: Final = 2_048
_END, _FIRST, _LAST = b"\r\n\r\n", b"GET ", b" HTTP/1.1"
_QUERY: Final = re.compile(r"[A-Za-z0-9._~%&=+-]*")
# They are secrets, which are not kept; each client has another one, so that nothing would be gained; or they may mean
# that a body follows. Each is an `istr`, which is folded once.
_NOT_KEPT: Final = (
    *(istr("X-API-Key"), hdrs.AUTHORIZATION, hdrs.X_FORWARDED_FOR, hdrs.COOKIE, hdrs.PROXY_AUTHORIZATION),
    *(hdrs.FORWARDED, istr("X-Real-IP"), istr("X-Client-Id"), istr("x-user-staging-id")),
    *(hdrs.CONTENT_LENGTH, hdrs.TRANSFER_ENCODING, hdrs.CONTENT_ENCODING, hdrs.UPGRADE),
)
_Key = TypeVar("_Key")
_Value = TypeVar("_Value")
_log = get_logger("updater.request")


class Place(NamedTuple):
    """Where the router takes a path. `match` is the same for all its requests.

    `owner` is the handler's object, and `waits_for_nothing` what its contract says in `at_once`.
    """

    match: web.UrlMappingMatchInfo
    handler: Any
    owner: Any
    waits_for_nothing: Callable[[Any, web.Request], bool]


class Asked(NamedTuple):
    """A request line: its target, also as an address, and the place of its path."""

    target: str
    url: URL
    place: Place


class AtOnce:
    """Answers requests that wait for nothing.

    Keys of its memory: blocks of header lines, request lines without ids, both together, and paths. Bound: `MAX_KNOWN`
    of each, in heads of at most `MAX_HEAD_BYTES`, about 5 MiB; emptied when full. They hold for ever: what bytes mean
    depends on nothing else.
    """

    def __init__(self, application: web.Application) -> None:
        # How many it answered.
        self.answered = 0
        self._application = application
        self._router = cast(Router, application.router)
        self._gate = application[GATE]
        self._wholes: dict[bytes, tuple[RawRequestMessage, Place]] = {}
        self._blocks: dict[bytes, RawRequestMessage] = {}
        self._lines: dict[bytes, Asked] = {}
        self._places: dict[str, Place] = {}

    def answer(self, connection: RequestHandler, data: bytes) -> bool:
        """Answer a request if nothing has to be waited for; False: nothing was done, and nothing counted.

        `connection` waits for its next request, and has received `data` since its last one.
        """
        read = self.read(data)
        if read is None:
            return False
        request = self._prepare(connection, *read)
        if request is None:
            return False
        self._send(connection, request, read[1])
        return True

    def answer_read(self, connection: RequestHandler) -> bool:
        """Answer as `answer`, but for a request that `connection` has read itself, and is then rid of."""
        message = find_only_message(connection)
        if message is None or message.method != hdrs.METH_GET or not _is_plain(message) or message.url.absolute:
            return False
        path = message.url.raw_path
        place = self._places.get(path) or self._find_place(path)
        request = None if place is None else self._prepare(connection, message, place)
        if place is None or request is None:
            return False
        take_message(connection)
        self._send(connection, request, place)
        return True

    def _prepare(self, connection: RequestHandler, message: RawRequestMessage, place: Place) -> web.Request | None:
        """Make a request; None when something has to be waited for."""
        transport = connection.transport
        # A client that does not take its answers makes the usual way wait.
        if transport is None or transport.get_write_buffer_size():
            return None
        request = make_request(message, connection, place.match)
        try:
            free = self._gate.waits_for_nothing(request) and place.waits_for_nothing(place.owner, request)
        except Exception:  # the usual way answers it
            return None
        return request if free else None

    def _send(self, connection: RequestHandler, request: web.Request, place: Place) -> None:
        """Run a request through gate and handler, and send the answer."""
        self.answered += 1
        transport = cast(asyncio.Transport, connection.transport)
        try:
            response, body = _run_through(self._gate.handle(request, place.handler))
        except Exception as error:
            _log.error("request.failed", exc_info=error)
            transport.write(render_closing(unexpected(), "Internal Server Error"))
            connection.force_close()
            return
        transport.write(render_head(response, len(body)) + body)
        if response.keep_alive is False:
            connection.force_close()
        else:
            note_answered(connection)

    def read(self, data: bytes) -> tuple[RawRequestMessage, Place] | None:
        """Read a request as aiohttp's parser does, and its place; None for one that has to go the usual way."""
        whole = self._wholes.get(data)
        if whole is not None:
            return whole
        line, _, block = data.partition(b"\r\n")
        like = self._blocks.get(block)
        if like is None:
            return None
        asked = self._lines.get(line) or self._read_line(line)
        if asked is None:
            return None
        target, url, place = asked
        read = like._replace(path=target, url=url), place
        if line in self._lines:
            _keep(self._wholes, data, read)
        return read

    def learn(self, connection: RequestHandler, data: bytes) -> bool:
        """Tell whether `data`, which a connection has just read, was one whole request without a body, to be kept.

        The connection had been answered all that it received before. The block of header lines is remembered. One that
        is not to be kept is hardly the last of its connection, so looking for it again would be in vain.
        """
        message = find_only_message(connection)
        if message is None or len(data) > MAX_HEAD_BYTES or data[-4:] != _END or data.count(_END) > 1:
            return False
        if any(map(message.headers.__contains__, _NOT_KEPT)):
            return False
        line, _, block = data.partition(b"\r\n")
        if line[:4] != _FIRST or line[-9:] != _LAST or data.count(b"\n") != data.count(b"\r\n"):
            return False
        if _is_plain(message):
            _keep(self._blocks, block, message)
        return True

    def _read_line(self, line: bytes) -> Asked | None:
        """Read a request line; None when it has to go the usual way. One with an id in it is not remembered."""
        if line[:4] != _FIRST or line[-9:] != _LAST:
            return None
        target = line[4:-9].decode("latin-1")
        path, _, query = target.partition("?")
        place = self._places.get(path) or self._find_place(path)
        if place is None or _QUERY.fullmatch(query) is None:
            return None
        asked = Asked(target, URL.build(path=path, query_string=query, encoded=True), place)
        if "client_id=" not in query and "stagingId=" not in query:
            _keep(self._lines, line, asked)
        return asked

    def _find_place(self, path: str) -> Place | None:
        known = self._router.find_known(hdrs.METH_GET, path)
        if known is None:
            return None
        handler: Any = known[1].handler
        contract = contract_of(handler)
        if contract is None or contract.at_once is None:
            return None
        match, owner = make_match(self._application, *known), getattr(handler, "__self__", None)
        place = Place(match, handler, owner, contract.at_once)
        _keep(self._places, path, place)
        return place


def _keep(memory: dict[_Key, _Value], key: _Key, value: _Value) -> None:
    if len(memory) >= MAX_KNOWN:
        memory.clear()
    memory[key] = value


def _is_plain(message: RawRequestMessage) -> bool:
    """Tell whether a request is one of HTTP/1.1 after which the connection goes on, and waits for nothing more."""
    goes_on = not message.should_close and not message.upgrade and message.version == HttpVersion11
    return goes_on and hdrs.EXPECT not in message.headers


def _run_through(answering: Coroutine[Any, Any, web.StreamResponse]) -> tuple[web.StreamResponse, bytes]:
    """Return what a coroutine returns without waiting, and its body.

    Raises:
        RuntimeError: it waits. TypeError: its body is not all there. Whatever it raises.
    """
    try:
        answering.send(None)
    except StopIteration as done:
        response = done.value
        body = response.body if isinstance(response, web.Response) else None
        if isinstance(body, bytes):
            return response, body
        if body is None and (response.status == 204 or response.status // 100 == 3):
            return response, b""
        raise TypeError("A route that answers at once has no body in memory") from None
    answering.close()
    raise RuntimeError("A route that answers at once has waited")
