"""Every route that changes something leaves a row of the audit, with its actor; a route without a line here fails.

Control: `record` taken out of a service turns its line red.
"""

from __future__ import annotations

import asyncio
import base64
import re
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import FormData

from tests.actors import TESTER
from tests.conftest import KEYS, Service
from tests.deployments.site import Site
from tests.web.people import PASSWORD, cookie_of, start_with
from tests.web.tus.talking import TUS, begin, send
from tests.web.updates.tokens import SECRET, token
from updater.app import build_app
from updater.audit.model import AuditRow, Filter

API, DESKTOP = "/api/v1", "/desktop"
BUILD = {"version": "1.0.0", "platform": "linux", "architecture": "amd64"}
# What clients send all day: data, which is counted, and no change somebody makes. And questions with a body.
NO_CHANGES = {
    f"POST {API}/check",
    f"POST {API}/updates/{{app_id}}/status",
    f"POST {API}/updates/{{app_id}}/plan",
    f"POST {API}/updates/{{app_id}}/preview",
    f"POST {DESKTOP}/status",
    "POST /feeds/{app_id}/{channel}/winget/manifestSearch",
    f"OPTIONS {API}/uploads",
    f"OPTIONS {API}/uploads/{{upload_id}}",
    # An upload that resumes is nothing that others see, until its last byte publishes it.
    f"POST {API}/uploads",
    f"DELETE {API}/uploads/{{upload_id}}",
}


@dataclass
class Change:
    """One request that changes something: its route, as whom, what is sent, and the rows it leaves."""

    route: str
    rows: tuple[str, ...]
    actor: str
    path: str = ""
    sent: dict[str, Any] = field(default_factory=dict)

    @property
    def method(self) -> str:
        return self.route.split()[0]


def bearer(level: str) -> dict[str, Any]:
    return {"headers": {"Authorization": f"Bearer {KEYS[level]}"}}


def form(**fields: str) -> FormData:
    made = FormData(default_to_multipart=True)
    for name, value in fields.items():
        made.add_field(name, value)
    made.add_field("file", b"bytes", filename="x.exe")
    return made


def of_the_catalog() -> list[Change]:
    application = {"id": "other", "name": "Other", "platforms": ["linux"]}
    external = {**BUILD, "version": "3.0.0", "application_id": "my-app", "download_url": "https://x.example.com/y"}
    external |= {"checksum": "ab", "checksum_type": "md5"}
    write, admin, updates = bearer("write"), bearer("admin"), f"{API}/updates/my-app"
    route = f"{API}/updates/{{app_id}}"
    build, deleted = "{version}/{platform}/{arch}", "1.0.0/linux/amd64"
    new = ("release.published", "build.published")
    return [
        Change(f"POST {API}/applications", ("application.created",), "write key", sent={**write, "json": application}),
        Change(
            f"PUT {API}/applications/{{app_id}}",
            ("application.updated",),
            "admin key",
            f"{API}/applications/my-app",
            {**admin, "json": {"name": "New"}},
        ),
        Change(
            f"POST {API}/applications/{{app_id}}/feed-keys",
            ("key.created",),
            "admin key",
            f"{API}/applications/my-app/feed-keys",
            {**admin, "json": {"name": "laptops"}},
        ),
        Change(f"PUT {route}/builds/{build}", new, "write key", f"{updates}/builds/{deleted}", {**write, "data": b"1"}),
        Change(
            f"POST {route}/upload",
            new,
            "write key",
            f"{updates}/upload",
            {**write, "data": form(**{**BUILD, "version": "2.0.0"}, channel="beta")},
        ),
        Change(f"POST {route}/register", new, "write key", f"{updates}/register", {**write, "json": external}),
        *of_repositories(),
        *of_files(write),
        *of_rollouts(),
        Change(
            f"DELETE {route}/releases/{build}",
            ("build.deleted", "release.deleted"),
            "admin key",
            f"{updates}/releases/{deleted}",
            admin,
        ),
        Change(
            f"POST {DESKTOP}/upload",
            new,
            "admin key",
            sent={
                "headers": {"X-API-Key": KEYS["admin"]},
                "data": form(version="5.0.0", platform="win32-x64"),
            },
        ),
        Change(
            f"DELETE {DESKTOP}/{{version}}",
            ("release.withdrawn",),
            "admin key",
            f"{DESKTOP}/5.0.0",
            {"headers": {"X-API-Key": KEYS["admin"]}},
        ),
        Change(
            f"DELETE {API}/applications/{{app_id}}",
            ("application.deleted",),
            "admin key",
            f"{API}/applications/my-app",
            admin,
        ),
    ]


