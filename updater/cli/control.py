"""Ask the running service for an operation, through its control socket. No event loop: a command only waits for it."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import click

from updater.processes.folder import CONTROL_SOCKET, short_path

Event = dict[str, Any]
ENDED = "the service ended before it answered; run the command again when it is back"


class _Connection(http.client.HTTPConnection):
    """HTTP over a Unix socket. There is no timeout: an operation takes as long as it takes."""

    def __init__(self, path: str) -> None:
        super().__init__("service")
        self._path = path

    def connect(self) -> None:
        """Connect to the socket.

        Raises:
            OSError: no process listens there.
        """
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(self._path)


def ask_service(root: Path, operation: str, arguments: dict[str, Any]) -> Iterator[Event]:
    """Have the service that holds `root` run an operation; yield its events in their order, the result last.

    Raises:
        ClickException: the service does not answer, does not know the operation, or ended on the way.
    """
    with short_path(root / CONTROL_SOCKET) as path, closing(_Connection(path)) as connection:
        try:
            connection.request("POST", f"/{operation}", json.dumps(arguments), {"Content-Type": "application/json"})
            response = connection.getresponse()
        except (OSError, http.client.HTTPException):
            raise click.ClickException(
                f"{root.absolute()} is in use, but its process does not answer on {CONTROL_SOCKET}; "
                "is it starting or stopping?"
            ) from None
        with response:
            if response.status != 200:
                raise click.ClickException(
                    f"the service that holds {root.absolute()} does not know {operation}; restart it with this version"
                )
            yield from _events(response)


def _events(response: http.client.HTTPResponse) -> Iterator[Event]:
    try:
        for line in response:
            event: Event = json.loads(line)
            if event.get("failure") == "Unavailable":
                event["message"] += "; the service's log says more"
            yield event
    except (OSError, http.client.HTTPException, ValueError):
        raise click.ClickException(ENDED) from None
