"""Sessions of the dashboard at `/api/v1`: whom they let in, and what a change needs besides."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import structlog

from tests.actors import TESTER
from tests.conftest import Service
from tests.web.people import session_of
from tests.web.raw import RawAnswer, request, send
from updater.app import build_app
from updater.errors import Unavailable
from updater.web.gate.middleware import GATE

CHECK = "/api/v1/updates/my-app/check?current_version=0.9.0&platform=linux&architecture=amd64"
APPLICATIONS = "/api/v1/applications"
FORM, MULTIPART, TEXT = "application/x-www-form-urlencoded", "multipart/form-data; boundary=b", "text/plain"
PARTS = {
    "app_id": "my-app",
    "version": "9.9.9",
    "platform": "linux",
    "arch": "amd64",
    "file_name": "a.zip",
    "channel": "stable",
    "path": "a.zip",
    "upload_id": "0f8fad5bd9cb469fa165708867b5f19d",
    "key_id": "99",
    "name": "nobody",
    "session": "0123456789abcdef",
    "webhook_id": "99",
}


def guarded_routes(service: Service) -> list[tuple[str, str]]:
    """Return method and path of each route of `/api/v1` that changes something and asks for a level."""
    application = build_app(service.services)
    routes = [each for each in application.router.routes() if each.resource and each.method not in ("GET", "HEAD")]
    described = [(each.method, application[GATE].describe(each, each.resource.canonical)) for each in routes]
    return [
        (method, matched.path.format(**PARTS))
        for method, matched in described
        if matched.surface.name in ("api", "tus") and matched.level is not None
    ]


async def ask(service: Service, method: str, path: str, *lines: str, body: bytes = b"") -> RawAnswer:
    return await send(service.url, request(method, path, *lines, body=body))


def cookie(session_id: str) -> str:
    return f"Cookie: sessionid={session_id}"


async def test_other_sites_change_nothing(service: Any) -> None:
    """Each route that changes something, as another site's page can have a browser send it.

    Control: without `require_same_origin` the origins turn this red, without `_require_meant` the forms do.
    """
    admin = await session_of(service, "admin")
    before = await service.stored()
    routes = guarded_routes(service)
    assert len(routes) == 45
    own = "Origin: http://localhost"
    for method, path in routes:
        for lines, body in (
            (["Origin: https://evil.example.com", "Content-Type: application/json"], b"{}"),
            (["Origin: null", "Content-Type: application/json"], b"{}"),
            ([own, "Origin: https://evil.example.com", "Content-Type: application/json"], b"{}"),
            ([own, "Sec-Fetch-Site: cross-site", "Content-Type: application/json"], b"{}"),
            ([own, "Sec-Fetch-Site: same-site", "Content-Type: application/json"], b"{}"),
            ([own, f"Content-Type: {TEXT}"], b"{}"),
            ([own, f"Content-Type: {FORM}"], b"a=b"),
            ([own, f"Content-Type: {MULTIPART}"], b"--b--\r\n"),
            ([own, f"Content-Type: {TEXT}"], b""),
            ([own], b"{}"),
            ([own, "Content-Type: application/octet-stream"], b"x"),
            ([own, f"Content-Type: {FORM}", "X-CSRF-Token: "], b"a=b"),
            ([own, f"Content-Type: {FORM}", f"X-CSRF-Token: {'0' * 64}"], b"a=b"),
            ([own, f"Content-Type: {FORM}", "X-CSRF-Token: \xe9"], b"a=b"),
        ):
            answer = await ask(service, method, path, cookie(admin), *lines, body=body)
            assert (answer.status, answer.json["code"]) == (403, "FORBIDDEN"), (method, path, lines)
    assert await service.stored() == before


async def test_what_our_own_page_sends_reaches_the_handler(service: Service) -> None:
    """The control of the test above: the same requests, with the token or as JSON, are refused by no gate."""
    admin = await session_of(service, "admin")
    token = f"X-CSRF-Token: {service.services.people.form_token(admin)}"
    own = "Origin: http://localhost"
    for method, path in guarded_routes(service):
        if method == "DELETE":
            continue
        for lines, body in (
            ([own, "Content-Type: application/json; charset=utf-8"], b"{}"),
            ([own], b""),
            ([own, f"Content-Type: {TEXT}", token], b"{}"),
            ([own, f"Content-Type: {FORM}", token], b"a=b"),
            ([own, "Sec-Fetch-Site: same-origin", f"Content-Type: {MULTIPART}", token], b"--b--\r\n"),
        ):
            answer = await ask(service, method, path, cookie(admin), *lines, body=body)
            assert answer.status not in (401, 403), (method, path, lines)


async def test_a_token_of_another_session_does_not_count(service: Service) -> None:
    admin, other = await session_of(service, "admin"), await session_of(service, "staff")
    token = service.services.people.form_token(other)
    lines = cookie(admin), f"Content-Type: {TEXT}", f"X-CSRF-Token: {token}"
    assert (await ask(service, "POST", APPLICATIONS, *lines, body=b"{}")).status == 403


async def test_public_questions_need_no_proof(service: Service) -> None:
    """An installed client's report may come from any page: it asks for no level, so the cookie decides nothing."""
    lines = cookie(await session_of(service, "admin")), "Origin: https://evil.example.com", f"Content-Type: {TEXT}"
    for path in ("/api/v1/check", "/api/v1/updates/my-app/status"):
        assert (await ask(service, "POST", path, *lines, body=b"{}")).status == 415