def of_repositories() -> list[Change]:
    write, route, path = bearer("write"), f"{API}/updates/{{app_id}}/tuf", f"{API}/updates/my-app/tuf/stable"
    root = FormData(default_to_multipart=True)
    root.add_field("files", b'{"signed": {"_type": "root", "version": 1}}', filename="1.root.json")
    target = {**write, "data": b"target"}
    return [
        Change(
            f"PUT {route}/{{channel}}/targets/{{path}}",
            ("tuf.target_stored",),
            "write key",
            f"{path}/targets/app.zip",
            target,
        ),
        Change(
            f"POST {route}/{{channel}}/metadata",
            ("tuf.published",),
            "write key",
            f"{path}/metadata",
            {**write, "data": root},
        ),
    ]


def of_files(write: dict[str, Any]) -> list[Change]:
    """Return the changes of files and drafts: a draft 7.0.0 with a companion, then 8.0.0 which goes live."""
    updates, route = f"{API}/updates/my-app", f"{API}/updates/{{app_id}}"
    one_file = "builds/{version}/{platform}/{arch}/files/{file_name}"
    path = f"{updates}/builds/7.0.0/linux/amd64/files/a.zip"
    signature = base64.b64encode(bytes(64)).decode()
    draft = {**write, "data": b"1", "params": {"draft": "true"}}
    return [
        Change(f"PUT {route}/{one_file}", ("release.drafted", "file.uploaded"), "write key", path, draft),
        Change(
            f"PUT {route}/{one_file}/signatures",
            ("file.signed",),
            "write key",
            f"{path}/signatures",
            {**write, "json": {"ed25519": signature}},
        ),
        Change(f"DELETE {route}/{one_file}", ("file.deleted",), "write key", path, write),
        Change(
            f"DELETE {route}/releases/{{version}}",
            ("build.deleted", "release.deleted"),
            "write key",
            f"{updates}/releases/7.0.0",
            write,
        ),
        Change(
            f"PUT {route}/builds/{{version}}/{{platform}}/{{arch}}",
            ("release.drafted", "build.uploaded"),
            "write key",
            f"{updates}/builds/8.0.0/linux/amd64",
            draft,
        ),
        Change(
            f"POST {route}/releases/{{version}}/publish",
            ("release.published", "build.published"),
            "write key",
            f"{updates}/releases/8.0.0/publish",
            write,
        ),
    ]


def of_rollouts() -> list[Change]:
    """Move 2.0.0, which was published before; each leaves it as the next one needs it."""
    write, admin = bearer("write"), bearer("admin")
    route, path = f"{API}/updates/{{app_id}}/releases/{{version}}", f"{API}/updates/my-app/releases/2.0.0"

    def move(verb: str, action: str, key: str = "write", **body: Any) -> Change:
        sent = {**(write if key == "write" else admin), "json": body}
        return Change(f"POST {route}/{verb}", (action,), f"{key} key", f"{path}/{verb}", sent)

    plan = {**write, "json": {"stages": [{"percent": 5, "for_s": 9_000}, {"percent": 50}]}}
    return [
        Change(f"PUT {route}/rollout", ("rollout.set",), "write key", f"{path}/rollout", plan),
        move("rollout/pause", "rollout.paused"),
        move("rollout/resume", "rollout.resumed"),
        move("rollout/advance", "rollout.advanced"),
        move("rollout/complete", "rollout.completed"),
        move("withdraw", "release.withdrawn"),
        move("restore", "release.restored", "admin"),
        move("promote", "release.promoted", channel="stable"),
    ]


