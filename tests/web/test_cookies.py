"""Single cookies, read from headers of any size."""

from __future__ import annotations

import time
from http.cookies import SimpleCookie

import pytest
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from updater.web.gate.cookies import MOST_CHARACTERS, read_cookies


def read(*lines: str) -> list[str]:
    headers = CIMultiDict([("Cookie", line) for line in lines])
    return read_cookies(make_mocked_request("GET", "/", headers=headers), "sessionid")


@pytest.mark.parametrize(
    ("lines", "values"),
    [
        ((), []),
        (("",), []),
        (("sessionid=abc",), ["abc"]),
        (("a=b; sessionid=abc; c=d",), ["abc"]),
        (("a=b;sessionid=abc;c=d",), ["abc"]),
        (('sessionid="abc"',), ["abc"]),
        (("sessionid = abc",), ["abc"]),
        (("sessionid=",), [""]),
        (("sessionid",), []),
        (("sessionid; a=b",), []),
        (("xsessionid=abc; sessionidx=abc; SESSIONID=abc",), []),
        (("a=sessionid=abc",), []),
        (("sessionid=a; sessionid=b",), ["a", "b"]),
        (("sessionid=a", "sessionid=b"), ["a", "b"]),
        (("sessionid=a=b",), ["a=b"]),
    ],
)
def test_values_in_order(lines: tuple[str, ...], values: list[str]) -> None:
    assert read(*lines) == values


def test_a_cookie_cut_by_the_bound_does_not_count() -> None:
    fill = "a=" + "b" * (MOST_CHARACTERS - 57)
    line = f"{fill}; sessionid={'x' * 43}"
    assert len(line) == MOST_CHARACTERS
    assert read(line) == ["x" * 43]
    assert read(line + "x") == []
    assert read(line + "; a=b") == [], "whether it ends there is not known"
    assert read(line[3:] + "; a=b") == ["x" * 43]


def test_all_headers_share_the_bound() -> None:
    half = "a=" + "b" * (MOST_CHARACTERS // 2)
    assert read(half, "sessionid=a", half, "sessionid=b") == ["a"]
    assert read(*[""] * MOST_CHARACTERS, "sessionid=a") == []


@given(st.dictionaries(st.text("abcdeinos", min_size=1), st.text("abcXYZ019_-"), max_size=6))
def test_what_browsers_send_is_read_as_the_standard_library_reads_it(cookies: dict[str, str]) -> None:
    line = "; ".join(f"{name}={value}" for name, value in {**cookies, "sessionid": "abc"}.items())
    assert read(line) == [SimpleCookie(line)["sessionid"].value] == ["abc"]


@pytest.mark.parametrize("piece", ["a=b; ", ";", "; sessionid", " ", ";\t", "sessionid=a; ", "sessionid "])
def test_a_hostile_header_takes_no_time(piece: str) -> None:
    """aiohttp's own reader takes 64 ms for 32 KB."""
    line = piece * (32_000 // len(piece))
    started = time.process_time()
    for _ in range(10):
        read(line)
    assert time.process_time() - started < 0.05
