"""Figures through the REST API: what was done is what is told."""

from __future__ import annotations

import csv
import io
import os
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from multidict import CIMultiDict
from sqlalchemy import func, select

from tests.actors import TESTER
from updater.database.tables import rollup

FIGURES = "/api/v1/applications/my-app/figures"
CHECK = "/api/v1/updates/my-app/check"
HERE = {"platform": "linux", "architecture": "amd64"}


async def tell(service: Any, **more: Any) -> None:
    body = {**HERE, "current_version": "1.0.0", "target_version": "1.1.0", "status": "completed", **more}
    await service.call("POST", "/api/v1/updates/my-app/status", json=body, status=200)


async def test_the_figures_of_a_small_rollout(service: Any) -> None:
    made = await service.publish(os.urandom(1 << 20), "1.1.0")
    for version in ("1.0.0", "1.0.0", "1.0.1"):
        await service.call("GET", CHECK, params={**HERE, "current_version": version}, status=200)
    asked = {**HERE, "application_id": "my-app", "current_version": "1.0.1"}
    await service.call("POST", "/api/v1/check", json=asked, status=200)
    path = made["download_url"].removeprefix(service.url)
    await service.exchange("GET", path, status=200)
    await service.exchange("GET", path, headers={"Range": "bytes=0-99"}, status=206)
    await service.exchange("HEAD", path, status=200)
    for number in range(4):
        await tell(service, report_id=f"r{number % 3}", install_time_seconds=30)
    await tell(service, status="failed", error_message=f"cannot open /home/{os.getpid()}/x: error 5")
    await tell(service, status="failed", error_message="cannot open /home/eva/y: error 32")
    await tell(service, status="cancelled")

    found = await service.call("GET", FIGURES, key="read", params={"bucket": "hour"}, status=200)
    assert found["reports"] == {"completed": 3, "failed": 2, "cancelled": 1, "failure_rate": 0.4}
    assert found["errors"] == [{"message": "cannot open <path>: error <n>", "count": 2, "share": 1.0}]
    assert found["versions"] == [
        {"version": "1.1.0", "installs": 3, "failures": 2, "checks": 0, "downloads_started": 2,
         "downloads_finished": 1},
        {"version": "1.0.0", "installs": 0, "failures": 0, "checks": 2, "downloads_started": 0,
         "downloads_finished": 0},
        {"version": "1.0.1", "installs": 0, "failures": 0, "checks": 2, "downloads_started": 0,
         "downloads_finished": 0},
    ]  # fmt: skip
    assert found["platforms"] == [{**HERE, "checks": 4, "reports": 6, "share": 1.0}]
    downloads = found["downloads"]
    assert (downloads["started"], downloads["finished"], downloads["success_rate"]) == (2, 1, 0.5)
    assert downloads["throughput_bytes_per_s"]["count"] == 1
    assert downloads["throughput_bytes_per_s"]["p50"] > 0
    assert found["install_time_s"]["count"] == 3
    assert 27 < found["install_time_s"]["p50"] < 33
    assert (found["checks"], found["countries"]) == (4, [])
    assert len(found["series"]) == 48
    assert sum(each["completed"] for each in found["series"]) == 3
    assert sum(each["checks_by_version"].get("1.0.1", 0) for each in found["series"]) == 2

    by_day = await service.call("GET", FIGURES, key="read", status=200)
    assert (by_day["reports"], by_day["versions"]) == (found["reports"], found["versions"])
    assert by_day["bucket"] == "day"
    assert by_day["series"][-1]["installs_by_version"] == {"1.1.0": 3}


@pytest.mark.parametrize("trusted", [["127.0.0.0/8"], ["10.0.0.0/8"], []])
async def test_countries_come_from_the_header_of_trusted_proxies(start_service: Any, trusted: list[str]) -> None:
    service = await start_service(telemetry={"country_header": "CF-IPCountry"}, server={"trusted_proxies": trusted})
    await service.application()
    for countries in (["SE"], ["se"], ["SE", "DE"], ["XX"], []):
        # A proxy that adds a line leaves the client's own before it.
        headers = CIMultiDict(("CF-IPCountry", country) for country in countries)
        await service.call("GET", CHECK, params={**HERE, "current_version": "1.0.0"}, headers=headers, status=200)
    found = await service.call("GET", FIGURES, key="read", status=200)
    believed = [("SE", 2), ("unknown", 2), ("DE", 1)] if trusted == ["127.0.0.0/8"] else [("unknown", 5)]
    assert [(each["country"], each["checks"]) for each in found["countries"]] == believed


