"""Logs: one JSON object a line on standard output, for everything the process logs, written by a thread.

On a terminal a line is text, unless the settings say otherwise (`lines.py`).

Secrets never reach a log call: a request is logged with the name of its key, never with headers or query values.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sys
import time
from collections.abc import Callable, Iterator, MutableMapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, BinaryIO, cast

import orjson

from updater.logs.lines import as_text
from updater.logs.loggers import structlog
from updater.logs.texts import shown
from updater.logs.writer import LogWriter

# What a text of a line takes at most, escaped; and how many of a list are written.
_FIELD_BYTES, _TRACE_BYTES, _MOST_ITEMS = 1_024, 12_288, 20

_writers: dict[str, LogWriter] = {}


def configure_logs(level: str, form: str = "json", *, worker: int | None = None) -> None:
    """Send the loggers of structlog and of the standard library to standard output, without waiting for its reader.

    Args:
        level: the lowest level that is written: `debug`, `info`, `warning` or `error`.
        form: `json`, `text`, or `auto`: text where standard output is a terminal.
        worker: the number that each line of a worker carries as `worker`; None: no such field.
    """

    def number(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event.setdefault("worker", worker)
        return event

    is_text = form == "text" or (form == "auto" and _is_terminal())
    structlog.configure(
        processors=[Bound(), *([] if worker is None else [number]), *_STEPS, _render_text if is_text else _render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.BytesLoggerFactory(file=cast(BinaryIO, _open("stdout", worker))),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(handlers=[_Bridge()], level=level.upper(), force=True)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)


def on_terminal() -> bool:
    """Say whether a person reads on a terminal what `tell` writes."""
    try:
        return sys.stderr is not None and sys.stderr.isatty()
    except (OSError, ValueError):  # closed since
        return False


def tell(line: str) -> None:
    """Write a line for the person who started the process to standard error, without waiting for its reader."""
    stream = _writers.get("stderr") or _open("stderr", None)
    stream.write(line.encode() + b"\n")
    stream.flush()


def count_dropped() -> int:
    """Return how many lines of the log this process could not write since its start."""
    return sum(each.dropped for each in _writers.values())


def _open(name: str, worker: int | None) -> LogWriter | _Lenient:
    """Return a writer for a standard stream of this process, or what stands in for the stream in a test."""
    stream = getattr(sys, name)
    try:
        # None: the process was started with this descriptor closed, and it may be anything by now.
        descriptor = None if stream is None else stream.fileno()
    except (OSError, AttributeError):
        return _Lenient(stream.buffer)
    known = _writers.pop(name, None)
    if known is not None:
        known.close()

    def say_dropped(lines: int) -> bytes:
        event = {"lines": lines, "event": "log.dropped", "level": "warning", "timestamp": datetime.now(UTC)}
        return _dumps(event if worker is None else {**event, "worker": worker}) + b"\n"

    _writers[name] = LogWriter(descriptor, say_dropped)
    return _writers[name]


@contextlib.contextmanager
def warnings_beside() -> Iterator[None]:
    """Write warnings and errors to standard error for the block, since a command's answer is on standard output.

    Lines of lower levels are dropped (structlog.DropEvent). The configuration before is restored at the end.
    """

    def drop(_logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Drop a line below warning. Raises structlog.DropEvent."""
        if method in ("debug", "info"):
            raise structlog.DropEvent
        return event

    before = structlog.get_config()
    structlog.configure(
        processors=[Bound(), drop, *PROCESSORS],
        logger_factory=structlog.BytesLoggerFactory(file=cast(BinaryIO, _Lenient(sys.stderr.buffer))),
    )
    try:
        yield
    finally:
        structlog.configure(**before)


