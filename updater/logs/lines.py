"""A line of the log as a person reads it on a terminal. PURE."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

# What a request's line says in its own order, before the rest.
_REQUEST: Final = ("method", "path", "status", "ms", "bytes")
_LEVELS: Final = {"warning": "\x1b[33m", "error": "\x1b[31m", "critical": "\x1b[31m"}
_END: Final = "\x1b[0m"


def as_text(line: Mapping[str, Any]) -> bytes:
    """Return a line: the time of day in UTC, the level unless it is `info`, the event, `name=value` for the rest.

    A request is `GET /path 200 1.2 ms 512 bytes` and its other fields. What a terminal would obey is escaped. A trace
    follows in lines of its own.
    """
    rest = {name: value for name, value in line.items() if value is not None}
    at, level = rest.pop("timestamp", ""), rest.pop("level", "info")
    event, trace = str(rest.pop("event", "")), rest.pop("exception", None)
    words = [at.strftime("%H:%M:%S") if isinstance(at, datetime) else str(at)[11:19]]
    if level != "info":
        words.append(f"{_LEVELS.get(level, '')}{level}{_END if level in _LEVELS else ''}")
    if event == "request" and all(name in rest for name in _REQUEST):
        method, path, status, ms, size_bytes = (rest.pop(name) for name in _REQUEST)
        words.append(f"{_plain(method)} {_plain(path)} {status} {ms:.1f} ms {size_bytes} bytes")
    else:
        words.append(_plain(event))
    words += [f"{name}={_plain(value)}" for name, value in rest.items()]
    text = " ".join(words)
    if trace is not None:
        text += "".join(
            f"\n    {''.join(c if c.isprintable() else ' ' for c in each)}" for each in str(trace).split("\n")
        )
    return text.encode("utf-8", "backslashreplace")


def _plain(value: Any) -> str:
    """Return a value as one word where it is one, else as JSON, which escapes what is not printable."""
    text = value if isinstance(value, str) else str(value)
    if isinstance(value, str) and (not text or not text.isprintable() or " " in text):
        return json.dumps(text)
    return text if text.isprintable() else json.dumps(text)
