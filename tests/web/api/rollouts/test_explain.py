"""Why a client gets what it gets: EX-1 to EX-5 of the contract. Random cases: tests/offers/test_explanations.py."""

from __future__ import annotations

from typing import Any

import pytest

from tests.web.api.rollouts.releasing import LINUX, UPDATES, check, history, move, put, release, shown
from tests.web.api.rollouts.test_dice import an_id
from updater.database.rollout_tables import rollout_platform
from updater.rollouts.dice import Dice, as_fraction


async def explain(service: Any, current: str = "0.1.0", *, status: int = 200, **more: Any) -> Any:
    headers = more.pop("headers", {})
    asked = {"current_version": current, **LINUX, **more}
    return await service.call("GET", f"{UPDATES}/explain", key="read", params=asked, headers=headers, status=status)


def told(answer: Any) -> list[tuple[str, str, Any]]:
    return [(each["version"], each["verdict"], each["facts"]) for each in answer["candidates"]]


async def test_it_has_exactly_the_documented_keys(staged: Any) -> None:
    await release(staged, "1.0.0")
    await release(staged, "1.1.0", rollout=25, channel="beta", minimum_version="0.5.0")
    salt = (await shown(staged, "1.1.0"))["salt"]
    outside = an_id(salt, 25, inside=False)
    answer = await explain(staged, "0.9.0", client_id=outside, channel="beta")
    assert answer.pop("evaluated_at").endswith("Z")
    position = as_fraction(Dice.of(salt, 0).position_of(outside.encode()))
    assert answer == {
        "application_id": "my-app",
        "current_version": "0.9.0",
        **LINUX,
        "revision": (await history(staged))[-1]["id"],
        "channel": {"asked": "beta", "used": "beta", "why": "asked"},
        "prereleases": True,
        "manual": False,
        "identity": {"kind": "client_id", "value": outside},
        "candidates": [
            {
                "version": "1.1.0",
                "channel": "beta",
                "verdict": "outside",
                "facts": {"position": position, "share": 0.25},
                "text": f"1.1.0: this client stands at {position}, the rollout is at 0.25",
            },
            {
                "version": "1.0.0",
                "channel": "stable",
                "verdict": "offered",
                "facts": {},
                "text": "1.0.0: it is for everybody",
            },
        ],
        "required_because": None,
        "answer": await check(staged, "0.9.0", client_id=outside, channel="beta"),
    }


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"channel": "beta"}, {"asked": "beta", "used": "beta", "why": "asked"}),
        ({"channel": "stable"}, {"asked": "stable", "used": "stable", "why": "asked"}),
        ({}, {"asked": None, "used": "stable", "why": "default"}),
        ({"channel": ""}, {"asked": None, "used": "stable", "why": "default"}),
        ({"channel": "betta"}, {"asked": "betta", "used": "stable", "why": "unknown"}),
        ({"channel": "Beta"}, {"asked": "Beta", "used": "stable", "why": "unknown"}),
    ],
)
async def test_which_channel_counts_and_why(staged: Any, asked: dict[str, str], expected: dict[str, Any]) -> None:
    answer = await explain(staged, **asked)
    assert answer["channel"] == expected
    assert answer["candidates"] == []
    assert answer["answer"] == {"update_available": False, "current_version": "0.1.0", "required": False}


@pytest.mark.parametrize(
    ("query", "headers", "kind", "value"),
    [
        ({"client_id": "c", "stagingId": "s", "address": "203.0.113.9"}, {"X-Client-Id": "h"}, "client_id", "c"),
        ({"client_id": "", "stagingId": "s"}, {"X-Client-Id": "h", "x-user-staging-id": "u"}, "x-client-id", "h"),
        ({"stagingId": "s"}, {"x-user-staging-id": "u"}, "x-user-staging-id", "u"),
        ({"stagingId": "s", "address": "203.0.113.9"}, {}, "stagingId", "s"),
        ({"address": "203.0.113.9"}, {}, "address", "203.0.113.9"),
        ({"address": "::ffff:203.0.113.9"}, {}, "address", "203.0.113.9"),
        ({"address": "2001:db8:1:2:3:4:5:6"}, {}, "address", "2001:db8:1:2::/64"),
        ({}, {"X-Forwarded-For": "2001:db8:1:2:3:4:5:6"}, "address", "2001:db8:1:2::/64"),
        ({"address": ""}, {"X-Forwarded-For": "2001:db8:1:2:3:4:5:6"}, "address", "2001:db8:1:2::/64"),
        ({}, {"X-Forwarded-For": "203.0.113.7", "X-Client-Id": "x" * 201}, "address", "203.0.113.7"),
    ],
)
async def test_whom_it_is_explained_for(
    staged: Any, query: dict[str, str], headers: dict[str, str], kind: str, value: str
) -> None:
    assert (await explain(staged, headers=headers, **query))["identity"] == {"kind": kind, "value": value}


