"""Field types for what installed clients send, which nobody can mend there any more.

Where only one thing can be meant, it is cut, cleaned or coerced to that, and counted in `MENDED`; anything else is
refused as everywhere. What publishers send has the strict types of `fields`.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from enum import StrEnum
from typing import Any, Final

from marshmallow import ValidationError, fields

import updater.web.messages.fields as own
from updater.catalog.platforms import ARCHITECTURES, PLATFORMS

MAX_IDENTITY_CHARACTERS: Final = 200
MAX_CHANNEL_CHARACTERS: Final = 40
KEPT_CHARACTERS: Final = 4_000
"""How much of an error message is kept."""


class Mend(StrEnum):
    """What was mended: the label of the metric."""

    LENGTH = "length"  # an error message was cut
    CHARACTERS = "characters"  # colours, control characters and broken Unicode went from an error message
    ENCODING = "encoding"  # a report's body was no UTF-8, had a byte order mark, or raw control characters
    NUMBER = "number"  # seconds with a fraction or as a text; an error message or an id that was a number
    SPACE = "space"  # white space around a version, a word or an id, or what C programs and editors leave there
    CASE = "case"  # a word in capitals
    PLUS = "plus"  # a version's `+` that was not percent-encoded in a query


MENDED: Final[Counter[str]] = Counter()
"""How often this process mended what, since it started."""

# Beside blanks and line ends: the NUL at the end of a C text, a byte order mark, a no-break space.
_SPACE = " \t\r\n\v\f\x00\ufeff\xa0"
# Sequences of ECMA-48 (colours, cursor, titles), then every control character but tabs and line ends.
_ESCAPES = re.compile(r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[ -/]*[0-Z\\^-~]?")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
# Cleaning shortens: so much is read to keep `KEPT_CHARACTERS` of it.
_READ_CHARACTERS = 4 * KEPT_CHARACTERS
_BROKEN_PLUS = re.compile(r"[0-9A-Za-z.!-]+ [0-9A-Za-z.-]+")
# As languages write a number into a text: `45.12345671653748`, `1.5E-05`.
_DIGITS = re.compile(r"[0-9]{1,9}(?:\.[0-9]{0,20})?(?:[eE][+-]?[0-9]{1,2})?")


def trimmed(value: Any) -> Any:
    """Return a text without white space around it; anything else as it is."""
    if not isinstance(value, str):
        return value
    text = value.strip(_SPACE)
    if text != value:
        MENDED[Mend.SPACE] += 1
    return text


class Version(own.VersionText):
    """The text of a version. `in_query`: a `+` may have come as a blank, which no version holds."""

    def __init__(self, *, in_query: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._in_query = in_query

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = trimmed(value)
        if self._in_query and isinstance(text, str) and _BROKEN_PLUS.fullmatch(text):
            text = text.replace(" ", "+")
            MENDED[Mend.PLUS] += 1
        return super()._deserialize(text, attr, data, **kwargs)


class Word(own.OneOf):
    """One of a fixed list of words, all in lower case; in any case, with white space around it."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = trimmed(value)
        if isinstance(text, str) and text.isascii() and not text.islower():
            lower = text.lower()
            if lower in self.words and lower != text:  # `386` has no case
                MENDED[Mend.CASE] += 1
                text = lower
        return super()._deserialize(text, attr, data, **kwargs)


def platform(**kwargs: Any) -> Word:
    """Return the field for a platform word."""
    return Word("platform", PLATFORMS, **kwargs)


def architecture(**kwargs: Any) -> Word:
    """Return the field for an architecture word."""
    return Word("architecture", ARCHITECTURES, **kwargs)


class ErrorMessage(fields.String):
    """What an installer says of a failure: a text of any length, of which `KEPT_CHARACTERS` are kept; or a number."""

    def __init__(self, **kwargs: Any) -> None:
        described = {"description": f"Of any length; its first {KEPT_CHARACTERS} characters are kept."}
        super().__init__(allow_none=True, metadata=described, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        if isinstance(value, int | float) and not isinstance(value, bool):
            MENDED[Mend.NUMBER] += 1
            value = str(value)
        return _cleaned(super()._deserialize(value, attr, data, **kwargs))


class Seconds(own.StrictInteger):
    """How long an install took, at most a week: a number, rounded to whole seconds, or the text of one."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(0, own.LONGEST_INSTALL_S, allow_none=True, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        whole = value
        if isinstance(value, str) and _DIGITS.fullmatch(text := value.strip(_SPACE)):
            whole = round(float(text))
        elif isinstance(value, float) and math.isfinite(value) and value >= 0:
            whole = round(value)
        if whole is not value:
            MENDED[Mend.NUMBER] += 1
        return super()._deserialize(whole, attr, data, **kwargs)


def _cleaned(text: str) -> str:
    """Return what is kept of an error message."""
    shown = text[:_READ_CHARACTERS]
    plain = _CONTROL.sub("", _ESCAPES.sub("", shown))
    plain = _SURROGATE.sub("\ufffd", plain)
    if plain != shown:
        MENDED[Mend.CHARACTERS] += 1
    kept = plain[:KEPT_CHARACTERS]
    if len(kept) < len(plain) or len(shown) < len(text):
        MENDED[Mend.LENGTH] += 1
    return kept


def _id_text(value: Any) -> Any:
    """Return an id as a text without white space around it; anything that is no text and no whole number as it is."""
    if isinstance(value, int) and not isinstance(value, bool):
        MENDED[Mend.NUMBER] += 1
        return str(value)
    return trimmed(value)


class ClientId(fields.String):
    """What a client is known by: 1 to 200 printable characters; empty counts as not given."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text: str = super()._deserialize(_id_text(value), attr, data, **kwargs)
        if text and not is_identity(text):
            raise ValidationError("expected 1 to 200 printable characters")
        return text


class Flag(own.QueryBoolean):
    """Yes or no, as a JSON boolean, a number or a word: `true`, `false`, `1`, `0`."""


class ReportId(own.Name):
    """By which a report is known when it is sent again: a name, or a number."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        return super()._deserialize(_id_text(value), attr, data, **kwargs)


class AskedChannel(fields.Raw):
    """The channel that a client says it is on; what is no channel counts as the first one, and is no error."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str | None:
        return asked_channel(value) if isinstance(value, str) else None


def asked_channel(text: str) -> str | None:
    """Return the channel that a client names, cut to what is kept; None for what is empty or cannot be shown."""
    return text[:MAX_CHANNEL_CHARACTERS] if text and text.isprintable() else None


def is_identity(text: str) -> bool:
    """Tell whether a text can name a client: 1 to 200 printable characters."""
    return 0 < len(text) <= MAX_IDENTITY_CHARACTERS and text.isprintable()
