"""Decide which bytes of a file a request gets.

Owns the `Range` header and the conditional headers of RFC 9110: `plan` turns a request and what is known of
the file into one frozen value. Pure: no clock, no file, no socket. How the bytes leave is `web.transfer`'s.

Where the RFC leaves a choice, real differential updaters and interrupted downloads decided:

* parts keep the order of the request, one per satisfiable range, never merged or sorted;
* an unknown unit, a malformed header, a repeated header and more than `MAX_PARTS` ranges are ignored, so that
  the answer is the whole file: always right, only larger (RFC 9110 section 14.2 allows it);
* so are parts that repeat much of the file (`REPEATED_BYTES`), or one request could have it sent a thousand times;
* `If-Range` with a date never matches: only the entity tag names the bytes;
* `HEAD` mirrors `GET`, ranges included (RFC 9110 section 9.3.2; section 14.2 defines ranges for GET alone);
* a suffix range of an empty file is satisfiable but has no `Content-Range`, so the answer is 200 and empty.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from multidict import MultiMapping

MAX_PARTS: Final = 1024
"""Most ranges of one request that are served; a differential updater sends up to about a thousand."""

REPEATED_BYTES: Final = 1 << 20
"""What overlapping parts may hold together beyond twice the file."""

_RANGE_SPEC: Final = re.compile(r"([0-9]*)-([0-9]*)")
_ENTITY_TAG: Final = re.compile(r'[ \t,]*(W/)?("[^"\x00-\x20\x7f]*")[ \t]*(?=,|\Z)')
_HTTP_DATE: Final = re.compile(
    r"[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} GMT"
    r"|[A-Z][a-z]{5,8}, [0-9]{2}-[A-Z][a-z]{2}-[0-9]{2} [0-9:]{8} GMT"
    r"|[A-Z][a-z]{2} [A-Z][a-z]{2} [ 0-9][0-9] [0-9:]{8} [0-9]{4}"
)
_BEYOND_DIGITS: Final = 20  # no file offset has that many digits: off_t ends at 2**63 - 1, which has 19
_BEYOND: Final = 10**_BEYOND_DIGITS


@dataclass(frozen=True, slots=True)
class ByteRange:
    """`count` bytes of a file from offset `start`."""

    start: int
    count: int

    @property
    def stop(self) -> int:
        """Return the offset of the first byte behind the range."""
        return self.start + self.count


@dataclass(frozen=True, slots=True)
class Plan:
    """What to answer: a status, and the ranges of the file that make up the body, in order.

    200: one range, the whole file. 206: one range, or several for a multipart body. 304, 412, 416: none.
    """

    status: int
    ranges: tuple[ByteRange, ...] = ()


def plan(
    method: str,
    headers: MultiMapping[str],
    etag: str,
    size_bytes: int,
    modified_at: datetime | None = None,
) -> Plan:
    """Decide status and ranges for a request that names a file of `size_bytes` bytes.

    `headers` finds names in any case. `etag` is the strong entity tag with its quotes. `modified_at` is
    aware; None means that no date is known, and then the date conditions do not apply.
    Source: RFC 9110 section 13.2.2 (order of the conditions), section 14.2 (ranges).
    """
    reading = method in ("GET", "HEAD")
    refused = _refused_by_condition(reading, headers, etag, modified_at)
    if refused is not None:
        return Plan(refused)
    whole = Plan(200, (ByteRange(0, size_bytes),))
    if not reading or not _range_applies(headers, etag):
        return whole
    chosen = select(headers["Range"], size_bytes)
    if chosen is None:
        return whole
    return Plan(206, chosen) if chosen else Plan(416)


def select(value: str, size_bytes: int) -> tuple[ByteRange, ...] | None:
    """Resolve the value of a `Range` header against a file of `size_bytes` bytes.

    Returns the satisfiable ranges in request order, clamped to the file; an empty tuple means that none is
    satisfiable (416), and None that the header is to be ignored.
    Source: RFC 9110 sections 14.1.1, 14.1.2 and 5.6.1.2 (empty list elements are skipped).
    """
    unit, _, listed = value.partition("=")
    if unit.lower() != "bytes":
        return None
    specs = [spec for element in listed.split(",") if (spec := element.strip(" \t"))]
    if not 0 < len(specs) <= MAX_PARTS:
        return None
    chosen = []
    for spec in specs:
        match = _RANGE_SPEC.fullmatch(spec)
        if match is None or spec == "-" or _is_backwards(match[1], match[2]):
            return None
        resolved = _resolve(match[1], match[2], size_bytes)
        if resolved is not None:
            chosen.append(resolved)
    if chosen and size_bytes == 0:  # only suffixes get here, and no Content-Range can say "no bytes"
        return None
    if sum(part.count for part in chosen) > 2 * size_bytes + REPEATED_BYTES:
        return None
    return tuple(chosen)


def _is_backwards(first: str, last: str) -> bool:
    # Compared as text: exact for any length, where int() refuses long digits and a cap would lose the order.
    first_digits, last_digits = first.lstrip("0"), last.lstrip("0")
    return bool(first and last) and (len(last_digits), last_digits) < (len(first_digits), first_digits)


def _resolve(first: str, last: str, size_bytes: int) -> ByteRange | None:
    if not first:
        count = min(_number(last), size_bytes)
        return ByteRange(size_bytes - count, count) if _number(last) else None
    start = _number(first)
    if start >= size_bytes:
        return None
    stop = min(_number(last) + 1, size_bytes) if last else size_bytes
    return ByteRange(start, stop - start)


def _number(digits: str) -> int:
    significant = digits.lstrip("0")
    return _BEYOND if len(significant) > _BEYOND_DIGITS else int(significant or "0")


def _range_applies(headers: MultiMapping[str], etag: str) -> bool:
    if len(headers.getall("Range", ())) != 1:
        return False
    return all(value.strip(" \t") == etag for value in headers.getall("If-Range", ()))


def _refused_by_condition(
    reading: bool, headers: MultiMapping[str], etag: str, modified_at: datetime | None
) -> int | None:
    """Return 304 or 412 when a condition does not hold, None when the request goes on."""
    if "If-Match" in headers:
        if not names_etag(headers, "If-Match", etag, weakly=False):
            return 412
    elif (ahead_s := _find_date(headers, "If-Unmodified-Since", modified_at)) is not None and ahead_s < 0:
        return 412
    if "If-None-Match" in headers:
        if names_etag(headers, "If-None-Match", etag, weakly=True):
            return 304 if reading else 412
    elif reading and (ahead_s := _find_date(headers, "If-Modified-Since", modified_at)) is not None:
        return 304 if ahead_s >= 0 else None
    return None


def names_etag(headers: MultiMapping[str], name: str, etag: str, *, weakly: bool) -> bool:
    """Tell whether the header `name`, a list of entity tags or `*`, names this one. A malformed list names nothing.

    `etag` is strong, with its quotes. `headers` finds names in any case and has `name`.
    Source: RFC 9110 section 8.8.3.2: weak comparison ignores `W/`, strong comparison never matches with it.
    """
    listed = ",".join(headers.getall(name)).strip(" \t")
    if listed == "*":
        return True
    found, position = False, 0
    while match := _ENTITY_TAG.match(listed, position):
        found = found or (match[2] == etag and (weakly or not match[1]))
        position = match.end()
    return found and not listed[position:].strip(" \t,")


def _find_date(headers: MultiMapping[str], name: str, modified_at: datetime | None) -> float | None:
    """Return the seconds from the file's date to the header's date; None when the header does not apply.

    Source: RFC 9110 sections 13.1.3, 13.1.4: ignored without a date of the file, or when it is no HTTP-date.
    """
    values = headers.getall(name, ())
    if modified_at is None or len(values) != 1 or not _HTTP_DATE.fullmatch(values[0]):
        return None
    try:
        moment = parsedate_to_datetime(values[0])
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - modified_at.replace(microsecond=0)).total_seconds()
