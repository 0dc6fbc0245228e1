"""Channels: CH-1 to CH-8 of the contract."""

from __future__ import annotations

from typing import Any

import pytest

from tests.web.api.rollouts.releasing import LINUX, UPDATES, check, offered, release

APPLICATION = "/api/v1/applications/my-app"


async def change(service: Any, status: int = 200, **fields: Any) -> Any:
    return await service.call("PUT", APPLICATION, key="admin", json=fields, status=status)


async def channels(service: Any) -> list[str]:
    found: list[str] = (await service.call("GET", APPLICATION, key="read", status=200))["channels"]
    return found


async def test_left_out_there_is_one_channel(service: Any) -> None:
    assert await channels(service) == ["stable"]


async def test_the_list_is_shown_and_replaced(staged: Any) -> None:
    assert await channels(staged) == ["stable", "beta", "nightly"]
    await change(staged, channels=["lts", "stable"])
    assert await channels(staged) == ["lts", "stable"]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ([], "channels"),
        (["stable", "stable"], "channels"),
        (["Stable"], "channels.0"),
        (["stable", ".x"], "channels.1"),
        (["a" * 41], "channels.0"),
        ([1], "channels.0"),
        ("stable", "channels"),
        ([f"c{number}" for number in range(21)], "channels"),
        (["stable\n"], "channels.0"),
    ],
)
async def test_a_list_that_does_not_fit_is_refused(staged: Any, given: Any, field: str) -> None:
    answer = await change(staged, status=422, channels=given)
    assert list(answer["errors"]) == [field]
    assert await channels(staged) == ["stable", "beta", "nightly"]


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (["stable", "nightly"], "beta"),  # would go
        (["stable", "nightly", "beta"], "nightly"),  # would change places with beta
        (["lts", "stable", "beta", "nightly"], "stable"),  # would not be first any more
    ],
)
async def test_channels_that_hold_releases_stay_in_their_order(staged: Any, given: list[str], named: str) -> None:
    for version, channel in (("1.0.0", "stable"), ("1.1.0", "beta"), ("1.2.0", "nightly")):
        await release(staged, version, channel=channel)
    answer = await change(staged, status=409, channels=given)
    assert (answer["code"], answer["details"]["channel"]) == ("CONFLICT", named)
    assert await channels(staged) == ["stable", "beta", "nightly"]


async def test_a_channel_between_moves_nobody(staged: Any) -> None:
    await release(staged, "1.0.0")
    await release(staged, "1.1.0", channel="beta")
    await change(staged, channels=["stable", "rc", "beta", "nightly"])
    assert await offered(staged, channel="rc") == "1.0.0"
    assert await offered(staged, channel="beta") == "1.1.0"


async def test_withdrawn_releases_hold_their_channel(staged: Any) -> None:
    await release(staged, "1.1.0", channel="beta")
    await staged.call("POST", f"{UPDATES}/releases/1.1.0/withdraw", key="write", status=200)
    await change(staged, status=409, channels=["stable"])


async def test_a_release_is_on_one_channel(staged: Any) -> None:
    await release(staged, "1.0.0", channel="beta")
    await release(staged, "1.0.0", platform="windows")
    await release(staged, "1.0.0", platform="darwin", channel="beta")
    answer = await release(staged, "1.0.0", architecture="arm64", channel="stable", status=409)
    assert answer["details"]["channel"] == "beta"
    answer = await release(staged, "1.3.0", channel="betta", status=422)
    assert list(answer["errors"]) == ["channel"]


async def test_uploads_name_their_channel(staged: Any) -> None:
    await staged.publish(b"raw", "1.0.0", channel="beta")
    form = {"version": "1.1.0", **LINUX, "channel": "nightly"}
    from aiohttp import FormData

    data = FormData(form)
    data.add_field("file", b"form", filename="app.exe")
    await staged.call("POST", f"{UPDATES}/upload", key="write", data=data, status=201)
    assert await offered(staged) is None
    assert await offered(staged, channel="beta") == "1.0.0"
    assert await offered(staged, channel="nightly") == "1.1.0"


async def test_a_client_gets_the_newest_of_its_channel_and_the_more_stable_ones(staged: Any) -> None:
    for version, channel in (("2.0.0", "stable"), ("1.9.0", "beta"), ("2.1.0", "nightly")):
        await release(staged, version, channel=channel)
    assert await offered(staged) == "2.0.0"
    assert await offered(staged, channel="") == "2.0.0"
    assert await offered(staged, channel="beta") == "2.0.0"
    assert await offered(staged, channel="nightly") == "2.1.0"
    latest = await staged.call("GET", f"{UPDATES}/latest", params={**LINUX, "channel": "nightly"}, status=200)
    assert latest["version"] == "2.1.0"
    body = {"application_id": "my-app", "current_version": "0.1.0", **LINUX, "channel": "nightly"}
    answer = await staged.call("POST", "/api/v1/check", json=body, status=200)
    assert answer["latest_version"] == "2.1.0"


@pytest.mark.parametrize("asked", ["betta", "Beta", "%00", "x" * 500, "../stable"])
async def test_an_unknown_channel_counts_as_the_first(staged: Any, asked: str) -> None:
    await release(staged, "1.0.0")
    await release(staged, "1.1.0", channel="beta")
    assert await offered(staged, channel=asked) == "1.0.0"


async def test_pre_releases_come_unasked_on_any_channel_but_the_first(staged: Any) -> None:
    await release(staged, "1.0.0")
    await release(staged, "1.1.0-rc.1")
    assert await offered(staged) == "1.0.0"
    assert await offered(staged, allow_prerelease="true") == "1.1.0-rc.1"
    assert await offered(staged, channel="beta") == "1.1.0-rc.1"


async def test_nobody_goes_down_by_changing_channels(staged: Any) -> None:
    await release(staged, "1.0.0")
    await release(staged, "2.0.0", channel="nightly")
    assert await offered(staged, "2.0.0") is None
    assert await offered(staged, "2.0.0", channel="beta") is None


async def test_the_list_of_releases_tells_channel_status_and_percent(staged: Any) -> None:
    await release(staged, "1.0.0")
    await release(staged, "1.1.0", channel="beta", rollout=12.5)
    await staged.call("POST", f"{UPDATES}/releases/1.0.0/withdraw", key="write", status=200)
    found = await staged.call("GET", f"{UPDATES}/releases", key="read", status=200)
    told = {each["version"]: (each["channel"], each["status"], each["percent"]) for each in found["releases"]}
    assert told == {"1.0.0": ("stable", "withdrawn", 100.0), "1.1.0": ("beta", "active", 12.5)}
    found = await staged.call("GET", f"{UPDATES}/releases", key="read", params={"channel": "beta"}, status=200)
    assert [each["version"] for each in found["releases"]] == ["1.1.0"]


async def test_a_required_build_on_a_less_stable_channel_forces_nobody_else(staged: Any) -> None:
    await release(staged, "1.1.0", channel="beta", required=True)
    await release(staged, "1.2.0")
    assert (await check(staged))["required"] is False
    assert (await check(staged, channel="beta"))["required"] is True