class Bound:
    """Drops repeated warnings and errors: an outage must not fill the disk as well.

    Of one kind, which is the event and the beginning of its cause, `AT_ONCE` lines are written in `WITHIN_S` seconds.
    The first line after that says in `left_out` how many were dropped. The access log is not bounded: it has one line
    for each request.
    """

    AT_ONCE, WITHIN_S = 20, 10.0
    _KINDS = 500

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kinds: dict[tuple[str, str], _Kind] = {}

    def __call__(self, _logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Pass a line on; a processor of structlog. Raises structlog.DropEvent for a line to leave out."""
        if method in ("debug", "info"):
            return event
        now_s = self._clock()
        key = (str(event.get("event")), str(event.get("cause") or event.get("exc_info"))[:60])
        kind = self._kinds.get(key)
        if kind is None:
            if len(self._kinds) >= self._KINDS:
                self._kinds.clear()
            kind = self._kinds[key] = _Kind(now_s)
        elif now_s - kind.since_s >= self.WITHIN_S:
            if kind.left_out:
                event["left_out"] = kind.left_out
            kind.since_s, kind.written, kind.left_out = now_s, 0, 0
        if kind.written >= self.AT_ONCE:
            kind.left_out += 1
            raise structlog.DropEvent
        kind.written += 1
        return event


@dataclass(slots=True)
class _Kind:
    since_s: float
    written: int = 0
    left_out: int = 0


class _Lenient:
    """A stream that ignores its own failures: a full disk under the log must not turn answers into errors."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def write(self, line: bytes) -> None:
        """Write bytes. Raises nothing: a failing stream loses them."""
        with contextlib.suppress(OSError):
            self._stream.write(line)

    def flush(self) -> None:
        """Flush the stream. Raises nothing."""
        with contextlib.suppress(OSError):
            self._stream.flush()


class _Bridge(logging.Handler):
    """Passes records of the standard library on to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log a record with structlog: its logger is the event, the first 500 characters of its message the text."""
        log = structlog.get_logger(record.name)
        # The HTTP parser raises on every malformed request: one line is enough, tracebacks would flood the log.
        trace = record.exc_info if record.name != "aiohttp.server" else None
        log.log(record.levelno, record.name, text=record.getMessage()[:500], exc_info=trace)


def _render(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> bytes:
    """Render a call as one line; a call with `lines` as one line each, all with the call's other fields."""
    lines = event.pop("lines", None)
    if lines is None:
        return _dumps(event)
    for line in lines:
        line.update(event)
    try:
        rendered = orjson.dumps(lines, default=repr, option=orjson.OPT_UTC_Z)
    except TypeError:
        return b"\n".join([_dumps(line) for line in lines])
    # One call for all lines costs half as much as one call for each. All lines begin with the same key, and a key in
    # quotes after `},{` cannot be inside a string, where quotes are escaped.
    first = f'{{"{next(iter(lines[0]))}":'.encode()
    return rendered[1:-1].replace(b"}," + first, b"}\n" + first)


def _render_text(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> bytes:
    """Render a call as a person reads it; a call with `lines` as one line each, all with the call's other fields."""
    lines = event.pop("lines", None)
    return b"\n".join(as_text({**event, **line}) for line in ([{}] if lines is None else lines))


def _is_terminal() -> bool:
    try:
        return sys.stdout is not None and sys.stdout.isatty()
    except ValueError:
        return False


def _dumps(value: Any) -> bytes:
    """Render a line. A header may hold bytes that are not Unicode; a log line must never fail a request."""
    try:
        return orjson.dumps(value, default=repr, option=orjson.OPT_UTC_Z)
    except TypeError:
        return json.dumps(value, default=str).encode()


def _clean(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Bound every field and hide secrets in it; a processor of structlog. The access log bounds its `lines` itself."""
    for name, value in event.items():
        if type(value) is str:
            event[name] = shown(value, _TRACE_BYTES if name == "exception" else _FIELD_BYTES)
        elif name != "lines" and not isinstance(value, _PLAIN):
            event[name] = _cleaned(value)
    return event


_PLAIN = (int, float, bool, type(None), datetime)


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return shown(str(value), _FIELD_BYTES)
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, list | tuple):
        return [_cleaned(each) for each in value[:_MOST_ITEMS]]
    if isinstance(value, dict):
        return {shown(str(name), 100): _cleaned(each) for name, each in list(value.items())[:_MOST_ITEMS]}
    return shown(repr(value), _FIELD_BYTES)


_STEPS: tuple[Any, ...] = (
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
    _clean,
)
PROCESSORS: tuple[Any, ...] = (*_STEPS, _render)
"""The processors of a log call, in order; the last one returns bytes."""
