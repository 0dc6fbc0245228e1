"""What nobody honest sends to the routes and fields of channels and rollouts: each is refused by name, never a 5xx.

Nothing stays of what is refused.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from aiohttp import FormData
from yarl import URL

from tests.conftest import KEYS
from tests.web.api.rollouts.releasing import LINUX, UPDATES, actions, check, move, release, shown
from tests.web.api.test_checks import registration

HEADERS = {"Content-Type": "application/json"}
NO_TEXT: list[Any] = [1, True, 1.5, [], {}, ["x"]]
NO_NAME = ["", " ", "\x00", "a\x00b", "\ud800", "beta\n", "Beta", "x" * 10_000, "\u202ebeta", "../stable", "%00"]
NO_PERCENT: list[Any] = [
    *("10", True, [], -1, -0.001, 100.01, 0.001, 1e-9, 1e300, 10**40, -(10**40), 1e15),
    float("inf"),
    float("nan"),
]
NO_WHOLE: list[Any] = ["1", True, 1.5, [], {}, -1, 2**63, 10**40, float("nan"), float("inf"), None]
NO_RATE: list[Any] = ["0.1", True, [], {}, -1, 2, 10**400, float("nan"), float("-inf"), None]
NO_TIME: list[Any] = [
    *(0, 1.5, True, [], {}, "", "now", "2026-01-01", "2026-01-01T00:00:00", "2026-13-01T00:00:00Z"),
    *("9999-12-31T23:59:59Z", "9999-12-31T23:59:59-14:00", "2026-01-01T00:00:00+99:99", "\x00", "\ud800"),
    *(
        "0001-01-01T00:00:00+14:00x",
        "10000-01-01T00:00:00Z",
        "2" * 5_000,
        "2026-01-01T00:00:00Z\n",
        "-1-01-01T00:00:00Z",
    ),
]
DEEP: Any = []
for _ in range(60):
    DEEP = [DEEP]
PLANS: list[tuple[str, list[Any]]] = [
    ("percent", NO_PERCENT),
    (
        "stages",
        [1, "x", {}, [], [1], [None], [[]], DEEP, [{}] * 21, [{"percent": n / 100, "for_s": 1} for n in range(5_000)]],
    ),
    ("min_reports", NO_WHOLE),
    ("start_at", NO_TIME),
    ("halt", [1, "x", [], None, True]),
    *((f"halt.{name}", NO_RATE) for name in ("max_failure_rate", "margin", "alpha")),
    *((f"halt.{name}", NO_WHOLE) for name in ("per_address", "min_addresses")),
    ("halt.enabled", [0, 1, "true", None, [], {}]),
    ("percnt", [1]),
]


def plan_with(name: str, value: Any) -> dict[str, Any]:
    plan: dict[str, Any] = {} if name in ("percent", "stages") else {"percent": 5}
    first, _, second = name.partition(".")
    return {**plan, first: {second: value} if second else value}


def named(answer: Any, field: str) -> bool:
    return all(each == field or each.startswith(f"{field}.") for each in answer["errors"])


async def send(service: Any, method: str, path: str, body: Any, level: str = "write", status: int = 422) -> Any:
    # As JSON can: lone surrogates, NaN and numbers of any size. NaN and the like are no JSON: 400.
    text = json.dumps(body)
    if any(word in text for word in ("NaN", "Infinity")):
        status = 400
    return await service.call(method, path, key=level, data=text.encode(), headers=HEADERS, status=status)


@pytest.mark.parametrize(("field", "values"), PLANS, ids=lambda each: each if isinstance(each, str) else "")
async def test_plans_wherever_they_stand(staged: Any, field: str, values: list[Any]) -> None:
    await release(staged, "1.0.0", channel="beta")
    await release(staged, "1.1.0", channel="beta")
    await move(staged, "1.1.0", "withdraw")
    before = await actions(staged)
    for value in values:
        plan = plan_with(field, value)
        within = {**registration("9.9.9"), "rollout": plan}
        application = {"id": "new", "name": "New", "platforms": ["linux"], "default_rollout": plan}
        for method, path, body, level, prefix in (
            ("PUT", f"{UPDATES}/releases/1.0.0/rollout", plan, "write", ""),
            ("POST", f"{UPDATES}/releases/1.0.0/promote", {"channel": "stable", "rollout": plan}, "write", "rollout."),
            ("POST", f"{UPDATES}/releases/1.1.0/restore", {"rollout": plan}, "admin", "rollout."),
            ("POST", f"{UPDATES}/register", within, "write", "rollout."),
            ("PUT", "/api/v1/applications/my-app", {"default_rollout": plan}, "admin", "default_rollout."),
            ("POST", "/api/v1/applications", application, "write", "default_rollout."),
        ):
            answer = await send(staged, method, path, body, level)
            if answer["code"] != "INVALID_REQUEST":
                assert named(answer, prefix + field), (path, value, answer)
        text = json.dumps(plan)
        if len(text) < 4_000 and field != "start_at":
            for sent in (text, text.encode().decode("unicode_escape", "replace") if "\\" in text else text):
                query = {"params": {"rollout": sent}, "data": b"x"}
                path = f"{UPDATES}/builds/9.9.9/linux/amd64"
                answer = await staged.call("PUT", path, key="write", status=422, **query)
                assert all(each.startswith("rollout") for each in answer["errors"])
    assert await actions(staged) == before
    await shown(staged, "1.0.0", status=404)


@pytest.mark.parametrize("start_at", ["0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00Z", "1969-12-31T23:59:59-05:00"])
async def test_a_start_long_ago_is_at_once(staged: Any, start_at: str) -> None:
    await release(staged, "1.0.0", rollout={"percent": 5, "start_at": start_at})
    found = await shown(staged, "1.0.0")
    assert (found["state"], found["percent"]) == ("active", 5.0)
    assert found["plan"]["start_at"].endswith("Z")
    await release(staged, "1.0.0", platform="windows", rollout={"percent": 5, "start_at": start_at})


NO_PLAN = ["", "x", "[]", "null", "true", '"5"', "{", "NaN", "Infinity", "-Infinity", "1e999", "{}", "\x00"]
NO_PLAN += [
    "[" * 2_000,
    "5" * 400,
    '{"percent": 5, "percent": 6}',
    '{"percent": "\\ud800"}',
    '{"stages": ' + "[" * 1_000,
]


@pytest.mark.parametrize("text", NO_PLAN, ids=range(len(NO_PLAN)))
async def test_a_rollout_as_text_that_is_none(staged: Any, text: str) -> None:
    path = f"{UPDATES}/builds/1.0.0/linux/amd64"
    answer = await staged.call("PUT", path, key="write", data=b"x", params={"rollout": text}, status=422)
    assert all(each.startswith("rollout") for each in answer["errors"])
    form = FormData({"version": "1.0.0", **LINUX, "rollout": text})
    form.add_field("file", b"x", filename="a.bin")
    answer = await staged.call("POST", f"{UPDATES}/upload", key="write", data=form, status=422)
    assert all(each.startswith("rollout") for each in answer["errors"])
    assert await actions(staged) == []


async def test_channels_that_publishers_name(staged: Any) -> None:
    await release(staged, "1.0.0", channel="beta")
    before = await actions(staged)
    for value in (*NO_TEXT, *NO_NAME):
        for method, path, body in (
            ("POST", f"{UPDATES}/register", registration("9.9.9", channel=value)),
            ("POST", f"{UPDATES}/releases/1.0.0/promote", {"channel": value}),
        ):
            if value == "" and path.endswith("register"):
                continue
            answer = await send(staged, method, path, body)
            assert list(answer["errors"]) == ["channel"], (path, value)
            assert answer["errors"]["channel"].isprintable()
        if isinstance(value, str) and "\ud800" not in value and 0 < len(value) < 1_000:
            path = f"{UPDATES}/builds/9.9.9/linux/amd64"
            answer = await staged.call("PUT", path, key="write", data=b"x", params={"channel": value}, status=422)
            assert list(answer["errors"]) == ["channel"]
            form = FormData({"version": "9.9.9", **LINUX, "channel": value})
            form.add_field("file", b"x", filename="a.bin")
            answer = await staged.call("POST", f"{UPDATES}/upload", key="write", data=form, status=422)
            assert list(answer["errors"]) == ["channel"]
            found = await staged.call("GET", f"{UPDATES}/releases", key="read", params={"channel": value})
            assert found.get("releases", []) == []
    assert await actions(staged) == before


async def test_bodies_of_moves(staged: Any) -> None:
    await release(staged, "1.0.0", rollout=5)
    before = await actions(staged)
    fields: dict[str, list[Any]] = {
        "reason": [*NO_TEXT, "\x00", "\ud800", "x" * 501, "\x1b[2J"],
        "accept": [0, 1, "true", [], {}, None],
        "platforms": [1, "linux", {}, [], ["beos"], [1], [None], ["\ud800"], ["linux"], [DEEP], ["linux"] * 9_000],
        "unknown": [1],
    }
    for verb, names in (
        ("withdraw", ("reason", "unknown")),
        ("rollout/pause", ("reason", "unknown")),
        ("rollout/resume", ("reason", "accept", "platforms", "unknown")),
        ("rollout/complete", ("reason", "accept", "unknown")),
    ):
        for name in names:
            for value in fields[name]:
                body = {name: value, **({"accept": True} if name == "platforms" else {})}
                answer = await send(staged, "POST", f"{UPDATES}/releases/1.0.0/{verb}", body)
                assert named(answer, name), (verb, value, answer)
    assert await actions(staged) == before


ASKED = [
    ("manual", ["yes", "", "2", "\x00", "x" * 2_000]),
    ("client_id", ["a\x00b", "a\nb", "x" * 201, "\x7f", "\u202e", "\u200b"]),
]


async def test_queries_of_clients(staged: Any) -> None:
    await release(staged, "1.0.0")
    for name, values in ASKED:
        for value in values:
            for verb in ("check", "latest", "explain"):
                params = {"current_version": "0.1.0", **LINUX, name: value}
                answer = await staged.call("GET", f"{UPDATES}/{verb}", key="read", params=params)
                assert list(answer.get("errors", ())) == [name], (verb, value)
    for channel in (*NO_NAME, "x" * 2_000):
        if "\ud800" not in channel and len(channel) < 5_000:
            assert (await check(staged, channel=channel))["latest_version"] == "1.0.0"
    for staging in ("\x00", "x" * 2_000, "\u202e", ""):
        assert (await check(staged, stagingId=staging))["latest_version"] == "1.0.0"
    for value in (*NO_TEXT, None, "\ud800", "a\x00b", "x" * 50_000):
        body = {"application_id": "my-app", "current_version": "0.1.0", **LINUX, "channel": value}
        await send(staged, "POST", "/api/v1/check", body, status=200)
        report = {"current_version": "0.1.0", "target_version": "1.0.0", **LINUX, "status": "failed", "channel": value}
        await send(staged, "POST", f"{UPDATES}/status", report, status=200)
    for value in (*NO_TEXT[1:], "\ud800", "a\x00b", "x" * 201):
        body = {"application_id": "my-app", "current_version": "0.1.0", **LINUX, "client_id": value}
        assert list((await send(staged, "POST", "/api/v1/check", body))["errors"]) == ["client_id"]
        report = {"current_version": "0.1.0", "target_version": "1.0.0", **LINUX, "status": "failed"}
        answer = await send(staged, "POST", f"{UPDATES}/status", {**report, "client_id": value})
        assert list(answer["errors"]) == ["client_id"]


@pytest.mark.parametrize("raw", ["%ff", "%00", "%ed%a0%80", "a%2fb", "%zz", "%", "+", "%F0%9F%98%80", "a%0d%0aX:%20y"])
async def test_bytes_that_are_no_text(staged: Any, raw: str) -> None:
    """In queries, paths and headers, percent-encoded or raw: an answer, and the same one from both ways of reading."""
    await release(staged, "1.0.0")
    await release(staged, "1.1.0", rollout=50)
    auth = {"Authorization": f"Bearer {KEYS['admin']}"}
    base = f"{staged.url}{UPDATES}"
    asked = "current_version=0.1.0&platform=linux&architecture=amd64"
    for path in (
        f"/check?{asked}&client_id={raw}",
        f"/check?{asked}&stagingId={raw}",
        f"/check?{asked}&channel={raw}",
        f"/latest?{asked}&client_id={raw}",
        f"/explain?{asked}&client_id={raw}",
        f"/explain?{asked}&address={raw}",
        f"/explain?{asked}&channel={raw}",
        f"/history?version={raw}",
        f"/releases?channel={raw}",
        f"/releases/{raw}",
        f"/releases/{raw}/rollout",
    ):
        async with staged.session.get(URL(base + path, encoded=True), headers=auth) as response:
            assert response.status < 500, (path, await response.text())
            assert "\r" not in str(response.headers)
    for verb in ("promote", "withdraw", "restore", "rollout/pause", "rollout/resume", "rollout/complete"):
        url = URL(f"{base}/releases/{raw}/{verb}", encoded=True)
        async with staged.session.post(url, headers=auth, json={}) as response:
            assert response.status in (404, 422), (verb, await response.text())


async def test_headers_that_are_no_ids(staged: Any) -> None:
    from tests.web.raw import request
    from tests.web.raw import send as send_raw

    await release(staged, "1.0.0", rollout=50)
    path = f"{UPDATES}/check?current_version=0.1.0&platform=linux&architecture=amd64"
    for name in (b"X-Client-Id", b"x-user-staging-id"):
        for value in (b"\xff\xfe", b"", b"x" * 7_000, b"\xe2\x80\xae", b"a\tb", b"\xed\xa0\x80"):
            answer = await send_raw(staged.url, request("GET", path, name + b": " + value))
            assert answer.status == 200
        twice = request("GET", path, name + b": a", name + b": b")
        assert (await send_raw(staged.url, twice)).status in (200, 400)
