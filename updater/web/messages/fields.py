"""Field types that every surface's schemas share: strict about types, sizes and characters."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import orjson
from marshmallow import ValidationError, fields, validate

from updater.artifacts.digests import parse_digest
from updater.catalog.model import APPLICATION_ID
from updater.catalog.platforms import ARCHITECTURES, PLATFORMS
from updater.catalog.versions import MAX_VERSION_CHARACTERS

MAX_NAME_CHARACTERS = 100
MAX_NOTES_BYTES = 64 * 1024
MAX_METADATA_BYTES = 16 * 1024
MAX_METADATA_DEPTH = 8
MAX_URL_CHARACTERS = 2_000
# What a 64-bit column, and every client's own integer, can hold.
MAX_INTEGER = 2**63 - 1

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_CONTROL_BUT_LINES = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


class Text(fields.String):
    """A text without control characters, at most `max_bytes` of UTF-8; `lines` allows line ends and tabs."""

    def __init__(self, *, max_bytes: int, lines: bool = False, empty: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._max_bytes = max_bytes
        self._lines = lines
        self.may_be_empty = empty

    @property
    def max_characters(self) -> int:
        """Return the most characters that can fit into `max_bytes` bytes: each of one byte."""
        return self._max_bytes

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text: str = super()._deserialize(value, attr, data, **kwargs)
        try:
            size = len(text.encode())
        except UnicodeEncodeError:
            raise ValidationError("holds characters that are not valid Unicode") from None
        if not text.strip() and not self.may_be_empty:
            raise ValidationError("must not be empty")
        if size > self._max_bytes:
            raise ValidationError(f"longer than {self._max_bytes} bytes")
        if (_CONTROL_BUT_LINES if self._lines else _CONTROL).search(text):
            raise ValidationError("holds control characters")
        return text


class Name(Text):
    """A name of 1 to 100 characters."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_bytes=4 * MAX_NAME_CHARACTERS, **kwargs)
        self.validators.append(validate.Length(max=MAX_NAME_CHARACTERS))

    @property
    def max_characters(self) -> int:
        """Return the longest name, whatever its bytes."""
        return MAX_NAME_CHARACTERS


def notes_text(**kwargs: Any) -> Text:
    """Return the field for release notes and descriptions."""
    return Text(max_bytes=MAX_NOTES_BYTES, lines=True, empty=True, **kwargs)


class StrictBoolean(fields.Boolean):
    """A boolean as JSON knows it: `true` or `false`, nothing that merely looks like one."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bool:
        if value is True or value is False:
            return value
        raise ValidationError("expected true or false")


class QueryBoolean(fields.Boolean):
    """A boolean in a query or a form: `true`, `false`, `1`, `0`."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bool:
        found = {"true": True, "1": True, "false": False, "0": False}.get(str(value).lower())
        if found is None:
            raise ValidationError("expected true or false")
        return found


