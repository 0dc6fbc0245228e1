"""The pages of the first run, keys, people, the own account, the audit and the settings, over plain HTTP."""

from __future__ import annotations

import asyncio
import re
from html import unescape
from typing import Any

import pytest

from tests.actors import TESTER
from tests.conftest import KEYS, Service
from tests.web.dashboard.payloads import PAYLOADS
from tests.web.people import PASSWORD, session_of
from updater.audit.model import Filter

OTHER = "another long password"
ADMIN_PAGES = ("keys", "people", "people/ivy", "audit", "settings", "keys/1/revoke")


class Browser:
    """Somebody who opens pages and sends their forms; it keeps its cookies."""

    def __init__(self, service: Service, session_id: str = "") -> None:
        self.service = service
        self.cookies = {"sessionid": session_id} if session_id else {}
        self.location = ""

    async def get(self, path: str, status: int = 200) -> str:
        return await self._send("GET", path, status)

    async def post(self, path: str, status: int = 303, **fields: str) -> str:
        """Open the page, and send its form with these fields; `at` is another page that has the token."""
        page = await self.get(fields.pop("at", path))
        found = re.search(r'name="csrf_token" value="([0-9a-f]{64})"', page)
        assert found is not None
        return await self._send("POST", path, status, data={"csrf_token": found[1], **fields})

    async def _send(self, method: str, path: str, status: int, **more: Any) -> str:
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        if method == "POST":
            headers["Origin"] = self.service.url
        response, body = await self.service.exchange(
            method, f"/admin/{path}/" if path else "/admin/", headers=headers, **more
        )
        assert response.status == status, (path, response.status, body[:2000].decode())
        if "text/html" in response.headers.get("Content-Type", ""):
            assert "default-src 'none'" in response.headers["Content-Security-Policy"]
            assert response.headers["Cache-Control"] == "no-store"
        for name, cookie in response.cookies.items():
            self.cookies[name] = cookie.value
        self.location = response.headers.get("Location", "")
        return body.decode()


async def admin(service: Service) -> Browser:
    return Browser(service, await session_of(service, "admin", "anna"))


async def test_the_first_run_makes_one_account(service: Service) -> None:
    browser = Browser(service)
    await browser.get("sign-in", 303)
    assert browser.location == "/admin/setup/"
    fields = {"key": KEYS["admin"], "name": "Anna", "password": PASSWORD, "again": PASSWORD}
    for change, word in (
        ({"key": "upd_wrong"}, "is no admin key of this installation"),
        ({"key": KEYS["write"]}, "is no admin key of this installation"),
        ({"key": ""}, "is no admin key of this installation"),
        ({"again": OTHER}, "is not the same as the password"),
        ({"password": "short", "again": "short"}, "expected 10 to 1000 characters"),
        ({"name": "no name"}, "expected 1 to 100 letters"),
    ):
        page = await browser.post("setup", 422, **{**fields, **change})
        assert word in page
        assert KEYS["admin"] not in page
        assert PASSWORD not in page
    assert await service.services.people.list_users() == []
    await browser.post("setup", **fields)
    assert browser.location == "/admin/dashboard/?said=first-account"
    assert "anna" in await browser.get("dashboard")
    again = Browser(service)
    await again.get("setup", 303)
    assert again.location == "/admin/sign-in/"
    await again.post("setup", at="sign-in", **{**fields, "name": "eve"})
    assert again.location == "/admin/sign-in/"
    assert [each.name for each in await service.services.people.list_users()] == ["anna"]


async def test_two_first_runs_at_once_make_one_account(service: Service) -> None:
    fields = {"key": KEYS["admin"], "password": PASSWORD, "again": PASSWORD}
    browsers = [Browser(service) for _ in range(3)]
    await asyncio.gather(*(each.post("setup", name=f"anna{n}", **fields) for n, each in enumerate(browsers)))
    assert sorted(each.location for each in browsers) == [
        "/admin/dashboard/?said=first-account",
        "/admin/sign-in/",
        "/admin/sign-in/",
    ]
    assert len(await service.services.people.list_users()) == 1


