"""One server over HTTP: addresses, the key, retries, and failures with a type.

The key goes to the server's own origin and nowhere else: downloads may lead to other hosts.
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote, urlencode, urljoin, urlsplit

import aiohttp
from yarl import URL

from updater_client._version import __version__
from updater_client.address import Request, header_key, no_address, server_address, shown
from updater_client.answers import read_error
from updater_client.errors import BadAnswer, Unreachable, UpdateError
from updater_client.retry import Attempts, RetryPolicy, Waiting, parse_retry_after
from updater_client.words import meant

MAX_ANSWER_BYTES = 128 * 1024 * 1024
"""Above the largest list: 1,000 releases with 64 KiB of notes and 16 KiB of metadata each."""

MAX_REFUSAL_BYTES = 256 * 1024

Body = Callable[[], aiohttp.Payload]
"""Builds the body afresh for every attempt."""

SILENCE_S = 60.0
"""No limit on the whole, so that large files pass; a minute of silence ends an attempt."""
CONNECT_S = 10.0


class Transport:
    """A pool of connections to one server. Use as an async context manager."""

    def __init__(
        self,
        server: str,
        key: str | None,
        retry: RetryPolicy,
        proxy: str | None,
        waiting: Waiting | None = None,
        timeout_s: float = SILENCE_S,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._given = server
        self._origin = _find_origin(server.strip())
        self._key = key
        self._retry = retry
        self._proxy = proxy
        self._waiting = waiting
        if timeout_s <= 0:
            raise ValueError(f"timeout_s is {timeout_s}: give a number of seconds above 0")
        connect_s = min(CONNECT_S, timeout_s)
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=connect_s, sock_read=timeout_s)
        self._ssl = ssl_context
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Transport:
        headers = {"User-Agent": f"updater-client/{__version__}", "Accept": "application/json"}
        self._session = aiohttp.ClientSession(
            headers=headers,
            timeout=self._timeout,
            connector=aiohttp.TCPConnector(ssl=True if self._ssl is None else self._ssl),
            cookie_jar=aiohttp.DummyCookieJar(),
            proxy=self._proxy,
            request_class=Request,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    @property
    def has_key(self) -> bool:
        """Say whether calls are signed."""
        return bool((self._key or "").strip())

    @property
    def _server(self) -> str:
        return server_address(self._given)

    @property
    def _path(self) -> str:
        return urlsplit(self._server).path

    def attempts(self) -> Attempts:
        """Begin to count the attempts of one call."""
        return Attempts(self._retry, self._waiting)

    def url(self, path: str) -> str:
        """Return an address in full; a relative one is completed with the server's.

        Raises:
            UpdateError: it cannot be read as an address.
        """
        try:
            return urljoin(f"{self._server}/", path)
        except ValueError as error:
            raise no_address(path) from error

    async def call(
        self, method: str, path: str, *, query: Mapping[str, Any] | None = None, body: Body | None = None
    ) -> dict[str, Any]:
        """Call the API below `/api/v1` and return the answer's object (`{}` for 204), with retries.

        Raises UpdateError and its kinds; `uncertain` is set when an earlier attempt may have worked.
        """
        url = f"{self._server}/api/v1{path}"
        if query:
            url += "?" + urlencode({k: _query_word(v) for k, v in query.items() if v is not None})
        attempts, seen = self.attempts(), _Sight()
        while True:
            try:
                return await self._call_once(method, url, body, seen)
            except UpdateError as error:
                if query and (hint := meant(error.fields, query.get("platform"), query.get("architecture"))):
                    error.add(hint)
                error.uncertain = seen.lost
                seen.lost = seen.lost or error.status in (408, 502, 503, 504)
                await attempts.pause(error)

    async def delete(self, path: str) -> None:
        """Delete what lies at a path of the API; what an unanswered attempt has removed already counts as done.

        Raises:
            UpdateError: the server refuses, with 404 when there is nothing. BadAnswer, Unreachable: as in `call`.
        """
        try:
            await self.call("DELETE", path)
        except UpdateError as error:
            if error.status != 404 or not error.uncertain:
                raise

    async def call_once(self, method: str, path: str) -> dict[str, Any]:
        """Call the API as `call` does, without retries: who sends in several steps counts the attempts of all."""
        return await self._call_once(method, f"{self._server}/api/v1{path}", None, _Sight())

    async def tell(
        self, method: str, path: str, headers: Mapping[str, str], body: Body | None = None
    ) -> Mapping[str, str]:
        """Send one request below `/api/v1`, without retries, and return the headers of its answer.

        Raises UpdateError and its kinds.
        """
        url = f"{self._server}/api/v1{path}"
        options: dict[str, Any] = {"allow_redirects": False, "middlewares": (_Sight().watch,)}
        given = {**self._signature(), **headers}
        async with self._request(method, url, headers=given, data=body() if body else None, **options) as response:
            _require_here(response)
            await response.read()
            return response.headers

    async def _call_once(self, method: str, url: str, body: Body | None, seen: _Sight) -> dict[str, Any]:
        headers = self._signature()
        options: dict[str, Any] = {"allow_redirects": False, "middlewares": (seen.watch,)}
        async with self._request(method, url, headers=headers, data=body() if body else None, **options) as response:
            if response.status == 204:
                return {}
            _require_here(response)
            answer = await _read_json(response, MAX_ANSWER_BYTES)
            if not isinstance(answer, dict):
                raise BadAnswer("the answer is no JSON object: is this an update server?")
            return answer

    @asynccontextmanager
    async def open(
        self, method: str, url: str, headers: Mapping[str, str], *, follow: bool = True
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Ask for a file's bytes as they are stored, with the key on the server's own origin alone.

        aiohttp takes the key away where a redirect leaves the origin. 416 is left to the caller.
        """
        headers = {**headers, "Accept": "*/*", "Accept-Encoding": "identity"}
        if self._origin is not None and _find_origin(url) == self._origin:
            headers |= self._signature()
        options: dict[str, Any] = {
            "auto_decompress": False,
            "read_bufsize": 1 << 20,
            "allow_redirects": follow,
            "middlewares": (_Sight().watch,),
        }
        async with self._request(method, url, headers=headers, accept=(416,), **options) as response:
            yield response

    def _signature(self) -> dict[str, str]:
        key = header_key(self._key)
        return {"Authorization": f"Bearer {key}"} if key else {}

    @asynccontextmanager
    async def _request(
        self, method: str, url: str, *, accept: tuple[int, ...] = (), **options: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send once. Failures of the connection, also while the caller reads, come out with our types."""
        if self._session is None:
            raise RuntimeError("the client is not open: use it within an `async with` block")
        try:
            async with self._session.request(method, _address(url), **options) as response:
                if response.status >= 400 and response.status not in accept:
                    raise await _refusal(response, self._path)
                yield response
        except (aiohttp.ClientSSLError, aiohttp.ServerFingerprintMismatch) as error:
            reason = getattr(getattr(error, "certificate_error", None), "verify_message", "") or error
            raise Unreachable(f"no secure connection to {URL(url).origin()}: {reason}", transient=False) from error
        # Without their causes: those tell whole addresses, also that of a file which its query opens for anybody.
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
            described = isinstance(error, aiohttp.InvalidURL) and error.description
            raise (UpdateError(described, code="INVALID_ADDRESS") if described else no_address(url)) from None
        except aiohttp.ClientHttpProxyError as error:
            reason = f"the proxy answers {error.status} {error.message}".rstrip()
            raise Unreachable(f"no way to {URL(url).origin()}: {reason}", transient=error.status >= 500) from None
        except aiohttp.TooManyRedirects:
            raise BadAnswer("the answers lead from one address to the next, without an end") from None
        except aiohttp.ClientResponseError as error:
            raise BadAnswer(f"the answer is not proper HTTP: {error.message}") from None
        except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
            raise Unreachable(f"no answer from {URL(url).origin()}: {_reason(error)}") from error


class _Sight:
    """Notices when a request was sent but its answer lost."""

    def __init__(self) -> None:
        self.lost = False

    async def watch(self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        """Pass a request on; as a middleware, so that aiohttp repeats nothing by itself.

        Raises:
            ClientConnectionError: the answer was lost, or no connection was made.
        """
        try:
            return await handler(request)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            raise
        except (aiohttp.ClientConnectionError, OSError) as error:
            self.lost = True
            raise aiohttp.ClientConnectionError(_reason(error)) from error


def segment(name: str, value: str) -> str:
    """Quote one part of a path.

    Raises:
        UpdateError: no path can carry the value: it is empty, or made of dots alone.
    """
    if value in ("", ".", ".."):
        raise UpdateError(f"{name} is {value!r}", code="VALIDATION_ERROR", fields={name: "must not be empty"})
    return quote(value, safe="")


def json_body(data: Mapping[str, Any], nulls: Collection[str] = ()) -> Body:
    """Make a JSON body without the fields that are None; those of `nulls` are in it as null."""
    content = {name: value for name, value in data.items() if value is not None} | dict.fromkeys(nulls)
    return lambda: aiohttp.JsonPayload(content)


def _address(url: str) -> URL:
    """Keep an address that is already encoded as it is: a signature may cover its spelling."""
    if not url.isprintable():
        raise aiohttp.InvalidURL(url)
    try:
        address = URL(url, encoded=url.isascii() and " " not in url)
        _ = address.port  # read later otherwise, where a wrong one is no longer told from other errors
    except ValueError:
        raise aiohttp.InvalidURL(url) from None
    return address


def _require_here(response: aiohttp.ClientResponse) -> None:
    """Refuse an answer that leads elsewhere. Raises BadAnswer."""
    if 300 <= response.status < 400:
        where = shown(response.headers.get("Location", "elsewhere"))
        raise BadAnswer(f"the server points to {where}: use that address", status=response.status)


def _find_origin(url: str) -> URL | None:
    try:
        return URL(url).origin()
    except ValueError:
        return None


def _query_word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "timed out"
    if isinstance(error, aiohttp.ClientPayloadError):
        return "the answer was cut off"
    cause = getattr(error, "os_error", error)
    if isinstance(cause, OSError) and cause.errno:
        # Name resolution has numbers of its own, below zero.
        return os.strerror(cause.errno) if cause.errno > 0 else str(cause.strerror)
    return str(cause) or type(cause).__name__


async def _refusal(response: aiohttp.ClientResponse, path: str) -> UpdateError:
    request_id = response.headers.get("X-Request-ID", "")
    try:
        data = await _read_json(response, MAX_REFUSAL_BYTES)
    except BadAnswer:
        data = None
    error = read_error(response.status, data, request_id)
    if path and error.status == 404 and error.code in ("BAD_ANSWER", "NOT_FOUND"):
        error.add(f"the server's address has a path, {path}: is it right?")
    error.retry_after_s = parse_retry_after(response.headers.get("Retry-After"))
    return error


async def _read_json(response: aiohttp.ClientResponse, limit_bytes: int) -> Any:
    content = bytearray()
    async for chunk in response.content.iter_chunked(1 << 16):
        content += chunk
        if len(content) > limit_bytes:
            raise BadAnswer("the answer is too long", status=response.status)
    try:
        return await asyncio.to_thread(json.loads, content) if len(content) > 1 << 20 else json.loads(content)
    except (ValueError, RecursionError):
        raise BadAnswer("the answer is not JSON: is this an update server?", status=response.status) from None