async def test_checks_write_nothing_until_they_are_flushed(service: Any) -> None:
    async def rows() -> int:
        async with service.services.telemetry._store._database.read() as connection:
            return int(await connection.scalar(select(func.count()).select_from(rollup)))

    for _ in range(50):
        await service.call("GET", CHECK, params={**HERE, "current_version": "1.0.0"}, status=200)
    await service.call("GET", CHECK, params={**HERE, "current_version": "no version"}, status=422)
    assert await rows() == 0
    await service.services.telemetry.flush_checks()
    assert await rows() == 6
    found = await service.call("GET", FIGURES, key="read", status=200)
    assert found["checks"] == 50


async def test_a_window_is_what_was_asked_in_whole_days(service: Any) -> None:
    window = {"from": "2026-02-27T22:00:00+02:00", "to": "2026-03-01"}
    found = await service.call("GET", FIGURES, key="read", params=window, status=200)
    assert (found["from"], found["to"]) == ("2026-02-27T00:00:00Z", "2026-03-01T00:00:00Z")
    assert [each["at"] for each in found["series"]] == ["2026-02-27T00:00:00Z", "2026-02-28T00:00:00Z"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"bucket": "week"}, "bucket"),
        ({"range": "decade"}, "range"),
        ({"range": "week", "from": "2026-01-01"}, "range"),
        ({"range": "quarter", "bucket": "hour"}, "from"),
        ({"range": "year", "to": "0001-01-01"}, "to"),
        ({"format": "xml"}, "format"),
        ({"format": "csv"}, "table"),
        ({"format": "csv", "table": "secrets"}, "table"),
        ({"from": "yesterday"}, "from"),
        ({"from": "2026-01-01T10:00:00"}, "from"),
        ({"to": "2026-13-01"}, "to"),
        ({"to": "99999-01-01"}, "to"),
        ({"from": "2026-02-01", "to": "2026-01-01"}, "from"),
        ({"from": "1990-01-01"}, "from"),
        ({"from": "2026-01-01", "to": "2026-03-01", "bucket": "hour"}, "from"),
        ({"to": "0001-01-01"}, "to"),
        ({"to": "9999-12-31T23:59:59Z", "from": "9999-12-31"}, "to"),
        ({"from": "0001-01-01T00:00:00+14:00"}, "from"),
    ],
)
async def test_wrong_windows_are_refused(service: Any, query: dict[str, str], field: str) -> None:
    refused = await service.call("GET", FIGURES, key="read", params=query, status=422)
    assert list(refused["errors"]) == [field]


async def test_who_may_see_figures(service: Any) -> None:
    await service.call("GET", FIGURES, status=401)
    await service.call("GET", "/api/v1/applications/unknown/figures", key="read", status=404)
    _, bound = await service.services.access.create_key("bound", "read", application="other-app", actor=TESTER)
    await service.call("GET", FIGURES, key=bound, status=403)


async def test_the_document_describes_figures(service: Any) -> None:
    document = await service.call("GET", "/api/v1/openapi.json", status=200)
    operation = document["paths"]["/api/v1/applications/{app_id}/figures"]["get"]
    assert {each["name"] for each in operation["parameters"]} == {
        *("app_id", "from", "to", "range", "bucket", "format", "table"),
    }
    described = document["components"]["schemas"]["FiguresAnswer"]
    given = await service.call("GET", FIGURES, key="read", status=200)
    assert set(described["properties"]) == set(described["required"]) == set(given)


async def test_figures_survive_their_reports(service: Any) -> None:
    await tell(service, report_id="a")
    telemetry = service.services.telemetry
    telemetry._clock = lambda: datetime.now(UTC) + timedelta(days=2)
    assert await telemetry.forget_reports(keep_days=1) == 1
    found = await service.call("GET", FIGURES, key="read", status=200)
    assert found["reports"]["completed"] == 1


@pytest.mark.parametrize(
    ("name", "days", "bucket"),
    [("day", 1, "hour"), ("week", 7, "day"), ("month", 30, "day"), ("quarter", 91, "day"), ("year", 365, "day")],
)
async def test_a_range_by_its_name(service: Any, name: str, days: int, bucket: str) -> None:
    query = {"range": name, "bucket": bucket, "to": "2026-03-01"}
    found = await service.call("GET", FIGURES, key="read", params=query, status=200)
    assert len(found["series"]) == days * (24 if bucket == "hour" else 1)
    assert found["to"] == "2026-03-01T00:00:00Z"