async def test_keys_of_a_first_run_are_not_guessed(start_service: Any) -> None:
    service = await start_service(rate_limit={"enabled": True, "sign_in_per_minute": 3})
    browser = Browser(service)
    fields = {"name": "anna", "password": PASSWORD, "again": PASSWORD}
    for number in range(3):
        await browser.post("setup", 422, key=f"upd_wrong{number}", **fields)
    await browser.post("setup", 429, key=KEYS["admin"], **fields)


async def test_a_form_of_the_first_run_is_meant(service: Service) -> None:
    fields = {"key": KEYS["admin"], "name": "anna", "password": PASSWORD, "again": PASSWORD, "csrf_token": "0" * 64}
    for headers in ({"Origin": "https://evil.example.com"}, {"Origin": service.url}):
        response, _ = await service.exchange("POST", "/admin/setup/", data=fields, headers=headers)
        assert response.status == 403
    assert await service.services.people.list_users() == []


async def test_staff_is_refused_with_a_page_and_everybody_has_an_account(service: Service) -> None:
    await service.services.people.create_user("ivy", "user", PASSWORD, actor=TESTER)
    for role in ("staff", "user"):
        browser = Browser(service, await session_of(service, role))
        for path in ADMIN_PAGES:
            page = await browser.get(path, 403)
            assert "Admin access required" in page
            assert 'href="/admin/' in page
        page = await browser.get("account")
        assert 'href="/admin/people/"' not in page
    for path in (*ADMIN_PAGES, "account"):
        anonymous = Browser(service)
        await anonymous.get(path, 303)
        assert anonymous.location == f"/admin/sign-in/?next=/admin/{path}/"


async def test_a_key_is_shown_once_and_revoked_after_a_question(service: Service) -> None:
    browser = await admin(service)
    page = await browser.post("keys", 201, name="ci", level="write", expires_at="2099-01-01")
    found = re.search(r'data-copy="(upd_[^"]+)"', page)
    assert found is not None
    await service.call("POST", "/api/v1/applications", key=found[1], json={}, status=422)
    listed = await browser.get("keys")
    assert found[1] not in listed
    assert "2099-01-01 00:00 UTC" in listed
    assert "in the settings" in listed
    key_id = re.search(r"/admin/keys/(\d+)/revoke/", listed)
    assert key_id is not None
    assert "cannot be undone" in await browser.get(f"keys/{key_id[1]}/revoke")
    await browser.post(f"keys/{key_id[1]}/revoke")
    assert browser.location == "/admin/keys/?said=key-revoked"
    await service.call("GET", "/api/v1/applications", key=found[1], status=401)
    await browser.get(f"keys/{key_id[1]}/revoke", 404)
    for fields, word in (
        ({"name": "", "level": "read"}, "Missing data"),
        ({"name": "x", "level": "feed"}, "a feed key is for one application"),
        ({"name": "x", "level": "read", "expires_at": "2001-01-01"}, "expected a time in the future"),
        ({"name": "x" * 5000, "level": "chief"}, "invalid level"),
    ):
        assert word in unescape(await browser.post("keys", 422, **fields))


async def test_a_person_is_added_changed_and_put_out(service: Service) -> None:
    browser = await admin(service)
    fields = {"name": "Ben@Example.com", "role": "staff", "password": PASSWORD, "again": PASSWORD}
    await browser.post("people", **fields)
    assert browser.location == "/admin/people/ben%40example.com/?said=person-made"
    page = await browser.post("people", 409, **fields)
    assert PASSWORD not in page
    person = "people/ben%40example.com"
    ben = Browser(service, (await service.services.people.sign_in("ben@example.com", PASSWORD))[0])
    await ben.get("account")
    assert "staff - publishes" in await browser.get(person)
    await browser.post(person, do="role", role="user")
    await ben.get("account", 303)
    number = (await service.services.people.sign_in("ben@example.com", PASSWORD))[1].number
    await browser.post(person, do="end", session=number)
    await browser.post(person, 404, do="end", session=number)
    await browser.post(person, do="password", password=OTHER, again=OTHER)
    await browser.post(person, 422, do="password", password=OTHER, again=PASSWORD)
    await browser.post(person, do="disable")
    assert "disabled" in await browser.get(person)
    await browser.post(person, do="enable")
    for do in ("", "delete"):
        await browser.post(person, 400, do=do)
    await browser.post("people/anna", 409, do="disable")
    await browser.get("people/nobody", 404)


