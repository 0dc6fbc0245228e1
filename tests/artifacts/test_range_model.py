"""Answers to conditions and ranges, held to a short model of RFC 9110: 500 requests always, 10,000 with LONG_TESTS=1.

Controls in the last test: mistakes that real servers make, each of which the model notices within the first 500.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from multidict import CIMultiDict

import updater.artifacts.ranges as ranges
from tests.artifacts.range_model import ETAG, MODIFIED_AT, Headers, Wanted, answer, random_headers
from tests.web.exchange import exchange, multipart_parts
from tests.web.test_transfer import Server, running, stored
from updater.artifacts.ranges import ByteRange, plan

_SIZES = (0, 1, 2, 10, 53, 200)
_OVER_HTTP = 5  # of how many requests one goes over HTTP, too


def case(number: int, seed: int = 9110) -> tuple[Headers, int]:
    chooser = random.Random(seed * 1_000_003 + number)
    size_bytes = chooser.choice(_SIZES)
    return random_headers(chooser, size_bytes), size_bytes


def planned(headers: Headers, size_bytes: int, number: int) -> tuple[Wanted, Wanted]:
    """Return what the service plans, and what the model wants."""
    modified_at = MODIFIED_AT if number % 3 else None
    made = plan("HEAD" if number % 7 == 0 else "GET", CIMultiDict(headers), ETAG, size_bytes, modified_at)
    ours = Wanted(made.status, tuple(tuple(range(part.start, part.stop)) for part in made.ranges))
    return ours, answer(headers, size_bytes, modified_at)


@pytest.mark.parametrize("count", [500, pytest.param(10_000, marks=pytest.mark.long)])
def test_plans_are_those_of_the_model(count: int) -> None:
    seen: dict[int, int] = {}
    for number in range(count):
        headers, size_bytes = case(number)
        ours, wanted = planned(headers, size_bytes, number)
        assert ours == wanted, (number, size_bytes, headers)
        seen[wanted.status] = seen.get(wanted.status, 0) + 1
    assert min(seen.get(status, 0) for status in (200, 206, 304, 412, 416)) > count / 50, seen


@pytest.mark.parametrize("count", [500, pytest.param(10_000, marks=pytest.mark.long)])
async def test_answers_over_http_are_those_of_the_model(count: int, tmp_path: Path) -> None:
    data = random.Random(5).randbytes(max(_SIZES))
    servers = {}
    for size_bytes in _SIZES:
        servers[size_bytes] = Server(stored(tmp_path / str(size_bytes), data[:size_bytes]))
        servers[size_bytes].runner = await running(servers[size_bytes])
    for number in range(0, count, _OVER_HTTP):
        headers, size_bytes = case(number)
        server = servers[size_bytes]
        etag = f'"{hashlib.sha256(data[:size_bytes]).hexdigest()}"'
        method = "HEAD" if number % 7 == 0 else "GET"
        sent = [(name, value.replace(ETAG.strip('"'), etag.strip('"'))) for name, value in headers]
        got = await exchange(server.port, method, CIMultiDict(sent))  # type: ignore[arg-type]
        wanted = answer(headers, size_bytes, None)
        told = (number, size_bytes, sent, got.headers)
        assert got.status == wanted.status, told
        parts = [bytes(data[each] for each in part) for part in wanted.parts]
        places = [f"bytes {part[0]}-{part[-1]}/{size_bytes}" for part in wanted.parts if part]
        if got.status == 416:
            assert got.headers["Content-Range"] == f"bytes */{size_bytes}", told
        elif method == "GET" and len(parts) > 1:
            assert multipart_parts(got) == list(zip(places, parts, strict=True)), told
        elif method == "GET" and got.status in (200, 206):
            assert got.body == parts[0], told
            assert got.headers.get("Content-Range") == (places[0] if got.status == 206 else None), told
    for server in servers.values():
        assert server.runner is not None
        await server.runner.cleanup()


class _FirstOnes(CIMultiDict[str]):
    """Of repeated headers the first one counts."""

    def getall(self, key: str, *default: Any) -> Any:
        return super().getall(key, *default)[:1]


_SELECT, _APPLIES, _NAMES = ranges.select, ranges._range_applies, ranges.names_etag


def _one_part(value: str, size_bytes: int) -> tuple[ByteRange, ...] | None:
    """Several ranges are none that can be served: so does aiohttp's own FileResponse."""
    chosen = _SELECT(value, size_bytes)
    return () if chosen and len(chosen) > 1 else chosen


def _sorted_parts(value: str, size_bytes: int) -> tuple[ByteRange, ...] | None:
    chosen = _SELECT(value, size_bytes)
    return chosen and tuple(sorted(chosen, key=lambda each: each.start))


def _one_byte_short(value: str, size_bytes: int) -> tuple[ByteRange, ...] | None:
    chosen = _SELECT(value, size_bytes)
    return chosen and tuple(ByteRange(each.start, max(each.count - 1, 1)) for each in chosen)


def _unit_matters_not(value: str, size_bytes: int) -> tuple[ByteRange, ...] | None:
    return _SELECT("bytes=" + value.partition("=")[2], size_bytes)


@pytest.mark.parametrize(
    ("name", "mistake"),
    [
        ("select", _one_part),
        ("select", _sorted_parts),
        ("select", _one_byte_short),
        ("select", _unit_matters_not),
        ("_range_applies", lambda headers, etag: len(headers.getall("Range", ())) == 1),  # If-Range is not read
        ("_range_applies", lambda headers, etag: "Range" in headers and _APPLIES(_FirstOnes(headers), etag)),
        ("names_etag", lambda headers, name, etag, weakly: _NAMES(headers, name, etag, weakly=True)),
        ("names_etag", lambda headers, name, etag, weakly: etag in headers[name]),
        ("_is_backwards", lambda first, last: False),
        ("MAX_PARTS", 10_000),
    ],
)
def test_the_model_notices_mistakes(name: str, mistake: Callable[..., object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranges, name, mistake)
    different = 0
    for number in range(500):
        headers, size_bytes = case(number)
        ours, wanted = planned(headers, size_bytes, number)
        different += ours != wanted
    assert different
