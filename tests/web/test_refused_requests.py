"""What a refused request costs: about as much as any other refused one, whatever its shape, and no question.

Times are compared within one run, so that a busy machine does not matter.
"""

from __future__ import annotations

import time
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from tests.actors import TESTER
from tests.conftest import StartService
from tests.web.people import cookie_of
from tests.web.raw import request, send
from updater.access.limits import open_limits
from updater.app import build_app
from updater.web.server.runner import MAX_HEAD_BYTES

SESSION = "A" * 43
# Before paths and cookies were bounded, these were 80 and 500 times as much as an ordinary one.
MOST_TIMES = 20
SHAPES: dict[str, tuple[str, str, list[tuple[str, str]]]] = {
    "8,100 slashes": ("GET", "/" * 8_100, []),
    "slashes below a surface": ("GET", "/api/v1" + "/a" * 4_000, []),
    "dots": ("GET", "/.." * 2_690, []),
    "few long parts": ("GET", ("/" + "a" * 260) * 30, []),
    "encoded": ("GET", "/" + "%41" * 2_690, []),
    "encoded slashes": ("GET", "/" + "%2f" * 2_690, []),
    "rubbish": ("GET", "/" + "%ff%zz%" * 1_150, []),
    "a long query": ("GET", "/api/v1/updates/my-app/check?" + "a=b&" * 2_000, []),
    "a long id": ("GET", "/api/v1/updates/my-app/check?client_id=" + "%C3%A4" * 1_300, []),
    "32 KB of cookies": ("GET", "/admin/dashboard/", [("Cookie", "a=b; " * 6_400)]),
    "32 KB of session cookies": ("GET", "/admin/dashboard/", [("Cookie", f"sessionid={SESSION}; " * 580)]),
    "cookies in many headers": ("GET", "/api/system/update/check", [("Cookie", f"sessionid={SESSION}; a=b")] * 120),
    "an unknown session": ("GET", "/api/v1/applications", [("Cookie", f"sessionid={SESSION}")]),
    "many headers": ("GET", "/api/v1/applications", [(f"X-{number}", "v" * 30) for number in range(120)]),
    "a long key": ("GET", "/api/v1/applications", [("Authorization", "Bearer " + "k" * 32_000)]),
    "a long token": ("GET", "/api/updates", [("Authorization", f"Bearer e30.{'v' * 32_000}.x")]),
    "many hops": ("GET", "/api/v1/applications", [("X-Forwarded-For", "127.0.0.1, " * 2_900)]),
    "a wrong method": ("DELETE", "/api/v1/check", []),
}


async def cost_s(app: web.Application, method: str, target: str, headers: list[tuple[str, str]]) -> float:
    """Return the processor time of one request: the best of some rounds."""
    rounds = []
    for _ in range(2):
        await app._handle(make_mocked_request(method, target, headers=CIMultiDict(headers)))
    for _ in range(5):
        asked = [make_mocked_request(method, target, headers=CIMultiDict(headers)) for _ in range(20)]
        started = time.process_time()
        for each in asked:
            answer = await app._handle(each)
            assert answer.status == 429, target[:60]
        rounds.append((time.process_time() - started) / len(asked))
    return min(rounds)


async def test_no_shape_costs_much_more_than_another(start_service: StartService) -> None:
    """Control: red without `MAX_SEGMENTS` in the router, and without `is_used_up` in the gate."""
    service = await start_service(
        rate_limit={"enabled": True, "anonymous_per_minute": 1, "sign_in_per_minute": 1},
        server={"trusted_proxies": ["127.0.0.1"]},
        access={"jwt": {"secret": "a secret of thirty-two bytes, at least"}},
    )
    async with open_limits(service.services.settings.rate_limit) as limits:
        app = build_app(service.services, limits)
        app.freeze()
        for _ in range(2):
            await app._handle(make_mocked_request("GET", "/api/v1/applications"))
        ordinary_s = await cost_s(app, "GET", "/api/v1/applications", [])
        costs = {name: await cost_s(app, *shape) / ordinary_s for name, shape in SHAPES.items()}
    assert {name: round(times, 1) for name, times in costs.items() if times > MOST_TIMES} == {}


