"""Who asks, and the calls about rollouts: what goes out, and what an unanswered attempt has done already."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.client.conftest import Answers
from tests.conftest import KEYS, LINUX, QUICK, Service
from tests.web.api.rollouts.releasing import WATCHED, release
from updater_client import ApplicationChanges, BuildQuery, InstallReport, NewBuild, UpdateClient, UpdateError

REPORT = InstallReport("1.0.0", "1.1.0", LINUX, "completed")


async def test_id_and_channel_go_with_every_check_latest_and_report(answers: Answers) -> None:
    build = {"version": "1.1.0", "download_url": "https://x/y", "checksum": "ab", "checksum_type": "sha256"}
    known = {"update_available": False, "current_version": "1.0.0", "recorded": True, **build}
    answers.handle = lambda request: answers.json(known)
    async with UpdateClient(answers.url, None, "c/1 ü", "beta") as client:
        await client.check("my-app", "1.0.0", LINUX, manual=True)
        await client.latest("my-app", LINUX)
        await client.report("my-app", REPORT)
    asked = [(request.query.get("client_id"), request.query.get("channel")) for request in answers.requests[:2]]
    assert asked == [("c/1 ü", "beta")] * 2
    assert [request.query.get("manual") for request in answers.requests[:2]] == ["true", None]
    told = json.loads(answers.bodies[2])
    assert (told["client_id"], told["channel"]) == ("c/1 ü", "beta")


async def test_without_them_nothing_new_goes_out(answers: Answers) -> None:
    answers.handle = lambda request: answers.json(
        {"update_available": False, "current_version": "1.0.0", "recorded": True}
    )
    async with UpdateClient(answers.url) as client:
        await client.check("my-app", "1.0.0", LINUX)
        await client.report("my-app", REPORT)
    assert not {"client_id", "channel", "manual"} & set(answers.requests[0].query)
    assert not {"client_id", "channel"} & set(json.loads(answers.bodies[1]))


async def test_a_rollout_from_the_upload_to_the_end(service: Service, build: NewBuild) -> None:
    async with UpdateClient(service.url, KEYS["admin"], retry=QUICK) as client:
        await client.update_application("my-app", ApplicationChanges(channels=("stable", "beta"), default_rollout=5))
        shown = await client.get_application("my-app")
        assert shown.channels == ("stable", "beta")
        assert shown.default_rollout is not None and shown.default_rollout["stages"][0]["percent"] == 5.0
        await client.update_application("my-app", ApplicationChanges(no_default_rollout=True))
        assert (await client.get_application("my-app")).default_rollout is None

        await release(service, "1.0.0")
        limited = NewBuild(build.path, "1.1.0", LINUX, channel="beta", rollout={"percent": 10, "halt": WATCHED})
        await client.publish("my-app", limited)
        (listed,) = (await client.list_releases("my-app", BuildQuery(channel="beta"))).items
        assert (listed.version, listed.channel, listed.status, listed.percent) == ("1.1.0", "beta", "active", 10.0)
        calls = client.rollouts
        assert [each["version"] for each in (await calls.list_open("my-app"))["rollouts"]] == ["1.1.0"]
        assert (await calls.pause("my-app", "1.1.0"))["state"] == "paused"
        assert (await calls.resume("my-app", "1.1.0"))["state"] == "active"
        assert (await calls.promote("my-app", "1.1.0", "stable", rollout=20))["rollout"]["percent"] == 20.0
        assert (await calls.withdraw("my-app", "1.1.0", reason="bad"))["status"] == "withdrawn"
        assert (await calls.restore("my-app", "1.1.0", rollout=100))["rollout"]["state"] == "complete"
        assert (await calls.complete("my-app", "1.1.0"))["percent"] == 100.0
        found = await calls.explain("my-app", "1.0.0", LINUX, client_id="c-1", channel="beta", manual=True)
        assert (found["identity"]["value"], found["channel"]["used"]) == ("c-1", "beta")
        entries = (await calls.history("my-app", version="1.1.0", limit=1))["entries"]
        assert entries[0]["version"] == "1.1.0"
        with pytest.raises(UpdateError) as caught:
            await calls.get("my-app", "1.0.0")
        assert caught.value.code == "NOT_FOUND"


@pytest.mark.parametrize(
    ("call", "there", "done"),
    [
        ("resume", {"state": "active", "platforms": []}, True),
        ("resume", {"state": "paused", "platforms": []}, False),
        ("promote", {"channel": "stable"}, True),
        ("promote", {"channel": "beta"}, False),
        ("restore", {"status": "active"}, True),
        ("restore", {"status": "withdrawn"}, False),
    ],
)
async def test_a_conflict_after_a_lost_answer_is_looked_into(
    answers: Answers, call: str, there: dict[str, Any], done: bool
) -> None:
    """The first attempt gets 502: it may have worked. The second is told that there is nothing to do."""
    statuses = [502, 409]

    async def handle(request: Any) -> Any:
        if request.method == "GET":
            return await answers.json(there)
        return await answers.json({"message": "no", "code": "CONFLICT"}, statuses.pop(0))

    answers.handle = handle
    async with UpdateClient(answers.url, "key", retry=QUICK) as client:
        words = ("my-app", "1.0.0", *(("stable",) if call == "promote" else ()))
        waiting = getattr(client.rollouts, call)(*words)
        if done:
            assert await waiting == there
        else:
            with pytest.raises(UpdateError, match="no"):
                await waiting


async def test_a_conflict_at_once_is_a_conflict(answers: Answers) -> None:
    answers.handle = lambda request: answers.json({"message": "no", "code": "CONFLICT"}, 409)
    async with UpdateClient(answers.url, "key", retry=QUICK) as client:
        for waiting in (client.rollouts.resume("a", "1.0.0"), client.rollouts.promote("a", "1.0.0", "stable")):
            with pytest.raises(UpdateError, match="no"):
                await waiting
    assert {request.method for request in answers.requests} == {"POST"}
