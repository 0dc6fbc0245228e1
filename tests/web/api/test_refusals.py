"""How the REST API says no: the error shape, statuses, and which refusal comes first."""

from __future__ import annotations

import asyncio
import io
import re
from typing import Any

import pytest

from tests.actors import TESTER
from tests.web.api.test_checks import TARGET, registration
from tests.web.raw import request, send

SIX = {"error", "message", "code", "details", "timestamp", "request_id"}
REGISTER = "/api/v1/updates/my-app/register"
CHECK = f"/api/v1/updates/my-app/check?current_version=1.0.0&platform={TARGET['platform']}&architecture=amd64"


async def test_the_six_keys(service: Any) -> None:
    """Decision 1: also under unknown paths; the request id is the header's."""
    for path in ("/nope", "/", "/api/v2/check", "/api/v1/applications/none", "/api/v1/docs/none"):
        response, _ = await service.exchange("GET", path, key="read", status=404)
        body = await response.json()
        assert set(body) == SIX
        assert body["error"] == "error"
        assert body["code"] in ("NOT_FOUND", "APPLICATION_NOT_FOUND")
        assert isinstance(body["details"], dict)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", body["timestamp"])
        assert body["request_id"] == response.headers["X-Request-Id"]
        assert body["request_id"].startswith("req_")
        assert response.content_type == "application/json"


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/api/v1/updates/my-app/check", "GET,HEAD"),
        ("/api/v1/check", "POST"),
        ("/api/v1/updates/my-app/latest", "GET,HEAD"),
        ("/api/v1/latest", "GET,HEAD"),
        ("/api/v1/updates/my-app/releases", "GET,HEAD"),
        ("/api/v1/updates/my-app/register", "POST"),
        ("/api/v1/updates/my-app/releases/1.0.0/linux/amd64", "DELETE"),
        ("/api/v1/updates/my-app/upload", "POST"),
        ("/api/v1/updates/my-app/builds/1.0.0/linux/amd64", "PUT"),
        ("/api/v1/updates/my-app/download/1.0.0/linux/amd64", "GET,HEAD"),
        ("/api/v1/updates/my-app/status", "POST"),
        ("/api/v1/applications", "GET,HEAD,POST"),
        ("/api/v1/applications/my-app", "DELETE,GET,HEAD,PUT"),
        ("/health", "GET,HEAD"),
        ("/api/v1/health", "GET,HEAD"),
    ],
)
async def test_wrong_method(service: Any, path: str, allowed: str) -> None:
    """Decision 11: 405 INVALID_REQUEST with Allow, for every method that a path does not have."""
    for method in {"GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"} - set(allowed.split(",")):
        response, _ = await service.exchange(method, path, status=405)
        assert response.headers["Allow"] == allowed
        body = await response.json()
        assert body["code"] == "INVALID_REQUEST"
        assert set(body) == SIX


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({}, b"{}"),
        ({"Content-Type": "text/plain"}, b"{}"),
        ({"Content-Type": "application/x-www-form-urlencoded"}, b"a=1"),
        ({"Content-Type": "application/json+x"}, b"{}"),
        ({"Content-Type": ""}, b"{}"),
        ({"Content-Type": "application/json", "Content-Encoding": "gzip"}, b"\x1f\x8b"),
        ({"Content-Type": "application/json", "Content-Encoding": "br"}, b"{}"),
    ],
)
async def test_wrong_content_type(service: Any, headers: dict[str, str], body: bytes) -> None:
    """Decision 10: 415 BAD_REQUEST, also when it is missing, and for encoded bodies."""
    for method, path in (("POST", "/api/v1/check"), ("POST", REGISTER), ("PUT", "/api/v1/applications/my-app")):
        given = [f"{name}: {value}" for name, value in headers.items()]
        key = "Authorization: Bearer admin-key-0123456789"
        answer = await send(service.url, request(method, path, key, *given, body=body))
        assert (answer.status, answer.json["code"]) == (415, "BAD_REQUEST")


async def test_content_type_with_parameters(service: Any) -> None:
    for text in ("application/json; charset=utf-8", "Application/JSON"):
        headers = {"Content-Type": text}
        await service.call("PUT", "/api/v1/applications/my-app", key="admin", data=b"{}", headers=headers, status=200)


# Installers write such JSON: what it holds is judged.
READ_IN_REPORTS = (b"\xef\xbb\xbf{}", b'{"a": "\n"}')


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"1",
        b"\xff\xfe{}",
        b"\xef\xbb\xbf{}",
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"a": 1e999}',
        b'{"a": ' + b"9" * 5000 + b"}",
        b'{"a": 1, "a": 2}',
        b'{"config": {"a": 1, "a": 1}}',
        b"[" * 60_000,
        b'{"a":' * 12_000,
        b"{'a': 1}",
        b'{"a": 1,}',
        b"{} {}",
        b'{"a": "\n"}',
    ],
)
async def test_what_is_no_json_object(service: Any, body: bytes) -> None:
    """Decision 10: 400 INVALID_REQUEST: not parsable, ambiguous, or not an object."""
    before = await service.stored()
    headers = {"Content-Type": "application/json"}
    for method, path, key in (
        ("POST", "/api/v1/check", None),
        ("POST", "/api/v1/updates/my-app/status", None),
        ("POST", REGISTER, "write"),
        ("POST", "/api/v1/applications", "write"),
        ("PUT", "/api/v1/applications/my-app", "admin"),
    ):
        if path.endswith("/status") and body in READ_IN_REPORTS:
            await service.call(method, path, key=key, data=body, headers=headers, status=422)
            continue
        answer = await service.call(method, path, key=key, data=body, headers=headers, status=400)
        assert answer["code"] == "INVALID_REQUEST"
    assert await service.stored() == before


