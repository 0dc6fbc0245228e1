"""What installed clients send and nobody can mend there: mended here where only one thing can be meant, and counted."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from sqlalchemy import select

from tests.conftest import KEYS, Service, StartService
from tests.web.api.test_hostile_requests import JSON
from tests.web.desktop.conftest import PREFIX
from tests.web.raw import request, send
from updater.database.tables import report

REPORT = {
    "current_version": "1.0.0",
    "target_version": "1.1.0",
    "platform": "linux",
    "architecture": "amd64",
    "status": "failed",
}
STATUS = "/api/v1/updates/my-app/status"
CHECK = "/api/v1/updates/my-app/check"
QUESTION = {"current_version": "1.0.0", "platform": "linux", "architecture": "amd64"}


@pytest.fixture
async def service(start_service: StartService) -> Service:
    started = await start_service(desktop=[{}])
    await started.application()
    await started.publish(version="1.1.0+001")
    return started


async def mended(service: Service) -> dict[str, int]:
    _, text = await service.exchange("GET", "/metrics", key="admin", status=200)
    found = {}
    for line in text.decode().splitlines():
        if line.startswith("updater_client_input_mended_total{"):
            found[line.partition('what="')[2].partition('"')[0]] = int(float(line.rpartition(" ")[2]))
    return found


async def reports(service: Service) -> list[Any]:
    async with service.services.health._database.read() as connection:
        return list(await connection.execute(select(report).order_by(report.c.id)))


MESSAGES: list[tuple[Any, str, str]] = [
    ("\x1b[31;1mred\x1b[0m \x1b]0;title\x07text\x1b(B\x9b2J", "red text", "characters"),
    ("a\x00b\x08c\x7f\x85", "abc", "characters"),
    ("unended \x1b[31", "unended [31", "characters"),
    ("lone \ud800 half", "lone \ufffd half", "characters"),
    ("line\r\n\tline", "line\r\n\tline", ""),
    ("x" * 4_000, "x" * 4_000, ""),
    ("\U0001f600" * 4_001, "\U0001f600" * 4_000, "length"),
    ("y" * 300_000, "y" * 4_000, "length"),
    ("\x1b[0m" * 50_000 + "z", "", "length"),
    (1_603, "1603", "number"),
    (-1.5, "-1.5", "number"),
    ("", "", ""),
]


@pytest.mark.parametrize("desktop", [False, True])
async def test_error_messages_of_any_length_and_any_characters(service: Service, desktop: bool) -> None:
    path, body = (f"{PREFIX}/status", {**REPORT, "platform": "linux-x64"}) if desktop else (STATUS, REPORT)
    for given, kept, what in MESSAGES:
        before = await mended(service)
        sent = {**body, "error_message": given}
        if not desktop and len(json.dumps(sent)) > 65_536:
            await service.call("POST", path, json=sent, status=413)  # of anybody, only so much is read
            continue
        await service.call("POST", path, headers={"X-API-Key": KEYS["read"]}, json=sent, status=200)
        assert (await reports(service))[-1].error_message == kept
        after = await mended(service)
        assert {name for name in after if after[name] != before.get(name, 0)} >= ({what} if what else set())
        if not what:
            assert after == before


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (45.0, 45),
        (45.7, 46),
        (0.2, 0),
        (-0.0, 0),
        ("45", 45),
        (" 45.0 ", 45),
        ("\ufeff45\0\0", 45),
        (604_800.0, 604_800),
        ("45.12345671653748", 45),
        ("1.5E-05", 0),
    ],
)
async def test_seconds(service: Service, given: Any, kept: int) -> None:
    before = (await mended(service)).get("number", 0)
    await service.call("POST", STATUS, json={**REPORT, "install_time_seconds": given}, status=200)
    assert [each.install_time_seconds for each in await reports(service)] == [kept]
    assert (await mended(service))["number"] == before + 1


@pytest.mark.parametrize(
    "raw",
    ["NaN", "Infinity", "-Infinity", "1e999", "1" * 5_000, "1" * 400, "true", "-0.5", "[1]", '"\\ud800"'],
)
async def test_seconds_that_mean_nothing(service: Service, raw: str) -> None:
    for field in ("install_time_seconds", "report_id", "current_version", "status"):
        body = orjson.dumps({**REPORT, field: "HERE"}).replace(b'"HERE"', raw.encode())
        answer = await send(service.url, request("POST", STATUS, JSON, body=body))
        assert answer.status in (400, 422), (field, answer)
    assert await reports(service) == []


@pytest.mark.parametrize("channel", ["\ud800", "a\udfffb", "a\x00b", "\x1b[31m", 7, ["beta"]])
async def test_channels_that_are_none(service: Service, channel: Any) -> None:
    body = orjson.dumps({**REPORT, "channel": "HERE"}).replace(b'"HERE"', json.dumps(channel).encode())
    answer = await send(service.url, request("POST", STATUS, JSON, body=body))
    assert answer.status == 200, answer
    assert len(await reports(service)) == 1


async def test_ids_and_versions_as_files_and_programs_hold_them(service: Service) -> None:
    body = {**REPORT, "current_version": "\ufeff1.0.0", "target_version": "1.1.0\x00", "client_id": "5f3a\n"}
    for report_id in (12, " 12\r\n", "12"):
        await service.call("POST", STATUS, json={**body, "report_id": report_id}, status=200)
    (stored,) = await reports(service)
    assert (stored.current_version, stored.target_version) == ("1.0.0", "1.1.0")
    params = {**QUESTION, "client_id": "5f3a\n"}
    answer = await service.call("GET", CHECK, params=params, status=200)
    assert answer["update_available"]
    await service.call("GET", CHECK, params={**QUESTION, "client_id": "a\nb"}, status=422)


async def test_words_and_white_space(service: Service) -> None:
    before = await mended(service)
    body = {
        **REPORT,
        "platform": " Linux",
        "architecture": "AMD64\n",
        "status": "FAILED",
        "current_version": "\t1.0.0 ",
    }
    await service.call("POST", STATUS, json=body, status=200)
    (stored,) = await reports(service)
    assert (stored.platform, stored.architecture, stored.status) == ("linux", "amd64", "failed")
    assert stored.current_version == "1.0.0"
    after = await mended(service)
    assert after["case"] - before.get("case", 0) == 3
    assert after["space"] - before.get("space", 0) == 3


async def test_checks_and_the_latest_version(service: Service) -> None:
    asked = {"current_version": " 1.0.0 ", "platform": "LINUX", "architecture": " amd64"}
    for answer in (
        await service.call("GET", CHECK, params=asked, status=200),
        await service.call("POST", "/api/v1/check", json={**asked, "application_id": "my-app"}, status=200),
    ):
        assert (answer["latest_version"], answer["current_version"]) == ("1.1.0+001", "1.0.0")
    latest = {name: asked[name] for name in ("platform", "architecture")}
    await service.call("GET", "/api/v1/updates/my-app/latest", params=latest, status=200)
    await service.call("GET", "/api/v1/latest", params={**latest, "application_id": "my-app"}, status=200)


async def test_build_metadata_whose_plus_is_not_encoded(service: Service) -> None:
    """`+` is a blank in a query; clients paste the version as it is."""
    before = (await mended(service)).get("plus", 0)
    for version, offered in (("1.0.0+001", True), ("1.1.0+001", False), ("0.9.0-rc.1+007.01", True)):
        path = f"{CHECK}?current_version={version}&platform=linux&architecture=amd64"
        answer = (await send(service.url, request("GET", path))).json
        assert (answer["update_available"], answer["current_version"]) == (offered, version)
    assert (await mended(service))["plus"] == before + 3


async def test_the_four_endpoints_of_the_desktop_clients(service: Service) -> None:
    key = {"X-API-Key": KEYS["read"]}
    fields = {"version": "1.2.3", "platform": "linux-x64"}
    body = b"".join(
        b'--XX\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % (name.encode(), value.encode())
        for name, value in fields.items()
    )
    body += b'--XX\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nbytes\r\n--XX--\r\n'
    head = [f"X-API-Key: {KEYS['admin']}", "Content-Type: multipart/form-data; boundary=XX"]
    assert (await send(service.url, request("POST", f"{PREFIX}/upload", *head, body=body))).status == 201
    for path in (
        "latest?platform=Linux-X64",
        "compatibility/%201.0.0?platform=LINUX-x64",
        "download/1.2.3%20/Linux-x64",
    ):
        await service.exchange("GET", f"{PREFIX}/{path}", headers=key, status=200)
    told = {**REPORT, "platform": "Linux-X64 ", "target_version": "1.2.3\n", "status": "Failed"}
    await service.call("POST", f"{PREFIX}/status", headers=key, json=told, status=200)


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        (b'"Zugriff verweigert: \xfcber"', "Zugriff verweigert: \ufffdber"),
        (b'"red \x1b[31malert\x1b[0m\x00"', "red alert"),
        (b'"two\r\nlines\tof\ntext"', "two\r\nlines\tof\ntext"),
    ],
)
async def test_json_as_scripts_write_it(service: Service, raw: bytes, kept: str) -> None:
    """Latin-1, raw control characters, a byte order mark, the NUL of a C text: in reports alone."""
    for mark in (b"", b"\xef\xbb\xbf"):
        body = mark + orjson.dumps({**REPORT, "error_message": "HERE"}).replace(b'"HERE"', raw) + b"\0"
        assert (await send(service.url, request("POST", STATUS, JSON, body=body))).status == 200
        assert (await reports(service))[-1].error_message == kept
    check = orjson.dumps({**QUESTION, "application_id": "my-app", "note": "HERE"}).replace(b'"HERE"', raw)
    assert (await send(service.url, request("POST", "/api/v1/check", JSON, body=check))).status == 400


async def test_publishers_are_not_mended(service: Service) -> None:
    before = await mended(service)
    path = "/api/v1/updates/my-app/builds"
    for wrong in ("1.2.0%20/linux/amd64", "1.2.0/Linux/amd64", "1.2.0/linux/amd64%20"):
        await service.call("PUT", f"{path}/{wrong}", key="write", data=b"x", status=422)
    assert await mended(service) == before