async def test_a_refused_address_asks_no_database(start_service: StartService, monkeypatch: pytest.MonkeyPatch) -> None:
    service = await start_service(rate_limit={"enabled": True, "anonymous_per_minute": 2})
    signed_in = await cookie_of(service, "admin", "anna")
    path = f"{service.url}/api/v1/applications"

    async def ask(headers: dict[str, str]) -> int:
        async with service.session.get(path, headers=headers) as answer:
            return answer.status

    assert await ask(signed_in) == 200
    asked: list[list[str]] = []
    people = service.services.people
    find = people._store.list_sessions

    async def counted(digests: list[str]) -> Any:
        asked.append(digests)
        return await find(digests)

    monkeypatch.setattr(people._store, "list_sessions", counted)
    unknown = {"Cookie": f"sessionid={SESSION}"}
    assert [await ask(unknown) for _ in range(6)] == [401, 401, 429, 429, 429, 429]
    assert len(asked) == 2
    # Who signed in there before goes on; health is never refused, and no way to the database.
    assert await ask(signed_in) == 200
    for _ in range(3):
        async with service.session.get(f"{service.url}/health", headers=unknown) as answer:
            assert answer.status == 200
    assert len(asked) == 3


async def test_unknown_sessions_at_health_use_up_the_limit(start_service: StartService) -> None:
    service = await start_service(rate_limit={"enabled": True, "anonymous_per_minute": 2})
    for _ in range(2):
        await service.exchange("GET", "/health", headers={"Cookie": f"sessionid={SESSION}"}, status=200)
    await service.exchange("GET", "/api/v1/applications", status=429)


async def test_heads_are_bounded_as_a_whole(start_service: StartService) -> None:
    service = await start_service()
    fitting = [f"X-{number}: {'v' * 1_000}" for number in range(50)]
    assert (await send(service.url, request("GET", "/health", *fitting))).status == 200
    too_much = request("GET", "/health", *[f"X-{number}: {'v' * 30_000}" for number in range(100)])
    pieces = [too_much[at : at + 60_000] for at in range(0, len(too_much), 60_000)]
    assert len(pieces[0]) < MAX_HEAD_BYTES
    answer = await send(service.url, pieces)
    assert (answer.status, answer.json["message"]) == (400, "The headers are too large")
    # A body that comes in pieces is no head.
    body = request("POST", "/api/v1/check", "Content-Type: application/json", body=b'"' + b" " * 50_000)
    assert (await send(service.url, [body[:100], *[body[at : at + 7] for at in range(100, 700, 7)], body[702:]])).status


async def test_another_applications_cookie_signs_nobody_out(start_service: StartService) -> None:
    """A browser sends the cookies of all applications of a host, in an order that nobody chose."""
    service = await start_service()
    people = service.services.people
    await people.create_user("anna", "admin", "correct horse", actor=TESTER)
    anna = (await people.open_script_session("anna", 5, actor=TESTER))[0]
    await people.create_user("berta", "staff", "correct horse", actor=TESTER)
    berta = (await people.open_script_session("berta", 5, actor=TESTER))[0]

    async def ask(path: str, *lines: str) -> int:
        return (await send(service.url, request("GET", path, *lines))).status

    for path in ("/admin/dashboard/", "/api/v1/applications"):
        for other in ("short", SESSION, f"{SESSION}; sessionid={'B' * 43}", anna):
            assert await ask(path, f"Cookie: sessionid={other}; sessionid={anna}") == 200
            assert await ask(path, f"Cookie: sessionid={anna}; sessionid={other}") == 200
            assert await ask(path, f"Cookie: sessionid={other}", f"Cookie: sessionid={anna}") == 200
    # Two persons: which of them is meant, nobody knows.
    assert await ask("/admin/dashboard/", f"Cookie: sessionid={anna}; sessionid={berta}") == 400
    assert await ask("/api/v1/applications", f"Cookie: sessionid={anna}; sessionid={berta}") == 401
    many = "; ".join(f"sessionid={str(number) * 43}" for number in range(9))
    assert await ask("/api/v1/applications", f"Cookie: {many}; sessionid={anna}") == 401
    # The form's token goes with the session that counts.
    token = people.form_token(anna)
    lines = [f"Cookie: sessionid={SESSION}; sessionid={anna}", "Content-Type: application/x-www-form-urlencoded"]
    form = f"csrf_token={token}".encode()
    answer = await send(service.url, request("POST", "/admin/sign-out/", *lines, body=form))
    assert answer.status == 303
    assert await people.find_session(anna) is None
