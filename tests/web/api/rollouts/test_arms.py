"""Reports, arms, evidence and halts: AR-1 to AR-7 and HA-1 to HA-7 of the contract."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

import updater.rollouts.evidence as evidence
from tests.conftest import StartService
from tests.web.api.rollouts.releasing import (
    UPDATES,
    WATCHED,
    actions,
    history,
    move,
    offered,
    put,
    release,
    report,
    shown,
)
from updater.rollouts.evidence import Arm, Series


def from_address(number: int) -> dict[str, str]:
    return {"X-Forwarded-For": f"198.51.{number // 250}.{number % 250 + 1}"}


async def arms(service: Any, version: str = "1.1.0") -> Any:
    (platform,) = (await shown(service, version))["platforms"]
    return platform


async def started(service: Any, percent: float = 50, **halt: Any) -> None:
    """Publish 1.0.0 for everybody and 1.1.0 for some, whose reports of one address all count."""
    await release(service, "1.0.0")
    await release(service, "1.1.0", rollout={"percent": percent, "halt": {**WATCHED, **halt}})


async def test_which_reports_count_in_which_arm(staged: Any) -> None:
    await release(staged, "0.9.0")
    await move(staged, "0.9.0", "withdraw")
    await release(staged, "1.2.0", rollout=1)
    await started(staged)
    for _ in range(2):
        await report(staged, "1.1.0")
    await report(staged, "1.1.0", "failed", architecture="arm64")
    await report(staged, "1.0.0")
    await report(staged, "1.0.0", "failed")
    for version, outcome, more in (
        ("1.1.0", "cancelled", {}),
        ("9.9.9", "failed", {}),  # nobody published it
        ("0.9.0", "failed", {}),  # withdrawn
        ("1.2.0", "failed", {}),  # under another rollout
        ("1.1.0", "failed", {"platform": "windows"}),  # no build there
    ):
        await report(staged, version, outcome, **more)
    found = await arms(staged)
    assert found["rollout"] == {"completed": 2, "failed": 1, "ignored": 0, "failed_addresses": 1}
    assert found["control"] == {"completed": 1, "failed": 1, "ignored": 0}
    assert (await shown(staged, "1.1.0"))["stage"]["reports"] == 3


async def test_a_repeated_report_counts_once(staged: Any) -> None:
    await started(staged)
    for _ in range(3):
        await report(staged, "1.1.0", report_id="r-1", client_id="c")
    assert (await arms(staged))["rollout"]["completed"] == 1


async def test_reports_of_one_source_are_bounded_and_the_rest_ignored(staged: Any) -> None:
    await started(staged, per_address=3, min_addresses=5)
    for number in range(5):
        await report(staged, "1.1.0", client_id=f"c{number}", headers=from_address(1))
    for _ in range(2):
        await report(staged, "1.1.0", client_id="same", headers=from_address(2))
    await report(staged, "1.1.0", client_id="same", headers=from_address(3))
    await report(staged, "1.0.0", client_id="same", headers=from_address(1))
    found = await arms(staged)
    assert found["rollout"] == {"completed": 4, "failed": 0, "ignored": 4, "failed_addresses": 0}
    assert found["control"] == {"completed": 1, "failed": 0, "ignored": 0}, "each arm for itself"


async def test_ipv6_counts_by_network(staged: Any) -> None:
    await started(staged, per_address=1)
    for last in range(3):
        await report(staged, "1.1.0", "failed", headers={"X-Forwarded-For": f"2001:db8:1:2::{last + 1}"})
    assert (await arms(staged))["rollout"] == {"completed": 0, "failed": 1, "ignored": 2, "failed_addresses": 1}


@pytest.mark.parametrize("header", ["X-Client-Id", "x-user-staging-id"])
async def test_ids_in_headers_count_too(staged: Any, header: str) -> None:
    await started(staged)
    for number in range(2):
        await report(staged, "1.1.0", headers={**from_address(number), header: "one"})
    assert (await arms(staged))["rollout"]["ignored"] == 1


async def test_who_is_on_no_such_channel_is_no_control_for_a_beta(staged: Any) -> None:
    await release(staged, "1.0.0")
    await release(staged, "1.1.0", channel="beta", rollout={"percent": 50, "halt": WATCHED})
    for channel in ("beta", "nightly", "stable", None, "betta"):
        await report(staged, "1.0.0", channel=channel)
    await report(staged, "1.0.0")
    assert (await arms(staged))["control"]["completed"] == 2


async def test_neither_addresses_nor_ids_are_kept_in_clear(staged: Any) -> None:
    from updater.database.rollout_tables import rollout_gathered, rollout_source

    await started(staged)
    await report(staged, "1.1.0", client_id="a-private-name", headers=from_address(7))
    database = staged.services.offers._store._database
    async with database.read() as connection:
        sources = {row.source for row in await connection.execute(rollout_source.select())}
        rows = [row.sources for row in await connection.execute(rollout_gathered.select())]
    sources |= {source for row in rows for arm in row.values() for source in arm}
    assert len(sources) == 2
    assert not {"a-private-name", "198.51.0.8"} & sources
    await move(staged, "1.1.0", "rollout/complete")
    async with database.read() as connection:
        for table in (rollout_source, rollout_gathered):
            assert (await connection.execute(table.select())).all() == []


async def test_the_numbers_are_those_of_the_pure_part(staged: Any) -> None:
    await started(staged, enabled=False)
    series, rate = Series(), evidence.baseline_rate(Arm(), 0.1)
    for number in range(60):
        control, failed = number % 3 == 0, number % 7 < 3
        await report(staged, "1.0.0" if control else "1.1.0", "failed" if failed else "completed")
        series = evidence.count(series, failed=failed, control=control, margin=0.0025, rate=rate)
    found = await arms(staged)
    assert found["evidence"] == {
        "control": evidence.shown(evidence.against_control(series)),
        "ceiling": evidence.shown(evidence.above_ceiling(series, 0.1)),
    }
    assert found["state"] == "open", "switched off, the numbers go on"


async def failing(service: Any, version: str = "1.1.0", most: int = 60) -> int:
    """Report failures until the platform is halted; return how many it took."""
    for number in range(most):
        await report(service, version, "failed", headers=from_address(number))
        if (await arms(service, version))["state"] == "halted":
            return number + 1
    raise AssertionError("never halted")


async def test_halted_by_the_report_that_is_enough(staged: Any) -> None:
    await release(staged, "1.0.0", platform="windows")
    await started(staged, 50)
    await put(staged, "1.1.0", {"percent": 50})
    count = await failing(staged)
    assert count >= 5, "not before failures come from five addresses"
    found = await arms(staged)
    halt = found["halt"]
    assert list(halt) == ["at", "reason", "rollout", "control", "evidence"]
    assert (halt["reason"], halt["rollout"]["failed"]) == ("above_max_failure_rate", count)
    assert max(halt["evidence"].values()) >= found["limit"]
    for more in ({"manual": "true"}, {"client_id": "c"}):
        assert await offered(staged, **more) == "1.0.0"
    await report(staged, "1.1.0", "failed", headers=from_address(200))
    after = await arms(staged)
    assert after["rollout"]["failed"] == count + 1
    assert after["halt"] == halt, "the numbers of that moment"
    assert (await shown(staged, "1.1.0"))["hold"] == {"why": "halted"}
    entry = (await history(staged))[-1]
    assert (entry["action"], entry["actor"]) == ("rollout.halted", {"kind": "system", "name": ""})
    assert entry["before"] == {"platform": "linux", "state": "open"}
    assert entry["after"] == {"platform": "linux", "state": "halted", **halt}


async def test_a_halt_is_one_platforms_own(staged: Any) -> None:
    await started(staged)
    await release(staged, "1.1.0", platform="windows")
    for number in range(30):
        await report(staged, "1.1.0", "failed", headers=from_address(number))
    states = {each["platform"]: each["state"] for each in (await shown(staged, "1.1.0"))["platforms"]}
    assert states == {"linux": "halted", "windows": "open"}
    assert await offered(staged, manual="true", platform="windows") == "1.1.0"
    explained = await staged.call(
        "GET",
        f"{UPDATES}/explain",
        key="read",
        params={"current_version": "0.1.0", "platform": "linux", "architecture": "amd64"},
        status=200,
    )
    assert explained["candidates"][0]["verdict"] == "halted"


async def test_halts_are_accepted_and_begin_a_new_series(staged: Any) -> None:
    await started(staged)
    await failing(staged)
    await move(staged, "1.1.0", "rollout/complete", status=409)
    await put(staged, "1.1.0", {"percent": 100}, status=409)
    answer = await move(staged, "1.1.0", "rollout/resume", status=409)
    assert answer["details"]["halted"] == ["linux"]
    wrong = {"accept": True, "platforms": ["windows"]}
    assert list((await move(staged, "1.1.0", "rollout/resume", wrong, status=422))["errors"]) == ["platforms"]
    halt = (await arms(staged))["halt"]
    found = await move(staged, "1.1.0", "rollout/resume", {"accept": True, "platforms": ["linux"]})
    (platform,) = found["platforms"]
    assert (platform["state"], platform["series"], platform["rollout"]["failed"]) == ("open", 2, 0)
    assert platform["evidence"] == {"control": 1.0, "ceiling": 0.0}
    entry = (await history(staged))[-1]
    assert entry["action"] == "rollout.resumed"
    assert (entry["before"]["halts"], entry["after"]["accepted"]) == ({"linux": halt}, ["linux"])
    await failing(staged)
    assert (await move(staged, "1.1.0", "rollout/complete", {"accept": True}))["state"] == "complete"
    assert await offered(staged) == "1.1.0"


async def test_paused_it_counts_and_can_be_halted(staged: Any) -> None:
    await started(staged)
    await move(staged, "1.1.0", "rollout/pause")
    await failing(staged)
    found = await move(staged, "1.1.0", "rollout/resume")
    assert (found["state"], found["platforms"][0]["state"]) == ("active", "halted")


async def test_complete_ones_are_not_halted(staged: Any) -> None:
    await started(staged)
    await move(staged, "1.1.0", "rollout/complete")
    for number in range(30):
        await report(staged, "1.1.0", "failed", headers=from_address(number))
    found = await arms(staged)
    assert (found["state"], found["rollout"]["failed"]) == ("open", 0)


async def test_the_baseline_is_the_control_of_the_days_before(staged: Any) -> None:
    await release(staged, "1.0.0")
    for number in range(8):
        await report(staged, "1.0.0", "failed" if number < 2 else "completed", client_id="one")
    await report(staged, "9.9.9", "failed")
    await release(staged, "1.1.0", rollout=5)
    assert (await arms(staged))["baseline"] == {"completed": 6, "failed": 2, "rate": 0.1}


async def test_the_baseline_leaves_out_the_release_itself(staged: Any) -> None:
    """It was for everybody until now, so it was a complete release itself."""
    await release(staged, "1.0.0")
    await release(staged, "1.1.0")
    for version, outcome in (("1.0.0", "completed"), ("1.1.0", "failed"), ("1.1.0", "failed")):
        await report(staged, version, outcome)
    for _ in range(2):
        await put(staged, "1.1.0", {"percent": 5})
        assert (await arms(staged))["baseline"] == {"completed": 1, "failed": 0, "rate": 0.097561}
        await move(staged, "1.1.0", "rollout/complete")


async def test_one_address_cannot_halt_alone(staged: Any) -> None:
    await release(staged, "1.0.0")
    await release(staged, "1.1.0", rollout=50)
    for number in range(60):
        await report(staged, "1.1.0", "failed", client_id=f"c{number}", headers=from_address(1))
    found = await arms(staged)
    assert (found["state"], found["rollout"]["failed"], found["rollout"]["ignored"]) == ("open", 3, 57)


async def test_the_halt_is_logged_with_both_evidences(start_service: StartService, log_lines: io.BytesIO) -> None:
    started_service = await start_service(server={"trusted_proxies": ["127.0.0.0/8"]})
    await started_service.application()
    await started(started_service)
    await failing(started_service)
    lines = [json.loads(line) for line in log_lines.getvalue().splitlines()]
    (line,) = [each for each in lines if each["event"] == "rollout.halted"]
    assert (line["application"], line["version"], line["platform"]) == ("my-app", "1.1.0", "linux")
    assert set(line["evidence"]) == {"control", "ceiling"}
    assert line["level"] == "warning"


async def test_metrics_tell_percent_and_halts(staged: Any) -> None:
    await started(staged, 12.5)
    await failing(staged)
    _, body = await staged.exchange("GET", "/metrics", status=200)
    assert b'updater_rollout_percent{application="my-app",version="1.1.0"} 12.5' in body
    assert b'updater_rollout_halted{application="my-app",platform="linux",version="1.1.0"} 1.0' in body
    await move(staged, "1.1.0", "rollout/complete", {"accept": True})
    _, body = await staged.exchange("GET", "/metrics", status=200)
    assert b'updater_rollout_percent{application="my-app"' not in body
    assert "rollout.completed" in await actions(staged)
