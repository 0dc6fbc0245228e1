"""Plans, states and transitions: RO-1 to RO-14 of the contract."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import FormData

from tests.web.api.rollouts.releasing import (
    LINUX,
    UPDATES,
    actions,
    history,
    move,
    offered,
    put,
    release,
    shown,
)

HALT = {
    "enabled": True,
    "max_failure_rate": 0.1,
    "margin": 0.0025,
    "alpha": 0.005,
    "per_address": 3,
    "min_addresses": 5,
}
STAGES = [{"percent": 1, "for_s": 3600}, {"percent": 10, "for_s": 86400}, {"percent": 100}]


def ahead(**more: int) -> str:
    return (datetime.now(UTC) + timedelta(**more)).strftime("%Y-%m-%dT%H:%M:%SZ")


def plan_of(*stages: dict[str, Any], **more: Any) -> dict[str, Any]:
    filled = [{"for_s": None, **each, "percent": float(each["percent"])} for each in stages]
    return {"stages": filled, "start_at": None, "min_reports": 20, "halt": HALT, **more}


async def test_a_plan_is_shown_with_its_defaults_and_exactly_the_documented_keys(staged: Any) -> None:
    await release(staged, "1.0.0", platform="windows")
    await release(staged, "1.0.0")
    found = await put(staged, "1.0.0", {"percent": 12.34, "reason": "first try"})
    assert found == await shown(staged, "1.0.0")
    for name in ("created_at", "updated_at"):
        assert found.pop(name).endswith("Z")
    assert len(bytes.fromhex(found.pop("salt"))) == 16
    stage, platforms = found.pop("stage"), found.pop("platforms")
    assert found == {
        "application_id": "my-app",
        "version": "1.0.0",
        "channel": "stable",
        "state": "active",
        "percent": 12.34,
        "plan": plan_of({"percent": 12.34}),
        "hold": {"why": "last_stage"},
        "completed_at": None,
    }
    assert stage.pop("started_at").endswith("Z")
    assert stage == {"number": 1, "of": 1, "reports": 0, "ends_at": None}
    assert [each.pop("platform") for each in platforms] == ["linux", "windows"]
    assert platforms[0].pop("since").endswith("Z")
    assert platforms[0] == {
        "state": "open",
        "series": 1,
        "rollout": {"completed": 0, "failed": 0, "ignored": 0, "failed_addresses": 0},
        "control": {"completed": 0, "failed": 0, "ignored": 0},
        "baseline": {"completed": 0, "failed": 0, "rate": 0.1},
        "evidence": {"control": 1.0, "ceiling": 0.0},
        "limit": 400.0,
        "halt": None,
    }
    entry = (await history(staged))[-1]
    assert (entry["action"], entry["reason"], entry["before"]) == ("rollout.set", "first try", None)
    assert entry["after"] == plan_of({"percent": 12.34})


@pytest.mark.parametrize(
    ("plan", "field"),
    [
        ({}, "percent"),
        ({"percent": 1, "stages": [{"percent": 1}]}, "percent"),
        ({"percent": -0.01}, "percent"),
        ({"percent": 100.01}, "percent"),
        ({"percent": 0.005}, "percent"),
        ({"percent": "10"}, "percent"),
        ({"percent": True}, "percent"),
        ({"percent": None}, "percent"),
        ({"stages": []}, "stages"),
        ({"stages": [{"percent": n, "for_s": 1} for n in range(21)]}, "stages"),
        ({"stages": [{"percent": 5, "for_s": 60}, {"percent": 5}]}, "stages.1.percent"),
        ({"stages": [{"percent": 5, "for_s": 60}, {"percent": 4}]}, "stages.1.percent"),
        ({"stages": [{"percent": 5}, {"percent": 6}]}, "stages.0.for_s"),
        ({"stages": [{"percent": 5, "for_s": 60}, {"percent": 6, "for_s": 60}]}, "stages.1.for_s"),
        ({"stages": [{"percent": 5, "for_s": 0}, {"percent": 6}]}, "stages.0.for_s"),
        ({"stages": [{"percent": 5, "for_s": 31_622_401}, {"percent": 6}]}, "stages.0.for_s"),
        ({"stages": [{"percent": 5, "for_s": 1.5}, {"percent": 6}]}, "stages.0.for_s"),
        ({"stages": [{"percent": 5, "fors": 1}]}, "stages.0.fors"),
        ({"stages": [{"for_s": 1}]}, "stages.0.percent"),
        ({"percent": 1, "start_at": "2026-01-01"}, "start_at"),
        ({"percent": 1, "start_at": "2026-01-01T00:00:00"}, "start_at"),
        ({"percent": 1, "start_at": ahead(days=367)}, "start_at"),
        ({"percent": 1, "min_reports": -1}, "min_reports"),
        ({"percent": 1, "min_reports": 1_000_001}, "min_reports"),
        ({"percent": 1e308}, "percent"),
        ({"percent": 1, "halt": {"max_failure_rate": 0}}, "halt.max_failure_rate"),
        ({"percent": 1, "halt": {"max_failure_rate": 1}}, "halt.max_failure_rate"),
        ({"percent": 1, "halt": {"margin": 0.51}}, "halt.margin"),
        ({"percent": 1, "halt": {"alpha": 0.00009}}, "halt.alpha"),
        ({"percent": 1, "halt": {"alpha": 0.11}}, "halt.alpha"),
        ({"percent": 1, "halt": {"per_address": 0}}, "halt.per_address"),
        ({"percent": 1, "halt": {"min_addresses": 1_001}}, "halt.min_addresses"),
        ({"percent": 1, "halt": {"enabled": 1}}, "halt.enabled"),
        ({"percent": 1, "halt": {"enabld": True}}, "halt.enabld"),
        ({"percent": 1, "salt": "ff"}, "salt"),
    ],
)
async def test_a_plan_that_does_not_fit_names_its_field(staged: Any, plan: dict[str, Any], field: str) -> None:
    await release(staged, "1.0.0")
    answer = await put(staged, "1.0.0", plan, status=422)
    assert (answer["code"], list(answer["errors"])) == ("VALIDATION_ERROR", [field])
    assert (await shown(staged, "1.0.0", status=404))["code"] == "NOT_FOUND"
    answer = await release(staged, "1.1.0", rollout=plan, status=422)
    assert list(answer["errors"]) == [f"rollout.{field}"]


async def test_the_largest_plan_fits(staged: Any) -> None:
    await release(staged, "1.0.0")
    stages = [{"percent": n / 100, "for_s": 31_622_400} for n in range(19)] + [{"percent": 100, "for_s": 1}]
    found = await put(staged, "1.0.0", {"stages": stages, "start_at": ahead(days=365), "min_reports": 1_000_000})
    assert (found["state"], found["percent"], found["stage"]) == ("scheduled", 0.0, None)
    assert found["hold"] == {"why": "scheduled"}


@pytest.mark.parametrize("given", [7.5, {"percent": 7.5}, {"stages": [{"percent": 7.5}]}])
async def test_a_release_has_its_rollout_from_its_first_second(staged: Any, given: Any) -> None:
    await release(staged, "1.0.0", rollout=given)
    assert (await shown(staged, "1.0.0"))["plan"] == plan_of({"percent": 7.5})
    await staged.publish(b"raw", "1.1.0", rollout=json.dumps(given))
    assert (await shown(staged, "1.1.0"))["plan"] == plan_of({"percent": 7.5})
    data = FormData({"version": "1.2.0", **LINUX, "rollout": json.dumps(given)})
    data.add_field("file", b"form", filename="app.exe")
    await staged.call("POST", f"{UPDATES}/upload", key="write", data=data, status=201)
    assert (await shown(staged, "1.2.0"))["plan"] == plan_of({"percent": 7.5})
    told = {each["version"]: each["after"] for each in await history(staged) if each["action"] == "release.published"}
    assert told["1.2.0"] == {"channel": "stable", "percent": 7.5}


@pytest.mark.parametrize("given", ["5", "[]", "x", '"5"', "true"])
async def test_what_is_neither_a_percent_nor_a_plan(staged: Any, given: str) -> None:
    answer = await staged.call(
        "PUT", f"{UPDATES}/builds/1.0.0/linux/amd64", key="write", data=b"x", params={"rollout": given}
    )
    if given == "5":
        assert answer["version"] == "1.0.0"
    else:
        assert list(answer["errors"]) == ["rollout"]


async def test_a_further_build_repeats_what_the_release_has(staged: Any) -> None:
    await release(staged, "1.0.0", rollout=5)
    await release(staged, "1.0.0", platform="windows", rollout={"percent": 5, "min_reports": 20})
    await release(staged, "1.0.0", platform="darwin")
    await release(staged, "1.0.0", architecture="arm64", rollout=6, status=409)
    assert [each["platform"] for each in (await shown(staged, "1.0.0"))["platforms"]] == ["darwin", "linux", "windows"]
    await release(staged, "1.1.0")
    await release(staged, "1.1.0", platform="windows", rollout=5, status=409)


async def test_default_rollout(staged: Any) -> None:
    path = "/api/v1/applications/my-app"
    await staged.call("PUT", path, key="admin", json={"default_rollout": 5}, status=200)
    found = await staged.call("GET", path, key="read", status=200)
    assert found["default_rollout"] == plan_of({"percent": 5})
    await release(staged, "1.0.0")
    await release(staged, "1.1.0", rollout=100)
    assert (await shown(staged, "1.0.0"))["percent"] == 5.0
    assert (await shown(staged, "1.1.0"))["state"] == "complete"
    for wrong, field in (({"percent": 101}, "percent"), ({"percent": 1, "start_at": ahead(days=1)}, "start_at")):
        answer = await staged.call("PUT", path, key="admin", json={"default_rollout": wrong}, status=422)
        assert list(answer["errors"]) == [f"default_rollout.{field}"]
    await staged.call("PUT", path, key="admin", json={"default_rollout": None}, status=200)
    await release(staged, "1.2.0")
    await shown(staged, "1.2.0", status=404)
    assert "default_rollout.set" in await actions(staged)


async def test_without_a_rollout_only_put_makes_one(staged: Any) -> None:
    await release(staged, "1.0.0")
    for verb in ("pause", "resume", "complete"):
        await move(staged, "1.0.0", f"rollout/{verb}", status=404)
    await shown(staged, "9.9.9", status=404)
    assert (await put(staged, "1.0.0", {"percent": 5}))["state"] == "active"


async def test_pause_and_resume_keep_the_clock(staged: Any) -> None:
    await release(staged, "1.0.0", rollout={"stages": STAGES})
    before = await shown(staged, "1.0.0")
    assert before["hold"] == {"why": "time"}
    paused = await move(staged, "1.0.0", "rollout/pause")
    assert (paused["state"], paused["hold"], paused["stage"]["ends_at"]) == ("paused", {"why": "paused"}, None)
    assert await offered(staged, manual="true") is None
    entries = await actions(staged)
    assert (await move(staged, "1.0.0", "rollout/pause"))["state"] == "paused"
    assert await actions(staged) == entries
    resumed = await move(staged, "1.0.0", "rollout/resume")
    assert resumed["state"] == "active"
    times = [datetime.fromisoformat(each["stage"]["ends_at"]) for each in (before, resumed)]
    assert timedelta(0) <= times[1] - times[0] < timedelta(seconds=60)
    await move(staged, "1.0.0", "rollout/resume", status=409)


async def test_complete_is_for_everybody(staged: Any) -> None:
    await release(staged, "1.0.0", rollout=0)
    done = await move(staged, "1.0.0", "rollout/complete", {"reason": "good"})
    assert (done["state"], done["percent"], done["stage"], done["hold"]) == ("complete", 100.0, None, None)
    assert await offered(staged) == "1.0.0"
    entries = await actions(staged)
    assert (await move(staged, "1.0.0", "rollout/complete"))["state"] == "complete"
    assert await actions(staged) == entries
    await move(staged, "1.0.0", "rollout/pause", status=409)
    await move(staged, "1.0.0", "rollout/resume", status=409)
    entry = (await history(staged))[-1]
    assert entry["before"] == {"state": "active", "stage": 1, "percent": 0.0}
    assert entry["after"] == {"state": "complete", "stage": None, "percent": 100.0}


async def test_put_keeps_salt_and_pause_and_begins_at_stage_one(staged: Any) -> None:
    await release(staged, "1.0.0", rollout=10)
    salt = (await shown(staged, "1.0.0"))["salt"]
    await move(staged, "1.0.0", "rollout/pause")
    found = await put(staged, "1.0.0", {"stages": STAGES})
    assert (found["salt"], found["state"], found["stage"]["number"]) == (salt, "paused", 1)
    found = await put(staged, "1.0.0", {"percent": 100})
    assert found["state"] == "paused", "it is complete with the resume"
    assert (await move(staged, "1.0.0", "rollout/resume"))["state"] == "complete"
    found = await put(staged, "1.0.0", {"percent": 3})
    assert (found["state"], found["salt"], found["platforms"][0]["series"]) == ("active", salt, 2)
    assert await offered(staged, client_id="c") in (None, "1.0.0")


async def test_scheduled_paused_resumed(staged: Any) -> None:
    await release(staged, "1.0.0", rollout={"percent": 50, "start_at": ahead(hours=1)})
    assert (await shown(staged, "1.0.0"))["state"] == "scheduled"
    await move(staged, "1.0.0", "rollout/resume", status=409)
    assert (await move(staged, "1.0.0", "rollout/pause"))["state"] == "paused"
    assert (await move(staged, "1.0.0", "rollout/resume"))["state"] == "scheduled"
    assert (await put(staged, "1.0.0", {"percent": 100}))["state"] == "complete"


async def test_eight_rollouts_at_once(staged: Any) -> None:
    for number in range(8):
        await release(staged, f"1.{number}.0", rollout=5)
    answer = await release(staged, "1.8.0", rollout=5, status=409)
    assert answer["code"] == "CONFLICT"
    await release(staged, "1.8.0")
    await put(staged, "1.8.0", {"percent": 5}, status=409)
    await release(staged, "1.9.0", channel="beta")
    await move(staged, "1.9.0", "promote", {"channel": "stable", "rollout": {"percent": 5}}, status=409)
    await move(staged, "1.0.0", "withdraw")
    await put(staged, "1.8.0", {"percent": 5})
    await move(staged, "1.0.0", "restore", key="admin", status=409)
    await move(staged, "1.8.0", "rollout/complete")
    await move(staged, "1.0.0", "restore", key="admin")
    found = await staged.call("GET", f"{UPDATES}/rollouts", key="read", status=200)
    assert [each["version"] for each in found["rollouts"]] == [f"1.{number}.0" for number in reversed(range(8))]
    assert found["rollouts"][0] == await shown(staged, "1.7.0")


async def test_deleted_and_published_again_it_is_a_new_release(staged: Any) -> None:
    await release(staged, "1.0.0", rollout=5)
    salt = (await shown(staged, "1.0.0"))["salt"]
    await staged.call("DELETE", f"{UPDATES}/releases/1.0.0/linux/amd64", key="admin", status=200)
    await shown(staged, "1.0.0", status=404)
    await release(staged, "1.0.0", rollout=5)
    assert (await shown(staged, "1.0.0"))["salt"] != salt


LATER = {"percent": 30, "start_at": ahead(days=2)}
TRANSITIONS = {
    # in state: what is done -> the state after it; None: 409, and nothing changes.
    "scheduled": {
        "put": "active",
        "put later": "scheduled",
        "put 100": "complete",
        "pause": "paused",
        "resume": None,
        "complete": "complete",
    },
    "active": {
        "put": "active",
        "put later": "active",
        "put 100": "complete",
        "pause": "paused",
        "resume": None,
        "complete": "complete",
    },
    "paused": {
        "put": "paused",
        "put later": "paused",
        "put 100": "paused",
        "pause": "paused",
        "resume": "active",
        "complete": "complete",
    },
    "complete": {
        "put": "active",
        "put later": "scheduled",
        "put 100": "complete",
        "pause": None,
        "resume": None,
        "complete": "complete",
    },
}
HOLDS = {"scheduled": "scheduled", "active": "last_stage", "paused": "paused", "complete": None}


@pytest.mark.parametrize(("state", "done"), [(state, done) for state, row in TRANSITIONS.items() for done in row])
async def test_each_cell_of_the_table_of_states(staged: Any, state: str, done: str) -> None:
    await release(staged, "1.0.0", rollout=LATER if state == "scheduled" else 20)
    if state in ("paused", "complete"):
        await move(staged, "1.0.0", f"rollout/{'pause' if state == 'paused' else 'complete'}")
    before, entries = await shown(staged, "1.0.0"), await actions(staged)
    assert (before["state"], before["hold"] and before["hold"]["why"]) == (state, HOLDS[state])
    assert before["percent"] == {"scheduled": 0.0, "complete": 100.0}.get(state, 20.0)
    assert (before["stage"] is None) == (state in ("scheduled", "complete"))
    expected = TRANSITIONS[state][done]
    status = 409 if expected is None else 200
    if done.startswith("put"):
        plan = {"put": {"percent": 40}, "put later": LATER, "put 100": {"percent": 100}}[done]
        answer = await put(staged, "1.0.0", plan, status=status)
    else:
        answer = await move(staged, "1.0.0", f"rollout/{done}", status=status)
    after = await shown(staged, "1.0.0")
    if expected is None:
        assert (answer["code"], after, await actions(staged)) == ("CONFLICT", before, entries)
    else:
        assert answer == after
        assert (after["state"], after["salt"]) == (expected, before["salt"])
        assert (after["completed_at"] is None) == (expected != "complete")
        is_anew = state == "complete" and done.startswith("put")
        assert after["platforms"][0]["series"] == before["platforms"][0]["series"] + is_anew
