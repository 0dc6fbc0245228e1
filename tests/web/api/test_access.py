"""Keys, people, sessions, the audit and the settings at `/api/v1`, as administrators and people use them."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.actors import TESTER
from tests.conftest import KEYS, Service
from tests.web.people import PASSWORD, cookie_of, session_of

API = "/api/v1"
OTHER = "another long password"


def signed_in(session_id: str) -> dict[str, str]:
    return {"Cookie": f"sessionid={session_id}"}


async def test_a_key_is_made_used_listed_and_revoked(service: Service) -> None:
    body = {"name": "ci <b>", "level": "write", "application": "my-app", "expires_at": "2099-01-01T00:00:00Z"}
    response, raw = await service.exchange("POST", f"{API}/keys", key="admin", json=body, status=201)
    made = json.loads(raw)
    assert response.headers["Cache-Control"] == "no-store"
    assert (made["state"], made["source"], made["expires_at"]) == ("usable", "database", "2099-01-01T00:00:00Z")
    await service.call("GET", f"{API}/applications", key=made["key"], status=200)
    listed = await service.call("GET", f"{API}/keys", key="admin", status=200)
    assert listed["keys"][0] == {
        **{n: made[n] for n in made if n != "key"},
        "last_used_at": listed["keys"][0]["last_used_at"],
    }
    assert listed["keys"][0]["last_used_at"] is not None
    assert made["key"] not in json.dumps(listed)
    assert {each["name"] for each in listed["keys"] if each["source"] == "settings"} == {
        f"{level} key" for level in KEYS
    }
    of_app = await service.call("GET", f"{API}/keys?application=my-app", key="admin", status=200)
    assert (of_app["total_count"], [each["id"] for each in of_app["keys"]]) == (1, [made["id"]])
    await service.call("DELETE", f"{API}/keys/{made['id']}", key="admin", status=200)
    await service.call("GET", f"{API}/applications", key=made["key"], status=401)
    await service.call("DELETE", f"{API}/keys/{made['id']}", key="admin", status=404)
    after = await service.call("GET", f"{API}/keys?limit=1", key="admin", status=200)
    assert (after["keys"][0]["state"], after["has_more"]) == ("revoked", True)


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"name", "level"}),
        ({"name": "", "level": "chief"}, {"name", "level"}),
        ({"name": "x" * 101, "level": "read"}, {"name"}),
        ({"name": "a\u202eb", "level": "read"}, {"name"}),
        ({"name": "x", "level": "feed"}, {"application"}),
        ({"name": "x", "level": "read", "application": "no app"}, {"application"}),
        ({"name": "x", "level": "read", "expires_at": "2001-01-01"}, {"expires_at"}),
        ({"name": "x", "level": "read", "expires_at": "9999-12-31T23:59:59-14:00"}, {"expires_at"}),
        ({"name": "x", "level": "read", "levle": "admin"}, {"levle"}),
    ],
)
async def test_keys_that_do_not_fit(service: Service, body: dict[str, Any], fields: set[str]) -> None:
    answer = await service.call("POST", f"{API}/keys", key="admin", json=body, status=422)
    assert set(answer["errors"]) == fields
    assert (await service.call("GET", f"{API}/keys", key="admin"))["total_count"] == len(KEYS)


async def test_a_key_does_not_revoke_itself(service: Service) -> None:
    made = await service.call("POST", f"{API}/keys", key="admin", json={"name": "x", "level": "admin"}, status=201)
    await service.call("DELETE", f"{API}/keys/{made['id']}", key=made["key"], status=409)
    await service.call("GET", f"{API}/keys", key=made["key"], status=200)
    for key_id in ("0", "-1", "x", "1e3", "9" * 30, "%31%00"):
        await service.call("DELETE", f"{API}/keys/{key_id}", key="admin", status=404)


async def test_a_key_of_one_application_opens_nothing_of_the_installation(service: Service) -> None:
    """It would make itself a key of the whole installation, or an administrator."""
    _, bound = await service.services.access.create_key("bound", "admin", application="my-app", actor=TESTER)
    user = {"name": "eve", "role": "admin", "password": PASSWORD}
    for method, path, body in (
        ("POST", "keys", {"name": "x", "level": "admin"}),
        ("POST", "users", user),
        ("GET", "audit", None),
        ("GET", "settings", None),
    ):
        answer = await service.call(method, f"{API}/{path}", key=bound, json=body, status=403)
        assert "whole installation" in answer["message"]
    assert await service.services.people.list_users() == []


async def test_access_that_is_switched_off_makes_nobody_an_administrator(start_service: Any) -> None:
    service = await start_service(access={"enabled": False})
    user = {"name": "eve", "role": "admin", "password": PASSWORD}
    await service.call("GET", f"{API}/applications", status=200)
    await service.call("POST", f"{API}/users", json=user, status=403)
    await service.call("GET", f"{API}/settings", key="admin", status=403)
    await service.call("GET", f"{API}/account", status=403)


async def test_a_person_is_added_changed_and_put_out(service: Service) -> None:
    made = await service.call(
        "POST", f"{API}/users", key="admin", json={"name": " Ben ", "role": "staff", "password": PASSWORD}, status=201
    )
    assert (made["name"], made["role"], made["disabled"]) == ("ben", "staff", False)
    await service.call(
        "POST", f"{API}/users", key="admin", json={"name": "BEN", "role": "user", "password": PASSWORD}, status=409
    )
    session_id, _ = await service.services.people.sign_in("ben", PASSWORD)
    await service.call("GET", f"{API}/applications", headers=signed_in(session_id), status=200)
    changed = await service.call("PATCH", f"{API}/users/ben", key="admin", json={"disabled": True}, status=200)
    assert changed["disabled"]
    assert changed["disabled_at"] is not None
    await service.call("GET", f"{API}/applications", headers=signed_in(session_id), status=401)
    listed = await service.call("GET", f"{API}/users", key="admin", status=200)
    assert listed["users"] == [{**changed, "last_sign_in_at": listed["users"][0]["last_sign_in_at"]}]
    assert PASSWORD not in json.dumps(listed)
    for body, status in (({"role": "chief"}, 422), ({"disabled": "yes"}, 422), ({"name": "x"}, 422), ({}, 200)):
        await service.call("PATCH", f"{API}/users/ben", key="admin", json=body, status=status)
    for name in ("nobody", "%00", "%2e%2e", "a" * 300, "%F0%9F%98%80"):
        await service.call("PATCH", f"{API}/users/{name}", key="admin", json={"disabled": True}, status=404)


async def test_the_last_administrator_of_two_requests_at_once(service: Service) -> None:
    for name in ("anna", "ben"):
        await service.services.people.create_user(name, "admin", PASSWORD, actor=TESTER)
    answers = await asyncio.gather(
        *(service.exchange("PATCH", f"{API}/users/{n}", key="admin", json={"role": "user"}) for n in ("anna", "ben"))
    )
    assert sorted(response.status for response, _ in answers) == [200, 409]


async def test_an_administrator_does_not_lock_the_own_account(service: Service) -> None:
    headers = await cookie_of(service, "admin", "anna")
    await service.services.people.create_user("ben", "admin", PASSWORD, actor=TESTER)
    for body in ({"disabled": True}, {"role": "user"}, {"password": OTHER}):
        answer = await service.call("PATCH", f"{API}/users/anna", headers=headers, json=body, status=409)
        assert "our own" in answer["message"]
    await service.call("GET", f"{API}/account", headers=headers, status=200)


async def test_everybody_has_an_account(service: Service) -> None:
    """A plain user has no other right at all."""
    people, accounts = service.services.people, service.services.accounts
    here = await session_of(service, "user", "ivy")
    there, _ = await people.sign_in("ivy", PASSWORD)
    headers = signed_in(here)
    assert (await service.call("GET", f"{API}/account", headers=headers, status=200))["name"] == "ivy"
    await service.call("GET", f"{API}/users", headers=headers, status=403)
    found = (await service.call("GET", f"{API}/account/sessions", headers=headers, status=200))["sessions"]
    assert {each["id"]: each["current"] for each in found} == {
        accounts.number_of(here): True,
        accounts.number_of(there): False,
    }
    wrong = {"current_password": "wrong", "password": OTHER}
    refused = await service.call("POST", f"{API}/account/password", headers=headers, json=wrong, status=422)
    assert list(refused["errors"]) == ["current_password"]
    right = {"current_password": PASSWORD, "password": OTHER}
    assert await service.call("POST", f"{API}/account/password", headers=headers, json=right, status=200) == {
        "ended": 1
    }
    await service.call("GET", f"{API}/account", headers=headers, status=200)
    await service.call("GET", f"{API}/account", headers=signed_in(there), status=401)
    await service.call("GET", f"{API}/account", key="admin", status=403)
    await service.call("DELETE", f"{API}/account/sessions/{accounts.number_of(here)}", headers=headers, status=200)
    await service.call("GET", f"{API}/account", headers=headers, status=401)


async def test_whoever_found_an_open_browser_guesses_no_password(start_service: Any) -> None:
    service = await start_service(rate_limit={"enabled": True, "sign_in_per_minute": 4})
    headers = await cookie_of(service, "user", "ivy")
    seen = [
        (
            await service.exchange(
                "POST",
                f"{API}/account/password",
                headers=headers,
                json={"current_password": f"wrong {number}", "password": OTHER},
            )
        )[0].status
        for number in range(6)
    ]
    assert seen == [422] * 4 + [429] * 2
    # The person is not locked out by it.
    await service.services.people.sign_in("ivy", PASSWORD)


async def test_the_sessions_of_a_person(service: Service) -> None:
    people = service.services.people
    await people.create_user("ivy", "user", PASSWORD, actor=TESTER)
    ids = [(await people.sign_in("ivy", PASSWORD))[0] for _ in range(3)]
    path = f"{API}/users/ivy/sessions"
    found = (await service.call("GET", path, key="admin", status=200))["sessions"]
    assert len(found) == 3
    assert not any(session_id in json.dumps(found) for session_id in ids)
    await service.call("DELETE", f"{path}/{found[0]['id']}", key="admin", status=200)
    await service.call("DELETE", f"{path}/{found[0]['id']}", key="admin", status=404)
    assert await service.call("DELETE", path, key="admin", status=200) == {"ended": 2}
    assert (await service.call("GET", path, key="admin", status=200))["sessions"] == []
    await service.call("GET", f"{API}/users/nobody/sessions", key="admin", status=404)


async def test_the_audit_is_filtered_paged_and_verified(service: Service) -> None:
    for number in range(5):
        await service.call("POST", f"{API}/keys", key="admin", json={"name": f"k{number}", "level": "read"}, status=201)
    await service.services.people.create_user("ivy", "user", PASSWORD, actor=TESTER)
    path = f"{API}/audit"
    page = await service.call("GET", f"{path}?action=key.&limit=3", key="admin", status=200)
    assert [each["subject"].split()[-1] for each in page["entries"]] == ["k4", "k3", "k2"]
    assert page["chain"]["verified"] is None
    rest = await service.call(
        "GET", f"{path}?action=key.&limit=3&before={page['next_before']}", key="admin", status=200
    )
    assert [each["subject"].split()[-1] for each in rest["entries"]] == ["k1", "k0"]
    assert (rest["next_before"], rest["has_more"]) == (None, False)
    for query, count in (
        ("actor=tester&action=user.created", 1),
        ("subject=USER", 1),
        ("subject=k", 5),
        ("application=my-app&action=application.created", 1),
        ("until=2001-01-01", 0),
        ("since=2001-01-01&action=key.created", 5),
    ):
        found = await service.call("GET", f"{path}?{query}", key="admin", status=200)
        assert len(found["entries"]) == count, query
    for query in ("limit=0", "limit=1001", "before=0", "since=yesterday", "application=a%20b", "subject=%00"):
        await service.call("GET", f"{path}?{query}", key="admin", status=422)
    verified = await service.call("POST", f"{path}/verify", key="admin", status=200)
    assert verified["verified"]["complete"]
    assert verified["verified"]["broken"] is None
    assert verified["unverified_rows"] == 1
    assert (await service.call("GET", path, key="admin"))["chain"] == verified
    await service.call("POST", f"{path}/verify", key="admin", json={"within_s": 31}, status=422)


async def test_the_settings_in_effect_hold_no_key(service: Service) -> None:
    answer = await service.call("GET", f"{API}/settings", key="admin", status=200)
    assert answer["settings"]["access"]["api_keys"][0] == {
        "name": "read key",
        "key": "***",
        "permissions": ["read"],
        "application": None,
        "enabled": True,
        "expires_at": None,
    }
    assert not any(text in json.dumps(answer) for text in KEYS.values())
