"""Ports for servers that cannot choose one themselves and say which."""

from __future__ import annotations

import os
import secrets
import socket

# Source: ip(7), ip_local_port_range begins at 32768. A port from there, as bind(0) gives it, may belong to an
# outgoing connection a moment later, and each time a server is restarted on it.
_FIRST, _PAST = 10_240, 32_768
# The processes of one run have ports of their own, so that none takes what another is about to listen on again.
_PROCESS = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_PROCESSES = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
_PORTS = range(_FIRST + _PROCESS % _PROCESSES, _PAST, _PROCESSES)


def free_port() -> int:
    """Return a port of the loopback that is free, and that the system gives only to a process that asks for it."""
    while True:
        port = secrets.choice(_PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
