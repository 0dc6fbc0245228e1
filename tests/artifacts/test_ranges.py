"""Ranges and conditions against small independent models and the examples of RFC 9110."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from multidict import CIMultiDict

from updater.artifacts.ranges import MAX_PARTS, REPEATED_BYTES, ByteRange, Plan, plan, select

ETAG = '"' + "ab" * 32 + '"'
OTHER = '"' + "cd" * 32 + '"'
MODIFIED_AT = datetime(2026, 3, 1, 12, 0, 0, 999_999, tzinfo=UTC)


def planned(size_bytes=10_000, method="GET", modified_at=None, **headers: str) -> Plan:
    named = CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()})
    return plan(method, named, ETAG, size_bytes, modified_at)


def whole(size_bytes=10_000) -> Plan:
    return Plan(200, (ByteRange(0, size_bytes),))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("bytes=0-499", [(0, 500)]),
        ("bytes=500-999", [(500, 500)]),
        ("bytes=-500", [(9500, 500)]),
        ("bytes=9500-", [(9500, 500)]),
        ("bytes=0-0,-1", [(0, 1), (9999, 1)]),
        ("bytes=0-999, 4500-5499, -1000", [(0, 1000), (4500, 1000), (9000, 1000)]),
        ("bytes=500-600,601-999", [(500, 101), (601, 399)]),
        ("bytes=500-700,601-999", [(500, 201), (601, 399)]),
        ("bytes=601-999,500-700", [(601, 399), (500, 201)]),
        ("BYTES=0-0", [(0, 1)]),
        ("bytes=, 0-0 ,,\t1-1,", [(0, 1), (1, 1)]),
        ("bytes=0-99999", [(0, 10_000)]),
        ("bytes=-99999", [(0, 10_000)]),
        ("bytes=9999-9999,10000-", [(9999, 1)]),
        (f"bytes=9999-{2**63}", [(9999, 1)]),
        (f"bytes=-{2**64}", [(0, 10_000)]),
        ("bytes=00000000000000000000000009999-", [(9999, 1)]),
        ("bytes=0-" + "9" * 6000, [(0, 10_000)]),
        ("bytes=-" + "9" * 6000, [(0, 10_000)]),
    ],
)
def test_satisfiable_ranges_keep_order_and_are_clamped(value, expected):
    assert planned(Range=value) == Plan(206, tuple(ByteRange(*pair) for pair in expected))


@pytest.mark.parametrize(
    "value",
    [
        "bytes=10000-",
        "bytes=-0",
        "bytes=-0,10000-10001",
        f"bytes={2**63}-",
        f"bytes={2**64}-{2**65}",
        "bytes=" + "9" * 6000 + "-",
        "bytes=" + "8" * 6000 + "-" + "9" * 6000,
        "bytes=-" + "0" * 6000,
    ],
)
def test_unsatisfiable_ranges_are_416(value):
    assert planned(Range=value) == Plan(416)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "bytes",
        "bytes=",
        "bytes=,",
        "bytes=-",
        "bytes=5-4",
        "bytes=a-b",
        "bytes=0-1,x",
        "bytes=0--1",
        "bytes=+1-2",
        "bytes=1 - 2",
        "bytes =0-1",
        "bytes=0-1;",
        "items=0-1",
        "none",
        "bytes=٣-٤",
        "bytes=²-",
        "bytes=0-1,5-4",
        "bytes=1-2-3",
        "bytes=10-009",
        "bytes=X0-1X",
        "bytes=0-1,\x0b2-3",
        "0-1",
        "bytes=0x1-0x2",
        "bytes=1_0-2_0",
        "bytes:0-1",
        "bytes=1" + "0" * 6000 + "-" + "9" * 6000,
    ],
)
def test_malformed_and_unknown_units_are_ignored(value):
    assert planned(Range=value) == whole()


def test_a_repeated_range_header_is_ignored():
    headers = CIMultiDict([("Range", "bytes=0-1"), ("Range", "bytes=2-3")])
    assert plan("GET", headers, ETAG, 10) == whole(10)


def test_the_number_of_parts_is_limited():
    ranges = [f"{n}-{n}" for n in range(MAX_PARTS)]
    assert len(planned(Range="bytes=" + ",".join(ranges)).ranges) == MAX_PARTS
    assert planned(Range="bytes=" + ",".join([*ranges, "5000-5000"])) == whole()


def test_an_empty_file_has_no_range():
    assert planned(size_bytes=0, Range="bytes=0-") == Plan(416)
    assert planned(size_bytes=0, Range="bytes=-0") == Plan(416)
    assert planned(size_bytes=0, Range="bytes=-5") == whole(0)
    assert planned(size_bytes=0) == whole(0)


def test_files_beyond_32_bits():
    size_bytes = 2**62
    assert planned(size_bytes, Range=f"bytes={2**62 - 1}-{2**63}").ranges == (ByteRange(2**62 - 1, 1),)
    assert planned(size_bytes, Range="bytes=-1").ranges == (ByteRange(2**62 - 1, 1),)


numbers = st.one_of(st.integers(0, 40), st.integers(0, 2**70), st.sampled_from([2**63 - 1, 2**63, 10**19, 10**20]))
spec_values = st.one_of(
    st.tuples(numbers, numbers).map(lambda pair: (min(pair), max(pair))),
    st.tuples(numbers, st.none()),
    st.tuples(st.none(), numbers),
)


def rendered(first: int | None, last: int | None, zeros: int) -> str:
    def text(number: int | None) -> str:
        return "" if number is None else "0" * zeros + str(number)

    return f"{text(first)}-{text(last)}"


def model(specs: list[tuple[int | None, int | None]], data: bytes) -> list[bytes]:
    """The bytes that each satisfiable spec asks for, by Python's own slices."""
    wanted = []
    for first, last in specs:
        if first is None:
            part = data[-last:] if last else b""
        else:
            part = data[first:] if last is None else data[first : last + 1]
        if part:
            wanted.append(part)
    return wanted