async def test_figures_by_the_month(service: Any) -> None:
    await tell(service)
    found = await service.call("GET", FIGURES, key="read", params={"range": "year", "bucket": "month"}, status=200)
    assert len(found["series"]) in (12, 13)
    assert found["series"][-1]["installs_by_version"] == {"1.1.0": 1}
    assert found["bucket"] == "month"


async def read_csv(service: Any, table: str, **query: str) -> list[list[str]]:
    response, body = await service.exchange(
        "GET", FIGURES, key="read", params={"format": "csv", "table": table, **query}, status=200
    )
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert response.headers["Content-Disposition"] == f'attachment; filename="my-app-{table}.csv"'
    return list(csv.reader(io.StringIO(body.decode(), newline="")))


async def test_a_csv_file_holds_the_figures_of_the_json(service: Any) -> None:
    made = await service.publish(os.urandom(1 << 20), "1.1.0")
    for version in ("1.0.0", "1.0.0", "1.0.1"):
        await service.call("GET", CHECK, params={**HERE, "current_version": version}, status=200)
    await service.exchange("GET", made["download_url"].removeprefix(service.url), status=200)
    for seconds in (30, 3, 400):
        await tell(service, install_time_seconds=seconds)
    await tell(service, status="failed", error_message='disk full, "really"\nfull')
    query = {"bucket": "hour"}
    found = await service.call("GET", FIGURES, key="read", params=query, status=200)

    def texts(*cells: Any) -> list[str]:
        return ["" if cell is None else str(cell) for cell in cells]

    versions = ["1.0.0", "1.0.1"]
    assert await read_csv(service, "adoption", **query) == [
        ["at", *versions],
        *(
            texts(each["at"], *(each["checks_by_version"].get(name, 0) for name in versions))
            for each in found["series"]
        ),
    ]
    assert await read_csv(service, "installs", **query) == [
        ["at", "1.1.0"],
        *(texts(each["at"], each["installs_by_version"].get("1.1.0", 0)) for each in found["series"]),
    ]
    for table, columns, rows in (
        ("outcomes", ("at", "completed", "failed", "cancelled"), found["series"]),
        ("errors", ("message", "count", "share"), found["errors"]),
        ("platforms", ("platform", "architecture", "checks", "reports", "share"), found["platforms"]),
        ("countries", ("country", "checks", "share"), found["countries"]),
    ):
        assert await read_csv(service, table, **query) == [
            list(columns),
            *(texts(*(each[name] for name in columns)) for each in rows),
        ]
    times = found["install_time_s"]["ranges"]
    assert [each["count"] for each in times] == [1, 1, 1]
    assert await read_csv(service, "install-time", **query) == [
        ["from_s", "below_s", "count"],
        *(texts(each["low"], each["high"], each["count"]) for each in times),
    ]
    assert (await read_csv(service, "failure-rate", **query))[-1][1:] == ["0.25", "1", "3"]
    assert len(await read_csv(service, "versions", **query)) == 4
    assert sum(int(row[1]) for row in (await read_csv(service, "downloads", **query))[1:]) == 1
    assert sum(int(row[2]) for row in (await read_csv(service, "throughput", **query))[1:]) == 1


async def test_accept_asks_for_csv_and_other_words_do_not(service: Any) -> None:
    for accept, kind in (("text/csv", "text/csv"), ("*/*", "application/json"), ("text/html", "application/json")):
        response, _ = await service.exchange(
            "GET", FIGURES, key="read", params={"table": "versions"}, headers={"Accept": accept}, status=200
        )
        assert response.content_type == kind
        assert "Accept" in response.headers["Vary"]


async def test_no_cell_is_a_formula(service: Any) -> None:
    begins = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =1", "=cmd|' /C calc'!A0", "\u00a0=1", "\uff1d1", "plain"]
    for text in begins:
        await tell(service, status="failed", error_message=text)
    rows = (await read_csv(service, "errors"))[1:]
    assert rows
    assert all(row[0][0] not in "=+-@\t\r\uff1d" for row in rows), rows
    assert ["plain", "1"] in [row[:2] for row in rows]
