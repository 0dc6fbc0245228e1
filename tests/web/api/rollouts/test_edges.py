"""Errors and edge cases: section 13 of the contract, row by row, and releases in odd states under rollout."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.actors import TESTER
from tests.web.api.rollouts.releasing import (
    LINUX,
    UPDATES,
    WATCHED,
    actions,
    check,
    history,
    move,
    offered,
    put,
    release,
    report,
    shown,
)
from tests.web.api.rollouts.test_arms import arms, failing, from_address
from tests.web.api.rollouts.test_dice import an_id, is_inside

JSON = {"Content-Type": "application/json"}
RELEASE = f"{UPDATES}/releases/1.0.0"
# Method, path, the level that is needed.
ROUTES = [
    ("GET", RELEASE, "read"),
    ("POST", f"{RELEASE}/promote", "write"),
    ("POST", f"{RELEASE}/withdraw", "write"),
    ("POST", f"{RELEASE}/restore", "admin"),
    ("GET", f"{RELEASE}/rollout", "read"),
    ("PUT", f"{RELEASE}/rollout", "write"),
    ("POST", f"{RELEASE}/rollout/pause", "write"),
    ("POST", f"{RELEASE}/rollout/resume", "write"),
    ("POST", f"{RELEASE}/rollout/advance", "write"),
    ("POST", f"{RELEASE}/rollout/complete", "write"),
    ("GET", f"{RELEASE}/impact?action=pause", "read"),
    ("GET", f"{UPDATES}/rollouts", "read"),
    ("GET", f"{UPDATES}/history", "read"),
    ("GET", f"{UPDATES}/explain?current_version=0.1.0&platform=linux&architecture=amd64", "read"),
]
CHANGES = [each for each in ROUTES if each[0] != "GET"]
BELOW = {"read": None, "write": "read", "admin": "write"}


@pytest.mark.parametrize(("method", "path", "level"), ROUTES)
async def test_no_key_a_wrong_one_and_one_too_low(staged: Any, method: str, path: str, level: str) -> None:
    for key in (None, "nobody-knows-this-key"):
        answer = await staged.call(method, path, key=key, status=401)
        assert answer["code"] == "UNAUTHORIZED"
    if BELOW[level]:
        answer = await staged.call(method, path, key=BELOW[level], status=403)
        assert answer["code"] == "FORBIDDEN"


@pytest.mark.parametrize(("method", "path", "level"), ROUTES)
async def test_another_applications_key(staged: Any, method: str, path: str, level: str) -> None:
    await staged.application("other")
    _, bound = await staged.services.access.create_key("bound", "admin", application="other", actor=TESTER)
    answer = await staged.call(method, path, key=bound, status=403)
    assert answer["code"] == "FORBIDDEN"


@pytest.mark.parametrize(("method", "path", "level"), ROUTES)
async def test_what_is_not_there(staged: Any, method: str, path: str, level: str) -> None:
    sent = {"json": {"percent": 5}} if method == "PUT" else {}
    sent = {"json": {"channel": "stable"}} if path.endswith("promote") else sent
    answer = await staged.call(method, path.replace("my-app", "nope"), key=level, status=404, **sent)
    assert answer["code"] == "APPLICATION_NOT_FOUND"
    if "/releases/" in path:
        answer = await staged.call(method, path, key=level, status=404, **sent)
        assert answer["code"] == "NOT_FOUND"
        answer = await staged.call(method, path.replace("1.0.0", "1.x"), key=level, status=422, **sent)
        assert (answer["code"], list(answer["errors"])) == ("VALIDATION_ERROR", ["version"])


@pytest.mark.parametrize(("method", "path", "level"), CHANGES)
async def test_bodies_that_are_none(staged: Any, method: str, path: str, level: str) -> None:
    await release(staged, "1.0.0", channel="beta", rollout=5)
    before = await actions(staged)
    for body in (b"[]", b"1", b"null", b'"x"', b"{", b"\xff"):
        answer = await staged.call(method, path, key=level, data=body, headers=JSON, status=400)
        assert answer["code"] == "INVALID_REQUEST"
    for kind in ("text/plain", "application/x-www-form-urlencoded"):
        answer = await staged.call(method, path, key=level, data=b"{}", headers={"Content-Type": kind}, status=415)
        assert answer["code"] == "BAD_REQUEST"
    answer = await staged.call(method, path, key=level, json={"unknown": 1}, status=422)
    assert (answer["code"], "unknown" in answer["errors"]) == ("VALIDATION_ERROR", True)
    assert await actions(staged) == before


async def test_who_has_a_version_stays_on_it_until_something_newer_comes(staged: Any) -> None:
    await release(staged, "1.0.0")
    await release(staged, "1.1.0", rollout=50)
    for change in ("rollout/pause", "withdraw"):
        await move(staged, "1.1.0", change)
        assert await offered(staged, "1.1.0", client_id="c") is None
        assert await offered(staged, "1.0.0", client_id="c") is None
    await release(staged, "1.2.0")
    assert await offered(staged, "1.1.0") == "1.2.0"


async def test_two_pipelines_publish_two_platforms_at_once(staged: Any) -> None:
    plan = {"stages": [{"percent": 1, "for_s": 60}, {"percent": 100}]}
    targets = [(system, arch) for system in ("windows", "linux", "darwin") for arch in ("amd64", "arm64")]
    await asyncio.gather(
        *(release(staged, "1.0.0", rollout=plan, platform=system, architecture=arch) for system, arch in targets)
    )
    assert [each["platform"] for each in (await shown(staged, "1.0.0"))["platforms"]] == ["darwin", "linux", "windows"]
    told = await actions(staged)
    assert (told.count("rollout.set"), told.count("release.published"), told.count("build.published")) == (1, 1, 6)


async def test_two_pipelines_with_different_plans(staged: Any) -> None:
    """One of them is refused, and its build is not there."""
    answers = await asyncio.gather(
        *(
            staged.exchange(
                "PUT",
                f"{UPDATES}/builds/1.0.0/{platform}/amd64",
                key="write",
                data=b"x",
                params={"rollout": str(percent)},
            )
            for platform, percent in (("linux", 5), ("windows", 50))
        )
    )
    assert sorted(response.status for response, _ in answers) == [201, 409]
    assert len((await shown(staged, "1.0.0"))["platforms"]) == 1


async def test_a_lower_percent_means_fewer_new_offers(staged: Any) -> None:
    await release(staged, "1.0.0")
    await release(staged, "1.1.0", rollout=80)
    salt = (await shown(staged, "1.1.0"))["salt"]
    between = next(f"c{n}" for n in range(999) if is_inside(salt, f"c{n}", 80) and not is_inside(salt, f"c{n}", 10))
    assert await offered(staged, client_id=between) == "1.1.0"
    await put(staged, "1.1.0", {"percent": 10})
    assert await offered(staged, client_id=between) == "1.0.0"
    assert await offered(staged, "1.1.0", client_id=between) is None, "what is installed stays"
    assert await offered(staged, client_id=an_id(salt, 10, inside=True)) == "1.1.0"


async def test_promoted_while_under_rollout_it_goes_on(staged: Any) -> None:
    stages = [{"percent": 30, "for_s": 3600}, {"percent": 100}]
    await release(staged, "1.0.0", channel="beta", rollout={"stages": stages})
    before = await shown(staged, "1.0.0")
    await move(staged, "1.0.0", "promote", {"channel": "stable"})
    after = await shown(staged, "1.0.0")
    assert after == {**before, "channel": "stable"}
    assert await offered(staged, client_id=an_id(before["salt"], 30, inside=True)) == "1.0.0"
    assert await offered(staged, client_id=an_id(before["salt"], 30, inside=False)) is None


async def test_the_last_build_takes_release_rollout_and_counts_along(staged: Any) -> None:
    from updater.database.rollout_tables import rollout, rollout_gathered, rollout_platform, rollout_source

    await release(staged, "1.0.0", rollout={"percent": 50, "halt": WATCHED})
    await report(staged, "1.0.0", client_id="c")
    salt = (await shown(staged, "1.0.0"))["salt"]
    await staged.call("DELETE", f"{RELEASE}/linux/amd64", key="admin", status=200)
    async with staged.services.offers._store._database.read() as connection:
        for table in (rollout, rollout_platform, rollout_source, rollout_gathered):
            assert (await connection.execute(table.select())).all() == [], table.name
    assert (await history(staged))[-1]["before"] == {"channel": "stable", "status": "active"}
    await release(staged, "1.0.0", channel="beta")
    found = await staged.call("GET", RELEASE, key="read", status=200)
    assert (found["channel"], found["rollout"]) == ("beta", None)
    await put(staged, "1.0.0", {"percent": 50})
    again = await shown(staged, "1.0.0")
    assert again["salt"] != salt
    assert again["platforms"][0]["rollout"]["completed"] == 0


async def test_too_few_users_hold_until_somebody_acts(staged: Any) -> None:
    stages = [{"percent": 1, "for_s": 1}, {"percent": 10, "for_s": 3600}, {"percent": 100}]
    await release(staged, "1.0.0", rollout={"stages": stages, "min_reports": 2, "halt": WATCHED})
    await report(staged, "1.0.0")
    await asyncio.sleep(1.2)
    await staged.services.rollouts.advance()
    found = await shown(staged, "1.0.0")
    assert (found["stage"]["number"], found["hold"]) == (1, {"why": "reports", "have": 1, "need": 2})
    await put(staged, "1.0.0", {"stages": stages, "min_reports": 0})
    await asyncio.sleep(1.2)
    await staged.services.rollouts.advance()
    assert (await shown(staged, "1.0.0"))["stage"]["number"] == 2
    assert (await move(staged, "1.0.0", "rollout/complete"))["state"] == "complete"


async def test_without_control_and_history_only_the_ceiling_judges(staged: Any) -> None:
    await release(staged, "1.0.0", rollout={"percent": 50, "halt": WATCHED})
    for number in range(60):
        await report(staged, "1.0.0", "completed" if number % 12 else "failed", headers=from_address(number))
    found = await arms(staged, "1.0.0")
    assert (found["state"], found["baseline"]["rate"]) == ("open", 0.1), "8.3 percent is below the ceiling"
    assert await failing(staged, "1.0.0", 100)
    assert (await arms(staged, "1.0.0"))["halt"]["reason"] == "above_max_failure_rate"


async def test_an_attacker_with_one_address(staged: Any) -> None:
    """It adds at most `per_address` reports to each arm, however many ids it makes up."""
    await release(staged, "1.0.0")
    await release(staged, "1.1.0", rollout=50)
    for version in ("1.0.0", "1.1.0"):
        for number in range(30):
            await report(staged, version, "failed", client_id=f"c{number}", report_id=f"{version}-{number}")
    found = await arms(staged)
    assert found["rollout"] == {"completed": 0, "failed": 3, "ignored": 27, "failed_addresses": 1}
    assert found["control"] == {"completed": 0, "failed": 3, "ignored": 27}
    assert found["state"] == "open"


async def test_an_attacker_with_many_addresses(staged: Any) -> None:
    """It can halt, which is undone; and no number of good words lifts the ceiling."""
    await release(staged, "1.0.0")
    await release(staged, "1.1.0", rollout=50)
    await failing(staged)
    await move(staged, "1.1.0", "rollout/resume", {"accept": True})
    for number in range(60):
        await report(staged, "1.0.0", "failed", headers=from_address(number))
    assert await failing(staged) < 60
    assert (await arms(staged))["halt"]["reason"] == "above_max_failure_rate"


# -- odd states under rollout


async def test_a_withdrawn_release_with_a_rollout(staged: Any) -> None:
    await release(staged, "1.0.0")
    await release(staged, "1.1.0", rollout={"percent": 50, "halt": WATCHED})
    await move(staged, "1.1.0", "withdraw")
    response, _ = await staged.exchange(
        "GET", f"{UPDATES}/check", params={"current_version": "0.1.0", **LINUX}, status=200
    )
    assert response.headers.get("Cache-Control") is None, "nobody else gets another one"
    await report(staged, "1.1.0", "failed")
    assert (await arms(staged))["rollout"]["failed"] == 0
    assert (await staged.call("GET", f"{UPDATES}/rollouts", key="read", status=200))["rollouts"] == []
    listed = await staged.call("GET", f"{UPDATES}/releases", key="read", status=200)
    told = {each["version"]: (each["status"], each["percent"]) for each in listed["releases"]}
    assert told == {"1.0.0": ("active", 100.0), "1.1.0": ("withdrawn", 50.0)}
    restored = await move(staged, "1.1.0", "restore", key="admin")
    assert (restored["rollout"]["state"], restored["rollout"]["percent"]) == ("active", 50.0)


async def test_a_quarantined_build_under_rollout(staged: Any) -> None:
    await release(staged, "1.0.0")
    made = await staged.publish(b"good", "1.1.0", rollout="50")
    await staged.publish(b"other", "1.1.0", platform="windows")
    path: Any = staged.services.artifacts.blobs.locate(made["checksum"].removeprefix("sha256:"))
    path.chmod(0o600)
    path.write_bytes(b"evil")
    _ = [each async for each in staged.services.artifacts.verify(actor=TESTER)]
    assert await offered(staged, manual="true") == "1.0.0"
    assert await offered(staged, manual="true", platform="windows") == "1.1.0"
    builds = (await staged.call("GET", f"{UPDATES}/releases/1.1.0", key="read", status=200))["builds"]
    assert {each["platform"]: each["quarantined"] for each in builds} == {"linux": True, "windows": False}
    assert [each["platform"] for each in (await shown(staged, "1.1.0"))["platforms"]] == ["linux", "windows"]
    await staged.publish(b"good", "1.1.0")
    assert await offered(staged, manual="true") == "1.1.0", "the same bytes repair it"


async def test_builds_come_and_go_while_under_rollout(staged: Any) -> None:
    await release(staged, "1.0.0", platform="windows")
    await release(staged, "1.1.0", rollout={"percent": 50, "halt": WATCHED})
    await report(staged, "1.1.0")
    await release(staged, "1.1.0", architecture="arm64")
    await release(staged, "1.1.0", platform="windows")
    assert await offered(staged, manual="true", platform="windows") == "1.1.0"
    found = {each["platform"]: each for each in (await shown(staged, "1.1.0"))["platforms"]}
    assert (found["linux"]["rollout"]["completed"], found["windows"]["rollout"]["completed"]) == (1, 0)
    await staged.call("DELETE", f"{UPDATES}/releases/1.1.0/linux/amd64", key="admin", status=200)
    assert "linux" in {each["platform"] for each in (await shown(staged, "1.1.0"))["platforms"]}, "arm64 is there"
    await staged.call("DELETE", f"{UPDATES}/releases/1.1.0/linux/arm64", key="admin", status=200)
    assert [each["platform"] for each in (await shown(staged, "1.1.0"))["platforms"]] == ["windows"]
    await report(staged, "1.1.0", "failed")
    await report(staged, "1.1.0", "failed", platform="windows")
    (windows,) = (await shown(staged, "1.1.0"))["platforms"]
    assert windows["rollout"]["failed"] == 1
    await release(staged, "1.1.0")
    found = {each["platform"]: each for each in (await shown(staged, "1.1.0"))["platforms"]}
    assert (found["linux"]["rollout"], found["windows"]["rollout"]["failed"]) == (
        {"completed": 0, "failed": 0, "ignored": 0, "failed_addresses": 0},
        1,
    )


async def test_two_applications_with_the_same_versions(staged: Any) -> None:
    await staged.application("other", channels=["stable", "beta"])
    for version in ("1.0.0", "1.1.0"):
        await release(staged, version)
        body = {"application_id": "other", "version": version, **LINUX, "checksum": "ab" * 32}
        body |= {"download_url": "https://releases.example.com/x", "checksum_type": "sha256"}
        body |= {"rollout": 0} if version == "1.1.0" else {}
        await staged.call("POST", "/api/v1/updates/other/register", key="write", json=body, status=201)
    assert await offered(staged) == "1.1.0"
    asked = {"current_version": "0.1.0", **LINUX}
    answer = await staged.call("GET", "/api/v1/updates/other/check", params=asked, status=200)
    assert answer["latest_version"] == "1.0.0"
    await put(staged, "1.1.0", {"percent": 50, "halt": WATCHED})
    await move(staged, "1.1.0", "rollout/pause")
    for application in ("my-app", "other"):
        body = {"current_version": "1.0.0", "target_version": "1.1.0", **LINUX, "status": "failed"}
        await staged.call("POST", f"/api/v1/updates/{application}/status", json=body, status=200)
    other = await staged.call("GET", "/api/v1/updates/other/releases/1.1.0/rollout", key="read", status=200)
    assert (other["state"], other["platforms"][0]["rollout"]["failed"]) == ("active", 1)
    assert (await arms(staged))["rollout"]["failed"] == 1
    mine = await history(staged)
    assert {each["action"] for each in mine if each["version"] == "1.1.0"} >= {"rollout.set", "rollout.paused"}
    found = await staged.call("GET", "/api/v1/updates/other/history", key="read", status=200)
    assert "rollout.paused" not in {each["action"] for each in found["entries"]}


async def test_pep440_applications(staged: Any) -> None:
    application = {"id": "py", "name": "Py", "platforms": ["linux"], "version_scheme": "pep440"}
    application["channels"] = ["stable", "dev"]
    await staged.call("POST", "/api/v1/applications", key="write", json=application, status=201)
    base = "/api/v1/updates/py"

    async def add(version: str, **more: Any) -> None:
        body = {"application_id": "py", "version": version, **LINUX, "checksum": "ab" * 32, "checksum_type": "sha256"}
        body |= {"download_url": "https://releases.example.com/x", **more}
        await staged.call("POST", f"{base}/register", key="write", json=body, status=201)

    await add("1.0")
    await add("1.1rc1", channel="dev")
    await add("1.1.post1", rollout={"percent": 50, "halt": WATCHED})
    asked = {"current_version": "0.9.dev1", **LINUX}
    found = await staged.call("GET", f"{base}/check", params={**asked, "manual": "1"}, status=200)
    assert found["latest_version"] == "1.1.post1"
    # Spelt otherwise it is the same release.
    rollout = await staged.call("GET", f"{base}/releases/v1.1.0.post1/rollout", key="read", status=200)
    assert (rollout["version"], rollout["percent"]) == ("1.1.post1", 50.0)
    body = {"current_version": "1", "target_version": "1.1.0-post1", **LINUX, "status": "failed"}
    await staged.call("POST", f"{base}/status", json=body, status=200)
    await staged.call("POST", f"{base}/status", json={**body, "target_version": "1.0.0"}, status=200)
    rollout = await staged.call("GET", f"{base}/releases/1.1.post1/rollout", key="read", status=200)
    (platform,) = rollout["platforms"]
    assert (platform["rollout"]["failed"], platform["control"]["failed"]) == (1, 1)
    await staged.call("POST", f"{base}/releases/1.1.post1/rollout/pause", key="write", status=200)
    found = await staged.call("GET", f"{base}/check", params={**asked, "channel": "dev"}, status=200)
    assert found["latest_version"] == "1.1rc1"
    explained = await staged.call("GET", f"{base}/explain", key="read", params=asked, status=200)
    told = [(each["version"], each["verdict"]) for each in explained["candidates"]]
    assert told == [("1.1.post1", "paused"), ("1.1rc1", "other_channel"), ("1.0", "offered")]
    for spelt in ("1.1.post1", "1.1.0.post1", "v1.1-post1"):
        page = await staged.call("GET", f"{base}/history", key="read", params={"version": spelt}, status=200)
        assert page["total_count"] == 4, spelt


async def test_zero_percent_by_hand_gets_control(staged: Any) -> None:
    await release(staged, "1.0.0")
    await release(staged, "1.1.0", rollout=0)
    assert (await check(staged, manual="true"))["latest_version"] == "1.0.0"
