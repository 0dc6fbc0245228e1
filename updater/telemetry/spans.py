"""Hours, days and months: the spans that counts are kept for, and how a window divides into them. PURE."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from updater.errors import Invalid


class Span(StrEnum):
    """The length of a bucket. Buckets begin in UTC."""

    HOUR = "hour"
    DAY = "day"
    MONTH = "month"


BUCKETS = tuple(span.value for span in Span)
"""The buckets of a series. Months also make long sums fast."""

# Bounds an answer and the work for it.
LONGEST_DAYS = {Span.HOUR: 31, Span.DAY: 3 * 366, Span.MONTH: 20 * 366}
_DEFAULT_DAYS = {Span.HOUR: 2, Span.DAY: 30, Span.MONTH: 365}
RANGE_DAYS = {"day": 1, "week": 7, "month": 30, "quarter": 91, "year": 365}
"""How many days each range goes back that people name."""
RANGE_BUCKETS = {"day": Span.HOUR, "week": Span.DAY, "month": Span.DAY, "quarter": Span.DAY, "year": Span.DAY}
"""The bucket that shows most of a range, where none is chosen."""


@dataclass(frozen=True, slots=True)
class Window:
    """From `starts_at` up to, not including, `ends_at`; both are starts of a `bucket`."""

    starts_at: datetime
    ends_at: datetime
    bucket: Span


def floor(moment: datetime, span: Span) -> datetime:
    """Return the start of the span that holds the moment; the moment is in UTC."""
    hour = moment.replace(minute=0, second=0, microsecond=0)
    if span is Span.HOUR:
        return hour
    return hour.replace(hour=0) if span is Span.DAY else hour.replace(hour=0, day=1)


def following(start: datetime, span: Span) -> datetime:
    """Return the start of the next span. `start` is the start of one, in UTC."""
    if span is Span.MONTH:
        return (start + timedelta(days=31)).replace(day=1)
    return start + (timedelta(hours=1) if span is Span.HOUR else timedelta(days=1))


def window(first: datetime | None, last: datetime | None, bucket: Span, now: datetime) -> Window:
    """Widen a window to whole buckets. Without `last` it ends now; without `first` it has the default length.

    Times are aware, in UTC.

    Raises:
        Invalid: it ends before it begins, is longer than `LONGEST_DAYS`, or out of the range of dates.
    """
    last = now if last is None else last
    try:
        ends_at = floor(last, bucket)
        if ends_at < last:
            ends_at = following(ends_at, bucket)
        starts_at = floor(ends_at - timedelta(days=_DEFAULT_DAYS[bucket]) if first is None else first, bucket)
    except OverflowError:
        raise Invalid({"to": "out of range"}) from None
    if starts_at >= ends_at:
        raise Invalid({"from": "must be before 'to'"})
    longest = LONGEST_DAYS[bucket]
    if ends_at - starts_at > timedelta(days=longest):
        raise Invalid({"from": f"at most {longest} days before 'to' by the {bucket}"})
    return Window(starts_at, ends_at, bucket)


def range_start(name: str, last: datetime) -> datetime:
    """Return where a range of `RANGE_DAYS` that ends at `last` begins. Raises Invalid: out of the range of dates."""
    try:
        return last - timedelta(days=RANGE_DAYS[name])
    except OverflowError:
        raise Invalid({"to": "out of range"}) from None


def starts(wanted: Window) -> Iterator[datetime]:
    """Yield the start of each bucket of the window, in order of time."""
    at = wanted.starts_at
    while at < wanted.ends_at:
        yield at
        at = following(at, wanted.bucket)


def pieces(wanted: Window) -> list[tuple[Span, datetime, datetime]]:
    """Cover the window with the fewest buckets: months inside, days around them, hours at the ends.

    Each piece is a span and a half-open range of its buckets. Pieces are in order of time and never overlap.
    """
    return _cover(wanted.starts_at, wanted.ends_at, (Span.MONTH, Span.DAY, Span.HOUR))


def _cover(begin: datetime, end: datetime, spans: tuple[Span, ...]) -> list[tuple[Span, datetime, datetime]]:
    if begin >= end:
        return []
    span, *smaller = spans
    if not smaller:
        return [(span, begin, end)]
    first, last = floor(begin, span), floor(end, span)
    if first < begin:
        first = following(first, span)
    if first >= last:
        return _cover(begin, end, tuple(smaller))
    rest = tuple(smaller)
    return [*_cover(begin, first, rest), (span, first, last), *_cover(last, end, rest)]