async def test_too_large(service: Any) -> None:
    """Decision 10: 413 BAD_REQUEST, announced or not; the connection closes."""
    big = b'{"a": "' + b"x" * (1 << 20) + b'"}'
    headers = {"Content-Type": "application/json"}
    sent = io.BytesIO(big)
    response, _ = await service.exchange("POST", "/api/v1/check", data=sent, headers=headers, status=413)
    assert (await response.json())["code"] == "BAD_REQUEST"
    assert response.headers["Connection"] == "close"

    async def drip() -> Any:
        for _ in range(20):
            yield b" " * 60_000

    await service.call("POST", "/api/v1/check", data=drip(), headers=headers, status=413)


async def test_limits_are_told_and_kept(start_service: Any) -> None:
    """Decision 12: 429 RATE_LIMIT_EXCEEDED with Retry-After; three headers on every answer."""
    service = await start_service(
        rate_limit={"enabled": True, "anonymous_per_minute": 4, "authenticated_per_minute": 3, "sign_in_per_minute": 2}
    )
    remaining = []
    applications = "/api/v1/applications"
    for path, status in ((applications, 401), ("/nope", 404), ("/api/v1/check", 405), (applications, 401)):
        response, _ = await service.exchange("GET", path, status=status)
        assert response.headers["X-RateLimit-Limit"] == "4"
        assert int(response.headers["X-RateLimit-Reset"]) > 1_700_000_000
        remaining.append(response.headers["X-RateLimit-Remaining"])
    assert remaining == ["3", "2", "1", "0"]
    response, _ = await service.exchange("GET", applications, status=429)
    body = await response.json()
    assert (body["code"], set(body)) == ("RATE_LIMIT_EXCEEDED", SIX)
    assert 1 <= int(response.headers["Retry-After"]) <= 61
    assert response.headers["X-RateLimit-Remaining"] == "0"
    for status in (200, 200, 200, 429):
        await service.call("GET", applications, key="read", status=status)
    await service.call("GET", applications, key="admin", status=200)
    for path in ("/health", "/metrics") * 3:
        response, _ = await service.exchange("GET", path, status=200)
        assert (response.headers["X-RateLimit-Limit"], response.headers["X-RateLimit-Remaining"]) == ("4", "0")


async def test_wrong_credentials_have_their_own_limit(start_service: Any) -> None:
    service = await start_service(rate_limit={"enabled": True, "sign_in_per_minute": 2})
    for status in (401, 401, 429, 429):
        await service.call("GET", "/api/v1/applications", key="guess-" + str(status), status=status)
    await service.call("GET", "/api/v1/applications", status=401)
    await service.call("GET", "/api/v1/applications", key="read", status=200)
    await service.call("GET", "/health", status=200)


async def test_the_order_of_refusals(start_service: Any) -> None:
    """Decision 8: limit, 401, 403, 404, 400/415/422, 409. Each request deserves all that come later, too.

    Control: `authorize` and `require_application` swapped in the gate turn 401 and 403 into 404.
    """
    service = await start_service(
        rate_limit={"enabled": True, "authenticated_per_minute": 7, "anonymous_per_minute": 2}
    )
    await service.application()
    made = registration("1.0.0")
    await service.call("POST", REGISTER, key="write", json=made, status=201)
    unknown = "/api/v1/updates/nope/register"
    await service.call("POST", unknown, data=b"{", status=401)
    await service.call("POST", unknown, data=b"{", key="read", status=403)
    await service.call("POST", unknown, data=b"{", key="write", status=404)
    await service.call("POST", REGISTER, data=b"{", key="write", status=415)
    json = {"Content-Type": "application/json"}
    await service.call("POST", REGISTER, data=b'{"version": "x"', headers=json, key="write", status=400)
    await service.call("POST", REGISTER, json={**made, "checksum": ""}, key="write", status=422)
    await service.call("POST", REGISTER, json=made, key="write", status=409)
    await service.call("POST", unknown, data=b"{", key="write", status=429)
    await service.call("POST", unknown, data=b"{", key="nobody", status=401)
    await service.call("POST", unknown, data=b"{", key="nobody", status=429)


async def test_a_refused_upload_is_not_read(service: Any) -> None:
    """401, 403 and 404 come before the body: a client that waits for 100-continue never sends it."""
    for key, app, status in (("", "my-app", 401), ("reader", "my-app", 403), ("writer", "nope", 404)):
        lines = ["Content-Length: 1000000000", "Expect: 100-continue"]
        if key:
            lines.append(f"Authorization: Bearer {key}-key-0123456789")
        head = request("PUT", f"/api/v1/updates/{app}/builds/1.0.0/linux/amd64", *lines)
        assert (await send(service.url, head)).status == status


