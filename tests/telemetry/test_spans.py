"""Windows fall into hours, days and months without gaps or overlaps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from updater.errors import Invalid
from updater.telemetry.spans import LONGEST_DAYS, Span, Window, floor, following, pieces, starts, window

NOW = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
moments = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))


@given(moments, st.sampled_from(Span))
def test_a_span_holds_its_moment(moment: datetime, span: Span) -> None:
    start = floor(moment, span)
    assert start <= moment < following(start, span)
    assert floor(following(start, span), span) == following(start, span)


@given(moments, moments, st.sampled_from((Span.HOUR, Span.DAY)))
def test_pieces_cover_the_window_exactly(one: datetime, other: datetime, bucket: Span) -> None:
    begin, end = sorted((floor(one, bucket), floor(other, bucket)))
    covered = pieces(Window(begin, end, bucket))
    assert covered or begin == end
    at = begin
    for span, first, last in covered:
        assert first == at < last
        assert floor(first, span) == first
        assert floor(last, span) == last
        at = last
    assert at == end
    assert sum(1 for span, *_ in covered if span is Span.MONTH) <= 1
    assert len(covered) <= 5


def test_a_year_is_months_with_days_around() -> None:
    year = Window(datetime(2025, 11, 20, tzinfo=UTC), datetime(2026, 11, 20, tzinfo=UTC), Span.DAY)
    assert [span for span, *_ in pieces(year)] == [Span.DAY, Span.MONTH, Span.DAY]


def test_a_window_is_widened_to_whole_buckets() -> None:
    found = window(NOW - timedelta(hours=3), NOW, Span.DAY, NOW)
    assert (found.starts_at, found.ends_at) == (datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC))
    assert len(list(starts(window(None, None, Span.DAY, NOW)))) == 30
    assert len(list(starts(window(None, None, Span.HOUR, NOW)))) == 48


@pytest.mark.parametrize("bucket", [Span.HOUR, Span.DAY])
def test_a_window_is_bounded(bucket: Span) -> None:
    longest = timedelta(days=LONGEST_DAYS[bucket])
    last = floor(NOW, bucket)
    window(last - longest, last, bucket, NOW)
    with pytest.raises(Invalid, match="validation"):
        window(last - longest - timedelta(seconds=1), last, bucket, NOW)
    with pytest.raises(Invalid):
        window(last, last, bucket, NOW)
    with pytest.raises(Invalid):
        window(None, datetime.max.replace(tzinfo=UTC), bucket, NOW)
    with pytest.raises(Invalid):
        window(None, datetime.min.replace(tzinfo=UTC), bucket, NOW)