@pytest.mark.parametrize("address", ["nobody", "203.0.113", "203.0.113.9/24", "2001:db8::/64", "1" * 5_000, "\x00"])
@pytest.mark.parametrize("ids", [{}, {"client_id": "c"}])
async def test_an_address_that_is_none(staged: Any, address: str, ids: dict[str, str]) -> None:
    answer = await explain(staged, status=422, address=address, **ids)
    assert (answer["code"], list(answer["errors"])) == ("VALIDATION_ERROR", ["address"])


@pytest.mark.parametrize("at", ["2026-01-01T00:00:00Z", "", "now"])
async def test_at_is_reserved(staged: Any, at: str) -> None:
    assert list((await explain(staged, status=422, at=at))["errors"]) == ["at"]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"current_version": "nonsense"}, "current_version"),
        ({"platform": "bsd"}, "platform"),
        ({"architecture": ""}, "architecture"),
        ({"client_id": "x" * 201}, "client_id"),
        ({"manual": "yes"}, "manual"),
        ({"allow_prerelease": "2"}, "allow_prerelease"),
    ],
)
async def test_what_check_refuses_it_refuses_too(staged: Any, wrong: dict[str, str], field: str) -> None:
    asked = {"current_version": "1.0.0", **LINUX, **wrong}
    for verb in ("check", "explain"):
        answer = await staged.call("GET", f"{UPDATES}/{verb}", key="read", params=asked, status=422)
        assert list(answer["errors"]) == [field]


async def test_who_may_ask(staged: Any) -> None:
    asked = {"current_version": "1.0.0", **LINUX}
    await staged.call("GET", f"{UPDATES}/explain", params=asked, status=401)
    await staged.call("GET", f"{UPDATES}/explain", key="nonsense", params=asked, status=401)
    answer = await staged.call("GET", "/api/v1/updates/nope/explain", key="read", params=asked, status=404)
    assert answer["code"] == "APPLICATION_NOT_FOUND"


async def test_it_is_never_counted_as_a_check(staged: Any) -> None:
    await check(staged)
    for _ in range(3):
        await explain(staged)
    figures = await staged.call("GET", "/api/v1/applications/my-app/figures", key="read", status=200)
    assert figures["checks"] == 1


async def test_the_revision_is_the_newest_entry_of_the_history(staged: Any) -> None:
    assert (await explain(staged))["revision"] == 0
    await release(staged, "1.0.0")
    for change in (
        put(staged, "1.0.0", {"percent": 5}),
        move(staged, "1.0.0", "rollout/pause"),
        move(staged, "1.0.0", "withdraw"),
        staged.call("PUT", "/api/v1/applications/my-app", key="admin", json={"channels": ["stable"]}, status=200),
    ):
        await change
        assert (await explain(staged))["revision"] == (await history(staged))[-1]["id"]
    # What is no part of the history is no revision.
    await staged.call("PUT", "/api/v1/applications/my-app", key="admin", json={"name": "Other"}, status=200)
    assert (await explain(staged))["revision"] == (await history(staged))[-1]["id"]


