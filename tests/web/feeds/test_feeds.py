"""What all feeds have in common: errors, methods, and the credential of a private application."""

from __future__ import annotations

from tests.actors import TESTER
from tests.conftest import Service

TIMESTAMP = "/feeds/my-app/stable/tuf/metadata/timestamp.json"


async def test_errors_have_the_six_keys(service: Service) -> None:
    for path, code in (
        (TIMESTAMP, "NOT_FOUND"),
        (TIMESTAMP.replace("my-app", "other"), "APPLICATION_NOT_FOUND"),
        ("/feeds/my-app/stable/unknown", "NOT_FOUND"),
        ("/feeds/", "NOT_FOUND"),
    ):
        answer = await service.call("GET", path, status=404)
        assert set(answer) == {"error", "message", "code", "details", "timestamp", "request_id"}
        assert answer["code"] == code
    response, _ = await service.exchange("POST", TIMESTAMP, key="admin", status=405)
    assert response.headers["Allow"] == "GET,HEAD"


async def test_a_private_application_asks_for_a_key(service: Service) -> None:
    await service.services.catalog.update_application("my-app", {"private": True}, actor=TESTER)
    await service.exchange("GET", TIMESTAMP, status=401)
    await service.exchange("GET", TIMESTAMP, key="read", status=404)
    _, key = await service.services.access.create_key("laptops", "feed", application="my-app", actor=TESTER)
    await service.exchange("GET", f"/k/{key}{TIMESTAMP}", status=404)
    other = key[:-1] + ("1" if key.endswith("0") else "0")
    await service.exchange("GET", f"/k/{other}{TIMESTAMP}", status=401)
