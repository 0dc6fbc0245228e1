"""Every field at its edges: a clear error that names the field, nothing stored, never a 5xx.

Control: without the character checks of `Text` the NUL and surrogate cases are stored or end in 500; without the
`Range` of `StrictInteger` a huge `file_size` ends in 500, since no 64-bit column holds it.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from aiohttp import FormData
from yarl import URL

from tests.web.api.test_checks import TARGET, registration

APPLICATION = {"id": "new-app", "name": "New", "platforms": ["linux"]}
REPORT = {"current_version": "1.0.0", "target_version": "1.1.0", "status": "completed", **TARGET}
CHECK = {"application_id": "my-app", "current_version": "1.0.0", **TARGET}

NO_TEXT: list[Any] = [None, 1, True, 1.5, [], {}, ["x"]]
UNFIT_TEXT = ["\x00", "a\x00b", "a\x1b[31mb", "\ud800", "a\udfffb", "x\x7f"]
BLANK = ["", " ", "\t"]
NO_VERSION = [
    *BLANK,
    *UNFIT_TEXT,
    "v1.2.3",
    "1.2",
    "01.2.3",
    "1.2.3.4",
    "1.2.3\n",
    "1.0.0-01",
    "x" * 101,
    "1.0." + "9" * 98,
]
NO_VERSION += [
    "../../etc/passwd",
    "1.0.0/..",
    "\uff11.0.0",
    "1.0.0-\u00e9",
    "1.0.0+",
    "1.0.0-",
    "latest",
    "-1.0.0",
    "1e3",
]
NO_WORD = [*BLANK, *UNFIT_TEXT, "bsd", "Linux", "linux ", "linux\n", "x" * 10_000, "\u202ereversed"]
# What is mended where an installed client sends it: see test_client_input.py.
CLIENT_VERSION = [each for each in NO_VERSION if each != "1.2.3\n"]
CLIENT_WORD = [each for each in NO_WORD if each.strip().lower() != "linux"]
NO_ID = [*BLANK, *UNFIT_TEXT, "a b", "a/b", "a.b", "..", "a\\b", "a%2fb", "\u00e9", "a\n", "x" * 101]
NO_URL = [
    *BLANK,
    *UNFIT_TEXT,
    "ftp://x/y",
    "//x/y",
    "/y",
    "http://",
    "https://[",
    "http://x:99999/",
    "http://x:0/",
    "javascript:alert(1)",
]
NO_URL += [
    "http://x/ y",
    "http://x/\r\nSet-Cookie: a=b",
    "http://\u00e9.example/",
    "https://x/" + "y" * 2000,
    "file:///etc/passwd",
]
NO_TRUTH = [None, 0, 1, "true", "false", "yes", "", [], {}]
NO_WHOLE = [None, -1, True, "1", 1.5, 2**63, 10**40, -(2**70), [], {}]
NO_NAME = [*BLANK, *UNFIT_TEXT, "x" * 101, "line\nbreak"]
DEEP: Any = {}
for _ in range(8):
    DEEP = {"a": DEEP}
NO_OBJECT = [
    None,
    1,
    "{}",
    [],
    True,
    DEEP,
    {"a": "x" * 16_384},
    {"a": 10**40},
    {"a": "\ud800"},
    {"a\x00": 1},
    {"a": ["\x00"]},
]

FIELDS: dict[str, tuple[str, str, str | None, dict[str, Any], dict[str, list[Any]]]] = {
    "register": (
        "POST",
        "/api/v1/updates/my-app/register",
        "write",
        registration("9.9.9"),
        {
            "application_id": [*NO_TEXT, *NO_ID],
            "version": [*NO_TEXT, *NO_VERSION],
            "platform": [*NO_TEXT, *NO_WORD],
            "architecture": [*NO_TEXT, *NO_WORD],
            "download_url": [*NO_TEXT, *NO_URL],
            "checksum": [*NO_TEXT, *BLANK, *UNFIT_TEXT, "x" * 257],
            "checksum_type": [*NO_TEXT, *NO_WORD, "SHA256", "crc32"],
            "file_size": NO_WHOLE,
            "release_notes": [*NO_TEXT, *UNFIT_TEXT, "x" * 65_537],
            "required": NO_TRUTH,
            "minimum_version": [*NO_TEXT[1:], *NO_VERSION],
            "metadata": NO_OBJECT,
            "unknown_field": [1],
        },
    ),
    "create": (
        "POST",
        "/api/v1/applications",
        "write",
        APPLICATION,
        {
            "id": [*NO_TEXT, *NO_ID],
            "name": [*NO_TEXT, *NO_NAME],
            "description": [*NO_TEXT, *UNFIT_TEXT, "x" * 65_537],
            "platforms": [None, 1, "linux", {}, [], ["linux"] * 21],
            "config": [None, 1, "x", []],
            "version_scheme": [*NO_TEXT, "calver"],
            "unknown_field": [1],
        },
    ),
    "change": (
        "PUT",
        "/api/v1/applications/my-app",
        "admin",
        {},
        {
            "name": [*NO_TEXT, *NO_NAME],
            "description": [*NO_TEXT, *UNFIT_TEXT],
            "platforms": [None, 1, "linux", {}, []],
            "config": [None, 1, "x", []],
        },
    ),
    "report": (
        "POST",
        "/api/v1/updates/my-app/status",
        None,
        REPORT,
        {
            "current_version": [*NO_TEXT, *CLIENT_VERSION],
            "target_version": [*NO_TEXT, *CLIENT_VERSION],
            "platform": [*NO_TEXT, *CLIENT_WORD],
            "architecture": [*NO_TEXT, *CLIENT_WORD],
            "status": [*NO_TEXT, *CLIENT_WORD, "linux", "inactive"],
            "error_message": [True, [], {}, ["x"]],
            "install_time_seconds": [
                *(each for each in NO_WHOLE[1:] if each not in ("1", 1.5)),
                "1 s",
                -0.5,
                7 * 86_400 + 1,
            ],
            # A number, or the line end of a file that it was read from, can only mean one id.
            "report_id": [*(each for each in NO_TEXT[1:] if type(each) is not int), *NO_NAME],
        },
    ),
    "check": (
        "POST",
        "/api/v1/check",
        None,
        CHECK,
        {
            "application_id": [*NO_TEXT, *NO_ID],
            "current_version": [*NO_TEXT, *CLIENT_VERSION],
            "platform": [*NO_TEXT, *CLIENT_WORD],
            "architecture": [*NO_TEXT, *CLIENT_WORD],
            "allow_prerelease": NO_TRUTH,
            "include_metadata": NO_TRUTH,
        },
    ),
}
CONFIG = {
    "update_check_url": [*NO_TEXT, *NO_URL[1:]],
    "auto_update": NO_TRUTH,
    "update_interval": [*NO_WHOLE, 0, 366 * 86_400 + 1],
    "required_update": NO_TRUTH,
    "min_version": [*NO_TEXT, *NO_VERSION[1:]],
    "max_version": [*NO_TEXT, *NO_VERSION[1:]],
    "allow_prerelease": NO_TRUTH,
    "notification_url": [*NO_TEXT, *NO_URL[1:]],
    "analytics_enabled": NO_TRUTH,
    "custom_fields": NO_OBJECT,
    "unknown": [1],
}


async def refused(service: Any, method: str, path: str, key: str | None, body: Any, field: str) -> None:
    """Send a body that is refused, and see that exactly this field is named."""
    # ensure_ascii writes lone surrogates as JSON can: "\\ud800".
    data, headers = json.dumps(body).encode(), {"Content-Type": "application/json"}
    answer = await service.call(method, path, key=key, data=data, headers=headers, status=422)
    named = list(answer["errors"])
    assert named == [field] or all(name.startswith(f"{field}.") for name in named), (body.get(field), answer)
    text = answer["errors"][named[0]]
    assert text
    assert text.isprintable(), "an error may be shown on a terminal"


@pytest.mark.parametrize("endpoint", FIELDS)
async def test_each_field_of_each_body(service: Any, endpoint: str) -> None:
    method, path, key, good, fields = FIELDS[endpoint]
    before = await service.stored()
    shown = await service.call("GET", "/api/v1/applications/my-app", key="read")
    for field, values in fields.items():
        for value in values:
            await refused(service, method, path, key, {**good, field: value}, field)
    assert await service.stored() == before
    assert await service.call("GET", "/api/v1/applications/my-app", key="read") == shown


async def test_each_field_of_config(service: Any) -> None:
    before = await service.call("GET", "/api/v1/applications/my-app", key="read")
    for field, values in CONFIG.items():
        for value in values:
            for method, path, body in (
                ("POST", "/api/v1/applications", {**APPLICATION, "config": {field: value}}),
                ("PUT", "/api/v1/applications/my-app", {"config": {field: value}}),
            ):
                data, headers = json.dumps(body).encode(), {"Content-Type": "application/json"}
                answer = await service.call(method, path, key="admin", data=data, headers=headers, status=422)
                assert list(answer["errors"]) == [f"config.{field}"], (value, answer)
    assert await service.call("GET", "/api/v1/applications/my-app", key="read") == before
    assert (await service.stored())["application"] == 1


async def test_list_items_are_named(service: Any) -> None:
    body = {**APPLICATION, "platforms": ["linux", "beos", 3]}
    answer = await service.call("POST", "/api/v1/applications", key="write", json=body, status=422)
    assert set(answer["errors"]) == {"platforms.1", "platforms.2"}


@pytest.mark.parametrize(
    ("name", "shown"),
    [("\ud800", "?"), ("a\x00\x1b[2J", "a??[2J"), ("json", "json"), ("query", "query"), ("x" * 500, "x" * 60 + "...")],
)
async def test_unknown_fields_are_named_with_care(service: Any, name: str, shown: str) -> None:
    """Control: before names were cleaned, a lone surrogate in one ended in 500."""
    data = json.dumps({**APPLICATION, name: 1}).encode()
    headers = {"Content-Type": "application/json"}
    answer = await service.call("POST", "/api/v1/applications", key="write", data=data, headers=headers, status=422)
    assert answer["errors"] == {shown: "Unknown field"}


async def test_the_largest_that_fits(service: Any) -> None:
    """The other side of each edge is taken, and comes back unchanged."""
    metadata: Any = {
        "a": 2**63 - 1,
        "b": -(2**63),
        "text": "\\u0000 is a text",
        "umlaut": "\u00fc",
        "list": [1.5, None],
    }
    for _ in range(7):
        metadata = {"d": metadata} if len(str(metadata)) < 100 else metadata
    body = registration(
        "9.9.9-" + "a" * 94,
        release_notes="\u00fc\n\t" * 16_000 + "x" * 64,
        file_size=2**63 - 1,
        checksum="c" * 256,
        download_url="https://x/" + "y" * 1990,
        metadata=metadata,
        minimum_version="1.0.0",
    )
    await service.call("POST", "/api/v1/updates/my-app/register", key="write", json=body, status=201)
    query = {**TARGET, "allow_prerelease": "1", "include_metadata": "1"}
    latest = await service.call("GET", "/api/v1/updates/my-app/latest", params=query, status=200)
    for name in ("version", "release_notes", "file_size", "checksum", "download_url", "metadata"):
        assert latest[name] == body[name]
    long = {
        "id": "x" * 100,
        "name": "\U0001f600" * 100,
        "platforms": ["ios"],
        "description": "",
        "config": {"custom_fields": {}},
    }
    await service.call("POST", "/api/v1/applications", key="write", json=long, status=201)
    assert (await service.call("GET", f"/api/v1/applications/{long['id']}", key="read"))["name"] == long["name"]
    report = {**REPORT, "error_message": "\u00fc" * 4000, "install_time_seconds": 0, "report_id": "r" * 100}
    await service.call("POST", "/api/v1/updates/my-app/status", json=report, status=200)
    nothing = {**REPORT, "error_message": None, "install_time_seconds": None, "report_id": None}
    await service.call("POST", "/api/v1/updates/my-app/status", json=nothing, status=200)


UPLOAD: dict[str, list[str]] = {
    "version": [each for each in NO_VERSION if "\ud800" not in each and "\udfff" not in each],
    "platform": ["", "bsd", "\x00", "linux ", "../linux"],
    "architecture": ["", "x86_64", "\x00"],
    "release_notes": ["\x00", "x\x1by", "x" * 65_537],
    "required": ["", "yes", "2", "\x00"],
    "minimum_version": ["", "v1", "1.2", "\x00"],
    "metadata": [
        "",
        "[]",
        "{",
        "null",
        '{"a": NaN}',
        '{"a": 1, "a": 2}',
        "[" * 5000,
        '{"a": "\\ud800"}',
        '{"a": "\\u0000"}',
        "x",
    ],
    "checksum": ["", "0", "z" * 64, "0" * 63, "md5:" + "0" * 32],
}


async def test_each_field_of_the_upload_form(service: Any) -> None:
    for field, values in UPLOAD.items():
        for value in values:
            form = FormData()
            for name, text in {"version": "1.0.0", **TARGET, field: value}.items():
                form.add_field(name, text)
            form.add_field("file", b"bytes", filename="a.bin")
            answer = await service.call("POST", "/api/v1/updates/my-app/upload", key="write", data=form, status=422)
            assert list(answer["errors"]) == [field], (value, answer)
    assert not any(count for name, count in (await service.stored()).items() if name != "application")


async def test_each_parameter_of_the_raw_upload(service: Any) -> None:
    path = "/api/v1/updates/my-app/builds/1.0.0/linux/amd64"
    for field in ("release_notes", "required", "minimum_version", "metadata", "checksum"):
        for value in UPLOAD[field]:
            if len(value) > 4_000:
                continue
            answer = await service.call("PUT", path, key="write", data=b"x", params={field: value}, status=422)
            assert list(answer["errors"]) == [field], (value, answer)
    await service.call("PUT", path, key="write", data=b"x", params={"requird": "1"}, status=422)
    assert not any(count for name, count in (await service.stored()).items() if name != "application")


@pytest.mark.parametrize(
    "text",
    ["v1.2.3", "1.2", "%2e%2e%2fx", "%00", "%0d%0aX:%20y", "a%2fb", "%ff", "..%5c..", "%F0%9F%98%80", "x" * 3000],
)
async def test_each_part_of_a_path(service: Any, text: str) -> None:
    """Separators, NUL and line ends arrive decoded; they never get further than the check."""
    for parts, field in (
        (f"{text}/linux/amd64", "version"),
        (f"1.0.0/{text}/amd64", "platform"),
        (f"1.0.0/linux/{text}", "architecture"),
    ):
        for method, verb, key in (
            ("GET", "download", None),
            ("DELETE", "releases", "admin"),
            ("PUT", "builds", "write"),
        ):
            url = URL(f"{service.url}/api/v1/updates/my-app/{verb}/{parts}", encoded=True)
            headers = (
                {} if key is None else {"Authorization": f"Bearer {key}-key-0123456789".replace("write", "writer")}
            )
            async with service.session.request(
                method, url, headers=headers, data=b"x" if method == "PUT" else None
            ) as response:
                answer = await response.json()
            assert response.status == 422, (method, parts, answer)
            assert field in answer["errors"]
            assert "\r" not in str(response.headers)
    url = URL(
        f"{service.url}/api/v1/updates/{text}/check?current_version=1.0.0&platform=linux&architecture=amd64",
        encoded=True,
    )
    async with service.session.get(url) as response:
        assert (response.status, (await response.json())["code"]) == (404, "APPLICATION_NOT_FOUND")
    assert (await service.stored())["build"] == 0
