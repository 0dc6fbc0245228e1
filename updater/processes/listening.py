"""The sockets that the service listens on, and the limit of open files for their connections.

Sockets are opened here, or passed on by systemd or by the parent of workers.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import resource
import socket
from collections.abc import Callable, Sequence
from typing import Any

from updater.config import inherited_descriptors
from updater.errors import ConfigurationError
from updater.logs import on_terminal
from updater.logs.loggers import get_logger
from updater.settings import ServerSettings

BACKLOG = 1024
# Open files: what the service asks the system for, and the least it works with.
USUAL_FILES, LEAST_FILES = 65_536, 256
# A download needs a socket and a file.
FILES_EACH = 2
# The database, the log, the object store, child processes, and connections accepted but not counted yet.
_FILES_KEPT = 128
_SHORTAGES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_LOG_EVERY_S = 60.0
_log = get_logger(__name__)


class ListeningSocket(socket.socket):
    """A listening socket whose queue keeps its length: asyncio would set it to the size of a batch of `accept`."""

    def listen(self, backlog: int = BACKLOG, /) -> None:
        """Listen with a queue of `BACKLOG`, whatever `backlog` says. Raises OSError."""
        super().listen(BACKLOG)


class HandedSocket(ListeningSocket):
    """A listening socket that other processes hold too, or will hold when this one has ended."""

    def listen(self, backlog: int = BACKLOG, /) -> None:
        """Do nothing: the length of the queue belongs to all processes that hold the socket."""


def open_sockets(settings: ServerSettings) -> list[ListeningSocket]:
    """Return the sockets that systemd passed on, else sockets bound as the settings say, in the order of its addresses.

    Raises:
        ConfigurationError: the address cannot be listened on.
    """
    inherited = inherited_descriptors()
    if inherited:
        return take_sockets(inherited)
    sockets: list[ListeningSocket] = []
    try:
        # Text would be read by the rules of international names, whose tables are 0.8 MiB, also where it is an address.
        host = settings.host.encode() if settings.host.isascii() else settings.host
        found = socket.getaddrinfo(host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in dict.fromkeys(found):
            sockets.append(opened := ListeningSocket(family, kind, protocol))
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            opened.bind(address)
            opened.listen(BACKLOG)
    except OSError as error:
        close_sockets(sockets)
        where = f"{settings.host}:{settings.port}"
        raise ConfigurationError(f"server.port: cannot listen on {where}: {error.strerror}") from None
    return sockets


def take_sockets(descriptors: Sequence[int]) -> list[ListeningSocket]:
    """Return sockets that another process opened, in the order of `descriptors`.

    Raises:
        ConfigurationError: one of them is no socket.
    """
    try:
        return [HandedSocket(fileno=each) for each in descriptors]
    except OSError as error:
        raise ConfigurationError(f"the inherited sockets cannot be used: {error.strerror}") from None


def close_sockets(sockets: Sequence[socket.socket]) -> None:
    """Close the sockets in this process; in others they stay open."""
    for each in sockets:
        each.close()


def address_of(listening: socket.socket) -> str:
    """Return the address of a listening socket, for people: a URL, or `unix:` and a path."""
    name = listening.getsockname()
    if not isinstance(name, tuple):
        return f"unix:{name}"
    host = f"[{name[0]}]" if ":" in name[0] else name[0]
    return f"http://{host}:{name[1]}"


def announce_addresses(
    sockets: Sequence[socket.socket], settings: ServerSettings, announce: Callable[[str], None]
) -> None:
    """Tell the person who started the service where it listens, and when others may choose the host of its links.

    Without `server.public_url` links have the host that a request names. That goes to the log too. On a terminal the
    pages' addresses follow.
    """
    for each in sockets:
        announce(f"listening on {address_of(each)}")
    pages = find_page_address(sockets, settings) if on_terminal() else None
    if pages is not None:
        announce(f"dashboard: {pages}/admin/")
        announce(f"documentation: {pages}/api/v1/docs")
    exposed = [address_of(each) for each in sockets if not _is_local(each)]
    if exposed and settings.public_url is None:
        _log.warning("server.no_public_url", listening=exposed)
        announce(
            "warning: server.public_url is not set, so links in answers have the host that each request names; "
            "set it to the address of this service, such as https://updates.example.com"
        )


def find_page_address(sockets: Sequence[socket.socket], settings: ServerSettings) -> str | None:
    """Return where a browser finds the pages, without a slash at its end; None behind Unix sockets alone.

    That is `server.public_url`, else the first address; one that stands for all is a browser's own machine.
    """
    if settings.public_url is not None:
        return settings.public_url.rstrip("/")
    found = next((each for each in sockets if isinstance(each.getsockname(), tuple)), None)
    if found is None:
        return None
    host, port = found.getsockname()[:2]
    return (
        f"http://localhost:{port}" if ipaddress.ip_address(host.partition("%")[0]).is_unspecified else address_of(found)
    )


def _is_local(listening: socket.socket) -> bool:
    """Tell whether only this machine reaches a socket: on a loopback address, or in the file system."""
    name = listening.getsockname()
    return not isinstance(name, tuple) or ipaddress.ip_address(name[0].partition("%")[0]).is_loopback


def affordable_connections(files: int | None = None) -> int:
    """Return the number of connections that so many open files allow, at least 1; None: as many as this process may."""
    if files is None:
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max((files - _FILES_KEPT) // FILES_EACH, 1)


def raise_file_limit(connections: int) -> None:
    """Raise this process's limit of open files to what so many connections need, as far as the system allows.

    A limit that is too low for them is logged.

    Raises:
        ConfigurationError: the system allows fewer than `LEAST_FILES`.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < LEAST_FILES:
        raise ConfigurationError(
            f"this process may open {hard} files and needs {LEAST_FILES} at least; see LimitNOFILE= or ulimit -Hn"
        )
    wanted = min(hard, max(connections * FILES_EACH + _FILES_KEPT, USUAL_FILES))
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    if affordable_connections() < connections:
        _log.warning("server.few_files", files=max(soft, wanted), connections=affordable_connections())


def tell_shortages(loop: asyncio.AbstractEventLoop) -> None:
    """Log a line every 60 seconds while no connection can be accepted, instead of a traceback each.

    asyncio retries every second, and would log a traceback for each connection of a batch.
    """
    say_again_s = 0.0

    def handle(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        nonlocal say_again_s
        error = context.get("exception")
        if not isinstance(error, OSError) or error.errno not in _SHORTAGES or "socket" not in context:
            loop.default_exception_handler(context)
        elif loop.time() >= say_again_s:
            say_again_s = loop.time() + _LOG_EVERY_S
            _log.error("connections.not_accepted", reason=error.strerror)

    loop.set_exception_handler(handle)
