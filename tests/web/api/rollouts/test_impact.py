"""How many installs an action touches: from what was reported and asked, and never invented."""

from __future__ import annotations

from typing import Any

import pytest

from tests.web.api.rollouts.releasing import UPDATES, check, move, put, release, report

ACTIONS = ("publish", "delete", "promote", "withdraw", "restore", "set", "pause", "resume", "advance", "complete")


async def impact(service: Any, version: str, action: str, *, status: int = 200) -> Any:
    path = f"{UPDATES}/releases/{version}/impact"
    return await service.call("GET", path, key="read", params={"action": action}, status=status)


@pytest.mark.parametrize("action", ACTIONS)
async def test_without_figures_no_number(staged: Any, action: str) -> None:
    await release(staged, "1.0.0")
    found = await impact(staged, "1.0.0", action)
    assert found["installs"] is None
    assert found["older_versions"] == found["this_version"] == {"installs": 0, "checks": 0}


async def test_numbers_are_those_of_the_versions_it_changes(staged: Any) -> None:
    for version in ("1.0.0", "1.1.0"):
        await release(staged, version)
    await put(staged, "1.1.0", {"stages": [{"percent": 10, "for_s": 9_000}, {"percent": 60}]})
    for number in range(20):
        await report(staged, "1.0.0", client_id=f"c{number}")
    for number in range(3):
        await report(staged, "1.1.0", client_id=f"d{number}")
    await report(staged, "1.1.0", "failed")
    await report(staged, "2.0.0")
    for version in ("1.0.0", "1.0.0", "1.1.0"):
        await check(staged, version)
    expected = {
        "withdraw": (3, 0.0),
        "pause": (2, 0.0),
        "advance": (10, 60.0),
        "complete": (18, 100.0),
        "set": (20, None),
        "resume": (0, 10.0),
        "promote": (20, 10.0),
    }
    for action, (installs, then) in expected.items():
        found = await impact(staged, "1.1.0", action)
        assert (found["installs"], found["percent_then"]) == (installs, then), action
        assert found["percent_now"] == 10.0
        assert found["this_version"] == {"installs": 3, "checks": 1}
        assert found["older_versions"] == {"installs": 20, "checks": 2}
        assert found["other_versions"] == {"installs": 0, "checks": 0}
    await move(staged, "1.1.0", "rollout/pause")
    assert (await impact(staged, "1.1.0", "resume"))["installs"] == 2
    await move(staged, "1.1.0", "withdraw")
    found = await impact(staged, "1.1.0", "restore")
    assert (found["percent_now"], found["percent_then"], found["installs"]) == (0.0, 10.0, 2)


async def test_what_cannot_be_asked(staged: Any) -> None:
    await release(staged, "1.0.0")
    assert "action" in (await impact(staged, "1.0.0", "burn", status=422))["errors"]
    assert (await impact(staged, "9.9.9", "pause", status=404))["code"] == "NOT_FOUND"
