"""To-do tasks by HTTP: document 003, endpoints 6 to 11."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.conftest import KEYS, Service
from tests.web.updates.tokens import SECRET, token
from updater.tasks import model

KEYS_OF_A_TASK = {"id", "title", "description", "completed", "user_id", "created_at", "updated_at"}


@pytest.fixture
async def service(start_service: Any) -> Service:
    started: Service = await start_service(access={"jwt": {"secret": SECRET}})
    return started


async def add(service: Service, title: str = "Milk", user: int = 7, **more: Any) -> Any:
    body = {"title": title, **more}
    return await service.call("POST", f"/api/{user}/tasks", key=token(user), json=body, status=201)


async def test_the_life_of_a_task(service: Service) -> None:
    made = await add(service, "Milk", description="two\nlitres")
    assert set(made) == KEYS_OF_A_TASK
    assert (made["title"], made["description"], made["completed"], made["user_id"]) == ("Milk", "two\nlitres", False, 7)
    assert made["created_at"] == made["updated_at"]
    assert made["created_at"].endswith("Z")
    path = f"/api/7/tasks/{made['id']}"
    assert await service.call("GET", path, key=token(), status=200) == made
    changed = await service.call("PUT", path, key=token(), json={"title": "Bread", "completed": True}, status=200)
    assert (changed["title"], changed["description"], changed["completed"]) == ("Bread", "two\nlitres", False)
    changed = await service.call("PUT", path, key=token(), json={"description": ""}, status=200)
    assert (changed["title"], changed["description"]) == ("Bread", "")
    for completed in (True, False):
        toggled = await service.call("PATCH", f"{path}/complete", key=token(), status=200)
        assert toggled["completed"] is completed
    assert [each["id"] for each in await service.call("GET", "/api/7/tasks", key=token(), status=200)] == [made["id"]]
    _, body = await service.exchange("DELETE", path, key=token(), status=204)
    assert body == b""
    for method, suffix in (("GET", ""), ("PUT", ""), ("DELETE", ""), ("PATCH", "/complete")):
        await service.call(method, path + suffix, key=token(), json={"title": "x"}, status=404)
    assert await service.call("GET", "/api/7/tasks", key=token(), status=200) == []


async def test_description_is_optional_and_kept_as_an_empty_text(service: Service) -> None:
    assert (await add(service))["description"] == ""


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/tasks"), ("POST", "/tasks"), ("GET", "/tasks/{id}"), ("PUT", "/tasks/{id}"), ("DELETE", "/tasks/{id}"),
     ("PATCH", "/tasks/{id}/complete")],
)  # fmt: skip
async def test_who_may_not(service: Service, method: str, path: str) -> None:
    """Decisions 2, 37 and 40: 401 without a good token, 403 for another's path, 404 for another's task."""
    theirs = (await add(service, user=8))["id"]
    place = path.format(id=theirs)
    bodies = [{"json": {"title": "x"}}, {"data": b"no JSON"}, {}]
    credentials = [
        *({"Authorization": value} for value in ("", "Bearer", "Bearer x", "Basic eDp5", f"Bearer {KEYS['admin']}")),
        {"Authorization": f"Bearer {token(7, lasts_s=-61)}"},
        {"Authorization": f"Bearer {token(7, secret=SECRET[::-1])}"},
        {"X-API-Key": KEYS["admin"]},
        {"Cookie": f"sessionid={token(7)}"},
        {},
    ]
    for more in bodies:
        for headers in credentials:
            answer = await service.call(method, f"/api/7{place}", headers=headers, status=401, **more)
            assert answer["code"] == "UNAUTHORIZED"
        for other in ("8", "-7", "07x", "abc", "7.0", "0x7", "%37%00", "\u0667", "9" * 40):
            answer = await service.call(method, f"/api/{other}{place}", key=token(7), status=403, **more)
            assert answer["code"] == "FORBIDDEN"
        if "{id}" in path:
            for unknown in (str(theirs), "999", "0", "-1", "abc", "9" * 40, "1.0"):
                where = f"/api/7{path.format(id=unknown)}"
                assert (await service.call(method, where, key=token(7), status=404, **more))["code"] == "NOT_FOUND"
    await service.call("GET", f"/api/7{place}?token={token(7)}", status=405 if method == "PATCH" else 401)
    mine = await service.call("GET", f"/api/8/tasks/{theirs}", key=token(8), status=200)
    assert (mine["title"], mine["completed"]) == ("Milk", False)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"title": ""},
        {"title": "  "},
        {"title": "x" * 201},
        {"title": 1},
        {"title": None},
        {"title": ["x"]},
        {"title": "a\nb"},
        {"title": "a\0b"},
        {"title": "x", "description": 1},
        {"title": "x", "description": None},
        {"title": "x", "description": "a\0"},
        {"title": "x", "description": "x" * 70_000},
    ],
)
async def test_a_body_that_does_not_fit_is_400(service: Service, body: Any) -> None:
    answer = await service.call("POST", "/api/7/tasks", key=token(), json=body, status=400)
    assert set(answer) >= {"error", "message", "code", "details", "timestamp", "request_id"}
    assert set(answer["errors"]) <= {"title", "description"}
    task = await add(service)
    if body:
        await service.call("PUT", f"/api/7/tasks/{task['id']}", key=token(), json=body, status=400)
    assert await service.call("GET", f"/api/7/tasks/{task['id']}", key=token(), status=200) == task


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"{", "application/json"),
        (b"[]", "application/json"),
        (b"", "application/json"),
        (b"\xff", "application/json"),
        (b'{"title":"a","title":"b"}', "application/json"),
        (b'{"title":"\\ud800"}', "application/json"),
        (b'{"title":"x"}', "text/plain"),
        (b"title=x", "application/x-www-form-urlencoded"),
    ],
)
async def test_what_is_no_json_object_is_400(service: Service, data: bytes, kind: str) -> None:
    headers = {"Content-Type": kind}
    await service.call("POST", "/api/7/tasks", key=token(), data=data, headers=headers, status=400)
    assert await service.call("GET", "/api/7/tasks", key=token(), status=200) == []


async def test_titles_are_kept_to_the_letter(service: Service) -> None:
    for title in ("x", "x" * 200, "ß\U0001f600" * 100, "<script>alert(1)</script>", "'; DROP TABLE task; --"):
        assert (await add(service, title, priority="unknown keys are ignored"))["title"] == title


async def test_toggles_at_once_are_all_counted(service: Service) -> None:
    path = f"/api/7/tasks/{(await add(service))['id']}"
    await asyncio.gather(*(service.call("PATCH", f"{path}/complete", key=token(), status=200) for _ in range(21)))
    assert (await service.call("GET", path, key=token()))["completed"] is True


async def test_the_names_of_other_interfaces_are_no_users(service: Service) -> None:
    for name in ("v1", "updates", "system"):
        await service.call("GET", f"/api/{name}/tasks", key=token("0"), status=404)
        await service.call("GET", f"/api/{name}/tasks/1", key=token("0"), status=404)


async def test_wrong_methods(service: Service) -> None:
    response, _ = await service.exchange("PATCH", "/api/7/tasks", key=token(), status=405)
    assert set(response.headers["Allow"].split(",")) == {"GET", "HEAD", "POST"}


async def test_a_token_opens_nothing_else_and_a_key_no_tasks(service: Service) -> None:
    await service.call("GET", "/api/v1/applications", key=token(), status=401)
    await service.call("GET", "/api/7/tasks", key="admin", status=401)


async def test_switching_keys_off_does_not_open_tasks(start_service: Any) -> None:
    service = await start_service(access={"enabled": False, "jwt": {"secret": SECRET}})
    await service.call("GET", "/api/v1/applications", status=200)
    await service.call("GET", "/api/7/tasks", status=401)
    await service.call("GET", "/api/7/tasks", key=token(7), status=200)


async def test_the_limit_counts_the_person(start_service: Any) -> None:
    service = await start_service(
        access={"jwt": {"secret": SECRET}}, rate_limit={"enabled": True, "authenticated_per_minute": 2}
    )
    for status in (200, 200, 429):
        await service.call("GET", "/api/7/tasks", key=token(7), status=status)
    await service.call("GET", "/api/8/tasks", key=token(8), status=200)


async def test_what_one_user_may_keep(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """One list is one answer; who is above the bounds, from an older version, can only keep less."""
    monkeypatch.setattr(model, "MAX_TASKS", 3)
    monkeypatch.setattr(model, "MAX_TEXT_CHARACTERS", 1_000)
    made = [await add(service, f"t{number}", description="x" * 200) for number in range(3)]
    path = "/api/7/tasks"
    refused = await service.call("POST", path, key=token(), json={"title": "more"}, status=400)
    assert "at most 3 tasks" in refused["errors"]["tasks"]
    await add(service, user=8)
    first = f"{path}/{made[0]['id']}"
    refused = await service.call("PUT", first, key=token(), json={"description": "y" * 600}, status=400)
    assert "at most 1000 characters" in refused["errors"]["description"]
    assert (await service.call("GET", first, key=token(), status=200))["description"] == "x" * 200
    monkeypatch.setattr(model, "MAX_TEXT_CHARACTERS", 100)
    await service.call("PUT", first, key=token(), json={"description": "y" * 100}, status=200)
    await service.call("PUT", first, key=token(), json={"description": "y" * 101}, status=400)
    for each in made[1:]:
        await service.call("DELETE", f"{path}/{each['id']}", key=token(), status=204)
    await service.call("PUT", first, key=token(), json={"description": "y" * 50}, status=200)
    await add(service, "short")
