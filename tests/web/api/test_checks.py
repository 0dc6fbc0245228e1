"""Update checks and the latest version. Numbers of decisions are those of updater/web/api/README.md."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

CHECK = "/api/v1/updates/my-app/check"
TARGET = {"platform": "linux", "architecture": "amd64"}
DIGEST = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def registration(version: str = "2.1.0", **more: Any) -> dict[str, Any]:
    return {
        "application_id": "my-app",
        "version": version,
        **TARGET,
        "download_url": f"https://releases.example.com/{version}",
        "checksum": DIGEST,
        "checksum_type": "sha256",
        **more,
    }


async def register(service: Any, version: str = "2.1.0", **more: Any) -> Any:
    return await service.call(
        "POST", "/api/v1/updates/my-app/register", key="write", json=registration(version, **more), status=201
    )


async def check(service: Any, current: str, **more: Any) -> Any:
    """Ask both ways; they must agree."""
    asked = {**TARGET, "current_version": current, **more}
    words = {name: str(value).lower() if isinstance(value, bool) else value for name, value in asked.items()}
    by_query = await service.call("GET", CHECK, params=words, status=200)
    by_body = await service.call("POST", "/api/v1/check", json={"application_id": "my-app", **asked}, status=200)
    assert by_query == by_body
    return by_query


async def latest(service: Any, status: int = 200, **more: Any) -> Any:
    """Ask all three ways; they must agree."""
    query = {**TARGET, **more}
    answers = [
        await service.call("GET", path, params={**query, **name}, status=status)
        for path, name in (
            ("/api/v1/updates/my-app/latest", {}),
            ("/api/v1/latest", {"application_id": "my-app"}),
            ("/api/v1/latest", {"app_id": "my-app"}),
        )
    ]
    if status == 200:
        assert answers[0] == answers[1] == answers[2]
    return answers[0]


async def test_an_offer_has_exactly_the_documented_keys(service: Any) -> None:
    """The answer with an update, both forms of the check."""
    await register(service, file_size=15728640, release_notes="Fast", minimum_version="1.0.0", metadata={"n": 1})
    offer = await check(service, "2.0.0")
    release_date = offer.pop("release_date")
    assert len(release_date) == 20
    assert release_date.endswith("Z"), "decision 5: RFC 3339, UTC, Z"
    assert offer == {
        "update_available": True,
        "latest_version": "2.1.0",
        "current_version": "2.0.0",
        "download_url": "https://releases.example.com/2.1.0",
        "checksum": DIGEST,
        "checksum_type": "sha256",
        "file_size": 15728640,
        "release_notes": "Fast",
        "required": False,
        "minimum_version": "1.0.0",
    }


async def test_no_update_has_three_keys(service: Any) -> None:
    await register(service)
    for current in ("2.1.0", "3.0.0", "2.1.0+build.7"):
        answer = await check(service, current)
        assert answer == {"update_available": False, "current_version": current, "required": False}


async def test_defaults_of_what_was_not_registered(service: Any) -> None:
    """Decision 19: metadata not given is `{}`. The rest: size 0, empty texts, false."""
    await register(service)
    offer = await check(service, "1.0.0", include_metadata=True)
    assert (offer["file_size"], offer["release_notes"], offer["required"], offer["minimum_version"]) == (
        0,
        "",
        False,
        "",
    )
    assert offer["metadata"] == {}


async def test_metadata_comes_when_asked(service: Any) -> None:
    """Decision 19: latest always has the key, `{}` unless asked; check has it only when asked."""
    await register(service, metadata={"commit_sha": "abc", "nested": {"a": [1, None, 2.5]}})
    given = {"commit_sha": "abc", "nested": {"a": [1, None, 2.5]}}
    assert "metadata" not in await check(service, "1.0.0")
    assert (await check(service, "1.0.0", include_metadata=True))["metadata"] == given
    assert (await latest(service))["metadata"] == {}
    assert (await latest(service, include_metadata="true"))["metadata"] == given


async def test_latest_has_exactly_the_documented_keys(service: Any) -> None:
    """Decision 14: `app_id` is a silent alias of `application_id` (see `latest`)."""
    await register(service, file_size=1)
    answer = await latest(service)
    assert list(answer) == [
        "version",
        "download_url",
        "checksum",
        "checksum_type",
        "file_size",
        "release_notes",
        "release_date",
        "required",
        "metadata",
    ]
    assert answer["version"] == "2.1.0"


async def test_application_id_wins_over_its_alias(service: Any) -> None:
    await register(service)
    query = {**TARGET, "application_id": "my-app", "app_id": "other"}
    await service.call("GET", "/api/v1/latest", params=query, status=200)


async def test_nothing_for_this_target(service: Any) -> None:
    """Decision 17: check answers "no update", latest 404 NOT_FOUND."""
    answer = await check(service, "1.0.0")
    assert answer == {"update_available": False, "current_version": "1.0.0", "required": False}
    assert (await latest(service, 404))["code"] == "NOT_FOUND"


async def test_unknown_application(service: Any) -> None:
    """Decision 13: APPLICATION_NOT_FOUND, wherever the application is named."""
    query = {**TARGET, "current_version": "1.0.0"}
    asked = [
        ("GET", "/api/v1/updates/nope/check", {"params": query}),
        ("POST", "/api/v1/check", {"json": {**query, "application_id": "nope"}}),
        ("GET", "/api/v1/updates/nope/latest", {"params": TARGET}),
        ("GET", "/api/v1/latest", {"params": {**TARGET, "application_id": "nope"}}),
        ("GET", "/api/v1/updates/nope/releases", {"key": "read"}),
        ("POST", "/api/v1/updates/nope/register", {"key": "write", "json": {}}),
        ("POST", "/api/v1/updates/nope/upload", {"key": "write", "data": b""}),
        ("PUT", "/api/v1/updates/nope/builds/1.0.0/linux/amd64", {"key": "write", "data": b"x"}),
        ("GET", "/api/v1/updates/nope/download/1.0.0/linux/amd64", {}),
        ("POST", "/api/v1/updates/nope/status", {"json": {}}),
        ("DELETE", "/api/v1/updates/nope/releases/1.0.0/linux/amd64", {"key": "admin"}),
        ("GET", "/api/v1/applications/nope", {"key": "read"}),
        ("PUT", "/api/v1/applications/nope", {"key": "admin", "json": {}}),
        ("DELETE", "/api/v1/applications/nope", {"key": "admin"}),
    ]
    for method, path, more in asked:
        answer = await service.call(method, path, status=404, **more)
        assert answer["code"] == "APPLICATION_NOT_FOUND", path


async def test_stepping_stone(service: Any) -> None:
    """Decision 18: below the newest minimum, the newest release whose minimum is met; nothing at or below."""
    await register(service, "1.5.0")
    await register(service, "2.0.0", minimum_version="1.5.0")
    await register(service, "3.0.0", minimum_version="2.0.0")
    offers = {
        current: (await check(service, current)).get("latest_version")
        for current in ("1.0.0", "1.5.0", "1.9.9", "2.0.0", "2.5.0", "3.0.0", "4.0.0")
    }
    assert offers == {
        "1.0.0": "1.5.0",
        "1.5.0": "2.0.0",
        "1.9.9": "2.0.0",
        "2.0.0": "3.0.0",
        "2.5.0": "3.0.0",
        "3.0.0": None,
        "4.0.0": None,
    }


async def test_no_stone_to_step_on(service: Any) -> None:
    """Decision 18: if none fits, "no update"."""
    await register(service, "2.0.0", minimum_version="1.5.0")
    assert (await check(service, "1.0.0"))["update_available"] is False


async def test_prereleases_come_when_asked_for_by_the_request_alone(service: Any) -> None:
    """Decision 20: `config.allow_prerelease` does not count."""
    await register(service, "2.0.0")
    await register(service, "2.1.0-rc.1")
    config = {"config": {"allow_prerelease": True}}
    await service.call("PUT", "/api/v1/applications/my-app", key="admin", json=config, status=200)
    assert (await check(service, "1.0.0"))["latest_version"] == "2.0.0"
    assert (await check(service, "1.0.0", allow_prerelease=True))["latest_version"] == "2.1.0-rc.1"
    assert (await latest(service))["version"] == "2.0.0"
    assert (await latest(service, allow_prerelease="true"))["version"] == "2.1.0-rc.1"


async def test_a_skipped_required_release_keeps_the_offer_required(service: Any) -> None:
    """Decision 20."""
    await register(service, "1.1.0", required=True)
    await register(service, "1.2.0")
    assert (await check(service, "1.0.0"))["required"] is True
    assert (await check(service, "1.1.0"))["required"] is False


async def test_required_update_forces_required(service: Any) -> None:
    """Decision 20: `config.required_update` forces `required` in offers, not in "no update"."""
    await register(service, "1.1.0")
    config = {"config": {"required_update": True}}
    await service.call("PUT", "/api/v1/applications/my-app", key="admin", json=config, status=200)
    assert (await check(service, "1.0.0"))["required"] is True
    assert (await latest(service))["required"] is True
    assert (await check(service, "1.1.0"))["required"] is False


async def test_min_and_max_version_of_the_application(service: Any) -> None:
    """Below `min_version` an offer is required; above `max_version` nothing is offered."""
    for version in ("1.1.0", "1.2.0", "2.0.0"):
        await register(service, version)
    config = {"config": {"min_version": "1.1.0", "max_version": "1.2.0"}}
    await service.call("PUT", "/api/v1/applications/my-app", key="admin", json=config, status=200)
    offer = await check(service, "1.0.0")
    assert (offer["latest_version"], offer["required"]) == ("1.2.0", True)
    assert (await check(service, "1.1.0"))["required"] is False
    assert (await latest(service))["version"] == "1.2.0"
    open_again = {"config": {"max_version": ""}}
    await service.call("PUT", "/api/v1/applications/my-app", key="admin", json=open_again, status=200)
    assert (await latest(service))["version"] == "2.0.0"


async def test_semver_is_the_default_order(service: Any) -> None:
    """Decision 4: `1.0.0-1` is a pre-release; `1.0.0-x.7.z.92` is a version."""
    await register(service, "1.0.0-1")
    await register(service, "1.0.0-x.7.z.92")
    assert (await check(service, "0.9.0"))["update_available"] is False
    offer = await check(service, "0.9.0", allow_prerelease=True)
    assert offer["latest_version"] == "1.0.0-x.7.z.92"


async def test_pep440_where_an_application_says_so(service: Any) -> None:
    """Decision 4: there `1.0.0-1` is a post-release, and is offered."""
    await service.application("snake", version_scheme="pep440")
    body = {**registration("1.0.0-1"), "application_id": "snake"}
    await service.call("POST", "/api/v1/updates/snake/register", key="write", json=body, status=201)
    query = {**TARGET, "current_version": "1.0"}
    offer = await service.call("GET", "/api/v1/updates/snake/check", params=query, status=200)
    assert (offer["latest_version"], offer["current_version"]) == ("1.0.0.post1", "1.0")


@pytest.mark.parametrize(
    "text", ["v1.2.3", "1.2", "01.2.3", "1.2.3.4", "1.2.3-", "1.2.3-01", "not-semver", "", "1. 2.3"]
)
async def test_semver_lookalikes_are_refused(service: Any, text: str) -> None:
    """Decision 4; the error names the field."""
    query = {**TARGET, "current_version": text}
    by_query = await service.call("GET", CHECK, params=query, status=422)
    by_body = await service.call("POST", "/api/v1/check", json={**query, "application_id": "my-app"}, status=422)
    assert list(by_query["errors"]) == list(by_body["errors"]) == ["current_version"]


async def test_all_wrong_fields_are_named_at_once(service: Any) -> None:
    """Decision 9: both documented shapes in one body."""
    answer = await service.call("GET", CHECK, params={"platform": "bsd", "include_metadata": "maybe"}, status=422)
    assert set(answer) == {"error", "message", "code", "details", "timestamp", "request_id", "errors"}
    assert (answer["error"], answer["code"]) == ("validation_error", "VALIDATION_ERROR")
    assert set(answer["errors"]) == {"current_version", "platform", "architecture", "include_metadata"}
    assert answer["errors"]["platform"].startswith("invalid platform: bsd")


@pytest.mark.parametrize(("word", "given"), [("true", True), ("1", True), ("false", False), ("0", False)])
async def test_booleans_of_a_query(service: Any, word: str, given: bool) -> None:
    await register(service)
    query = {**TARGET, "current_version": "1.0.0", "include_metadata": word}
    assert ("metadata" in await service.call("GET", CHECK, params=query, status=200)) is given


async def test_unknown_parameters_are_ignored(service: Any) -> None:
    """Installed clients outlive servers."""
    query = {**TARGET, "current_version": "1.0.0", "device": "x"}
    await service.call("GET", CHECK, params=query, status=200)
    await service.call("POST", "/api/v1/check", json={**query, "application_id": "my-app"}, status=200)


async def test_a_write_is_in_the_very_next_check(service: Any) -> None:
    """The answer is cached by its query: each write must forget it. Control: `answers` kept across `_reload`."""
    assert (await check(service, "1.0.0"))["update_available"] is False
    await register(service, "1.1.0")
    assert (await check(service, "1.0.0"))["latest_version"] == "1.1.0"
    await service.call("DELETE", "/api/v1/updates/my-app/releases/1.1.0/linux/amd64", key="admin", status=200)
    assert (await check(service, "1.0.0"))["update_available"] is False


async def test_links_follow_the_host_that_was_asked(service: Any) -> None:
    """A cached answer of one host is not given to another."""
    await service.publish(b"x", "1.1.0")
    query = {**TARGET, "current_version": "1.0.0"}
    for host in ("one.example:81", "two.example", "[::1]:8080"):
        offer = await service.call("GET", CHECK, params=query, headers={"Host": host}, status=200)
        assert offer["download_url"] == f"http://{host}/api/v1/updates/my-app/download/1.1.0/linux/amd64"


async def test_links_follow_the_public_url(start_service: Any) -> None:
    service = await start_service(server={"public_url": "https://updates.example.com/"})
    await service.application()
    made = await service.publish(b"x", "1.1.0")
    assert made["download_url"].startswith("https://updates.example.com/api/v1/updates/my-app/download/")


async def test_many_writers_one_row(service: Any) -> None:
    """Decision 15: the same coordinate again is 409, and there is one row."""
    path = "/api/v1/updates/my-app/register"

    async def one() -> int:
        response, _ = await service.exchange("POST", path, key="write", json=registration())
        return int(response.status)

    statuses = sorted(await asyncio.gather(*(one() for _ in range(20))))
    assert statuses == [201] + 19 * [409]
    assert (await service.stored())["build"] == 1
