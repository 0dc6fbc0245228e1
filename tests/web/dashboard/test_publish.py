"""The page that publishes, as a browser without a script uses it: one form, one file."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, FormData

from tests.conftest import Service
from tests.web.dashboard.payloads import PAYLOADS
from tests.web.people import cookie_of

PAGE = "/admin/applications/my-app/publish/"
FIELDS = {"version": "1.0.0", "platform": "windows", "architecture": "amd64"}


@dataclass
class Person:
    """A session, and the token of its forms."""

    session: ClientSession
    service: Service
    token: str = ""

    async def get(self) -> str:
        async with self.session.get(PAGE) as answer:
            assert answer.status == 200
            return await answer.text()

    async def post(self, fields: dict[str, str], file: bytes = b"bytes", name: str = "App.exe") -> tuple[int, str, str]:
        """Send the form as a browser does: the token first, the file last."""
        form = FormData(default_to_multipart=True)
        for field, value in {"csrf_token": self.token, **fields}.items():
            form.add_field(field, value)
        form.add_field("file", file, filename=name)
        return await self.send(form)

    async def send(self, form: Any, **headers: str) -> tuple[int, str, str]:
        async with self.session.post(PAGE, data=form, headers=headers, allow_redirects=False) as answer:
            return answer.status, answer.headers.get("Location", ""), await answer.text()


@pytest.fixture
async def staff(service: Service) -> AsyncIterator[Person]:
    async with ClientSession(service.url, headers=await cookie_of(service, "staff")) as session:
        person = Person(session, service)
        found = re.search(r'name="csrf_token" value="([0-9a-f]{64})"', await person.get())
        assert found
        person.token = found[1]
        yield person


def wrong_in(page: str) -> dict[str, str]:
    """Return what the page says beside its fields."""
    return dict(re.findall(r'<span class="wrong" id="(\w+)-wrong">([^<]*)</span>', page))


def incoming(service: Service) -> list[Path]:
    return list((Path(service.services.settings.storage.root) / "incoming").rglob("*"))


async def releases(service: Service) -> Any:
    answer = await service.call("GET", "/api/v1/updates/my-app/releases", key="read")
    return {each["version"]: (each["status"], each["files"][0]["name"]) for each in answer["releases"]}


async def test_a_file_is_published_or_kept_as_a_draft(staff: Person) -> None:
    more = {"channel": "stable", "release_notes": "# News", "minimum_version": "", "rollout": "", "required": "yes"}
    status, location, _ = await staff.post(FIELDS | more | {"then": "publish"})
    assert (status, location) == (303, "/admin/applications/my-app/releases/1.0.0/?said=published")
    status, location, _ = await staff.post(FIELDS | {"version": "1.1.0-rc.1+x y".replace(" ", ""), "then": "draft"})
    assert (status, location) == (303, "/admin/applications/my-app/releases/1.1.0-rc.1%2Bxy/?said=draft-kept")
    status, *_ = await staff.post(FIELDS | {"version": "1.2.0", "rollout": "5", "then": "publish"})
    assert status == 303
    assert await releases(staff.service) == {
        "1.0.0": ("active", "App.exe"),
        "1.1.0-rc.1+xy": ("draft", "App.exe"),
        "1.2.0": ("active", "App.exe"),
    }
    check = "/api/v1/updates/my-app/check?current_version=0.9.0&platform=windows&architecture=amd64&client_id=a"
    offered = await staff.service.call("GET", check)
    assert offered["required"] is True and offered["release_notes"] == "# News"
    history = await staff.service.call("GET", "/api/v1/updates/my-app/history", key="read")
    assert {each["actor"]["name"] for each in history["entries"][:3]} == {"staff-person"}


@pytest.mark.parametrize(
    ("fields", "status", "named"),
    [
        ({"version": ""}, 422, {"version"}),
        ({"platform": "", "architecture": ""}, 422, {"platform", "architecture"}),
        ({"version": "one"}, 422, {"version"}),
        ({"rollout": "much"}, 422, {"rollout"}),
        ({"rollout": "500"}, 422, {"rollout"}),
        ({"channel": "none"}, 422, {"channel"}),
        ({"minimum_version": "9.0.0"}, 422, {"minimum_version"}),
        ({"release_notes": "x" * (65 << 10)}, 422, {"release_notes"}),
    ],
)
async def test_what_does_not_fit_stands_at_its_field_and_the_rest_stays(
    staff: Person, fields: dict[str, str], status: int, named: set[str]
) -> None:
    given, _, page = await staff.post({**FIELDS, "channel": "stable", **fields})
    assert given == status
    assert set(wrong_in(page)) >= named & {
        "version",
        "minimum_version",
        "rollout",
        "release_notes",
        "channel",
        "platform",
    }
    assert await releases(staff.service) == {} and incoming(staff.service) == []
    if named == {"channel"}:
        assert 'value="1.0.0"' in page


async def test_a_version_with_other_bytes_and_no_file(staff: Person) -> None:
    assert (await staff.post(FIELDS))[0] == 303
    status, _, page = await staff.post(FIELDS, b"others")
    assert status == 409 and "1.0.0" in page and 'role="alert"' in page
    assert (await staff.post(FIELDS, b"", ""))[0] == 422


async def test_only_our_own_page_publishes(staff: Person) -> None:
    for token in ("", "0" * 64, staff.token[:-1]):
        status, _, page = await Person(staff.session, staff.service, token).post(FIELDS)
        assert (status, "does not come from a page of this site" in page) == (403, True)
    late = FormData(default_to_multipart=True)
    late.add_field("file", b"bytes", filename="App.exe")
    late.add_field("csrf_token", staff.token)
    status, _, page = await staff.send(late)
    assert status == 422 and "must be the first field" in page
    named = FormData(default_to_multipart=True)
    named.add_field("csrf_token", staff.token.encode(), filename="App.exe")
    assert (await staff.send(named))[0] == 422
    form = FormData({"csrf_token": staff.token, **FIELDS})
    assert (await staff.send(form))[0] == 415
    good = FormData(default_to_multipart=True)
    good.add_field("csrf_token", staff.token)
    assert (await staff.send(good, Origin="https://evil.example.com"))[0] == 403
    assert await releases(staff.service) == {} and incoming(staff.service) == []


async def test_not_one_byte_of_a_file_is_taken_before_the_token(staff: Person) -> None:
    """The answer comes while the sender still has all of the file to send."""
    taken = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal taken
        head = 'Content-Disposition: form-data; name="csrf_token"\r\n\r\nwrong\r\n--b\r\n'
        yield f'--b\r\n{head}Content-Disposition: form-data; name="file"; filename="x.exe"\r\n\r\n'.encode()
        while taken < 64 << 20:
            await asyncio.sleep(0)
            taken += 1 << 20
            yield bytes(1 << 20)

    try:
        status, *_ = await staff.send(body(), **{"Content-Type": "multipart/form-data; boundary=b"})
        assert status == 403
    except ConnectionError:
        pass  # the connection was closed upon it
    assert taken < 64 << 20 and incoming(staff.service) == []


async def test_bodies_and_rights_are_bounded(staff: Person) -> None:
    status, _, page = await staff.post({**FIELDS, "odd": "1"})
    assert status == 422 and "unknown field" in page
    service = staff.service
    for role, answer in (("user", 403), (None, 303)):
        headers = await cookie_of(service, role) if role else {}
        async with ClientSession(service.url, headers=headers) as session:
            async with session.get(PAGE, allow_redirects=False) as got:
                assert got.status == answer
            async with session.post(PAGE, data=b"x", allow_redirects=False) as posted:
                assert posted.status == 403
    async with staff.session.get("/admin/applications/no-such/publish/") as missing:
        assert (missing.status, missing.content_type) == (404, "text/html")
    async with staff.session.post("/admin/applications/no-such/publish/", data=b"x") as missing:
        assert missing.status == 404


async def test_hostile_texts_come_back_as_text(staff: Person) -> None:
    for payload in PAYLOADS[::7]:
        text = payload.replace("\x00", "")
        fields = dict.fromkeys(("version", "release_notes", "minimum_version", "channel", "rollout", "platform"), text)
        _, _, page = await staff.post({**FIELDS, **fields}, name="x.exe")
        assert "<script>" not in page.replace('<script type="module"', "") and "<img src=x" not in page
        assert "<svg" not in page and "<iframe" not in page
