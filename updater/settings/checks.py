"""Declarations of settings: checks and fields of marshmallow.

A check takes a value, returns None when it fits, and raises ValidationError with what would fit.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import re
from dataclasses import field
from enum import Enum
from string import Formatter
from typing import Any
from urllib.parse import SplitResult, urlsplit

from marshmallow import ValidationError, fields, validate

# Fields that the pattern of a desktop download's file name may hold.
FILE_NAME_FIELDS = ("application", "version", "platform", "suffix")
_DATABASE_SCHEMES = ("postgresql", "postgres")
OBJECT_STORE_SCHEMES = ("s3", "gs", "az")
# First parts of paths that belong to other interfaces.
_TAKEN = ("api", "admin", "health", "metrics")

_HOST = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")


class Secret(Enum):
    """What of a setting nobody may read, when the settings are shown."""

    NONE = "none"
    ALL = "all"
    # The password of an address, and what its query says.
    IN_URL = "in url"
    # The same in each word of a command, and what follows an option or a header with the name of a secret.
    IN_COMMAND = "in command"


def setting(check: fields.Field[Any], default: Any = dataclasses.MISSING, *, secret: Secret = Secret.NONE) -> Any:
    """Declare one setting of a dataclass: the field that checks it, and its default; without one it is required."""
    metadata = {"check": check, "secret": secret}
    if default is dataclasses.MISSING:
        check.required = True
        return field(metadata=metadata)
    check.required = False
    if isinstance(default, tuple):
        return field(default_factory=lambda: default, metadata=metadata)
    return field(default=default, metadata=metadata)


def _split(value: str) -> SplitResult:
    """Return the parts of a URL; empty parts, which no setting accepts, when brackets or port cannot be parsed."""
    try:
        parts = urlsplit(value)
        if parts.scheme not in _DATABASE_SCHEMES:  # which take several hosts, each with its port
            _ = parts.port
    except ValueError:
        return SplitResult("", "", "", "", "")
    return parts


def http_url(value: str) -> None:
    """Accept an absolute http(s) URL without query and fragment. Raises ValidationError for any other value."""
    parts = _split(value)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment:
        raise ValidationError("expected an absolute http(s) URL without query, such as https://updates.example.com")
    if not _HOST.fullmatch(parts.netloc.rpartition("@")[2]):
        raise ValidationError(
            "its host holds a character that no host name has; write a name of other letters as xn--..., as in "
            "https://xn--bcher-kva.example"
        )


def origin_url(value: str) -> None:
    """Accept scheme, host and port of an http(s) URL. Raises ValidationError for any other value.

    A path is refused: pages, redirects and cookies of the service are at the root of their host.
    """
    http_url(value)
    parts = _split(value)
    if parts.path not in ("", "/") or "@" in parts.netloc:
        raise ValidationError(
            "expected scheme and host alone, such as https://updates.example.com: the service is at the root of a host "
            "name of its own, not below a path"
        )


def cors_origin(value: str) -> None:
    """Accept `*`, or an origin as browsers send it. Raises ValidationError for any other value."""
    if value == "*":
        return
    parts = _split(value)
    bare = f"{parts.scheme}://{parts.netloc}"
    if not parts.scheme or not parts.hostname or "@" in parts.netloc or value.rstrip("/") != bare:
        raise ValidationError("expected * or scheme and host, such as https://www.example.com")


def database_url(value: str) -> None:
    """Accept the URL of a PostgreSQL database. Raises ValidationError for any other value."""
    parts = _split(value)
    if parts.scheme not in _DATABASE_SCHEMES or parts.fragment:
        raise ValidationError("expected postgresql://user:password@host/database, special characters percent-encoded")


def blob_url(value: str) -> None:
    """Accept the URL of an object store, without credentials before the host.

    Raises ValidationError for any other value.
    """
    parts = _split(value)
    if parts.scheme not in OBJECT_STORE_SCHEMES or not parts.netloc or "@" in parts.netloc or parts.fragment:
        raise ValidationError("expected s3://bucket/prefix?endpoint=..., gs://bucket/... or az://container/...")


def redis_url(value: str) -> None:
    """Accept the URL of a Redis, with the number of a database or none. Raises ValidationError for any other value."""
    parts = _split(value)
    place = parts.path if parts.scheme == "unix" else parts.hostname
    numbered = parts.scheme == "unix" or re.fullmatch(r"/?[0-9]*", parts.path)
    if parts.scheme not in ("redis", "rediss", "unix") or not place or parts.fragment or not numbered:
        raise ValidationError("expected redis://host:6379/0, rediss://... (TLS) or unix:///path/of/the.sock")


def ip_network(value: str) -> None:
    """Accept an IP address, or a network in CIDR form without host bits. Raises ValidationError for any other value."""
    try:
        ipaddress.ip_network(value)
    except ValueError:
        raise ValidationError("expected an address, or a network without host bits, such as 10.0.0.0/8") from None


def network(value: str) -> None:
    """Accept an IP address, a network in CIDR form without host bits, or `unix`.

    Raises ValidationError for any other value.
    """
    if value == "unix":
        return
    try:
        ipaddress.ip_network(value)
    except ValueError:
        raise ValidationError("expected an address, a network such as 10.0.0.0/8, or unix") from None


def prefix(value: str) -> None:
    """Accept the path at which a desktop API is mounted. Raises ValidationError for any other value.

    It has no `/` at its end, and its first part is not that of another interface.
    """
    if not re.fullmatch(r"(/[A-Za-z0-9_.~-]+)+", value) or {".", ".."} & set(value.split("/")):
        raise ValidationError("expected a path such as /updates, of letters, digits and '_.~-', without '/' at its end")
    if value.split("/")[1] in _TAKEN:
        raise ValidationError(f"the paths below {', '.join('/' + each for each in _TAKEN)} are taken")


def file_name(value: str) -> None:
    """Accept the pattern of a download's file name; `{version}` and `{platform}` must occur.

    Raises:
        ValidationError: another field, a conversion or a format specification occurs, or one of the two is missing.
    """
    try:
        holes = [(name, spec, change) for _, name, spec, change in Formatter().parse(value) if name is not None]
    except ValueError:
        holes = []
    named = {name for name, _, _ in holes}
    plain = all(not spec and not change for _, spec, change in holes)
    if not plain or not {"version", "platform"} <= named <= set(FILE_NAME_FIELDS):
        raise ValidationError(
            "expected a pattern with {version}, {platform} and, if wanted, {application} and {suffix}"
        )


def claim_value(value: object) -> None:
    """Accept a value of a claim: a text, a whole number, or true or false. Raises ValidationError for any other."""
    if not isinstance(value, str | int) or value == "":
        raise ValidationError("expected texts, whole numbers, true or false")


def header_name(value: str) -> None:
    """Accept the name of a header, at most 100 characters. Raises ValidationError for any other value."""
    if not re.fullmatch(r"[A-Za-z0-9-]{1,100}", value):
        raise ValidationError("expected the name of a header such as CF-IPCountry")


def text(*checks: Any) -> fields.String:
    """Return the field of a text that passes these checks."""
    return fields.String(validate=list(checks))


def whole(low: int, high: int | None = None) -> fields.Integer:
    """Return the field of an integer from `low` to `high`, both included; `high` None: no upper bound.

    Not of `true` or `1.0`.
    """
    return fields.Integer(strict=True, validate=validate.Range(min=low, max=high))


def whole_or_none(low: int, high: int) -> fields.Integer:
    """Return the field of an integer from `low` to `high`, both included, or null."""
    return fields.Integer(strict=True, allow_none=True, validate=validate.Range(min=low, max=high))


def long_secret(value: str) -> None:
    """Accept a secret of at least 32 bytes in UTF-8. Raises ValidationError for a shorter one.

    Source: RFC 7518 section 3.2.
    """
    if len(value.encode()) < 32:
        raise ValidationError("expected at least 32 bytes")


def public_pem(value: str) -> None:
    """Accept the text of a public key in PEM form; whether it is one shows later.

    Raises ValidationError for other texts.
    """
    if not value.lstrip().startswith("-----BEGIN PUBLIC KEY-----"):
        raise ValidationError("expected a public key in PEM form, beginning with -----BEGIN PUBLIC KEY-----")


def command() -> fields.List[Any]:
    """Return the field of a command: a list of at least one word, in the order of its arguments."""
    word = fields.String(validate=[validate.Length(min=1), validate.ContainsNoneOf("\0")])
    return fields.List(word, validate=validate.Length(min=1))


def names() -> fields.List[Any]:
    """Return the field of a list of names of environment variables."""
    return fields.List(fields.String(validate=validate.Regexp(r"\A[A-Za-z_][A-Za-z0-9_]*\Z")))


def switch() -> fields.Boolean:
    """Return the field of a boolean: `true` or `false`, no other words."""
    return fields.Boolean(truthy={True}, falsy={False})


def probe_url(value: str) -> None:
    """Accept the http(s) URL of a probe, with a query if needed. Raises ValidationError for any other value."""
    parts = _split(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.fragment:
        raise ValidationError("expected an absolute http(s) URL such as http://127.0.0.1:3000/health")
