"""The sockets that the service listens on, and the open files that their connections take.

Sockets are opened here, or handed on by systemd or by the parent of workers.
"""

from __future__ import annotations

import asyncio
import errno
import resource
import socket
from collections.abc import Sequence
from typing import Any

import structlog

from updater.config import inherited_descriptors
from updater.errors import ConfigurationError
from updater.settings import ServerSettings

BACKLOG = 1024
# Open files: what the system is asked for, and what the service cannot be without.
USUAL_FILES, LEAST_FILES = 65_536, 256
# A download has a socket and a file.
_FILES_EACH = 2
# The database, the log, the object store, child processes, and what is accepted before it is counted.
_FILES_KEPT = 128
_SHORTAGES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_LOG_EVERY_S = 60.0
_log = structlog.get_logger(__name__)


class ListeningSocket(socket.socket):
    """A listening socket whose queue keeps its length: asyncio would make it as long as a batch of `accept`."""

    def listen(self, backlog: int = BACKLOG, /) -> None:
        """Listen, with a queue of `BACKLOG`."""
        super().listen(BACKLOG)


class HandedSocket(ListeningSocket):
    """A listening socket that other processes have too, or will have when this one is gone."""

    def listen(self, backlog: int = BACKLOG, /) -> None:
        """Leave the queue as long as it is: it belongs to all of them."""


def open_sockets(settings: ServerSettings) -> list[ListeningSocket]:
    """Return the sockets of systemd, if there are some, else sockets bound as the settings say.

    Raises:
        ConfigurationError: the address cannot be listened on.
    """
    inherited = inherited_descriptors()
    if inherited:
        return take_sockets(inherited)
    sockets: list[ListeningSocket] = []
    try:
        found = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
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
    """Return sockets that another process opened. Raises ConfigurationError."""
    try:
        return [HandedSocket(fileno=each) for each in descriptors]
    except OSError as error:
        raise ConfigurationError(f"the inherited sockets cannot be used: {error.strerror}") from None


def close_sockets(sockets: Sequence[socket.socket]) -> None:
    """Close them in this process."""
    for each in sockets:
        each.close()


def address_of(listening: socket.socket) -> str:
    """Return where a socket listens, for people."""
    name = listening.getsockname()
    if not isinstance(name, tuple):
        return f"unix:{name}"
    host = f"[{name[0]}]" if ":" in name[0] else name[0]
    return f"http://{host}:{name[1]}"


def affordable_connections() -> int:
    """Return how many connections the open files allow that this process may have."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max((soft - _FILES_KEPT) // _FILES_EACH, 1)


def raise_file_limit(connections: int) -> None:
    """Let this process open the files that so many connections need, as far as the system allows.

    Raises:
        ConfigurationError: it allows too few to serve anybody.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < LEAST_FILES:
        raise ConfigurationError(
            f"this process may open {hard} files and needs {LEAST_FILES} at least; see LimitNOFILE= or ulimit -Hn"
        )
    wanted = min(hard, max(connections * _FILES_EACH + _FILES_KEPT, USUAL_FILES))
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    if affordable_connections() < connections:
        _log.warning("server.few_files", files=max(soft, wanted), connections=affordable_connections())


def tell_shortages(loop: asyncio.AbstractEventLoop) -> None:
    """Log a line a minute while no connection can be accepted.

    asyncio tries again each second, and would log a traceback for each connection of a batch.
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
