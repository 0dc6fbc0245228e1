"""How a setting is declared, and what fits: checks and fields of marshmallow."""

from __future__ import annotations

import dataclasses
import ipaddress
import re
from dataclasses import field
from string import Formatter
from typing import Any
from urllib.parse import SplitResult, urlsplit

from marshmallow import ValidationError, fields, validate

# What the pattern of a desktop download's file name may hold.
FILE_NAME_FIELDS = ("application", "version", "platform", "suffix")
_DATABASE_SCHEMES = ("postgresql", "postgres")
OBJECT_STORE_SCHEMES = ("s3", "gs", "az")
# First parts of paths that belong to other interfaces.
_TAKEN = ("api", "admin", "health", "metrics")


def setting(check: fields.Field[Any], default: Any = dataclasses.MISSING) -> Any:
    """Declare one setting: how it is checked and what holds when it is not given."""
    if default is dataclasses.MISSING:
        check.required = True
        return field(metadata={"check": check})
    check.required = False
    if isinstance(default, tuple):
        return field(default_factory=lambda: default, metadata={"check": check})
    return field(default=default, metadata={"check": check})


def _split(value: str) -> SplitResult:
    """Return the parts of a URL; none, which no setting takes, when brackets or port cannot be read."""
    try:
        parts = urlsplit(value)
        if parts.scheme not in _DATABASE_SCHEMES:  # which take several hosts, each with its port
            _ = parts.port
    except ValueError:
        return SplitResult("", "", "", "", "")
    return parts


def http_url(value: str) -> None:
    """Take an absolute http(s) address without a query."""
    parts = _split(value)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment:
        raise ValidationError("expected an absolute http(s) URL without query, such as https://updates.example.com")


def database_url(value: str) -> None:
    """Take the address of a PostgreSQL database."""
    parts = _split(value)
    if parts.scheme not in _DATABASE_SCHEMES or parts.fragment:
        raise ValidationError("expected postgresql://user:password@host/database, special characters percent-encoded")


def blob_url(value: str) -> None:
    """Take the address of an object store."""
    parts = _split(value)
    if parts.scheme not in OBJECT_STORE_SCHEMES or not parts.netloc or "@" in parts.netloc or parts.fragment:
        raise ValidationError("expected s3://bucket/prefix?endpoint=..., gs://bucket/... or az://container/...")


def redis_url(value: str) -> None:
    """Take the address of a Redis."""
    parts = _split(value)
    place = parts.path if parts.scheme == "unix" else parts.hostname
    numbered = parts.scheme == "unix" or re.fullmatch(r"/?[0-9]*", parts.path)
    if parts.scheme not in ("redis", "rediss", "unix") or not place or parts.fragment or not numbered:
        raise ValidationError("expected redis://host:6379/0, rediss://... (TLS) or unix:///path/of/the.sock")


def network(value: str) -> None:
    """Take an address or a network."""
    try:
        ipaddress.ip_network(value)
    except ValueError:
        raise ValidationError("expected an address or a network such as 10.0.0.0/8") from None


def prefix(value: str) -> None:
    """Take the path that a desktop API is mounted at."""
    if not re.fullmatch(r"(/[A-Za-z0-9_.~-]+)+", value) or {".", ".."} & set(value.split("/")):
        raise ValidationError("expected a path such as /updates, of letters, digits and '_.~-', without '/' at its end")
    if value.split("/")[1] in _TAKEN:
        raise ValidationError(f"the paths below {', '.join('/' + each for each in _TAKEN)} are taken")


def file_name(value: str) -> None:
    """Take the pattern of a download's file name."""
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


def header_name(value: str) -> None:
    """Take the name of a header."""
    if not re.fullmatch(r"[A-Za-z0-9-]{1,100}", value):
        raise ValidationError("expected the name of a header such as CF-IPCountry")


def text(*checks: Any) -> fields.String:
    """Return the field of a text that passes these checks."""
    return fields.String(validate=list(checks))


def whole(low: int, high: int | None = None) -> fields.Integer:
    """Return the field of a whole number from `low` to `high`."""
    return fields.Integer(strict=True, validate=validate.Range(min=low, max=high))


def whole_or_none(low: int, high: int) -> fields.Integer:
    """Return the field of a whole number from `low` to `high`, or null."""
    return fields.Integer(strict=True, allow_none=True, validate=validate.Range(min=low, max=high))


def long_secret(value: str) -> None:
    """Take a secret that is long enough to sign with."""
    if len(value.encode()) < 32:
        raise ValidationError("expected at least 32 bytes")


def public_pem(value: str) -> None:
    """Take a public key in PEM form."""
    if not value.lstrip().startswith("-----BEGIN PUBLIC KEY-----"):
        raise ValidationError("expected a public key in PEM form, beginning with -----BEGIN PUBLIC KEY-----")


def command() -> fields.List[Any]:
    """Return the field of a command: its words, at least one."""
    word = fields.String(validate=[validate.Length(min=1), validate.ContainsNoneOf("\0")])
    return fields.List(word, validate=validate.Length(min=1))


def names() -> fields.List[Any]:
    """Return the field of names of environment variables."""
    return fields.List(fields.String(validate=validate.Regexp(r"\A[A-Za-z_][A-Za-z0-9_]*\Z")))


def switch() -> fields.Boolean:
    """Return the field of a yes or no, in no other words."""
    return fields.Boolean(truthy={True}, falsy={False})


def probe_url(value: str) -> None:
    """Take the address that a question is asked at."""
    parts = _split(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.fragment:
        raise ValidationError("expected an absolute http(s) URL such as http://127.0.0.1:3000/health")
