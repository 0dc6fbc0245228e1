"""The next stage before its time: in which states, and asked twice."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from tests.web.api.rollouts.releasing import WATCHED, history, move, put, release, report, shown
from updater.clock import utc_now
from updater.times import rfc3339

STAGES = {"stages": [{"percent": 1, "for_s": 3_600}, {"percent": 10, "for_s": 3_600}, {"percent": 100, "for_s": 60}]}


async def start(service: Any, version: str = "1.1.0", **more: Any) -> None:
    await release(service, version, rollout={**STAGES, **more})


async def test_it_goes_through_all_stages_and_completes(staged: Any) -> None:
    await start(staged)
    for number, percent in ((2, 10.0), (3, 100.0)):
        moved = await move(staged, "1.1.0", "rollout/advance", {"reason": "looks well"})
        assert (moved["state"], moved["percent"], moved["stage"]["number"]) == ("active", percent, number)
        assert moved["stage"]["ends_at"] is not None, "each stage gets its whole time"
    assert (await move(staged, "1.1.0", "rollout/advance"))["state"] == "complete"
    last = [(each["action"], each["actor"]["name"]) for each in await history(staged)][-3:]
    assert last == [("rollout.advanced", "write key")] * 2 + [("rollout.completed", "write key")]
    refused = await move(staged, "1.1.0", "rollout/advance", status=409)
    assert refused["details"] == {"state": "complete"}


async def test_asked_twice_and_at_once_it_skips_no_stage(staged: Any) -> None:
    await start(staged)
    await asyncio.gather(*(move(staged, "1.1.0", "rollout/advance", {"stage": 2}) for _ in range(4)))
    assert (await shown(staged, "1.1.0"))["stage"]["number"] == 2
    assert [each["action"] for each in await history(staged)].count("rollout.advanced") == 1
    for stage in (1, 4):
        refused = await move(staged, "1.1.0", "rollout/advance", {"stage": stage}, status=409)
        assert refused["details"] == {"next": 3}
    await move(staged, "1.1.0", "rollout/advance", {"stage": 3})
    for _ in range(2):
        assert (await move(staged, "1.1.0", "rollout/advance", {"stage": 4}))["state"] == "complete"


async def test_what_stands_in_the_way(staged: Any) -> None:
    await release(staged, "1.0.0")
    assert (await move(staged, "1.0.0", "rollout/advance", status=404))["code"] == "NOT_FOUND"
    await start(staged, halt=WATCHED)
    await move(staged, "1.1.0", "rollout/pause")
    assert (await move(staged, "1.1.0", "rollout/advance", status=409))["details"] == {"state": "paused"}
    await move(staged, "1.1.0", "rollout/resume")
    for number in range(8):
        await report(staged, "1.1.0", "failed", client_id=f"c{number}")
    refused = await move(staged, "1.1.0", "rollout/advance", status=409)
    assert refused["details"] == {"halted": ["linux"]}
    await move(staged, "1.1.0", "withdraw")
    assert (await move(staged, "1.1.0", "rollout/advance", status=409))["details"] == {"status": "withdrawn"}
    await put(staged, "1.0.0", {"percent": 5})
    assert "last stage" in (await move(staged, "1.0.0", "rollout/advance", status=409))["message"]


async def test_a_scheduled_one_begins(staged: Any) -> None:
    await release(staged, "1.0.0")
    await put(staged, "1.0.0", {**STAGES, "start_at": rfc3339(utc_now() + timedelta(days=1))})
    assert (await shown(staged, "1.0.0"))["state"] == "scheduled"
    begun = await move(staged, "1.0.0", "rollout/advance")
    assert (begun["state"], begun["percent"]) == ("active", 1.0)
    assert (await history(staged))[-1]["action"] == "rollout.started"
