"""Texts as they may be shown and logged: bounded, and without the secrets that addresses hold. PURE."""

from __future__ import annotations

import json
import re
from typing import Final

import orjson

_HIDDEN: Final = "***"
# With a password, everything up to the last `@` of the word: passwords may hold `@` and `/`. All parts are bounded, so
# that no text costs more than its length.
_CREDENTIALS: Final = re.compile(r"(?<=://)(?:[^\s/?#@:'\"]{0,200}:[^\s'\"]{0,200}|[^\s/?#'\"]{0,200})@")
# Of a query, a form, libpq's parameters, environments: everything that is called like a secret.
_PARAMETERS: Final = re.compile(r"(?<![A-Za-z0-9_.-])([A-Za-z0-9_.-]{1,100}=)[^\s&;,#'\"]+")
_SECRET_NAME: Final = re.compile(
    r"(?:token|passwd|password|secret|signature|credential|apikey|(?:^|[._-])(?:auth|authorization|key|pwd|sig|jwt))=$",
    re.IGNORECASE,
)
_HEADERS: Final = re.compile(r"\b((?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE)
_OWN_KEYS: Final = re.compile(r"\bupd_[A-Za-z0-9_-]{20,}")


def without_secrets(text: str) -> str:
    """Replace by `***` what credentials in addresses, secrets in queries and parameters, and headers would show."""
    if "@" in text:
        text = _CREDENTIALS.sub(f"{_HIDDEN}@", text)
    if "=" in text:
        text = _PARAMETERS.sub(
            lambda found: f"{found[1]}{_HIDDEN}" if _SECRET_NAME.search(found[1]) else found[0], text
        )
    if "asic" in text or "earer" in text or "BEARER" in text or "BASIC" in text:
        text = _HEADERS.sub(rf"\1{_HIDDEN}", text)
    return _OWN_KEYS.sub(_HIDDEN, text) if "upd_" in text else text


def _hide(found: re.Match[str]) -> str:
    return f"{found[1]}{_HIDDEN}" if _SECRET_NAME.search(found[1]) else found[0]


def bounded(text: str, most_bytes: int) -> str:
    """Return the beginning of a text that takes at most so many bytes as a JSON string, with `...` when it is cut."""
    if len(text) * 6 <= most_bytes:  # no character takes more
        return text
    if len(text) <= most_bytes and _json_bytes(text) <= most_bytes:
        return text
    left = text[: most_bytes - 3]
    while (size_bytes := _json_bytes(left)) > most_bytes - 3:
        left = left[: min(len(left) - 1, len(left) * (most_bytes - 3) // size_bytes)]
    return left + "..."


def shown(text: str, most_bytes: int) -> str:
    """Return a text as a line of the log may hold it. It is cut before its secrets are looked for, and again after."""
    return bounded(without_secrets(bounded(text, 4 * most_bytes)), most_bytes)


def _json_bytes(text: str) -> int:
    """Return the bytes of a JSON string without its quotes, as the log writes it."""
    try:
        return len(orjson.dumps(text)) - 2
    except TypeError:  # lone surrogates: bytes that were no UTF-8
        return len(json.dumps(text)) - 2
