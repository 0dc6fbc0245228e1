"""Reading what a client sent: strict JSON and queries, by webargs and marshmallow schemas.

Errors are the kinds of `updater.errors`: a body that cannot be read is Malformed, one that does not fit is
Invalid and names each field.
"""

from __future__ import annotations

import codecs
import contextlib
import json
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn
from urllib.parse import parse_qsl

from aiohttp import ClientPayloadError, web
from aiohttp.http_exceptions import BadHttpMessage
from marshmallow import EXCLUDE, Schema, ValidationError
from webargs.aiohttpparser import AIOHTTPParser

from updater.errors import Invalid, Malformed, TooSlow, UnsupportedContent
from updater.web.messages.bodies import FORM, KNOWN, BodyLimits, read_body
from updater.web.messages.client_fields import MENDED, Mend
from updater.web.messages.fields import shown
from updater.web.messages.schemas import FromInstaller

_MAX_FORM_FIELDS = 100


class StrictParser(AIOHTTPParser):
    """webargs with our errors."""

    def handle_error(self, error: ValidationError, *_: Any, **__: Any) -> NoReturn:
        """Raise Invalid with one text per field."""
        # webargs puts the messages under the place they are about: {"query": {...}}.
        (messages,) = error.messages_dict.values()
        raise invalid(ValidationError(messages)) from None


parser = StrictParser()


Reading = Callable[[Mapping[str, Any]], dict[str, Any] | None]
"""Reads a body as its schema does; None for one that the schema has to look at. A test holds the two to each other."""


async def parse_json(
    schema: Schema, request: web.Request, limits: BodyLimits = KNOWN, quickly: Reading | None = None
) -> dict[str, Any]:
    """Read the body by a schema, or as `quickly` does.

    Raises:
        UnsupportedContent, Malformed, TooLarge, TooSlow, Invalid.
    """
    given = await read_json(request, limits, mend=isinstance(schema, FromInstaller))
    read = None if quickly is None else quickly(given)
    return load_values(schema, given) if read is None else read


async def parse_query(schema: Schema, request: web.Request) -> dict[str, Any]:
    """Read the query by a schema; parameters it does not know are ignored. Raises Invalid."""
    result: dict[str, Any] = await parser.parse(schema, request, location="query", unknown=EXCLUDE)
    return result


def load_values(schema: Schema, values: Mapping[str, Any]) -> dict[str, Any]:
    """Check texts that were already read: a path, a form. Raises Invalid."""
    try:
        loaded: dict[str, Any] = schema.load(values)
    except ValidationError as error:
        raise invalid(error) from None
    return loaded


async def read_json(request: web.Request, limits: BodyLimits = KNOWN, *, mend: bool = False) -> dict[str, Any]:
    """Read a JSON object from the body; with `mend` as `load_object` does.

    Raises:
        UnsupportedContent: another Content-Type, or an encoded body. Malformed: not an object, duplicate keys,
        NaN, bad UTF-8. TooLarge: for its limits. TooSlow: the client fell silent, sent too little for too long, did
        not keep the deadline, or gave way to others.
    """
    require_identity(request)
    if request.content_type != "application/json":
        raise UnsupportedContent("Content-Type must be application/json")
    with reading():
        raw = await read_body(request, limits)
    return load_object(raw, mend=mend)


async def read_form(request: web.Request) -> dict[str, str]:
    """Read a small form of percent-encoded fields; of a name given twice, the last counts.

    It is UTF-8, whatever character set the header adds, and what is none becomes U+FFFD: aiohttp's own reader takes
    any codec of Python by its name.

    Raises:
        UnsupportedContent: an encoded body. Malformed: no form, or too many fields. TooLarge. TooSlow.
    Source: URL Standard, application/x-www-form-urlencoded parsing.
    """
    require_identity(request)
    if request.content_type != "application/x-www-form-urlencoded":
        raise Malformed("Expected a form")
    with reading():
        raw = await read_body(request, FORM)
        pairs = parse_qsl(raw.decode(errors="replace"), keep_blank_values=True, max_num_fields=_MAX_FORM_FIELDS)
    return dict(pairs)


@contextlib.contextmanager
def reading() -> Iterator[None]:
    """Turn errors of a body that is being read into failures, for the block.

    Raises:
        TooSlow: for a TimeoutError. Malformed: the body breaks off, or is no HTTP.
    """
    try:
        yield
    except TimeoutError:
        raise TooSlow("The request body did not arrive in time") from None
    except (ValueError, BadHttpMessage, ClientPayloadError, web.RequestPayloadError):
        raise Malformed("The request body cannot be read") from None


def load_object(raw: bytes, *, mend: bool = False) -> dict[str, Any]:
    """Parse bytes that must be one JSON object. Raises Malformed.

    With `mend`, a byte order mark and NULs at the end are passed over, bytes that are no UTF-8 become U+FFFD, and texts
    may hold control characters as they are, as an installer's script writes them.
    """
    try:
        try:
            value = _STRICT.decode(raw.decode())
        except ValueError:
            if not mend:
                raise
            text = raw.removeprefix(codecs.BOM_UTF8).rstrip(b"\0").decode(errors="replace")
            value = _LENIENT.decode(text)
            MENDED[Mend.ENCODING] += 1
    except (ValueError, RecursionError):
        raise Malformed("The body is not valid JSON") from None
    if not isinstance(value, dict):
        raise Malformed("The body must be a JSON object")
    return value


def load_text(text: str) -> Any:
    """Parse a field's text that must be JSON, as strictly as a body. Raises Malformed."""
    try:
        return _STRICT.decode(text)
    except (ValueError, RecursionError):
        raise Malformed("The text is not valid JSON") from None


def require_identity(request: web.Request) -> None:
    """Refuse encoded bodies: aiohttp would inflate 300 KB to 300 MB without a word. Raises UnsupportedContent."""
    # All of them: given twice, the HTTP parser inflates by the last one.
    if any(each.lower() != "identity" for each in request.headers.getall("Content-Encoding", ())):
        raise UnsupportedContent("Content-Encoding is not supported for request bodies")
    # The parser undoes `chunked` alone, and hands the rest over as it is.
    if any(each.strip().lower() != "chunked" for each in request.headers.getall("Transfer-Encoding", ())):
        raise UnsupportedContent("The only Transfer-Encoding that is supported is chunked")


def invalid(error: ValidationError) -> Invalid:
    """Build the failure from marshmallow's messages: `{"config": {"min": [...]}}` becomes `config.min`.

    An unknown field has the name that the client chose, so names are shortened and escaped.
    """
    fields: dict[str, str] = {}
    _flatten(error.messages, "", fields)
    return Invalid(fields)


def _flatten(messages: Any, name: str, fields: dict[str, str]) -> None:
    if isinstance(messages, dict):
        for key, inner in messages.items():
            part = "" if key == "_schema" else shown(str(key))
            _flatten(inner, f"{name}.{part}" if name and part else name or part, fields)
    else:
        texts = messages if isinstance(messages, list) else [messages]
        fields[name or "body"] = "; ".join(str(text).rstrip(".") for text in texts)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise Malformed("The body holds the same key twice")
    return result


def _refuse_constant(_: str) -> NoReturn:
    raise Malformed("NaN and Infinity are not valid JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise Malformed("The body holds a number that is too large")
    return value


# Made once: making one costs as much as reading a small body.
_STRICT, _LENIENT = (
    json.JSONDecoder(strict=strict, object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_float=_finite)
    for strict in (True, False)
)