async def test_duplicated_credentials(service: Any) -> None:
    """Two readers of one request could each believe another one: 400."""
    key = "Authorization: Bearer reader-key-0123456789"
    for lines in ([key, key], [key, "Authorization: Bearer other"], ["X-API-Key: a", "X-API-Key: b", key]):
        answer = await send(service.url, request("GET", "/api/v1/applications", *lines))
        assert (answer.status, answer.json["code"]) == (400, "INVALID_REQUEST")


async def test_access_switched_off(start_service: Any) -> None:
    """All endpoints are open then, as the document says, and health tells all."""
    service = await start_service(access={"enabled": False})
    await service.call(
        "POST", "/api/v1/applications", json={"id": "my-app", "name": "x", "platforms": ["linux"]}, status=201
    )
    await service.call("GET", "/api/v1/applications", key="anything", status=200)
    assert "metrics" in await service.call("GET", "/health", status=200)
    await service.call("DELETE", "/api/v1/applications/my-app", status=204)


async def test_the_path_decides_which_credential_counts(service: Any) -> None:
    """Decision 2: X-API-Key, a query and Basic do not count here."""
    path = "/api/v1/applications"
    for headers in (
        {"X-API-Key": "admin-key-0123456789"},
        {"Authorization": "Basic YWRtaW46YWRtaW4="},
        {"Authorization": "admin-key-0123456789"},
        {"Authorization": "Token admin-key-0123456789"},
        {"Cookie": "sessionid=admin-key-0123456789"},
    ):
        response, _ = await service.exchange("GET", path, headers=headers, status=401)
        assert response.headers["WWW-Authenticate"] == "Bearer"
    await service.call("GET", f"{path}?api_key=admin-key-0123456789", status=401)


async def test_an_expired_or_disabled_key_is_an_unknown_key(start_service: Any) -> None:
    """Decision 26: the answers are the same, byte for byte, but for time and id."""
    service = await start_service(
        access={
            "api_keys": [
                {
                    "name": "old",
                    "key": "expired-key-012345",
                    "permissions": ["admin"],
                    "expires_at": "2020-01-01T00:00:00Z",
                },
                {"name": "off", "key": "disabled-key-012345", "permissions": ["admin"], "enabled": False},
                {
                    "name": "new",
                    "key": "current-key-012345",
                    "permissions": ["read"],
                    "expires_at": "2999-01-01T00:00:00Z",
                },
            ]
        }
    )
    answers = [
        await service.call("GET", "/api/v1/applications", key=key, status=401)
        for key in ("expired-key-012345", "disabled-key-012345", "unknown-key-012345")
    ]
    for answer in answers:
        del answer["timestamp"], answer["request_id"]
    assert answers[0] == answers[1] == answers[2]
    await service.call("GET", "/api/v1/applications", key="current-key-012345", status=200)


async def test_a_revoked_key_is_an_unknown_key_at_once(service: Any) -> None:
    made, text = await service.services.access.create_key("soon gone", "read", actor=TESTER)
    await service.call("GET", "/api/v1/applications", key=text, status=200)
    await service.services.access.revoke_key(made.id, actor=TESTER)
    await service.call("GET", "/api/v1/applications", key=text, status=401)


async def test_health_basic_and_with_a_key(service: Any) -> None:
    """Decision 25: a bad token gets the basic answer; `goroutines` is the number of asyncio tasks."""
    for path in ("/health", "/api/v1/health"):
        for key in (None, "wrong-key-0123456789"):
            basic = await service.call("GET", path, key=key, status=200)
            assert list(basic) == ["status", "timestamp"]
            assert basic["status"] == "healthy"
        full = await service.call("GET", path, key="read", status=200)
        assert list(full) == ["status", "timestamp", "version", "uptime", "components", "metrics"]
        assert set(full["components"]["storage"]) == {"status", "message", "timestamp"}
        assert full["metrics"]["goroutines"] == pytest.approx(len(asyncio.all_tasks()), abs=5)
        assert full["metrics"]["memory_alloc_mb"] > 1
        assert re.fullmatch(r"(\d+h)?(\d+m)?\d+s", full["uptime"])


async def test_health_degraded_and_unhealthy(service: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """Decision 25: degraded is 200 with `status`, unhealthy is 503."""
    monkeypatch.setattr("updater.health.LOW_SPACE_BYTES", 1 << 62)
    assert (await service.call("GET", "/health", status=200))["status"] == "degraded"
    (tmp_path / "storage" / "blobs").rename(tmp_path / "away")
    await asyncio.sleep(1.1)  # answers are kept for a second
    try:
        body = await service.call("GET", "/health", key="read", status=503)
    finally:
        (tmp_path / "away").rename(tmp_path / "storage" / "blobs")
    assert body["status"] == body["components"]["storage"]["status"] == "unhealthy"
