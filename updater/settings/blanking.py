"""The settings as they may be shown: in the shape of the file, without what nobody may read. PURE.

Each setting says at its declaration what of it is secret (`checks.Secret`).
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit

from updater.settings.checks import Secret
from updater.settings.sections import Settings

HIDDEN: Final = "***"
# Of a query these are shown; any other option may be a secret, or have one in it.
_HARMLESS: Final = frozenset(
    ("region", "aws_region", "allow_http", "virtual_hosted_style_request", "sslmode", "connect_timeout", "db")
)
_ADDRESSES: Final = frozenset(("endpoint", "endpoint_url", "base_url"))
_NAMES: Final = "(?:pass|pwd|secret|token|key|auth|credential|cookie|signature|bearer)"
_OPTION_OF_SECRET = re.compile(rf"-[^\s=:]*{_NAMES}[^\s=:]*", re.IGNORECASE)
# `API_KEY=`, `Authorization: `, and `--password ` within a line for a shell.
_SAYS_SECRET = re.compile(rf"[^\s=:]*{_NAMES}[^\s=:]*(?:\s*[=:]\s*|\s+)", re.IGNORECASE)
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+")
_USER_OPTIONS: Final = frozenset(("-u", "--user", "--proxy-user"))


def blanked(settings: Settings) -> dict[str, Any]:
    """Return section -> key -> value, as JSON has them; what is secret is `***`, and null where it is not set."""
    tree: dict[str, Any] = _record(settings)
    return tree


def _record(record: Any) -> dict[str, Any]:
    return {
        each.name: _value(getattr(record, each.name), each.metadata.get("secret", Secret.NONE))
        for each in dataclasses.fields(record)
    }


def _value(value: Any, secret: Secret) -> Any:
    if value is None:
        return None
    if secret is Secret.ALL:
        return HIDDEN
    if secret is Secret.IN_COMMAND:
        return list(_words(value))
    if secret is Secret.IN_URL:
        return blank_url(value)
    if dataclasses.is_dataclass(value):
        return _record(value)
    if isinstance(value, tuple | list):
        return [_value(each, secret) for each in value]
    return value.isoformat() if isinstance(value, datetime) else value


def blank_url(url: str) -> str:
    """Return an address without its password and without what its query and fragment say.

    A user alone stays where one is usual, before a password; without a password it may be a token, and goes.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return HIDDEN
    user, at, hosts = parts.netloc.rpartition("@")
    name, colon, _ = user.partition(":")
    shown = f"{name}:{HIDDEN}" if colon else HIDDEN
    netloc = f"{shown}@{hosts}" if at else hosts
    query = "&".join(_option(each) for each in parts.query.split("&")) if parts.query else ""
    start = f"{parts.scheme}://{netloc}{parts.path}"
    return start + (f"?{query}" if query else "") + (f"#{HIDDEN}" if parts.fragment else "")


def _option(text: str) -> str:
    name, _, value = text.partition("=")
    if name.lower() in _HARMLESS:
        return text
    if name.lower() in _ADDRESSES:
        return f"{name}={quote(blank_url(unquote(value)), safe=':/*@?=&')}"
    return f"{name}={HIDDEN}"


def _words(words: Sequence[str]) -> Iterator[str]:
    """Yield the words of a command; what an option, a header or a variable with the name of a secret says is hidden."""
    hide_next = False
    for word in words:
        if hide_next and not word.startswith("-"):
            yield HIDDEN
            hide_next = False
            continue
        hide_next = word in _USER_OPTIONS or _OPTION_OF_SECRET.fullmatch(word) is not None
        shown = _URL.sub(lambda found: blank_url(found[0]), word)
        says = _SAYS_SECRET.search(shown)
        # Where such a value ends, only the command knows: all that follows in this word goes.
        yield shown if says is None else shown[: says.end()] + HIDDEN