class StrictInteger(fields.Integer):
    """A whole number within bounds, as a JSON number (never a text or a boolean)."""

    def __init__(self, low: int, high: int = MAX_INTEGER, **kwargs: Any) -> None:
        super().__init__(strict=True, validate=validate.Range(low, high), **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if isinstance(value, bool | str):
            raise ValidationError("expected a whole number")
        return super()._deserialize(value, attr, data, **kwargs)


class QueryInteger(fields.Integer):
    """A whole number within bounds, written in ASCII digits."""

    def __init__(self, low: int, high: int, **kwargs: Any) -> None:
        super().__init__(validate=validate.Range(low, high), **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if not re.fullmatch(r"-?[0-9]{1,18}", str(value)):
            raise ValidationError("expected a whole number")
        return super()._deserialize(value, attr, data, **kwargs)


class Timestamp(fields.Field[datetime]):
    """A day such as `2026-02-16`, or a moment such as `2026-02-16T10:00:00Z`, as an aware UTC datetime."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> datetime:
        try:
            if not str(value).isascii():
                raise ValueError
            moment = datetime.fromisoformat(str(value))
            if moment.tzinfo is None:
                if re.fullmatch(r"\d{4}-\d\d-\d\d", str(value)):
                    return moment.replace(tzinfo=UTC)
                raise ValueError
            return moment.astimezone(UTC)
        except (ValueError, OverflowError):
            raise ValidationError("expected a day such as 2026-02-16, or a time such as 2026-02-16T10:00:00Z") from None


LONGEST_INSTALL_S = 7 * 86_400


class VersionText(Text):
    """The text of a version; the application's scheme decides later whether it is one."""

    def __init__(self, *, max_bytes: int = MAX_VERSION_CHARACTERS, **kwargs: Any) -> None:
        super().__init__(max_bytes=max_bytes, **kwargs)


class ApplicationId(fields.String):
    """An application id: letters, digits, hyphens and underscores, at most 100."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text: str = super()._deserialize(value, attr, data, **kwargs)
        if not APPLICATION_ID.fullmatch(text):
            raise ValidationError("expected 1 to 100 letters, digits, hyphens and underscores")
        return text


class OneOf(fields.String):
    """One of a fixed list of words; the error names the noun, the value and the list."""

    def __init__(self, noun: str, words: tuple[str, ...], **kwargs: Any) -> None:
        super().__init__(validate=validate.OneOf(words), **kwargs)
        self._noun = noun
        self.words = words

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text: str = super()._deserialize(value, attr, data, **kwargs)
        if text not in self.words:
            raise ValidationError(f"invalid {self._noun}: {shown(text)}; expected one of {', '.join(self.words)}")
        return text


def platform(**kwargs: Any) -> OneOf:
    """Return the field for a platform word."""
    return OneOf("platform", PLATFORMS, **kwargs)


def architecture(**kwargs: Any) -> OneOf:
    """Return the field for an architecture word."""
    return OneOf("architecture", ARCHITECTURES, **kwargs)


# A host and a port that all clients read as one: names without empty parts, and nothing percent-encoded, which some
# decode; all before an @ would look like the host. Source: RFC 3986 section 3.2, URL Standard section 3.5.
_AUTHORITY = re.compile(r"(?:[A-Za-z0-9_~-]+(?:\.[A-Za-z0-9_~-]+)*\.?|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_ODD_IN_URL = re.compile(r"[ \\\"<>]")


class HttpUrl(Text):
    """An absolute http or https address that every client reads as one: no user information, no odd characters."""

    def __init__(self, *, optional: bool = False, **kwargs: Any) -> None:
        super().__init__(max_bytes=MAX_URL_CHARACTERS, empty=optional, **kwargs)
        self._optional = optional

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        if not text and self._optional:
            return text
        try:
            parts = urlsplit(text)
            fits = (
                parts.scheme in ("http", "https") and parts.port != 0 and _AUTHORITY.fullmatch(parts.netloc) is not None
            )
        except ValueError:
            fits = False
        # Browsers take a backslash for a slash; parsers skip tabs and line ends.
        if not fits or _ODD_IN_URL.search(text) or not (text.isascii() and text.isprintable()):
            raise ValidationError("expected an absolute http or https URL without user name, spaces and backslashes")
        return text


class Sha256(fields.String):
    """A SHA-256 digest in hex; any case, with or without `sha256:` in front."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text: str = super()._deserialize(value, attr, data, **kwargs)
        try:
            return parse_digest(text)
        except ValueError as error:
            raise ValidationError(str(error)) from None


class Metadata(fields.Field[dict[str, Any]]):
    """A JSON object of at most 16 KiB and 8 levels, with valid Unicode and 64-bit numbers.

    `as_text` only describes: in a form or a query the object comes as text, and its reader parses it first.
    """

    def __init__(self, *, as_text: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.as_text = as_text

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise ValidationError("expected an object")
        if _depth(value) > MAX_METADATA_DEPTH:
            raise ValidationError(f"nested deeper than {MAX_METADATA_DEPTH} levels")
        try:
            size = len(orjson.dumps(value))
        except (TypeError, orjson.JSONEncodeError):
            raise ValidationError("holds numbers beyond 64 bits or characters that are not valid Unicode") from None
        if size > MAX_METADATA_BYTES:
            raise ValidationError(f"larger than {MAX_METADATA_BYTES} bytes")
        if any(_CONTROL_BUT_LINES.search(text) for text in _texts(value)):
            raise ValidationError("holds control characters")
        return value


def shown(text: str) -> str:
    """Return a client's text as it may stand in an error: short, and harmless in a log or a terminal."""
    clean = "".join(each if each.isprintable() else "?" for each in text[:60])
    return clean + ("..." if len(text) > 60 else "")


def _texts(value: Any) -> Iterator[str]:
    """Yield every text and every key in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in value:
            yield from _texts(each)
        if isinstance(value, dict):
            for each in value.values():
                yield from _texts(each)


def _depth(value: Any, limit: int = MAX_METADATA_DEPTH + 1) -> int:
    if limit == 0 or not isinstance(value, dict | list):
        return 0
    inner = value.values() if isinstance(value, dict) else value
    return 1 + max((_depth(each, limit - 1) for each in inner), default=0)
