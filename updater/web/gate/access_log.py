"""The access log: a line for each request, handed over in batches."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import structlog
from aiohttp import web

GATHER_S = 0.1
GATHER_LINES = 256


class AccessLog:
    """Gathers lines for up to `GATHER_S` seconds; `close` at the end, or the last ones are lost.

    A call of the log, with its write, cost half as much as answering a check; a batch shares one.
    """

    def __init__(self) -> None:
        self._log = structlog.get_logger("access")
        self._lines: list[dict[str, Any]] = []

    def add(self, line: dict[str, Any]) -> None:
        """Log a request within `GATHER_S` seconds, or at once when `GATHER_LINES` lines wait.

        `line` gets the key `timestamp`, the time in UTC.
        """
        line["timestamp"] = datetime.now(UTC)
        lines = self._lines
        lines.append(line)
        if len(lines) == 1:
            asyncio.get_running_loop().call_later(GATHER_S, self.flush)
        elif len(lines) >= GATHER_LINES:
            self.flush()

    def flush(self) -> None:
        """Hand over what was gathered."""
        lines, self._lines = self._lines, []
        if lines:
            self._log.info("request", lines=lines)

    async def close(self, _: web.Application) -> None:
        """Hand over the rest (`on_cleanup`)."""
        self.flush()