def of_people() -> list[Change]:
    """Return the changes of keys and people. Key 1 was made by a change of the catalog."""
    admin = bearer("admin")
    users, ben = f"{API}/users", f"{API}/users/ben"
    changes = {"role": "user", "disabled": True, "password": "another long password"}
    password = {"current_password": PASSWORD, "password": "yet another password"}
    own = {"headers": {"Cookie": "sessionid=IVY"}}
    return [
        Change(
            f"POST {API}/keys",
            ("key.created",),
            "admin key",
            f"{API}/keys",
            {**admin, "json": {"name": "ci", "level": "write"}},
        ),
        Change(f"DELETE {API}/keys/{{key_id}}", ("key.revoked",), "admin key", f"{API}/keys/1", admin),
        Change(
            f"POST {users}",
            ("user.created",),
            "admin key",
            users,
            {**admin, "json": {"name": "ben", "role": "staff", "password": PASSWORD}},
        ),
        Change(
            f"PATCH {users}/{{name}}",
            ("user.role_set", "user.disabled", "user.password_set"),
            "admin key",
            ben,
            {**admin, "json": changes},
        ),
        Change(
            f"DELETE {users}/{{name}}/sessions/{{session}}",
            ("session.ended",),
            "admin key",
            f"{users}/ivy/sessions/FIRST",
            admin,
        ),
        Change(
            f"DELETE {API}/account/sessions/{{session}}",
            ("session.ended",),
            "ivy",
            f"{API}/account/sessions/SECOND",
            own,
        ),
        Change(f"DELETE {API}/account/sessions", ("session.all_ended",), "ivy", f"{API}/account/sessions", own),
        Change(
            f"POST {API}/account/password",
            ("user.password_set",),
            "ivy",
            f"{API}/account/password",
            {**own, "json": password},
        ),
        Change(
            f"DELETE {users}/{{name}}/sessions", ("session.all_ended",), "admin key", f"{users}/ivy/sessions", admin
        ),
        Change(f"POST {API}/audit/verify", ("audit.verified",), "admin key", f"{API}/audit/verify", admin),
    ]


def of_tasks() -> list[Change]:
    headers = {"headers": {"Authorization": f"Bearer {token(7)}"}}
    tasks, route = "/api/7/tasks", "/api/{user_id}/tasks"
    one = f"{route}/{{id}}"
    return [
        Change(f"POST {route}", ("task.created",), "user 7", tasks, {**headers, "json": {"title": "x"}}),
        Change(f"PUT {one}", ("task.changed",), "user 7", f"{tasks}/1", {**headers, "json": {"title": "y"}}),
        Change(f"PATCH {one}/complete", ("task.toggled",), "user 7", f"{tasks}/1/complete", headers),
        Change(f"DELETE {one}", ("task.deleted",), "user 7", f"{tasks}/1", headers),
    ]


def of_deployments(staff: dict[str, str], admin: dict[str, str], form: str = "") -> list[Change]:
    """`form` is the token that the forms of this member of the staff hold."""
    jwt = {"headers": {"Authorization": f"Bearer {token(7)}"}}
    moved = ("run.started", "update.recorded", "update.moved", "update.moved")
    back = ("update.moved", "run.started", "update.moved")
    one, web = f"{API}/deployments/{{deployment_id}}", f"{API}/deployments/web"
    page, sent = "/admin/deployments/{deployment_id}/", {"headers": staff, "data": {"csrf_token": form}}
    return [
        Change("POST /admin/update/", moved, "staff-person", sent={"headers": staff}),
        Change(
            "POST /api/updates/{id}/rollback",
            ("update.moved", "run.started", "update.moved"),
            "user 7",
            "/api/updates/1/rollback",
            jwt,
        ),
        Change(
            "POST /api/updates/{id}/apply",
            ("update.moved", "run.started", "update.moved"),
            "user 7",
            "/api/updates/1/apply",
            jwt,
        ),
        Change("POST /api/system/update/execute", moved, "admin-person", sent={"headers": admin}),
        Change(f"POST {one}/update", moved, "staff-person", f"{web}/update", {"headers": staff}),
        Change(f"POST {one}/rollback", back, "staff-person", f"{web}/rollback", {"headers": staff}),
        # What was taken back is part of what comes next.
        Change(f"POST {page}update/", (*moved, "update.moved"), "staff-person", "/admin/deployments/web/update/", sent),
        Change(
            f"POST {page}rollback/", (*back, "update.moved"), "staff-person", "/admin/deployments/web/rollback/", sent
        ),
        Change(f"POST {one}/check", ("update.recorded",), "staff-person", f"{web}/check", {"headers": staff}),
        Change(f"POST {page}check/", ("update.recorded",), "staff-person", "/admin/deployments/web/check/", sent),
    ]


