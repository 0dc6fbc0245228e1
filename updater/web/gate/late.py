"""Routes that are made with the first request for them: what a service is never asked for, it does not import."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from pathlib import Path

from aiohttp import web

import updater
from updater.errors import Unavailable

Routes = tuple[web.RouteDef, ...]


class Late:
    """The routes that `make` imports and returns, in the order in which they are matched."""

    def __init__(self, make: Callable[[], Routes]) -> None:
        self._make = make
        self._routes: Routes | None = None
        self._lock = threading.Lock()

    @property
    def known(self) -> Routes:
        """Return the routes, none before they were read."""
        return self._routes or ()

    def read(self) -> Routes:
        """Return the routes; the first call imports them, which takes tenths of a second: call it in a thread.

        Raises:
            Unavailable: the files of the program are no longer those that run. Exception: what importing them raised.
            What failed is tried again.
        """
        with self._lock:
            if self._routes is None:
                _require_same_program()
                self._routes = self._make()
            return self._routes


def _require_same_program() -> None:
    """Refuse to import modules of another version into this one: an upgrade exchanges them below a running service."""
    try:
        text = Path(updater.__file__).read_text(encoding="utf-8")
    except OSError as error:
        raise Unavailable("The program was moved while it runs") from error
    found = re.search(r'^__version__ = "(.+)"$', text, re.MULTILINE)
    if found is None or found[1] != updater.__version__:
        raise Unavailable("The program was upgraded while it runs")
