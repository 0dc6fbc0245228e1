"""What contracts with `at_once` answer where it is read: the bytes of the usual way, once nothing has to be loaded.

Controls: a contract whose `at_once` is `always` although its feed is not loaded; an answer of 304 with Content-Length;
`note_answered` that does nothing; a request of HTTP/1.0, or one that expects something or is the last; an
authenticator's header that `waits_for_nothing` passes over.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.conftest import KEYS, Service, StartService
from tests.feeds.filing import publish, sign
from tests.feeds.values import MINISIGN
from tests.web.api.test_checks import register
from tests.web.at_once import ask, comparable, connected, head, the_usual_way
from tests.web.exchange import read_answer
from updater.catalog.platforms import Target
from updater.web.feeds.answering import FeedDoor
from updater.web.gate.routing import contract_of
from updater.web.server import runner
from updater.web.server.at_once import AtOnce

LINUX, WINDOWS, MAC = Target("linux", "amd64"), Target("windows", "amd64"), Target("darwin", "arm64")
FEEDS, DESKTOP = "/feeds/my-app/stable", "/wp-json/bkgt/v1/updates"
CHECK = "/api/v1/updates/my-app/check?current_version=0.9.0&platform=linux&architecture=amd64"
TAURI = f"{FEEDS}/tauri/linux/x86_64"
KEY = f"X-API-Key: {KEYS['read']}"
PROXIED = "X-Forwarded-For: 203.0.113.9"
# A request, and the status of its answer.
ASKED: list[tuple[str, tuple[str, ...], int]] = [
    (CHECK, (PROXIED,), 200),
    (CHECK, ("X-Client-Id: a1", "Origin: https://a.example"), 200),
    (CHECK, (f"Authorization: Bearer {KEYS['read']}",), 200),
    (CHECK, ("Authorization: Bearer wrong",), 200),
    (f"{DESKTOP}/latest", (KEY, "User-Agent: BKGT-Manager/1.0.0 (linux-x64)"), 200),
    (f"{DESKTOP}/latest", (KEY, "If-None-Match: *"), 304),
    (f"{DESKTOP}/latest?platform=linux-x65", (KEY,), 400),
    (f"{DESKTOP}/latest", ("X-API-Key: wrong",), 401),
    (f"{DESKTOP}/latest", (KEY, KEY), 400),
    (f"{DESKTOP}/latest", (), 401),
    (f"{DESKTOP}/compatibility/1.0.0", (KEY,), 200),
    (f"{DESKTOP}/compatibility/1.0.0", (KEY, "If-None-Match: *"), 304),
    (f"{FEEDS}/electron/latest-linux.yml?noCache=1a2b", (), 200),
    (f"{FEEDS}/electron/latest-linux.yml", ("If-None-Match: *", PROXIED), 304),
    (f"{FEEDS}/electron/no.txt", (), 404),
    (f"{TAURI}/0.9.0", (), 200),
    (f"{TAURI}/0.9.0", ("If-None-Match: *",), 304),
    (f"{TAURI}/2.0.0?client_id=a1", (), 204),
    (f"{TAURI}/no-version", (), 422),
    (f"{FEEDS}/tauri/latest.json", ("Origin: https://a.example",), 200),
    (f"{FEEDS}/appcast/windows.xml", (), 200),
    (f"{FEEDS}/appcast/no.xml", (), 404),
    (f"{FEEDS}/scoop/my-app.json", (), 200),
    (f"{FEEDS}/squirrel/darwin-arm64/0.9.0", (), 200),
    (f"{FEEDS}/squirrel/darwin-arm64/2.0.0", (), 204),
    (f"{FEEDS}/squirrel/win32-x64/0.9.0/RELEASES", (), 200),
    (f"{FEEDS}/velopack/win-x64/releases.win.json", (), 200),
    (f"{FEEDS.replace('my-app', 'hidden')}/electron/latest-linux.yml", (f"Authorization: Bearer {KEYS['read']}",), 404),
    (f"{FEEDS.replace('my-app', 'hidden')}/electron/latest-linux.yml", (), 401),
    ("/api/v1/updates/my-app/download/1.0.0/darwin/amd64", (), 302),
]


@pytest.fixture
async def published(made: list[AtOnce], start_service: StartService) -> Service:
    server: dict[str, Any] = {"cors_origins": ["https://a.example"], "trusted_proxies": ["127.0.0.0/8"]}
    mounted = [{"prefix": DESKTOP, "application": "my-app"}]
    service = await start_service(rate_limit={"enabled": True}, server=server, desktop=mounted)
    await service.call("PUT", "/api/v1/applications/my-app", key="admin", json={"private": False}, status=200)
    await service.application("hidden", private=True)
    notes = "# What is *new*"
    signed = await publish(service, "1.0.0", LINUX, {"a.AppImage": b"linux", "a.deb": b"deb"}, notes=notes)
    await sign(service, signed, "a.AppImage", "minisign", MINISIGN)
    await publish(service, "1.0.0", WINDOWS, {"MyApp-1.0.0-full.nupkg": b"full", "a.exe": b"exe"}, notes=notes)
    await publish(service, "1.0.0", MAC, {"a.zip": b"zip"})
    await register(service, "1.0.0", platform="darwin")
    return service


async def test_answers_are_those_of_the_usual_way(made: list[AtOnce], published: Service) -> None:
    (at_once,) = made
    async with connected(published) as streams:
        for target, lines, status in ASKED:
            await ask(streams, head(target, *lines))  # the path is known now, and the feeds are loaded
            before = at_once.answered
            mine = await ask(streams, head(target, *lines))
            assert (at_once.answered, mine.status) == (before + 1, status), (target, lines)
            with the_usual_way(at_once):
                theirs = await ask(streams, head(target, *lines))
            assert comparable(mine) == comparable(theirs), (target, lines)
    # With those that need an object store, every contract that may answer at once was tried.
    asked = {place.match.route.resource.canonical for place in at_once._places.values()}  # type: ignore[union-attr]
    surfaces = at_once._gate._surfaces
    may = {each.path for surface in surfaces for each in surface.read_routes() if _may_be_at_once(each.handler)}
    (other,) = may - asked
    assert "/download/" in other and "file_name" in other


def _may_be_at_once(handler: Any) -> bool:
    contract = contract_of(handler)
    return contract is not None and contract.at_once is not None


async def test_a_change_is_loaded_the_usual_way(made: list[AtOnce], published: Service) -> None:
    (at_once,) = made
    yml, noted = f"{FEEDS}/electron/latest-linux.yml", f"{FEEDS}/velopack/win-x64/releases.win.json"
    async with connected(published) as streams:
        for path in (yml, noted, yml, noted):
            assert (await ask(streams, head(path))).status == 200
        before = at_once.answered
        await publish(published, "1.1.0", LINUX, {"b.AppImage": b"newer"})
        await publish(published, "1.1.0", WINDOWS, {"MyApp-1.1.0-full.nupkg": b"newer"}, notes="other *notes*")
        assert b'"version":"1.1.0"' in (await ask(streams, head(yml))).body
        # The feeds are loaded now, but these notes are no HTML yet.
        assert b"<em>notes</em>" in (await ask(streams, head(noted))).body
        assert at_once.answered == before
        assert b'"version":"1.1.0"' in (await ask(streams, head(yml))).body
        assert b"<em>notes</em>" in (await ask(streams, head(noted))).body
        assert at_once.answered == before + 2


async def test_what_the_database_names_or_the_parser_goes_on_with_waits(made: list[AtOnce], published: Service) -> None:
    (at_once,) = made
    async with connected(published) as streams:
        await ask(streams, head(CHECK))
        for line in ("Cookie: sessionid=x", "Expect: 100-continue"):
            streams[1].write(head(CHECK, line))
            while (await streams[0].readline()) != b"\r\n":
                pass
            if "Expect" in line:
                while (await streams[0].readline()) != b"\r\n":
                    pass
            assert b"update_available" in await streams[0].read(2_000), line
        assert not at_once.answered
    async with connected(published) as streams:
        assert (await ask(streams, head(CHECK, "Connection: close"))).headers["Connection"] == "close"
        assert await streams[0].read() == b""
    async with connected(published) as streams:
        old = head(CHECK, "Connection: keep-alive").replace(b"HTTP/1.1", b"HTTP/1.0")
        answers = [await ask(streams, old) for _ in range(2)]
        assert [each.headers["Connection"] for each in answers] == ["keep-alive"] * 2
    assert not at_once.answered


async def test_no_head_is_kept_that_a_body_could_follow(made: list[AtOnce], published: Service) -> None:
    (at_once,) = made
    async with connected(published) as streams:
        await ask(streams, head(CHECK))
        kept = len(at_once._blocks)
        for line in ("Content-Length: 0", "Content-Encoding: gzip", "Upgrade: h2c"):
            before = at_once.answered
            answers = [comparable(await ask(streams, head(CHECK, line))) for _ in range(2)]
            assert at_once.answered == before + 2, line
            with the_usual_way(at_once):
                answers.append(comparable(await ask(streams, head(CHECK, line))))
            assert answers[0] == answers[1] == answers[2], line
        assert len(at_once._blocks) == kept


async def test_pieces_and_bodies_before_are_no_matter(made: list[AtOnce], published: Service) -> None:
    (at_once,) = made
    question = head(CHECK)
    async with connected(published) as streams:
        await ask(streams, question)
        post = b"POST /api/v1/updates/my-app/status HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        assert (await ask(streams, post + b"Content-Length: 2\r\n\r\n", b"{}")).status == 422
        assert (await ask(streams, question[:9], question[9:60], question[60:])).status == 200
        assert (await ask(streams, question)).status == 200
        assert at_once.answered == 2


async def test_where_nobody_can_tell_it_waits(
    made: list[AtOnce], published: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> bool:
        raise RuntimeError

    (at_once,), path = made, f"{FEEDS}/electron/latest-linux.yml"
    async with connected(published) as streams:
        for _ in range(3):
            await ask(streams, head(path))
        before = at_once.answered
        monkeypatch.setattr(FeedDoor, "waits_for_nothing", fail)
        assert (await ask(streams, head(path))).status == 200
        assert at_once.answered == before == 2


async def test_the_parser_knows_what_was_taken_from_it(made: list[AtOnce], published: Service) -> None:
    """It reads no more than 32 requests that nobody began to answer."""
    (at_once,) = made
    async with connected(published) as streams:
        for _ in range(70):
            assert (await ask(streams, head(f"{DESKTOP}/latest", KEY))).status == 200
        assert at_once.answered == 69
        streams[1].write(head(f"{DESKTOP}/latest", KEY) * 40)
        assert [(await read_answer(streams[0])).status for _ in range(40)] == [200] * 40


async def test_an_answer_begins_the_time_after_which_an_idle_connection_ends(
    made: list[AtOnce], published: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin, (at_once,) = runner._Connection.connection_made, made

    def impatient(self: Any, transport: asyncio.BaseTransport) -> None:
        self._keepalive_timeout = 1
        begin(self, transport)

    monkeypatch.setattr(runner._Connection, "connection_made", impatient)
    async with connected(published) as streams:
        for _ in range(4):
            assert (await ask(streams, head(CHECK))).status == 200
            await asyncio.sleep(0.4)
        assert at_once.answered == 3
        async with asyncio.timeout(10):
            assert await streams[0].read() == b""
