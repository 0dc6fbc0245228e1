"""Text whose encoding the client names, or breaks: never a 500, wherever it is decoded."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from tests.actors import TESTER
from tests.conftest import KEYS, Service, StartService
from tests.web.dashboard.test_sign_in import SIGN_IN, token_in
from tests.web.desktop.conftest import PREFIX
from tests.web.people import PASSWORD
from tests.web.raw import request, send

ADMIN = f"Authorization: Bearer {KEYS['admin']}"
FORM = "application/x-www-form-urlencoded"
CHARSETS = (
    "foo",
    "utf-16",
    "utf-7",
    "idna",
    "punycode",
    "rot13",
    "base64",
    "hex",
    "zlib",
    "undefined",
    "",
    "\xff",
    "a" * 300,
)
BROKEN = (
    b"%ff%fe",
    b"%c3%28",
    b"%00",
    b"%ed%a0%80",
    b"%zz",
    b"\xff\xfe",
    b"\xc3",
    b"%F4%90%80%80",
    b"%u0041",
    b"%EF%BF%BE",
)


@pytest.fixture
async def service(start_service: StartService) -> Service:
    started = await start_service(desktop=[{}])
    await started.application()
    await started.services.people.create_user("eva", "admin", PASSWORD, actor=TESTER)
    return started


@pytest.mark.parametrize("charset", CHARSETS, ids=repr)
async def test_the_sign_in_form(service: Service, charset: str) -> None:
    """A form's percent-encoding is UTF-8, whatever the header adds: a right password opens a session."""
    page = await send(service.url, request("GET", SIGN_IN))
    cookie = page.headers["set-cookie"].partition(";")[0]
    lines = [
        f"Cookie: {cookie}",
        f"Origin: {service.url}",
        f"Content-Type: {FORM}; charset={charset}".encode("latin-1"),
    ]
    host = service.url.removeprefix("http://").encode()
    for name, status in ((b"eva", 303), *((each, 403) for each in BROKEN)):
        password = PASSWORD.replace(" ", "+").encode()
        body = b"name=%s&password=%s&csrf_token=%s" % (name, password, token_in(page.body.decode()).encode())
        answer = await send(service.url, request("POST", SIGN_IN, *lines, body=body, host=host))
        assert answer.status == status, (name, answer)
        if status == 403 and name != BROKEN[0]:
            break  # one of them costs a hash of a password


async def test_broken_names_and_passwords(service: Service) -> None:
    page = await send(service.url, request("GET", SIGN_IN))
    cookie = page.headers["set-cookie"].partition(";")[0]
    host = service.url.removeprefix("http://").encode()
    lines = [f"Cookie: {cookie}", f"Origin: {service.url}", f"Content-Type: {FORM}"]
    token = token_in(page.body.decode()).encode()
    for broken in BROKEN:
        for body in (
            b"name=%s&password=x&csrf_token=%s" % (broken, token),
            b"name=eva&password=%s&csrf_token=%s" % (broken, token),
            b"name=eva&password=x&csrf_token=%s" % broken,
            b"%s=%s&%s" % (broken, broken, broken),
        ):
            answer = await send(service.url, request("POST", SIGN_IN, *lines, body=body, host=host))
            assert answer.status in (303, 403, 429), (body, answer)


@pytest.mark.parametrize("charset", CHARSETS, ids=repr)
async def test_json_bodies(service: Service, charset: str) -> None:
    line = f"Content-Type: application/json; charset={charset}".encode("latin-1")
    for method, path in (
        ("POST", "/api/v1/check"),
        ("POST", "/api/v1/applications"),
        ("POST", "/api/v1/updates/my-app/status"),
        ("POST", f"{PREFIX}/status"),
        ("POST", "/api/system/update/execute"),
    ):
        for body in (b"{}", b'{"a": "\xff"}', '{"a": "\u00e4"}'.encode("utf-16")):
            answer = await send(
                service.url, request(method, path, ADMIN, f"X-API-Key: {KEYS['admin']}", line, body=body)
            )
            assert 400 <= answer.status < 500, (path, body, answer)


@pytest.mark.parametrize("place", ["name", "filename", "charset", "line", "_charset_", "filename*", "name*"])
async def test_forms_of_uploads(service: Service, place: str) -> None:
    values = [
        *BROKEN,
        *(each.encode("latin-1") for each in CHARSETS),
        b"x" * 40,
        b"utf-8''%ff",
        b"foo''%e4",
        b"idna''%e4",
        b"''",
    ]
    for value, path in itertools.product(values, ("/api/v1/updates/my-app/upload", f"{PREFIX}/upload")):
        disposition = {"name": b'name="' + value + b'"', "filename": b'name="file"; filename="' + value + b'"'}.get(
            place
        )
        if place.endswith("*"):
            disposition = b'name="file"; ' + place.encode() + b"=" + value
        if place == "_charset_":
            disposition = b'name="_charset_"'
        lines = [b"Content-Disposition: form-data; " + (disposition or b'name="release_notes"')]
        if place == "charset":
            lines.append(b"Content-Type: text/plain; charset=" + value)
        if place == "line":
            lines.append(b"X-Note: " + value)
        body = (
            b"--XX\r\n"
            + b"\r\n".join(lines)
            + b"\r\n\r\n"
            + (value if place == "_charset_" else b"x")
            + b"\r\n--XX--\r\n"
        )
        kind = b"Content-Type: multipart/form-data; boundary=XX"
        answer = await send(service.url, request("POST", path, ADMIN, f"X-API-Key: {KEYS['admin']}", kind, body=body))
        assert 400 <= answer.status < 500, (value, path, answer)


async def test_paths_queries_and_headers(service: Service) -> None:
    key = f"X-API-Key: {KEYS['admin']}"
    paths = [
        "/api/v1/updates/%b/latest",
        "/api/v1/updates/my-app/check?current_version=%b&platform=linux&architecture=amd64",
    ]
    paths += [
        "/api/v1/updates/my-app/check?%b=%b",
        "/api/v1/updates/my-app/releases?version=%b",
        "/api/v1/latest?app_id=%b",
    ]
    paths += ["/api/v1/updates/my-app/download/%b/linux/amd64", "/api/v1/updates/my-app/history?version=%b", "/%b"]
    paths += [PREFIX + "/compatibility/%b", PREFIX + "/latest?platform=%b", PREFIX + "/download/1.2.3/%b", "/admin/%b"]
    paths += ["/admin/sign-in/?next=%b", "/api/%b/tasks", "/api/updates/%b", "/static/%b"]
    for path, value in itertools.product(paths, BROKEN):
        if value == b"%u0041" and path == "/%b":
            continue
        target = path.encode().replace(b"%b", value)
        answer = await send(service.url, request("GET", target, ADMIN, key))
        assert answer.status < 500, (target, answer)
    names = (
        b"User-Agent",
        b"Accept",
        b"Accept-Language",
        b"Cookie",
        b"X-Forwarded-For",
        b"Range",
        b"If-None-Match",
        b"Origin",
    )
    names += (b"Referer", b"X-CSRF-Token", b"Content-Disposition", b"Content-Digest", b"If-Range", b"X-API-Key")
    for name, value in itertools.product(names, BROKEN):
        for path in ("/api/v1/applications", f"{PREFIX}/latest", SIGN_IN, "/admin/dashboard/"):
            lines: list[Any] = [name + b": " + value] if name == b"X-API-Key" else [name + b": " + value, key]
            answer = await send(service.url, request("GET", path, ADMIN, *lines))
            assert answer.status < 500, (name, value, path, answer)