@given(
    size_bytes=st.integers(1, 40),
    specs=st.lists(spec_values, min_size=1, max_size=6),
    separator=st.sampled_from([",", ", ", " , ", ",,", ",\t"]),
    zeros=st.integers(0, 30),
)
@example(size_bytes=1, specs=[(None, 0)], separator=",", zeros=0)
def test_every_valid_set_yields_the_bytes_of_the_model(size_bytes, specs, separator, zeros):
    data = bytes(range(size_bytes))
    value = "bytes=" + separator.join(rendered(first, last, zeros) for first, last in specs)
    chosen = select(value, size_bytes)
    assert chosen is not None
    assert [data[part.start : part.stop] for part in chosen] == model(specs, data)
    assert all(part.count > 0 for part in chosen)


@given(st.text() | st.text("0123456789-, =bytes", max_size=40).map("bytes=".__add__), st.integers(0, 2**63 - 1))
def test_no_text_breaks_the_parser_or_leaves_the_file(value, size_bytes):
    for part in select(value, size_bytes) or ():
        assert 0 <= part.start < part.stop <= size_bytes


@pytest.mark.parametrize(
    ("tags", "strong", "weak"),
    [
        (ETAG, True, True),
        (f"W/{ETAG}", False, True),
        (OTHER, False, False),
        ("*", True, True),
        (f"{OTHER}, {ETAG}", True, True),
        (f",{OTHER} ,\t{ETAG} ,", True, True),
        (f'"a,b", W/"c", {ETAG}', True, True),
        (f"{OTHER}, W/{ETAG}", False, True),
        (ETAG.strip('"'), False, False),
        (f"{ETAG} {OTHER}", False, False),
        (f"{ETAG}, garbage", False, False),
        (f"w/{ETAG}", False, False),
        (ETAG[:-1], False, False),
        ("", False, False),
        (f"*, {ETAG}", False, False),
        (f"X{ETAG}", False, False),
        (f"{ETAG},X", False, False),
        (f"\x0b{ETAG}", False, False),
    ],
)
def test_entity_tag_lists(tags, strong, weak):
    assert planned(If_Match=tags).status == (200 if strong else 412)
    assert planned(If_None_Match=tags).status == (304 if weak else 200)
    assert planned(If_None_Match=tags, method="HEAD").status == (304 if weak else 200)
    assert planned(If_None_Match=tags, method="PUT").status == (412 if weak else 200)


def test_entity_tags_on_several_lines_are_one_list():
    headers = CIMultiDict([("If-None-Match", OTHER), ("If-None-Match", ETAG)])
    assert plan("GET", headers, ETAG, 10).status == 304