def of_pages(session: dict[str, str], token: str) -> list[Change]:
    """Return what forms of pages change of applications and releases: 1.0.0 of the application `page` is there."""
    applications, release = "/admin/applications", "{app_id}/releases/{version}"

    def sent(**fields: str) -> dict[str, Any]:
        return {"headers": session, "data": {"csrf_token": token, **fields}}

    step, restore = f"POST {applications}/{release}/{{action}}/", f"POST {applications}/{release}/restore/"
    path = f"{applications}/page/releases/1.0.0"
    who = "admin-person"
    return [
        Change(step, ("release.withdrawn",), who, f"{path}/withdraw/", sent()),
        Change(restore, ("release.restored",), who, f"{path}/restore/", sent()),
        Change(
            "POST /admin/new-application/",
            ("application.created",),
            who,
            sent=sent(**{"id": "made", "name": "Made", "platform-linux": "yes", "version_scheme": "semver"}),
        ),
        Change(
            f"POST {applications}/{{app_id}}/settings/delete/",
            ("application.deleted",),
            who,
            f"{applications}/made/settings/delete/",
            sent(typed="made"),
        ),
    ]


def of_settings(updated_at: str, session: dict[str, str], token: str) -> Change:
    fields = {"csrf_token": token, "updated_at": updated_at, "name": "Other", "channels": "stable"}
    fields |= {"platform-linux": "yes", "config.update_interval": "3600"}
    return Change(
        "POST /admin/applications/{app_id}/settings/",
        ("application.updated",),
        "admin-person",
        "/admin/applications/page/settings/",
        {"headers": session, "data": fields},
    )


async def last_row(service: Service) -> int:
    rows, _ = await service.services.audit.list_rows(Filter(), limit=1)
    return rows[0].id if rows else 0


async def make(service: Service, change: Change) -> list[tuple[str, str]]:
    """Send the request; return action and actor of each row it left, in their order."""
    before = await last_row(service)
    _, body = await service.exchange(change.method, change.path or change.route.split()[1], **change.sent)
    rows: list[AuditRow] = []
    try:
        # What a run comes to is told when it is over.
        async with asyncio.timeout(30):
            while len(rows) < len(change.rows):
                rows, _ = await service.services.audit.list_rows(Filter(after_id=before))
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"{change.route} left {rows}; it answered {body[:300]!r}") from None
    return [(row.action, row.actor.name) for row in reversed(rows)]


async def test_changes_of_the_catalog_and_of_tasks(start_service: Any) -> None:
    service = await start_service(desktop=[{"prefix": DESKTOP}], access={"jwt": {"secret": SECRET}})
    await service.application(channels=["stable", "beta"])
    for change in (*of_the_catalog(), *of_tasks()):
        assert await make(service, change) == [(row, change.actor) for row in change.rows], change.route
    assert (await service.services.audit.verify())[1] is None


async def test_changes_of_keys_and_people(start_service: Any) -> None:
    service = await start_service()
    people, accounts = service.services.people, service.services.accounts
    await service.services.access.create_key("first", "read", actor=TESTER)
    await people.create_user("ivy", "staff", PASSWORD, actor=TESTER)
    ids = [(await people.sign_in("ivy", PASSWORD))[0] for _ in range(4)]
    given = {"IVY": ids[3], "FIRST": accounts.number_of(ids[0]), "SECOND": accounts.number_of(ids[1])}
    for change in of_people():
        for name, text in given.items():
            change.path = change.path.replace(name, text)
            for header, value in change.sent.get("headers", {}).items():
                change.sent["headers"][header] = value.replace(name, text)
        assert await make(service, change) == [(row, change.actor) for row in change.rows], change.route


async def test_changes_of_deployments(start_service: Any, site: Site) -> None:
    """The actor asks for the run; what the run comes to is the system's."""
    service = await start_with(start_service, site, access={"jwt": {"secret": SECRET}})
    staff, admin = await cookie_of(service, "staff"), await cookie_of(service, "admin")
    form = service.services.people.form_token(staff["Cookie"].partition("=")[2])
    for number, change in enumerate(of_deployments(staff, admin, form)):
        if change.rows[0] in ("run.started", "update.recorded"):
            site.push(f"number {number}")
        left = await make(service, change)
        assert [action for action, _ in left] == list(change.rows), change.route
        begins = "run.started" if "run.started" in change.rows else change.rows[0]
        asked = [actor for action, actor in left if action == begins]
        assert asked == [change.actor], change.route


