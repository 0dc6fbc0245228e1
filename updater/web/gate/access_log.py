"""The access log: a line for each request, handed over in batches; requests over a limit share one."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from updater.access.limits import client_of
from updater.logs.loggers import get_logger
from updater.logs.texts import shown

GATHER_S = 0.1
GATHER_LINES = 1_024
REFUSALS_S = 10.0
"""For so long refusals of one address are counted, and then written as one line."""
_LIMITED = 429
_MOST_ADDRESSES = 1_000
_PATH_BYTES, _WORD_BYTES = 512, 200
# A text of so few characters takes no more, whatever they are.
_SHORT_PATH, _SHORT_WORD = _PATH_BYTES // 6, _WORD_BYTES // 6


class AccessLog:
    """Gathers lines for up to `GATHER_S` seconds; `close` at the end, or the last ones are lost.

    A call of the log, with its write, cost half as much as answering a check; a batch shares one.
    """

    def __init__(self) -> None:
        self._log = get_logger("access")
        self._lines: list[dict[str, Any]] = []
        # The last refused request of each address, with the number of them since the line before.
        self._refused: dict[str, dict[str, Any]] = {}

    def add(self, line: dict[str, Any]) -> None:
        """Log a request within `GATHER_S` seconds, or at once when `GATHER_LINES` lines wait.

        Of an address's requests over a limit, the first is logged so, and the others are one line with their number,
        `refused`, after `REFUSALS_S` seconds. `line` gets the key `timestamp`, the time in UTC. Its texts are bounded.
        """
        line["timestamp"] = datetime.now(UTC)
        _bound(line)
        if line.get("status") == _LIMITED:
            self._count(line)
        else:
            self._put(line)

    def _put(self, line: dict[str, Any]) -> None:
        lines = self._lines
        lines.append(line)
        if len(lines) == 1:
            asyncio.get_running_loop().call_later(GATHER_S, self.flush)
        elif len(lines) >= GATHER_LINES:
            self.flush()

    def _count(self, line: dict[str, Any]) -> None:
        """Count a refused request, and log the first of an address."""
        address = client_of(line.get("client") or "")
        before = self._refused.get(address)
        if before is None and len(self._refused) >= _MOST_ADDRESSES:
            address, line["client"] = "", "others"
            before = self._refused.get(address)
        if not self._refused:
            asyncio.get_running_loop().call_later(REFUSALS_S, self._tell_refused)
        self._refused[address] = line
        line["refused"] = 0 if before is None else before["refused"] + 1
        if before is None:
            self._put({**line, "refused": 1})

    def _tell_refused(self) -> None:
        refused, self._refused = self._refused, {}
        for line in refused.values():
            if line["refused"]:
                self._put(line)

    def flush(self) -> None:
        """Hand over what was gathered."""
        lines, self._lines = self._lines, []
        if lines:
            self._log.info("request", lines=lines)

    async def close(self, _: web.Application) -> None:
        """Hand over the rest (`on_cleanup`)."""
        self._tell_refused()
        self.flush()


def _bound(line: dict[str, Any]) -> None:
    """Bound what a client chose. Nearly all texts are short, and cost one comparison each."""
    path = line.get("path", "")
    if len(path) > _SHORT_PATH or "@" in path or "=" in path:
        line["path"] = shown(path, _PATH_BYTES)
    for name in _WORDS:
        text = line.get(name)
        if text is not None and len(text) > _SHORT_WORD:
            line[name] = shown(text, _WORD_BYTES)


_WORDS = ("method", "application", "client", "outcome", "key", "agent_version")