async def test_the_revision_names_nothing_that_was_not_decided_on(staged: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    await release(staged, "1.0.0")
    before = (await history(staged))[-1]["id"]
    offers = staged.services.offers
    decide = offers.explain

    async def decide_before_a_change(*asked: Any, **how: Any) -> Any:
        found = await decide(*asked, **how)
        await move(staged, "1.0.0", "withdraw")
        return found

    monkeypatch.setattr(offers, "explain", decide_before_a_change)
    answer = await explain(staged)
    assert (answer["answer"]["latest_version"], answer["revision"]) == ("1.0.0", before)


async def test_every_verdict_in_its_order(staged: Any) -> None:
    """A release that several verdicts fit has the first; each in turn is taken away."""
    application = "/api/v1/applications/my-app"
    await release(staged, "1.0.0")
    await staged.publish(b"bytes", "2.0.0-rc.1", channel="beta", minimum_version="1.5.0", rollout="0")
    change = {"config": {"max_version": "1.9.0"}}
    await staged.call("PUT", application, key="admin", json=change, status=200)
    digest = (await staged.call("GET", f"{UPDATES}/releases/2.0.0-rc.1", key="read"))["builds"][0]["checksum"]
    path: Any = staged.services.artifacts.blobs.locate(digest)
    path.chmod(0o600)
    path.write_bytes(b"BYTES")
    from tests.actors import TESTER

    _ = [each async for each in staged.services.artifacts.verify(actor=TESTER)]
    await move(staged, "2.0.0-rc.1", "rollout/pause")
    await move(staged, "2.0.0-rc.1", "withdraw")

    async def verdict(current: str = "1.2.0", **more: Any) -> tuple[str, Any]:
        first = (await explain(staged, current, client_id="c", **more))["candidates"][0]
        assert first["text"].startswith("2.0.0-rc.1: ")
        return first["verdict"], first["facts"]

    assert await verdict("2.0.0-rc.1") == ("not_newer", {})
    assert await verdict() == ("withdrawn", {})
    await move(staged, "2.0.0-rc.1", "restore", key="admin")
    assert await verdict() == ("quarantined", {})
    path.write_bytes(b"bytes")
    _ = [each async for each in staged.services.artifacts.verify(actor=TESTER)]
    await staged.call("PUT", f"{UPDATES}/builds/2.0.0-rc.1/linux/amd64", key="write", data=b"bytes", status=(None))
    assert await verdict() == ("above_max_version", {"max_version": "1.9.0"})
    await staged.call("PUT", application, key="admin", json={"config": {"max_version": ""}}, status=200)
    assert await verdict() == ("other_channel", {})
    await move(staged, "2.0.0-rc.1", "promote", {"channel": "stable"})
    assert await verdict() == ("prerelease", {})
    assert await verdict(allow_prerelease="true") == ("below_minimum", {"minimum_version": "1.5.0"})
    asked = {"current": "1.6.0", "allow_prerelease": "true"}
    assert await verdict(**asked) == ("paused", {})
    database = staged.services.offers._store._database
    await halt(database, staged)
    await move(staged, "2.0.0-rc.1", "rollout/resume")
    assert await verdict(**asked) == ("halted", {"platform": "linux"})
    await move(staged, "2.0.0-rc.1", "rollout/resume", {"accept": True})
    assert await verdict(**asked) == ("zero_percent", {})
    await put(staged, "2.0.0-rc.1", {"percent": 50})
    salt = (await shown(staged, "2.0.0-rc.1"))["salt"]
    for inside in (True, False):
        identity = an_id(salt, 50, inside=inside)
        facts = {"position": as_fraction(Dice.of(salt, 0).position_of(identity.encode())), "share": 0.5}
        for manual in (True, False):
            answer = await explain(staged, "1.6.0", allow_prerelease="true", client_id=identity, manual=str(manual))
            expected = "offered" if inside or manual else "outside"
            assert told(answer)[0] == ("2.0.0-rc.1", expected, facts)
            assert answer["manual"] is manual
    await move(staged, "2.0.0-rc.1", "rollout/complete")
    assert await verdict(**asked) == ("offered", {})


async def halt(database: Any, service: Any) -> None:
    """Halt every platform beside every service."""
    from datetime import UTC, datetime

    async with database.write() as connection:
        values = {"halted_at": datetime.now(UTC), "halt": {"reason": "above_max_failure_rate"}}
        await connection.execute(rollout_platform.update().values(values))
        await database.announce(connection, "my-app")
    await service.services.offers.load()


async def test_scheduled_tells_when(staged: Any) -> None:
    from tests.web.api.rollouts.test_plans import ahead

    start_at = ahead(hours=3)
    await release(staged, "1.0.0", rollout={"percent": 100, "start_at": start_at})
    assert told(await explain(staged)) == [("1.0.0", "scheduled", {"start_at": start_at})]
    assert (await explain(staged, manual="true"))["answer"]["update_available"] is False


async def test_a_hundred_candidates_at_most(staged: Any) -> None:
    for number in range(103):
        await release(staged, f"1.{number}.0", channel="beta" if number else "stable")
    answer = await explain(staged)
    assert [each["version"] for each in answer["candidates"]] == [f"1.{n}.0" for n in range(102, 2, -1)]
    assert {each["verdict"] for each in answer["candidates"]} == {"other_channel"}
    assert answer["answer"]["latest_version"] == "1.0.0"


async def test_why_an_update_is_required(staged: Any) -> None:
    """The first that applies, also when only this client's own rollout makes it so."""
    application = "/api/v1/applications/my-app"
    watched = {"stages": [{"percent": 100, "for_s": 3600}]}
    await release(staged, "1.0.0", required=True)
    await release(staged, "1.1.0", required=True, rollout=watched)
    await release(staged, "1.2.0")
    await release(staged, "1.3.0", platform="windows")

    async def because(current: str) -> str | None:
        answer = await explain(staged, current, client_id="c")
        assert answer["answer"]["required"] is (answer["required_because"] is not None)
        found: str | None = answer["required_because"]
        return found

    assert [await because(each) for each in ("0.9.0", "1.0.0", "1.1.0")] == ["skipped", "skipped", None]
    change = {"config": {"min_version": "1.1.5", "required_update": False}}
    await staged.call("PUT", application, key="admin", json=change, status=200)
    assert [await because(each) for each in ("1.0.0", "1.1.0", "1.2.0")] == ["skipped", "min_version", None]
    change = {"config": {"required_update": True}}
    await staged.call("PUT", application, key="admin", json=change, status=200)
    assert [await because(each) for each in ("1.0.0", "1.1.0", "1.2.0")] == ["skipped", "application", None]
    await release(staged, "1.4.0", required=True, rollout=watched)
    assert await because("1.0.0") == "build"