async def test_changes_by_pages(start_service: Any) -> None:
    service = await start_service()
    await service.call(
        "POST",
        f"{API}/applications",
        key="write",
        json={"id": "page", "name": "Page", "platforms": ["linux"]},
        status=201,
    )
    await service.call("PUT", f"{API}/updates/page/builds/1.0.0/linux/amd64", key="write", data=b"1", status=201)
    session = await cookie_of(service, "admin")
    token = service.services.people.form_token(session["Cookie"].partition("=")[2])
    updated_at = service.services.offers.get_application("page").updated_at.isoformat()
    for change in (*of_pages(session, token), of_settings(updated_at, session, token)):
        assert await make(service, change) == [(row, change.actor) for row in change.rows], change.route


async def test_sign_in_and_out(start_service: Any) -> None:
    service = await start_service()
    await service.services.people.create_user("anna", "staff", PASSWORD, actor=TESTER)
    before = await last_row(service)
    session_id, _ = await service.services.people.sign_in("anna", PASSWORD)
    await service.services.people.sign_out(session_id)
    rows, _ = await service.services.audit.list_rows(Filter(after_id=before))
    assert [(row.action, row.actor.name) for row in reversed(rows)] == [
        ("session.opened", "anna"),
        ("session.ended", "anna"),
    ]
    assert session_id not in str(rows)


async def test_pieces_of_an_upload(start_service: Any) -> None:
    """The last byte publishes, as the upload form does; nothing before it and after it leaves a row."""
    service = await start_service()
    await service.application()
    before = await last_row(service)
    url = await begin(service, 2)
    await send(service, url, 0, b"1")
    await send(service, url, 1, b"2")
    await send(service, url, 2, b"")
    await service.exchange("DELETE", url, key="write", headers=TUS, status=204)
    rows, _ = await service.services.audit.list_rows(Filter(after_id=before))
    assert [(row.action, row.actor.name) for row in reversed(rows)] == [
        ("release.published", "write key"),
        ("build.published", "write key"),
    ]


@pytest.fixture
async def everything(start_service: Any, site: Site) -> Service:
    return await start_with(start_service, site, desktop=[{"prefix": DESKTOP}])


async def test_every_unsafe_route_has_a_line(everything: Service) -> None:
    told = {
        change.route for change in (*of_the_catalog(), *of_people(), *of_tasks(), *of_deployments({}, {}))
    } | NO_CHANGES
    told |= {change.route for change in (*of_pages({}, ""), of_settings("", {}, ""))}
    # tests/web/dashboard/test_people.py::test_each_form_leaves_its_row
    told |= {f"POST /admin/{page}/" for page in ("setup", "keys", "keys/{key_id}/revoke", "people", "people/{name}")}
    told |= {"POST /admin/account/", "POST /admin/audit/"}
    told |= {"POST /admin/sign-in/", "POST /admin/sign-out/", f"PATCH {API}/uploads/{{upload_id}}"}
    told |= {"POST /admin/applications/{app_id}/publish/"}  # tests/web/dashboard/test_publish.py
    # tests/webhooks/test_audited.py
    one = f"{API}/webhooks/{{webhook_id}}"
    told |= {f"POST {API}/webhooks", f"POST {API}/applications/{{app_id}}/webhooks", f"PATCH {one}", f"DELETE {one}"}
    told |= {f"POST {one}/{verb}" for verb in ("test", "replay", "secret")}
    # tests/web/dashboard/test_webhooks.py::test_each_form_leaves_its_row
    for place in ("/admin/webhooks/", "/admin/applications/{app_id}/webhooks/"):
        below = ("", *(f"{{webhook_id}}/{each}" for each in ("", "replay/", "secret/", "delete/")))
        told |= {f"POST {place}{each}" for each in below}
    found = set()
    for route in build_app(everything.services).router.routes():
        if route.method not in ("GET", "HEAD"):
            assert route.resource is not None
            path = re.sub(r"\{(\w+):(?:[^{}]|\{[^}]*\})*\}", r"{\1}", route.resource.canonical)
            found.add(f"{route.method} {path}")
    assert found == told
