"""One request to a receiver: to public addresses alone, bounded in time and in bytes."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from ipaddress import IPv4Address, ip_address
from typing import TYPE_CHECKING, Any, cast

from updater import __version__
from updater.webhooks.addresses import Network, may_connect

if TYPE_CHECKING:  # commands open the services too, and send nothing
    import aiohttp
    from aiohttp.abc import AbstractResolver

TIMEOUT_S = 20.0
MAX_ANSWER_BYTES = 64 << 10
_REST_S = 2.0
_PRIVATE = "its address is not public; webhooks.allow_private names networks that may be reached all the same"


class Refused(OSError):
    """The address that a socket was about to be connected to may not be reached."""


class _Lookups:
    """Looks each name up in a thread of its own, in place of the loop that looks up in threads which all share.

    A name server that does not answer delays no other name, no file that is read meanwhile, and not the end of the
    process.
    """

    async def getaddrinfo(self, host: str, port: int, **options: Any) -> Any:
        """Do as `socket.getaddrinfo`."""
        return await _in_a_thread(functools.partial(socket.getaddrinfo, host, port, **options))

    async def getnameinfo(self, address: Any, flags: int = 0) -> Any:
        """Do as `socket.getnameinfo`."""
        return await _in_a_thread(functools.partial(socket.getnameinfo, address, flags))


class Sender:
    """Sends bodies. Each request has a connection of its own. `resolver` None: the system's."""

    def __init__(self, allowed: Sequence[Network] = (), *, resolver: AbstractResolver | None = None) -> None:
        self._allowed = tuple(allowed)
        self._resolver = resolver

    async def send(
        self, url: str, body: bytes, headers: Mapping[str, str], now: datetime
    ) -> tuple[int | None, str | None, float | None]:
        """POST a body; return its status, why it is not delivered (None: it is), and how long to wait, if it asks.

        Redirects are not followed, and no proxy of the environment is used. Raises nothing.
        """
        import aiohttp

        sent = {"Content-Type": "application/json", "User-Agent": f"updater/{__version__}", **headers}
        try:
            async with (
                asyncio.timeout(TIMEOUT_S),
                self._session() as session,
                session.post(url, data=body, headers=sent, allow_redirects=False) as answer,
            ):
                # What was answered counts from here on, whatever becomes of the rest.
                with contextlib.suppress(aiohttp.ClientError, OSError):
                    async with asyncio.timeout(_REST_S):
                        await answer.content.read(MAX_ANSWER_BYTES)
                if 200 <= answer.status < 300:
                    return answer.status, None, None
                return answer.status, f"answered {answer.status}", _asked_s(answer, now)
        except TimeoutError:
            return None, f"did not answer within {TIMEOUT_S:.0f} s", None
        except Exception as error:
            # Whatever the other side or its name does: the next try is due, and no text of it is shown.
            return None, _why(error), None

    def _session(self) -> aiohttp.ClientSession:
        import aiohttp

        resolver = self._resolver or aiohttp.ThreadedResolver(cast(asyncio.AbstractEventLoop, _Lookups()))
        connector = aiohttp.TCPConnector(
            resolver=resolver, socket_factory=self._make_socket, force_close=True, use_dns_cache=False
        )
        return aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False, auto_decompress=False
        )

    def _make_socket(self, place: tuple[Any, ...]) -> socket.socket:
        """Make the socket for the very address that it is then connected to, after every name is resolved."""
        family, kind, protocol, _, address = place
        if not may_connect(str(address[0]), self._allowed):
            raise Refused(_PRIVATE)
        made = socket.socket(family, kind, protocol)
        made.setblocking(False)
        return made


def plain_address(host: str) -> str | None:
    """Return the address that a host of a URL is without any look-up, in each spelling there is; None: a name."""
    if host.rstrip(".") == "localhost" or host.rstrip(".").endswith(".localhost"):
        return "127.0.0.1"
    try:
        return str(ip_address(host))
    except ValueError:
        pass
    try:
        # As getaddrinfo reads it: in parts of 1 to 4, each decimal, octal or hexadecimal.
        return str(IPv4Address(socket.inet_aton(host)))
    except OSError:
        return None


async def _in_a_thread(work: Callable[[], Any]) -> Any:
    """Do what may block for long; whoever waits may give up, and the thread ends when it can."""
    loop = asyncio.get_running_loop()
    over: asyncio.Future[Any] = loop.create_future()

    def settle(result: Any, error: OSError | UnicodeError | None) -> None:
        if over.done():
            return
        if error is None:
            over.set_result(result)
        else:
            over.set_exception(error)

    def run() -> None:
        result, failure = None, None
        try:
            result = work()
        except (OSError, UnicodeError) as error:
            failure = error
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, result, failure)

    threading.Thread(target=run, name="webhook lookup", daemon=True).start()
    return await over


def _asked_s(answer: aiohttp.ClientResponse, now: datetime) -> float | None:
    """Return the seconds of a Retry-After, in either form; None without one that can be read."""
    text = answer.headers.get("Retry-After", "").strip()
    if answer.status not in (429, 503) or not text:
        return None
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, (parsedate_to_datetime(text) - now).total_seconds())
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _why(error: BaseException) -> str:
    """Say in our own words what went wrong."""
    import aiohttp

    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, Refused):
            return _PRIVATE
        seen = getattr(seen, "os_error", None) or seen.__cause__
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its name is not known"
    if isinstance(error, aiohttp.ClientSSLError):
        return "its certificate is not trusted, or TLS fails"
    if isinstance(error, aiohttp.ClientConnectorError):
        return "it cannot be reached"
    if isinstance(error, aiohttp.ClientError | OSError):
        return "the connection broke"
    return "its answer cannot be read"
