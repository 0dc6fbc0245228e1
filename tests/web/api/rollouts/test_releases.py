"""A release and its moves: RE-1 to RE-8 of the contract."""

from __future__ import annotations

from typing import Any

import pytest

from tests.web.api.rollouts.releasing import (
    UPDATES,
    actions,
    history,
    move,
    offered,
    put,
    release,
    shown,
)


async def get(service: Any, version: str, status: int = 200) -> Any:
    return await service.call("GET", f"{UPDATES}/releases/{version}", key="read", status=status)


async def test_a_release_is_shown_with_exactly_the_documented_keys(staged: Any) -> None:
    await release(staged, "1.0.0", platform="windows", file_size=7)
    await release(staged, "1.0.0")
    found = await get(staged, "1.0.0")
    assert found.pop("created_at").endswith("Z")
    builds = found.pop("builds")
    assert found == {
        "application_id": "my-app",
        "version": "1.0.0",
        "channel": "stable",
        "status": "active",
        "prerelease": False,
        "rollout": None,
    }
    assert [each["platform"] for each in builds] == ["windows", "linux"], "in the order in which they were published"
    assert builds[0] == {
        "id": "rel-001",
        "platform": "windows",
        "architecture": "amd64",
        "checksum": "ab" * 32,
        "checksum_type": "sha256",
        "file_size": 7,
        "quarantined": False,
    }


async def test_unknown_versions_and_what_is_none(staged: Any) -> None:
    assert (await get(staged, "9.9.9", 404))["code"] == "NOT_FOUND"
    assert list((await get(staged, "nonsense", 422))["errors"]) == ["version"]
    answer = await staged.call("GET", "/api/v1/updates/nope/releases/1.0.0", key="read", status=404)
    assert answer["code"] == "APPLICATION_NOT_FOUND"


async def test_promoted_with_the_same_builds(staged: Any) -> None:
    await release(staged, "1.0.0", channel="nightly")
    before = await get(staged, "1.0.0")
    answer = await move(staged, "1.0.0", "promote", {"channel": "beta", "reason": "a week without a fault"})
    assert answer == {**before, "channel": "beta"}
    assert await offered(staged) is None
    assert await offered(staged, channel="beta") == "1.0.0"
    entry = (await history(staged))[-1]
    assert (entry["action"], entry["reason"]) == ("release.promoted", "a week without a fault")
    assert (entry["before"], entry["after"]) == ({"channel": "nightly"}, {"channel": "beta"})


async def test_promotion_only_goes_up(staged: Any) -> None:
    await release(staged, "1.0.0", channel="beta")
    entries = await actions(staged)
    await move(staged, "1.0.0", "promote", {"channel": "nightly"}, status=409)
    assert (await move(staged, "1.0.0", "promote", {"channel": "beta"}))["channel"] == "beta"
    await move(staged, "1.0.0", "promote", {"channel": "beta", "rollout": {"percent": 5}}, status=409)
    assert list((await move(staged, "1.0.0", "promote", {"channel": "x"}, status=422))["errors"]) == ["channel"]
    assert list((await move(staged, "1.0.0", "promote", status=422))["errors"]) == ["channel"]
    assert await actions(staged) == entries


async def test_promoted_into_a_rollout_nobody_sees_it_outside(staged: Any) -> None:
    await release(staged, "1.0.0")
    await release(staged, "1.1.0", channel="beta")
    answer = await move(staged, "1.1.0", "promote", {"channel": "stable", "rollout": {"percent": 0}})
    assert answer["rollout"]["percent"] == 0.0
    assert await offered(staged) == "1.0.0"
    assert await offered(staged, channel="beta") == "1.0.0"


async def test_a_plan_in_promote_names_its_fields(staged: Any) -> None:
    await release(staged, "1.0.0", channel="beta")
    wrong = {"channel": "stable", "rollout": {"stages": [{"percent": 5, "for_s": 60}, {"percent": 5}]}}
    answer = await move(staged, "1.0.0", "promote", wrong, status=422)
    assert list(answer["errors"]) == ["rollout.stages.1.percent"]
    assert (await get(staged, "1.0.0"))["channel"] == "beta"


