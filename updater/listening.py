"""The sockets that the service listens on: opened here, or handed on by systemd or by the parent of workers."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from updater.config import inherited_descriptors
from updater.errors import ConfigurationError
from updater.settings import ServerSettings

BACKLOG = 1024


class HandedSocket(socket.socket):
    """A listening socket that other processes have too, or will have when this one is gone."""

    def listen(self, backlog: int = BACKLOG, /) -> None:
        """Leave the queue as long as it is: it belongs to all of them, and asyncio sets it at each start."""


def open_sockets(settings: ServerSettings) -> list[socket.socket]:
    """Return the sockets of systemd, if there are some, else sockets bound as the settings say.

    Raises:
        ConfigurationError: the address cannot be listened on.
    """
    inherited = inherited_descriptors()
    if inherited:
        return take_sockets(inherited)
    sockets: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in dict.fromkeys(found):
            sockets.append(opened := socket.socket(family, kind, protocol))
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


def take_sockets(descriptors: Sequence[int]) -> list[socket.socket]:
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