async def test_the_roles(service: Service) -> None:
    """Staff stands with write keys, administrators with admin keys; a plain user has no right."""
    new = {"id": "other", "name": "x", "platforms": ["linux"]}
    expected = {"user": (403, 403, 403), "staff": (200, 201, 403), "admin": (200, 409, 204)}
    for role, statuses in expected.items():
        headers = {"Cookie": f"sessionid={await session_of(service, role)}"}
        seen = [
            (await service.exchange(method, path, headers=headers, **more))[0].status
            for method, path, more in (
                ("GET", APPLICATIONS, {}),
                ("POST", APPLICATIONS, {"json": new}),
                ("DELETE", f"{APPLICATIONS}/other", {}),
            )
        ]
        assert tuple(seen) == statuses, role
        health = await service.call("GET", "/health", headers=headers, status=200)
        assert ("metrics" in health) == (role != "user")


async def test_an_authorization_header_counts_alone(service: Service) -> None:
    admin = cookie(await session_of(service, "admin"))
    for header in ("Authorization: Bearer wrong", "Authorization: Basic YWRtaW46YWRtaW4=", "Authorization:"):
        answer = await ask(service, "GET", APPLICATIONS, admin, header)
        assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
    reader = "Authorization: Bearer reader-key-0123456789"
    assert (await ask(service, "GET", APPLICATIONS, admin, reader)).status == 200
    answer = await ask(service, "POST", APPLICATIONS, admin, reader, "Content-Type: application/json", body=b"{}")
    assert answer.status == 403
    # A key needs no proof that a change was meant: no browser sends it unasked.
    writer = "Authorization: Bearer writer-key-0123456789"
    answer = await ask(
        service, "POST", APPLICATIONS, admin, writer, "Origin: null", f"Content-Type: {TEXT}", body=b"{}"
    )
    assert answer.status == 415


async def test_a_session_ends_at_once(service: Service) -> None:
    people = service.services.people
    admin = await session_of(service, "admin")
    assert (await ask(service, "GET", APPLICATIONS, cookie(admin))).status == 200
    await people.sign_out(admin)
    answer = await ask(service, "GET", APPLICATIONS, cookie(admin))
    assert (answer.status, answer.json["message"]) == (401, "A valid session is required")
    staff = await session_of(service, "staff", "leaving")
    await service.services.accounts.change_user("leaving", disabled=True, actor=TESTER)
    assert (await ask(service, "GET", APPLICATIONS, cookie(staff))).status == 401


async def test_a_session_is_limited_and_logged_as_its_person(start_service: Any) -> None:
    limit = {"enabled": True, "anonymous_per_minute": 3, "authenticated_per_minute": 1000, "sign_in_per_minute": 2}
    service = await start_service(rate_limit=limit, logging={"access": True})
    await service.services.catalog.create_application("my-app", name="x", platforms=("linux",), extra={}, actor=TESTER)
    first, second = await session_of(service, "staff", "anna"), await session_of(service, "admin", "berta")
    again = (await service.services.people.open_script_session("anna", 5, actor=TESTER))[0]
    with structlog.testing.capture_logs() as lines:
        remaining = [
            int((await ask(service, "GET", path, cookie(each))).headers["x-ratelimit-remaining"])
            for each, path in ((first, APPLICATIONS), (again, CHECK), (second, CHECK))
        ]
        async with asyncio.timeout(10):
            while sum(len(line.get("lines", ())) for line in lines) < 3:
                await asyncio.sleep(0.01)
    assert remaining == [999, 998, 999]
    names = [each["key"] for line in lines for each in line.get("lines", ())]
    assert names == ["anna", "anna", "berta"]
    # A session that is over counts as no attempt to guess one: only the limit of its address ends it.
    statuses = [(await ask(service, "GET", APPLICATIONS, cookie("A" * 43))).status for _ in range(4)]
    assert statuses == [401, 401, 401, 429]


async def test_public_questions_are_answered_with_any_cookie(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """A check needs no session: neither an ambiguous cookie nor a silent database keeps it from its answer."""
    admin = await session_of(service, "admin")
    for header in (
        f"sessionid={admin}; sessionid={admin}",
        "sessionid=",
        "sessionid",
        f"other={'x' * 30_000}",
        ";" * 30_000,
    ):
        assert (await ask(service, "GET", CHECK, f"Cookie: {header}")).status == 200
    assert (await ask(service, "GET", CHECK, cookie(admin), cookie(admin))).status == 200

    async def fail(_: list[str]) -> None:
        raise Unavailable("The database does not answer")

    monkeypatch.setattr(service.services.people, "list_sessions", fail)
    assert (await ask(service, "GET", CHECK, cookie(admin))).status == 200
    assert (await ask(service, "GET", APPLICATIONS, cookie(admin))).status == 503


async def test_a_request_without_a_cookie_asks_no_database(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    async def note(presented: list[str]) -> list[Any]:
        asked.extend(presented)
        return []

    monkeypatch.setattr(service.services.people, "list_sessions", note)
    await service.call("GET", CHECK, status=200)
    await service.call("GET", CHECK, key="read", headers={"Cookie": f"sessionid={'A' * 43}"}, status=200)
    await service.call("GET", CHECK, headers={"Cookie": "other=1"}, status=200)
    assert asked == []
    await service.call("GET", CHECK, headers={"Cookie": f"sessionid={'A' * 43}"}, status=200)
    assert asked == ["A" * 43]


async def test_access_switched_off_asks_for_no_session(start_service: Callable[..., Any]) -> None:
    """All of `/api/v1` is open then; a person without a right is not worse off than a request without a cookie."""
    service = await start_service(access={"enabled": False})
    headers = {"Cookie": f"sessionid={await session_of(service, 'user')}"}
    await service.call("GET", APPLICATIONS, headers=headers, status=200)