async def test_promoted_under_way_it_keeps_stage_and_salt(staged: Any) -> None:
    await release(staged, "1.0.0", channel="beta", rollout={"stages": [{"percent": 5, "for_s": 60}, {"percent": 50}]})
    before = await shown(staged, "1.0.0")
    after = (await move(staged, "1.0.0", "promote", {"channel": "stable"}))["rollout"]
    assert (after["salt"], after["stage"]) == (before["salt"], before["stage"])


async def test_withdrawn_it_is_gone_at_once_for_both_doors(staged: Any) -> None:
    await staged.publish(b"bytes", "1.0.0")
    download = f"{UPDATES}/download/1.0.0/linux/amd64"
    await staged.exchange("GET", download, status=200)
    answer = await move(staged, "1.0.0", "withdraw", {"reason": "crashes"})
    assert answer["status"] == "withdrawn"
    assert await offered(staged) is None
    await staged.exchange("GET", download, status=404)
    entries = await actions(staged)
    assert (await move(staged, "1.0.0", "withdraw"))["status"] == "withdrawn"
    assert await actions(staged) == entries, "again changes nothing"
    await release(staged, "1.0.0", platform="windows", status=409)


async def test_restored_it_is_back(staged: Any) -> None:
    await release(staged, "1.0.0")
    await move(staged, "1.0.0", "withdraw")
    await move(staged, "1.0.0", "restore", status=403)
    assert (await move(staged, "1.0.0", "restore", key="admin"))["status"] == "active"
    assert await offered(staged) == "1.0.0"
    await move(staged, "1.0.0", "restore", key="admin")
    await move(staged, "1.0.0", "restore", {"rollout": {"percent": 1}}, key="admin", status=409)
    assert (await actions(staged))[-2:] == ["release.withdrawn", "release.restored"]


async def test_restored_with_a_plan(staged: Any) -> None:
    await release(staged, "1.0.0")
    await move(staged, "1.0.0", "withdraw")
    answer = await move(staged, "1.0.0", "restore", {"rollout": {"percent": 0}}, key="admin")
    assert answer["rollout"]["percent"] == 0.0
    assert await offered(staged) is None


async def test_while_withdrawn_its_rollout_only_reads(staged: Any) -> None:
    await release(staged, "1.0.0", rollout=5)
    await move(staged, "1.0.0", "withdraw")
    await put(staged, "1.0.0", {"percent": 9}, status=409)
    for verb in ("rollout/pause", "rollout/resume", "rollout/complete"):
        await move(staged, "1.0.0", verb, status=409)
    await move(staged, "1.0.0", "promote", {"channel": "stable"}, status=409)
    assert (await shown(staged, "1.0.0"))["percent"] == 5.0


@pytest.mark.parametrize("verb", ["withdraw", "rollout/pause"])
async def test_reasons_and_bodies(staged: Any, verb: str) -> None:
    await release(staged, "1.0.0", rollout=5)
    assert list((await move(staged, "1.0.0", verb, {"reason": "x" * 501}, status=422))["errors"]) == ["reason"]
    assert list((await move(staged, "1.0.0", verb, {"resaon": "x"}, status=422))["errors"]) == ["resaon"]
    path = f"{UPDATES}/releases/1.0.0/{verb}"
    await staged.call("POST", path, key="write", data=b"{}", headers={"Content-Type": "text/plain"}, status=415)
    await staged.call("POST", path, key="write", data=b"[]", headers={"Content-Type": "application/json"}, status=400)
    await move(staged, "1.0.0", verb, {"reason": "x" * 500})
    assert (await history(staged))[-1]["reason"] == "x" * 500


async def test_a_body_that_does_not_fit_comes_before_the_state(staged: Any) -> None:
    await release(staged, "1.0.0")
    wrong = {"percent": 5, "start_at": "2999-01-01T00:00:00Z"}
    answer = await move(staged, "1.0.0", "promote", {"channel": "stable", "rollout": wrong}, status=422)
    assert list(answer["errors"]) == ["rollout.start_at"]
    answer = await move(staged, "1.0.0", "restore", {"rollout": wrong}, key="admin", status=422)
    assert list(answer["errors"]) == ["rollout.start_at"]
    await move(staged, "1.0.0", "withdraw")
    assert list((await put(staged, "1.0.0", wrong, status=422))["errors"]) == ["start_at"]