@pytest.mark.parametrize(
    ("value", "status"),
    [
        (ETAG, 206),
        (f" {ETAG} ", 206),
        (OTHER, 200),
        (f"W/{ETAG}", 200),
        (f"{ETAG}, {OTHER}", 200),
        ("*", 200),
        ("", 200),
        (f"X{ETAG}", 200),
        (f"\x0b{ETAG}", 200),
        (format_datetime(MODIFIED_AT, usegmt=True), 200),
    ],
)
def test_if_range_compares_strongly_and_never_takes_a_date(value, status):
    assert planned(Range="bytes=0-1", If_Range=value, modified_at=MODIFIED_AT).status == status
    assert planned(Range="bytes=99999-", If_Range=value).status == (416 if status == 206 else 200)


def test_an_if_range_without_a_range_means_nothing():
    assert planned(If_Range=OTHER) == whole()


def test_contradicting_if_range_lines_do_not_match():
    headers = CIMultiDict([("Range", "bytes=0-1"), ("If-Range", ETAG), ("If-Range", OTHER)])
    assert plan("GET", headers, ETAG, 10).status == 200


@pytest.mark.parametrize("shift_s", [-1, 0, 1])
def test_dates_count_in_whole_seconds(shift_s):
    when = format_datetime(MODIFIED_AT + timedelta(seconds=shift_s), usegmt=True)
    assert planned(If_Modified_Since=when, modified_at=MODIFIED_AT).status == (200 if shift_s < 0 else 304)
    assert planned(If_Unmodified_Since=when, modified_at=MODIFIED_AT).status == (412 if shift_s < 0 else 200)
    assert planned(If_Modified_Since=when, modified_at=MODIFIED_AT, method="PUT").status == 200


@pytest.mark.parametrize("when", ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT"])
def test_all_three_formats_of_a_date_are_read(when):
    for text in (when, "Sun Nov  6 08:49:37 1994"):
        assert planned(If_Unmodified_Since=text, modified_at=MODIFIED_AT).status == 412


@pytest.mark.parametrize(
    "when",
    [
        "",
        "yesterday",
        "1994-11-06",
        "Sun, 06 Nov 1994 08:49:37 +0100",
        "0",
        "Sun, 99 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 99:99:99 GMT",
        "Sun, 06 Xxx 1994 08:49:37 GMT",
    ],
)
def test_what_is_no_date_is_ignored(when):
    assert planned(If_Unmodified_Since=when, modified_at=MODIFIED_AT).status == 200
    assert planned(If_Modified_Since=when, modified_at=MODIFIED_AT).status == 200


def test_dates_do_not_apply_without_a_date_of_the_file():
    past, future = "Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 2067 08:49:37 GMT"
    assert planned(If_Unmodified_Since=past).status == 200
    assert planned(If_Modified_Since=future).status == 200


def test_the_order_of_the_conditions():
    past, future = "Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 2067 08:49:37 GMT"
    dated = {"modified_at": MODIFIED_AT}
    assert planned(If_Match=OTHER, If_None_Match=ETAG, Range="bytes=0-1").status == 412
    assert planned(If_Match=ETAG, If_Unmodified_Since=past, **dated).status == 200
    assert planned(If_None_Match=OTHER, If_Modified_Since=future, **dated).status == 200
    assert planned(If_None_Match=ETAG, Range="bytes=0-1").status == 304
    assert planned(If_Unmodified_Since=past, If_None_Match=ETAG, **dated).status == 412
    assert planned(If_Match=ETAG, Range="bytes=99999-").status == 416


def test_head_mirrors_get_and_other_methods_have_no_ranges():
    assert planned(method="HEAD", Range="bytes=0-1") == planned(Range="bytes=0-1")
    assert planned(method="POST", Range="bytes=0-1") == whole()


@given(
    st.dictionaries(
        st.sampled_from(["Range", "If-Range", "If-Match", "If-None-Match", "If-Modified-Since"]),
        st.text(max_size=60) | st.sampled_from([ETAG, OTHER, "*", "bytes=0-1"]),
    )
)
def test_no_header_breaks_the_plan(headers):
    assert plan("GET", CIMultiDict(headers), ETAG, 100, MODIFIED_AT).status in (200, 206, 304, 412, 416)


def test_parts_that_repeat_the_file_again_and_again_are_ignored():
    size_bytes = 10_000_000
    assert select("bytes=0-,0-", size_bytes) == (ByteRange(0, size_bytes), ByteRange(0, size_bytes))
    assert select("bytes=" + ",".join(["0-"] * 1000), size_bytes) is None
    assert len(select("bytes=" + ",".join(["0-"] * 1000), 100) or ()) == 1000
    most = f"bytes=0-,0-,0-{REPEATED_BYTES - 1}"
    assert len(select(most, size_bytes) or ()) == 3
    assert select(f"{most},5-5", size_bytes) is None
