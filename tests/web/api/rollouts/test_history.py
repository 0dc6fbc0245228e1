"""The history: HI-1 to HI-4 of the contract, action by action with its actor, its reason, before and after."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import StartService
from tests.web.api.rollouts.releasing import (
    LINUX,
    UPDATES,
    WATCHED,
    actions,
    history,
    move,
    put,
    release,
    report,
    shown,
)
from tests.web.api.rollouts.test_arms import failing
from tests.web.api.rollouts.test_plans import ahead, plan_of
from updater.audit.model import RETENTION, Actor, ActorKind
from updater.catalog.retention import RetentionPolicy

WRITER, ADMIN = {"kind": "key", "name": "write key"}, {"kind": "key", "name": "admin key"}
SYSTEM = {"kind": "system", "name": ""}
APPLICATION = "/api/v1/applications/my-app"
CHECKSUM = "ab" * 32
BUILD = {**LINUX, "checksum": CHECKSUM}


async def newest(service: Any, count: int = 1) -> list[tuple[str, Any, Any]]:
    """Return the last entries, oldest first: action, before, after."""
    return [(each["action"], each["before"], each["after"]) for each in (await history(service))[-count:]]


async def change(service: Any, status: int = 200, **fields: Any) -> Any:
    return await service.call("PUT", APPLICATION, key="admin", json=fields, status=status)


async def test_an_entry_has_exactly_the_documented_keys(staged: Any) -> None:
    await release(staged, "1.0.0")
    await put(staged, "1.0.0", {"percent": 5, "reason": "first try"})
    page = await staged.call("GET", f"{UPDATES}/history", key="read", status=200)
    assert set(page) == {"entries", "total_count", "page", "page_size", "has_more"}
    entry = page["entries"][0]
    assert entry.pop("at").endswith("Z")
    assert isinstance(entry.pop("id"), int)
    assert entry == {
        "actor": WRITER,
        "action": "rollout.set",
        "version": "1.0.0",
        "reason": "first try",
        "before": None,
        "after": plan_of({"percent": 5}),
    }


async def test_newest_first_page_by_page_and_by_version(staged: Any) -> None:
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        await release(staged, version)
    seen: list[Any] = []
    for offset in (0, 4):
        query = {"limit": "4", "offset": str(offset)}
        page = await staged.call("GET", f"{UPDATES}/history", key="read", params=query, status=200)
        told = (page["total_count"], page["page"], page["page_size"], page["has_more"])
        assert told == (6, offset // 4 + 1, 4, offset == 0)
        seen += page["entries"]
    numbers = [each["id"] for each in seen]
    assert numbers == sorted(numbers, reverse=True)
    assert len(set(numbers)) == 6
    query = {"version": "1.1.0"}
    page = await staged.call("GET", f"{UPDATES}/history", key="read", params=query, status=200)
    assert [(each["version"], each["action"]) for each in page["entries"]] == [
        ("1.1.0", "build.published"),
        ("1.1.0", "release.published"),
    ]
    for wrong, field in (("limit", "0"), ("limit", "1001"), ("offset", "-1"), ("version", "nonsense")):
        answer = await staged.call("GET", f"{UPDATES}/history", key="read", params={wrong: field}, status=422)
        assert list(answer["errors"]) == [wrong]


async def test_settings_of_the_application(staged: Any) -> None:
    await change(staged, channels=["stable", "beta"])
    assert await newest(staged) == [
        ("channels.set", {"channels": ["stable", "beta", "nightly"]}, {"channels": ["stable", "beta"]})
    ]
    entry = (await history(staged))[-1]
    assert (entry["version"], entry["reason"], entry["actor"]) == (None, None, ADMIN)
    await change(staged, default_rollout=5)
    five = plan_of({"percent": 5})
    assert await newest(staged) == [("default_rollout.set", {"default_rollout": None}, {"default_rollout": five})]
    await change(staged, default_rollout=None)
    assert await newest(staged) == [("default_rollout.set", {"default_rollout": five}, {"default_rollout": None})]
    assert (await history(staged))[-1]["version"] is None


async def test_publishing_and_deleting(staged: Any) -> None:
    await release(staged, "1.0.0", channel="beta", rollout=7.5)
    assert await newest(staged, 3) == [
        ("release.published", None, {"channel": "beta", "percent": 7.5}),
        ("rollout.set", None, plan_of({"percent": 7.5})),
        ("build.published", None, BUILD),
    ]
    await release(staged, "1.0.0", architecture="arm64")
    arm = {**BUILD, "architecture": "arm64"}
    assert await newest(staged, 1) == [("build.published", None, arm)]
    await release(staged, "1.1.0")
    assert await newest(staged, 2) == [
        ("release.published", None, {"channel": "stable", "percent": 100.0}),
        ("build.published", None, BUILD),
    ]
    await staged.call("DELETE", f"{UPDATES}/releases/1.0.0/linux/amd64", key="admin", status=200)
    assert await newest(staged, 1) == [("build.deleted", BUILD, None)]
    await staged.call("DELETE", f"{UPDATES}/releases/1.0.0/linux/arm64", key="admin", status=200)
    assert await newest(staged, 2) == [
        ("build.deleted", arm, None),
        ("release.deleted", {"channel": "beta", "status": "active"}, None),
    ]
    assert len(await history(staged, version="1.0.0")) == 7, "what is gone keeps its entries"


async def test_moves_of_a_release(staged: Any) -> None:
    await release(staged, "1.0.0", channel="beta")
    await move(staged, "1.0.0", "promote", {"channel": "stable", "rollout": {"percent": 5}, "reason": "good"})
    assert await newest(staged, 2) == [
        ("release.promoted", {"channel": "beta"}, {"channel": "stable"}),
        ("rollout.set", None, plan_of({"percent": 5})),
    ]
    assert {each["reason"] for each in (await history(staged))[-2:]} == {"good"}
    await move(staged, "1.0.0", "withdraw", {"reason": "bad"})
    assert await newest(staged) == [("release.withdrawn", {"status": "active"}, {"status": "withdrawn"})]
    await move(staged, "1.0.0", "restore", {"rollout": {"percent": 6}, "reason": "again"}, key="admin")
    assert await newest(staged, 2) == [
        ("release.restored", {"status": "withdrawn"}, {"status": "active"}),
        ("rollout.set", plan_of({"percent": 5}), plan_of({"percent": 6})),
    ]
    assert (await history(staged))[-2]["actor"] == ADMIN


async def test_steps_of_a_rollout_by_hand(staged: Any) -> None:
    stages = [{"percent": 5, "for_s": 3600}, {"percent": 50}]
    await release(staged, "1.0.0", rollout={"stages": stages})
    at_five = {"state": "active", "stage": 1, "percent": 5.0}
    paused = {**at_five, "state": "paused"}
    await move(staged, "1.0.0", "rollout/pause", {"reason": "lunch"})
    assert await newest(staged) == [("rollout.paused", at_five, paused)]
    assert (await history(staged))[-1]["reason"] == "lunch"
    await move(staged, "1.0.0", "rollout/resume")
    assert await newest(staged) == [("rollout.resumed", paused, at_five)]
    await move(staged, "1.0.0", "rollout/complete")
    assert await newest(staged) == [
        ("rollout.completed", at_five, {"state": "complete", "stage": None, "percent": 100.0})
    ]
    await put(staged, "1.0.0", {"percent": 1})
    assert await newest(staged) == [("rollout.set", plan_of(*stages), plan_of({"percent": 1}))]
    await release(staged, "1.1.0", rollout={"percent": 5, "start_at": ahead(hours=1)})
    await move(staged, "1.1.0", "rollout/pause")
    scheduled = {"state": "scheduled", "stage": None, "percent": 0.0}
    assert await newest(staged) == [("rollout.paused", scheduled, {**scheduled, "state": "paused"})]


async def test_steps_of_the_clock(staged: Any) -> None:
    """One entry for each; a step that makes it complete is `rollout.completed` alone."""
    import asyncio

    stages = [{"percent": 5, "for_s": 1}, {"percent": 100, "for_s": 1}]
    await release(staged, "1.0.0", rollout={"stages": stages, "start_at": ahead(seconds=1), "min_reports": 0})
    async with asyncio.timeout(60):
        while (await shown(staged, "1.0.0"))["state"] != "complete":
            await asyncio.sleep(0.2)
            await staged.services.rollouts.advance()
    five, hundred = ({"state": "active", "stage": n, "percent": p} for n, p in ((1, 5.0), (2, 100.0)))
    scheduled = {"state": "scheduled", "stage": None, "percent": 0.0}
    assert await newest(staged, 3) == [
        ("rollout.started", scheduled, five),
        ("rollout.advanced", five, hundred),
        ("rollout.completed", hundred, {"state": "complete", "stage": None, "percent": 100.0}),
    ]
    assert all((each["actor"], each["reason"]) == (SYSTEM, None) for each in (await history(staged))[-3:])


async def test_halts_and_their_acceptance(staged: Any) -> None:
    await release(staged, "1.0.0")
    await release(staged, "1.1.0", rollout={"percent": 50, "halt": WATCHED})
    await failing(staged)
    halt = (await shown(staged, "1.1.0"))["platforms"][0]["halt"]
    at_fifty = {"state": "active", "stage": 1, "percent": 50.0}
    assert await newest(staged) == [
        ("rollout.halted", {"platform": "linux", "state": "open"}, {"platform": "linux", "state": "halted", **halt})
    ]
    await move(staged, "1.1.0", "rollout/resume", {"accept": True, "reason": "a broken test farm"})
    assert await newest(staged) == [
        ("rollout.resumed", {**at_fifty, "halts": {"linux": halt}}, {**at_fifty, "accepted": ["linux"]})
    ]
    entry = (await history(staged))[-1]
    assert (entry["actor"], entry["reason"]) == (WRITER, "a broken test farm")


async def test_retention_by_itself_is_called_so(start_service: StartService) -> None:
    service = await start_service()
    await service.application()
    for number in range(3):
        await release(service, f"1.{number}.0")
    gone = await service.services.catalog.retire(
        "my-app", RetentionPolicy(keep_releases=1), service.services.offers.still_offered, actor=RETENTION
    )
    assert gone == ["1.0.0", "1.1.0"]
    entries = (await history(service))[-2:]
    assert [each["actor"] for each in entries] == [{"kind": "system", "name": "retention"}] * 2


async def test_with_access_off_it_is_open(start_service: StartService) -> None:
    service = await start_service(access={"enabled": False})
    await service.application()
    await release(service, "1.0.0")
    await move(service, "1.0.0", "withdraw")
    assert {(each["actor"]["kind"], each["actor"]["name"]) for each in await history(service)} == {("open", "")}


async def test_a_user_is_named(staged: Any) -> None:
    await release(staged, "1.0.0")
    await staged.services.releases.withdraw("my-app", "1.0.0", actor=Actor(ActorKind.USER, "anna"))
    assert (await history(staged))[-1]["actor"] == {"kind": "user", "name": "anna"}


async def test_what_changes_nothing_or_is_refused_leaves_no_entry(staged: Any) -> None:
    await release(staged, "1.0.0", rollout=5, channel="beta")
    await release(staged, "1.1.0")
    await change(staged, default_rollout=5)
    await move(staged, "1.0.0", "rollout/pause")
    await move(staged, "1.1.0", "withdraw")
    before = await history(staged)
    await change(staged, default_rollout={"percent": 5, "min_reports": 20})
    await change(staged, channels=["stable", "beta", "nightly"])
    await change(staged, 409, channels=["beta", "stable"], default_rollout=7)
    await change(staged, 422, channels=["a", "a"], default_rollout=7)
    await move(staged, "1.0.0", "rollout/pause")
    await move(staged, "1.0.0", "promote", {"channel": "beta"})
    await move(staged, "1.0.0", "promote", {"channel": "nightly"}, status=409)
    await move(staged, "1.0.0", "restore", key="admin")
    await move(staged, "1.0.0", "restore", {"rollout": {"percent": 6}}, key="admin", status=409)
    await move(staged, "1.0.0", "rollout/resume", {"accept": True, "platforms": ["linux"]}, status=422)
    wrong = {"channel": "stable", "rollout": {"stages": [{"percent": 5}, {"percent": 6}]}}
    await move(staged, "1.0.0", "promote", wrong, status=422)
    await move(staged, "1.1.0", "withdraw")
    await move(staged, "1.1.0", "rollout/pause", status=404)
    await move(staged, "1.1.0", "promote", {"channel": "stable"}, status=409)
    await put(staged, "1.1.0", {"percent": 6}, status=409)
    await put(staged, "1.0.0", {"percent": 101}, status=422)
    await release(staged, "1.0.0", status=409)
    await release(staged, "1.0.0", platform="windows", rollout=6, status=409)
    await release(staged, "1.0.0", platform="windows", channel="stable", status=409)
    await release(staged, "1.2.0", channel="betta", status=422)
    await report(staged, "1.0.0")
    assert await history(staged) == before


async def test_it_goes_with_the_application_and_begins_anew(staged: Any) -> None:
    await release(staged, "1.0.0")
    await staged.call("DELETE", APPLICATION, key="admin")
    await staged.call("GET", f"{UPDATES}/history", key="read", status=404)
    await staged.application(channels=["stable", "beta"])
    assert await actions(staged) == []
    await release(staged, "1.0.0", channel="beta")
    assert await actions(staged) == ["release.published", "build.published"]


@pytest.mark.parametrize("verb", ["promote", "withdraw", "rollout/pause", "rollout/resume", "rollout/complete"])
async def test_a_reason_may_be_null_or_long_but_no_object(staged: Any, verb: str) -> None:
    await release(staged, "1.0.0", rollout=5, channel="beta")
    extra = {"channel": "stable"} if verb == "promote" else {}
    for reason in (5, [], {}, True, "x" * 501, "a\x00b", "a\x1bb"):
        answer = await move(staged, "1.0.0", verb, {**extra, "reason": reason}, status=422)
        assert list(answer["errors"]) == ["reason"]
    if verb == "rollout/resume":
        await move(staged, "1.0.0", "rollout/pause")
    await move(staged, "1.0.0", verb, {**extra, "reason": None})
    assert (await history(staged))[-1]["reason"] is None
