"""aiohttp's server with our error shape for what never reaches the gate.

A request that the HTTP parser refuses has no route and no middleware; aiohttp would answer it with plain text that
quotes the input, and log a traceback. The same goes for an unknown `Expect`.
"""

from __future__ import annotations

import secrets
from collections.abc import Coroutine
from typing import Any

import structlog
from aiohttp import web
from aiohttp.http_exceptions import ContentEncodingError, LineTooLong
from aiohttp.web_protocol import RequestHandler

from updater.web.errors import Answer, answer_for, unexpected, write_api

_log = structlog.get_logger("updater.request")


class Runner(web.AppRunner):
    """An `AppRunner` whose connections answer in the error shape of the REST document."""

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        server.__class__ = _Server
        return server


class _Server(web.Server):
    def __call__(self) -> RequestHandler:
        return _Connection(self, loop=self._loop, **self._kwargs)


class _Connection(RequestHandler):
    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what could not be parsed, or what failed outside the gate, without a word of the input."""
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
        """Send an answer; the gate makes plain responses of all errors, so an exception comes from before it."""
        answer = answer_for(resp) if isinstance(resp, web.HTTPException) else None
        return super().finish_response(request, resp if answer is None else _write(answer), start_time)


def _unreadable(error: BaseException | None) -> Answer:
    if isinstance(error, ContentEncodingError):
        return Answer(415, "BAD_REQUEST", "Content-Encoding is not supported for request bodies")
    return Answer(400, "BAD_REQUEST", "A line is too long" if isinstance(error, LineTooLong) else "This is no HTTP")


def _write(answer: Answer) -> web.Response:
    response: Any = write_api(answer, f"req_{secrets.token_hex(7)}")
    response.headers["Server"] = "updater"
    return response  # type: ignore[no-any-return]
