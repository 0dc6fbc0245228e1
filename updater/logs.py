"""Logs: one JSON object a line on standard output, for everything the process says.

Lines that are no warning are gathered for up to 100 ms, then rendered and written together: one by one, the access
log cost more than half as much as answering a check. Secrets never reach a log call: requests are logged by name of
the key, never with headers or query values.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import json
import logging
import sys
import threading
import time
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any, BinaryIO

import orjson
import structlog

GATHER_S = 0.1
GATHER_LINES = 256

Line = MutableMapping[str, Any]


def configure_logs(level: str) -> None:
    """Send structlog's and the standard library's loggers to standard output."""
    lines = Lines(sys.stdout.buffer)
    atexit.register(lines.flush)
    structlog.configure(
        processors=list(PROCESSORS),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: lines,
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(handlers=[_Bridge()], level=level.upper(), force=True)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)


class Lines:
    """Where structlog's loggers write: a line a call, together with those of the last `GATHER_S` seconds.

    A warning, or worse, leaves at once, with what was gathered before it. A log that cannot be written, its reader
    gone or its disk full, loses lines: it must not turn answers into errors.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._gathered: list[Line] = []
        self._lock = threading.Lock()

    def info(self, line: Line) -> None:
        """Write a line soon; at once where no event loop runs."""
        with self._lock:
            self._gathered.append(line)
            count = len(self._gathered)
        if count == 1:
            try:
                asyncio.get_running_loop().call_later(GATHER_S, self.flush)
            except RuntimeError:
                self.flush()
        elif count >= GATHER_LINES:
            self.flush()

    def warning(self, line: Line) -> None:
        """Write a line now."""
        with self._lock:
            self._gathered.append(line)
        self.flush()

    debug = info
    error = critical = warning

    def flush(self) -> None:
        """Write what was gathered."""
        with self._lock, contextlib.suppress(OSError, ValueError):
            lines, self._gathered = self._gathered, []
            if lines:
                self._file.write(b"".join(map(render, lines)))
                self._file.flush()


class _Bridge(logging.Handler):
    """Hands records of the standard library over to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger(record.name)
        # The HTTP parser raises on every malformed request: a line is enough, a traceback would help to flood us.
        trace = record.exc_info if record.name != "aiohttp.server" else None
        log.log(record.levelno, record.name, text=record.getMessage()[:500], exc_info=trace)


def _hand_over(logger: Any, method: str, line: Line) -> tuple[tuple[Line], dict[str, Any]]:
    """Complete a line for `Lines`."""
    if "exc_info" in line:
        line = structlog.processors.format_exc_info(logger, method, line)
    line["level"] = method
    line["timestamp"] = time.time()
    return (line,), {}


PROCESSORS: tuple[Any, ...] = (_hand_over,)
"""What a log call goes through on its way to `Lines`; few, because each costs every request."""


def render(line: Line) -> bytes:
    """Return a line as JSON. A client's header may hold bytes that are no Unicode; the line must not fail for that."""
    line["timestamp"] = datetime.fromtimestamp(line["timestamp"], UTC)
    try:
        return orjson.dumps(line, default=repr, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z)
    except TypeError:
        line["timestamp"] = line["timestamp"].isoformat()
        return json.dumps(line, default=repr).encode() + b"\n"
