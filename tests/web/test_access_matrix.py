"""Access: every route of the built application with every kind of credential, against a checked-in table.

A route that has no row, or a row without a route, fails; so does one cell that differs. `ok` means that the handler
was reached, whatever it then said. Control: a route with `level` taken out of its contract turns its row red.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from aiohttp import web

from tests.actors import TESTER
from tests.web.raw import RawAnswer, request, send
from updater.app import build_app
from updater.clock import utc_now

TABLE = Path(__file__).with_name("access_matrix.txt")
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS")
PARTS = {"app_id": "my-app", "version": "1.0.0", "platform": "linux", "arch": "amd64", "name": "start.js"}
DESKTOP = [{"prefix": "/desktop", "application": "my-app"}]
JWT_SECRET = "secret-of-the-tokens-of-this-matrix-0123456789"
Lines = list[str]


def bearer(key: str) -> Lines:
    return [f"Authorization: Bearer {key}"]


def token(user_id: int, *, hours: int) -> str:
    expires_at = utc_now() + timedelta(hours=hours)
    return jwt.encode({"sub": str(user_id), "exp": expires_at}, JWT_SECRET, "HS256")


async def credentials(service: Any) -> dict[str, Lines]:
    """Make a key of each kind; return the header lines that present it."""
    access = service.services.access
    keys = {level: f"{level}-key-of-settings-01" for level in ("read", "write", "admin")}
    revoked, revoked_text = await access.create_key("revoked", "admin", actor=TESTER)
    await access.revoke_key(revoked.id, actor=TESTER)
    _, expired = await access.create_key("expired", "admin", expires_at=utc_now() + timedelta(days=1), actor=TESTER)
    now = access._clock()
    access._clock = lambda: now + timedelta(days=2)
    _, own = await access.create_key("own", "admin", application="my-app", actor=TESTER)
    _, other = await access.create_key("other", "admin", application="other-app", actor=TESTER)
    _, feed = await access.create_key("feed", "feed", application="my-app", actor=TESTER)
    _, other_feed = await access.create_key("other feed", "feed", application="other-app", actor=TESTER)
    admin = keys["admin"]
    return {
        "none": [],
        "empty": ["Authorization:"],
        "bare": ["Authorization: Bearer"],
        "garbage": bearer("garbage"),
        "read": bearer(keys["read"]),
        "write": bearer(keys["write"]),
        "admin": bearer(admin),
        "own-app": bearer(own),
        "other-app": bearer(other),
        "feed": bearer(feed),
        "other-feed": bearer(other_feed),
        "revoked": bearer(revoked_text),
        "expired": bearer(expired),
        "disabled": bearer("disabled-key-of-settings"),
        "case": bearer(admin.upper()),
        "prefix": bearer(admin[:-1]),
        "basic": ["Authorization: Basic YWRtaW46YWRtaW4="],
        "raw": [f"Authorization: {admin}"],
        "in-query": ["QUERY"],
        "cookie": [f"Cookie: sessionid={admin}; key={admin}"],
        "twice": [*bearer(admin), *bearer(admin)],
        "x-read": [f"X-API-Key: {keys['read']}"],
        "x-write": [f"X-API-Key: {keys['write']}"],
        "x-admin": [f"X-API-Key: {admin}"],
        "x-wrong": ["X-API-Key: garbage"],
        "x-other": [f"X-API-Key: {other}"],
        "x-feed": [f"X-API-Key: {feed}"],
        "x-o-feed": [f"X-API-Key: {other_feed}"],
        "x-twice": [f"X-API-Key: {admin}", "X-API-Key: garbage"],
        "jwt-1": bearer(token(1, hours=1)),
        "jwt-2": bearer(token(2, hours=1)),
        "jwt-old": bearer(token(1, hours=-1)),
        "jwt-alg": bearer(jwt.encode({"sub": "1", "exp": 4_000_000_000}, None, "none")),
        **await sessions(service),
    }


async def sessions(service: Any) -> dict[str, Lines]:
    """Open a session of each role, one that is over and one of a disabled user; return the lines that present them."""
    people = service.services.people
    ids = {}
    for name in ("admin", "staff", "user", "over", "off"):
        await people.create_user(
            name, name if name in ("staff", "user") else "admin", "correct horse battery", actor=TESTER
        )
        ids[name] = (await people.open_script_session(name, 60, actor=TESTER))[0]
    await people.sign_out(ids["over"])
    await service.services.accounts.change_user("off", disabled=True, actor=TESTER)
    admin = ids["admin"]
    cookie, text = f"Cookie: sessionid={admin}", "Content-Type: text/plain"
    return {
        **{f"s-{name}": [f"Cookie: sessionid={text}"] for name, text in ids.items()},
        "s-twice": [f"Cookie: sessionid={admin}; sessionid={ids['user']}"],
        "s-bearer": bearer(admin),
        "s-foreign": [cookie, "Origin: https://evil.example.com"],
        # Beside other credentials.
        "s-empty": [cookie, "Authorization:"],
        "s-bad-key": [cookie, *bearer("garbage")],
        "s-read-key": [cookie, *bearer("read-key-of-settings-01")],
        "s-user-key": [f"Cookie: sessionid={ids['user']}", *bearer("admin-key-of-settings-01")],
        "s-jwt": [cookie, *bearer(token(1, hours=1))],
        "s-x-wrong": [cookie, "X-API-Key: garbage"],
        # From other sites, and as their pages can send it.
        "s-null": [cookie, "Origin: null"],
        "s-cross": [cookie, "Sec-Fetch-Site: cross-site"],
        "s-text": [cookie, text],
        "s-token": [cookie, text, f"X-CSRF-Token: {people.form_token(admin)}"],
        # Behind other cookies, and in a second header.
        "s-late": [f"Cookie: other={'x' * 4_096}; sessionid={admin}"],
        "s-lines-twice": [cookie, "Cookie: other=1"],
    }


SETTINGS: dict[str, Any] = {
    "access": {
        "jwt": {"secret": JWT_SECRET},
        "api_keys": [
            *(
                {"name": each, "key": f"{each}-key-of-settings-01", "permissions": [each]}
                for each in ("read", "write", "admin")
            ),
            {"name": "off", "key": "disabled-key-of-settings", "permissions": ["admin"], "enabled": False},
        ],
    },
    "desktop": DESKTOP,
}


def routes_of(application: web.Application) -> dict[str, set[str]]:
    """Return each path of the application with its methods."""
    found: dict[str, set[str]] = {}
    for route in application.router.routes():
        assert route.resource is not None
        found.setdefault(route.resource.canonical, set()).add(route.method)
    return found


def read_table() -> tuple[list[str], dict[tuple[str, str], list[str]]]:
    """Return the names of the columns, and for each method and path its cells."""
    lines = [line.split() for line in TABLE.read_text().splitlines() if line and not line.startswith("#")]
    return lines[0][2:], {(line[0], line[1]): line[2:] for line in lines[1:]}


def outcome(name: str, answer: RawAnswer) -> str:
    # An answer to HEAD does not say why.
    doubled = answer.status == 400 and (
        b"more than once" in answer.body or (name.endswith("twice") and not answer.body)
    )
    return str(answer.status) if doubled or answer.status in (303, 401, 403) else "ok"


async def ask(service: Any, method: str, path: str, lines: Lines) -> RawAnswer:
    concrete = re.sub(r"\{(\w+)\}", lambda found: PARTS.get(found[1], "1"), path)
    if lines == ["QUERY"]:
        key = "admin-key-of-settings-01"
        concrete, lines = f"{concrete}?api_key={key}&key={key}&access_token={key}&token={key}", []
    answer = await send(service.url, request(method, concrete, *lines))
    if "my-app" not in service.services.offers.application_ids():
        await create(service)
    return answer


async def create(service: Any) -> None:
    await service.services.catalog.create_application("my-app", name="x", platforms=("linux",), extra={}, actor=TESTER)


@pytest.fixture
async def matrix(start_service: Callable[..., Any]) -> Any:
    service = await start_service(**SETTINGS)
    if "my-app" not in service.services.offers.application_ids():
        await create(service)
    await service.services.catalog.update_application("my-app", {"private": False}, actor=TESTER)
    return service


async def test_every_route_with_every_credential(matrix: Any) -> None:
    presented = await credentials(matrix)
    columns, expected = read_table()
    actual = {}
    for path, methods in routes_of(build_app(matrix.services)).items():
        for method in sorted(methods):
            actual[method, path] = [
                outcome(name, await ask(matrix, method, path, lines)) for name, lines in presented.items()
            ]
    seen = (
        "METHOD PATH "
        + " ".join(presented)
        + "\n"
        + "\n".join(
            " ".join([f"{method:7}{path:75}", *(f"{cell:3}" for cell in cells)])
            for (method, path), cells in actual.items()
        )
    )
    assert columns == list(presented)
    assert set(actual) == set(expected), f"rows and routes differ; as it is:\n{seen}"
    wrong = {
        row: [each for each in zip(columns, actual[row], cells, strict=True) if each[1] != each[2]]
        for row, cells in expected.items()
        if actual[row] != cells
    }
    assert not wrong, f"cells differ (column, is, should): {wrong}"


async def test_a_private_application_closes_what_is_public(matrix: Any) -> None:
    """Every public route that names an application in its path asks for a key of it; no other cell changes."""
    await matrix.services.catalog.update_application("my-app", {"private": True}, actor=TESTER)
    presented = await credentials(matrix)
    columns, expected = read_table()
    closed = dict.fromkeys(("other-app", "other-feed", "s-user"), "403")
    closed |= dict.fromkeys(("read", "write", "admin", "own-app", "feed", "s-admin", "s-staff"), "ok")
    closed |= dict.fromkeys(("none", "garbage", "basic", "in-query", "x-admin", "x-feed", "jwt-1", "s-over"), "401")
    opened = []
    for (method, path), cells in expected.items():
        if "{app_id}" not in path or dict(zip(columns, cells, strict=True))["none"] != "ok":
            continue
        opened.append(path)
        seen = {name: outcome(name, await ask(matrix, method, path, presented[name])) for name in closed}
        assert seen == closed, (method, path)
    assert len(set(opened)) >= 4


async def test_other_methods_are_405_for_everybody(matrix: Any) -> None:
    presented = await credentials(matrix)
    for path, methods in routes_of(build_app(matrix.services)).items():
        for method in set(METHODS) - methods:
            for name in ("none", "garbage", "admin", "x-admin", "twice"):
                if path.startswith("/desktop/") and method == "DELETE":
                    continue  # every name there is a version that an administrator may deactivate
                answer = await ask(matrix, method, path, presented[name])
                assert answer.status == 405, (method, path, name, answer.status)


async def test_what_is_missing_and_what_is_forbidden_look_the_same(matrix: Any) -> None:
    """A key bound to another application learns nothing of what exists; neither does a request without a key."""
    presented = await credentials(matrix)
    for name, status in (("other-app", 403), ("none", 401)):
        bodies = []
        for application in ("my-app", "no-such-app"):
            answer = await send(matrix.url, request("GET", f"/api/v1/applications/{application}", *presented[name]))
            assert answer.status == status
            body = answer.json
            del body["timestamp"], body["request_id"]
            bodies.append(body)
        assert bodies[0] == bodies[1]


def test_the_table_has_enough_columns() -> None:
    columns, expected = read_table()
    assert len(columns) >= 16
    assert all(len(cells) == len(columns) for cells in expected.values())
