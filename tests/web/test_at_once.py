"""Requests that are answered where they are read get the answers of the usual way, and nothing is read differently.

Controls: `_is_plain` that is always true; `_NOT_KEPT` that is empty; `_QUERY` that takes anything; the buffer not
looked at; a connection that is not ended when the answer says so.
"""

from __future__ import annotations

import asyncio
import re
from types import SimpleNamespace
from typing import Any, cast

import orjson
import pytest
import structlog
from aiohttp import web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_parser import HttpRequestParser
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import KEYS, Service, StartService
from tests.web.at_once import ask, comparable, connected, head, the_usual_way
from tests.web.exchange import read_answer
from updater.web.gate.middleware import GATE
from updater.web.gate.routing import Contract, always
from updater.web.server.at_once import MAX_KNOWN, AtOnce
from updater.web.server.router import Router

CHECK = "/api/v1/updates/my-app/check"
QUERY = "current_version=0.9.0&platform=linux&architecture=amd64"
ASKED = [
    f"{CHECK}?{QUERY}",
    f"{CHECK}?{QUERY}&client_id=a1",
    f"{CHECK}?{QUERY}&stagingId=a%20b&channel=beta&manual=1",
    f"{CHECK}?{QUERY.replace('0.9.0', '1.0.0%2Bmine')}",
    f"{CHECK}?{QUERY.replace('linux', 'Linux')}",
    f"{CHECK}?{QUERY}&client_id=%00",
    f"{CHECK}?platform=linux",
    CHECK,
    f"{CHECK.replace('my-app', 'hidden')}?{QUERY}",
    f"{CHECK.replace('my-app', 'no-app')}?{QUERY}",
]


@pytest.fixture
async def published(made: list[AtOnce], start_service: StartService) -> Service:
    service = await start_service(
        rate_limit={"enabled": True}, logging={"access": True}, server={"cors_origins": ["https://a.example"]}
    )
    await service.application()
    await service.application("hidden", private=True)
    await service.publish()
    return service


async def test_answers_are_those_of_the_usual_way(made: list[AtOnce], published: Service) -> None:
    (at_once,) = made
    with structlog.testing.capture_logs() as logged:
        async with connected(published) as plain:
            for lines in ((), ("Origin: https://a.example", "User-Agent: MyApp/1.0.0 (linux)"), ("Range: bytes=0-1",)):
                for target in ASKED:
                    await ask(plain, head(target, *lines))  # the path and the lines are known now
                    before = at_once.answered
                    mine = await ask(plain, head(target, *lines))
                    assert at_once.answered == before + 1, target
                    with the_usual_way(at_once):
                        theirs = await ask(plain, head(target, *lines))
                    assert comparable(mine) == comparable(theirs)
        await asyncio.sleep(0.2)
    told = [line for each in logged for line in each.get("lines", ()) if "check" in line["path"]]
    assert len(told) == 3 * len(ASKED) * 3
    for line in told:
        del line["ms"], line["id"], line["timestamp"]
    # Three lines in turn are of one question: to learn from, at once, and the usual way.
    for number in range(0, len(told), 3):
        assert told[number] == told[number + 1] == told[number + 2]


async def test_limits_count_it_and_refuse_it(made: list[AtOnce], start_service: StartService) -> None:
    service = await start_service(rate_limit={"enabled": True, "anonymous_per_minute": 5})
    await service.application()
    async with connected(service) as streams:
        answers = [await ask(streams, head(f"{CHECK}?{QUERY}")) for _ in range(7)]
    assert [each.status for each in answers] == [200] * 5 + [429] * 2
    assert [each.headers["X-RateLimit-Remaining"] for each in answers] == ["4", "3", "2", "1", "0", "0", "0"]
    _, text = await service.exchange("GET", "/metrics")
    assert b"updater_answered_at_once 6.0" in text
    assert b'updater_requests_total{method="GET",route="/api/v1/updates/{app_id}/check",status="429"} 2.0' in text


async def test_the_rest_of_another_request_is_no_request(made: list[AtOnce], published: Service) -> None:
    """Where a proxy sends requests of several clients over one connection, the next client would get this answer."""
    question, (at_once,) = head(f"{CHECK}?{QUERY}"), made
    async with connected(published) as streams:
        await ask(streams, question)
        await ask(streams, question)
        assert at_once.answered == 1
        streams[1].write(question + b"GET /health HTTP/1.1\r\nHost: x\r\nX-Rest: ")
        assert (await read_answer(streams[0])).status == 200
        await asyncio.sleep(0.05)
        assert b"update_available" not in (await ask(streams, question)).body, "the answer of /health"
    async with connected(published) as streams:
        await ask(streams, question)
        streams[1].write(b"POST /api/v1/updates/my-app/status HTTP/1.1\r\nHost: x\r\n")
        streams[1].write(b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(question))
        await asyncio.sleep(0.05)
        assert (await ask(streams, question)).status == 400, "it was the body"
    # What began the next one's connection, and the whole one before the rest.
    assert at_once.answered == 3