async def test_the_own_password_and_the_own_sessions(service: Service) -> None:
    browser = Browser(service, await session_of(service, "user", "ivy"))
    other = Browser(service, (await service.services.people.sign_in("ivy", PASSWORD))[0])
    page = await browser.post("account", 422, do="password", current_password="wrong", password=OTHER, again=OTHER)
    assert "is not your present password" in page
    await browser.post("account", do="password", current_password=PASSWORD, password=OTHER, again=OTHER)
    await other.get("account", 303)
    await service.services.people.sign_in("ivy", OTHER)
    await browser.post("account", do="end-all")
    assert "this one" in await browser.get("account")
    number = service.services.accounts.number_of(browser.cookies["sessionid"])
    await browser.post("account", do="end", session=number)
    await browser.get("account", 303)


async def test_the_audit_is_filtered_paged_and_verified(service: Service) -> None:
    browser = await admin(service)
    for number in range(60):
        await service.services.access.create_key(f"k{number}", "read", actor=TESTER)
    page = await browser.get("audit")
    assert "never verified" in page
    older = re.search(r'rel="next" href="/admin/audit/(\?before=\d+)"', page)
    assert older is not None
    _, body = await service.exchange(
        "GET", f"/admin/audit/{older[1]}", headers={"Cookie": f"sessionid={browser.cookies['sessionid']}"}
    )
    assert b'rel="prev"' in body
    for query, status, word in (
        ("action=user.", 200, b"user anna"),
        ("actor=nobody", 200, b"No row fits"),
        ("since=yesterday", 422, b"expected a day"),
        ("before=x", 422, b"expected a whole number"),
    ):
        response, body = await service.exchange(
            "GET", f"/admin/audit/?{query}", headers={"Cookie": f"sessionid={browser.cookies['sessionid']}"}
        )
        assert (response.status, word in body) == (status, True), query
    await browser.post("audit")
    assert browser.location == "/admin/audit/?said=audit-verified"
    page = await browser.get("audit")
    assert "held" in page
    assert "by anna" in page


async def test_the_settings_hold_no_key(service: Service) -> None:
    page = await (await admin(service)).get("settings")
    assert "sign_in_per_minute" in page
    assert not any(text in page for text in KEYS.values())


@pytest.mark.parametrize("path", ["keys", "audit", "people"])
async def test_texts_of_strangers_are_escaped(service: Service, path: str) -> None:
    browser = await admin(service)
    texts = [each for each in PAYLOADS if each.isprintable() and 0 < len(each) <= 100]
    assert len(texts) > 100
    for each in texts[:45]:
        await service.services.access.create_key(each, "read", actor=TESTER)
    page = await browser.get(path)
    if path == "people":
        page = await browser.post("people", 422, name=texts[0], role=texts[1], password="x", again="x")
    assert "<script>" not in page
    assert not re.search(r"<(img|svg|iframe|body)[^>]*on\w+=", page)
    for each in texts[:45] if path != "people" else ():
        assert unescape(page).count(each) >= 1, each


async def test_each_form_leaves_its_row(service: Service) -> None:
    """The same rows as through the REST API, by the same use cases, in the name of who sent the form."""
    before = (await service.services.audit_checks.get_state()).head.last_id
    first = Browser(service)
    await first.post("setup", key=KEYS["admin"], name="anna", password=PASSWORD, again=PASSWORD)
    browser = Browser(service, first.cookies["sessionid"])
    await browser.post("keys", 201, name="ci", level="read")
    await browser.post("keys/1/revoke")
    await browser.post("people", name="ben", role="user", password=PASSWORD, again=PASSWORD)
    await browser.post("people/ben", do="role", role="staff")
    await browser.post("people/ben", do="disable")
    await browser.post("account", do="password", current_password=PASSWORD, password=OTHER, again=OTHER)
    await browser.post("audit")
    rows, _ = await service.services.audit.list_rows(Filter(after_id=before))
    assert [(row.action, row.actor.name) for row in reversed(rows)] == [
        ("user.created", "admin key"),
        ("session.opened", "anna"),
        ("key.created", "anna"),
        ("key.revoked", "anna"),
        ("user.created", "anna"),
        ("user.role_set", "anna"),
        ("user.disabled", "anna"),
        ("user.password_set", "anna"),
        ("audit.verified", "anna"),
    ]