async def test_requests_in_one_piece_are_answered_in_turn(published: Service) -> None:
    async with connected(published) as streams:
        await ask(streams, head(f"{CHECK}?{QUERY}"))
        streams[1].write((head(f"{CHECK}?{QUERY}") + head("/health")) * 3)
        bodies = [orjson.loads((await read_answer(streams[0])).body) for _ in range(6)]
    assert ["update_available" in each for each in bodies] == [True, False] * 3


async def test_secrets_are_not_kept(made: list[AtOnce], published: Service) -> None:
    path, (at_once,) = f"{CHECK.replace('my-app', 'hidden')}?{QUERY}", made
    async with connected(published) as streams:
        for line, status in ((f"Authorization: Bearer {KEYS['write']}", 200), ("Cookie: sessionid=x", 401)):
            assert [(await ask(streams, head(path, line))).status for _ in range(3)] == [status] * 3
        # A key is named from memory, once the path is known; a session is asked of the database.
        assert at_once.answered == 2
    assert not at_once._blocks
    assert not at_once._wholes


async def test_its_memory_is_bounded(made: list[AtOnce], published: Service) -> None:
    (at_once,) = made
    async with connected(published) as streams:
        for number in range(MAX_KNOWN + 90):
            question = head(f"{CHECK}?{QUERY}&channel=c{number}", f"X-Number: {number % 7}")
            assert (await ask(streams, question)).status in (200, 422)
    for memory in (at_once._wholes, at_once._lines, at_once._blocks, at_once._places):
        assert 0 < len(memory) <= MAX_KNOWN


async def test_a_draining_service_ends_the_connection(made: list[AtOnce], published: Service) -> None:
    question, (at_once,) = head(f"{CHECK}?{QUERY}"), made
    async with connected(published) as streams:
        await ask(streams, question)
        await ask(streams, question)
        at_once._gate.draining = True
        assert (await ask(streams, question)).headers["Connection"] == "close"
        async with asyncio.timeout(10):  # an idle connection would be ended, too, after 15 s
            assert await streams[0].read() == b""
    assert at_once.answered == 2


async def test_what_waits_or_fails_is_an_error_and_the_end(
    made: list[AtOnce], published: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    question, (at_once,) = head(f"{CHECK}?{QUERY}"), made

    async def wait(*_: Any) -> web.Response:
        await asyncio.sleep(0)
        return web.Response()

    async with connected(published) as streams:
        await ask(streams, question)
        monkeypatch.setattr(at_once._gate, "handle", wait)
        answer = await ask(streams, question)
        assert (answer.status, answer.headers["Connection"]) == (500, "close")
        assert await streams[0].read() == b""


async def test_a_client_that_does_not_take_its_answers_makes_the_usual_way_wait(
    made: list[AtOnce], published: Service
) -> None:
    question, (at_once,) = head(f"{CHECK}?{QUERY}"), made
    async with connected(published) as streams:
        await ask(streams, question)
    written: list[bytes] = []
    transport = SimpleNamespace(get_write_buffer_size=lambda: 1, write=written.append)
    assert not at_once.answer(cast(Any, SimpleNamespace(transport=transport)), question)
    assert not at_once.answer(cast(Any, SimpleNamespace(transport=None)), question)
    assert not written


class _Known(Router):
    """A router that knows one path."""

    def find_known(self, method: str, raw_path: str) -> Any:
        return ({}, _Route()) if (method, raw_path) == ("GET", CHECK) else None


class _Route:
    class handler:
        contract = Contract("", at_once=always)


FIELDS = (
    "method",
    "path",
    "version",
    "headers",
    "raw_headers",
    "should_close",
    "compression",
    "upgrade",
    "chunked",
    "url",
)


def parse(data: bytes, loop: asyncio.AbstractEventLoop) -> Any:
    """Read with aiohttp's own parser: the message, and what it makes of the connection."""
    parser = HttpRequestParser(BaseProtocol(loop), loop, 2**16, max_field_size=32_768)
    (message, _), *more = parser.feed_data(data)[0]
    return None if more else message


@given(
    query=st.text(st.sampled_from("abcXYZ019._~%&=+-;,/?:@#!'\"<>\\ \t\x00\x7f\xe9"), max_size=60),
    path=st.sampled_from([CHECK, CHECK.replace("-", "%2D"), "//x", CHECK + "/.."]),
    lines=st.lists(st.sampled_from(["User-Agent: x", "accept:  */* ", "Range: bytes=0-1"]), unique=True),
)
@settings(max_examples=300, deadline=None)
def test_it_reads_as_the_parser_does(query: str, path: str, lines: list[str]) -> None:
    loop = asyncio.new_event_loop()
    try:
        application: Any = web.Application()
        application[GATE] = None
        at_once = AtOnce(application)
        at_once._router = _Known()
        known = head("/", *lines)
        at_once._blocks[known.partition(b"\r\n")[2]] = parse(known, loop)
        data = head(f"{path}?{query}", *lines)
        for _ in range(2):
            read = at_once.read(data)
            if read is None:
                assert path != CHECK or not re.fullmatch(r"[\w.~%&=+-]*", query, re.ASCII)
                return
            wanted = parse(data, loop)
            assert {name: getattr(read[0], name) for name in FIELDS} == {name: getattr(wanted, name) for name in FIELDS}
            assert (read[0].url.raw_path, read[0].url.raw_query_string) == (CHECK, query)
    finally:
        loop.close()
