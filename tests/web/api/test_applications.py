"""Applications. Numbers of decisions are those of updater/web/api/README.md."""

from __future__ import annotations

from typing import Any

import pytest

from tests.actors import TESTER
from tests.web.api.test_checks import register

ALL = "/api/v1/applications"
ONE = f"{ALL}/my-app"
DEFAULTS = {
    "update_check_url": "",
    "auto_update": False,
    "update_interval": 3600,
    "required_update": False,
    "min_version": "",
    "max_version": "",
    "allow_prerelease": False,
    "notification_url": "",
    "analytics_enabled": False,
    "custom_fields": {},
}


async def test_created(start_service: Any) -> None:
    service = await start_service()
    body = {"id": "a", "name": "A", "platforms": ["ios"]}
    answer = await service.call("POST", ALL, key="write", json=body, status=201)
    assert list(answer) == ["id", "message", "created_at"]
    assert (answer["id"], answer["message"]) == ("a", "Application created successfully")


async def test_shown_with_exactly_the_documented_keys(service: Any) -> None:
    """Decision 24: without releases, latest is null and counts are 0. What follows the stats are our additions."""
    shown = await service.call("GET", ONE, key="read", status=200)
    assert shown.pop("created_at") == shown.pop("updated_at")
    assert shown == {
        "id": "my-app",
        "name": "My App",
        "description": "",
        "platforms": ["windows", "linux", "darwin"],
        "config": DEFAULTS,
        "stats": {
            "total_releases": 0,
            "latest_version": None,
            "latest_release_date": None,
            "platform_count": 0,
            "required_releases": 0,
        },
        "version_scheme": "semver",
        "private": False,
        "channels": ["stable"],
        "default_rollout": None,
        "keys": {},
        "feeds": {},
    }


async def test_stats(service: Any) -> None:
    """Decision 24: `platform_count` counts distinct platforms of the releases."""
    await register(service, "1.10.0", required=True)
    await register(service, "1.9.0", platform="windows")
    await register(service, "1.9.0", architecture="arm64")
    await register(service, "2.0.0-rc.1")
    stats = (await service.call("GET", ONE, key="read", status=200))["stats"]
    assert stats.pop("latest_release_date").endswith("Z")
    assert stats == {"total_releases": 4, "latest_version": "1.10.0", "platform_count": 2, "required_releases": 1}


async def test_listed(service: Any) -> None:
    """Decision 23, and the six keys of an item."""
    for name in ("b", "a"):
        await service.application(name)
    page = await service.call("GET", ALL, key="read", params={"limit": 2}, status=200)
    items = page.pop("applications")
    assert page == {"total_count": 3, "page": 1, "page_size": 2, "has_more": True}
    assert [each["id"] for each in items] == ["a", "b"]
    assert set(items[0]) == {"id", "name", "description", "platforms", "created_at", "updated_at"}
    rest = await service.call("GET", ALL, key="read", params={"limit": 2, "offset": 2}, status=200)
    assert (rest["page"], rest["has_more"], len(rest["applications"])) == (2, False, 1)
    for wrong in ({"limit": 0}, {"limit": 1001}, {"offset": -1}):
        answer = await service.call("GET", ALL, key="read", params=wrong, status=422)
        assert list(answer["errors"]) == list(wrong)


async def test_an_id_is_taken_once(service: Any) -> None:
    body = {"id": "my-app", "name": "Other", "platforms": ["ios"]}
    answer = await service.call("POST", ALL, key="write", json=body, status=409)
    assert answer["code"] == "CONFLICT"
    assert (await service.call("GET", ONE, key="read"))["name"] == "My App"


async def test_changes_are_merged(service: Any) -> None:
    """Decision 21: omitted fields stay, `config` is merged, and `update_interval` stays 3600."""
    first = {"description": "First", "config": {"auto_update": True, "custom_fields": {"a": 1}}}
    answer = await service.call("PUT", ONE, key="admin", json=first, status=200)
    assert list(answer) == ["id", "message", "updated_at"]
    assert answer["message"] == "Application updated successfully"
    second = {"name": "Renamed", "config": {"analytics_enabled": True}, "platforms": ["android", "android"]}
    await service.call("PUT", ONE, key="admin", json=second, status=200)
    shown = await service.call("GET", ONE, key="read", status=200)
    assert (shown["name"], shown["description"], shown["platforms"]) == ("Renamed", "First", ["android"])
    changed = {"auto_update": True, "analytics_enabled": True, "custom_fields": {"a": 1}}
    assert shown["config"] == {**DEFAULTS, **changed}


async def test_a_partial_config_at_creation(start_service: Any) -> None:
    """Decision 21: `update_interval` is 3600 also with a partial config."""
    service = await start_service()
    await service.application("my-app", config={"auto_update": True})
    assert (await service.call("GET", ONE, key="read"))["config"] == {**DEFAULTS, "auto_update": True}


async def test_no_change_is_fine(service: Any) -> None:
    await service.call("PUT", ONE, key="admin", json={}, status=200)
    for wrong in ({"platforms": []}, {"id": "other"}, {"name": None}, {"config": None}, {"version_scheme": "pep440"}):
        answer = await service.call("PUT", ONE, key="admin", json=wrong, status=422)
        assert list(answer["errors"]) == list(wrong)


async def test_deleted_with_all_it_has(service: Any) -> None:
    """Decision 22: 204 without a body; releases and reports go along, bytes with the next collection."""
    await register(service, "1.0.0", platform="windows")
    await service.publish(b"bytes", "1.0.0")
    response, body = await service.exchange("DELETE", ONE, key="admin", status=204)
    assert body == b""
    assert "Content-Type" not in response.headers
    left = await service.stored()
    assert (left["application"], left["release"], left["build"], left["report"]) == (0, 0, 0, 0)
    assert (await service.call("DELETE", ONE, key="admin", status=404))["code"] == "APPLICATION_NOT_FOUND"
    await service.application()
    assert (await service.call("GET", ONE, key="read"))["stats"]["total_releases"] == 0


@pytest.mark.parametrize("value", ["v1", "1.2", "x" * 101, "1.0.0\n"])
async def test_version_limits_must_be_versions(service: Any, value: str) -> None:
    for name in ("min_version", "max_version"):
        answer = await service.call("PUT", ONE, key="admin", json={"config": {name: value}}, status=422)
        assert list(answer["errors"]) == [f"config.{name}"]


async def test_a_key_of_one_application_sees_that_one(start_service: Any) -> None:
    """A bound key: others are 403 whether they exist or not, the list holds its own alone."""
    service = await start_service()
    for name in ("mine", "theirs"):
        await service.application(name)
    _, key = await service.services.access.create_key("bound", "admin", application="mine", actor=TESTER)
    page = await service.call("GET", ALL, key=key, status=200)
    assert ([each["id"] for each in page["applications"]], page["total_count"]) == (["mine"], 1)
    await service.call("GET", f"{ALL}/mine", key=key, status=200)
    for other in ("theirs", "nobody"):
        for method in ("GET", "PUT", "DELETE"):
            await service.call(method, f"{ALL}/{other}", key=key, status=403)
    body = {"id": "new", "name": "N", "platforms": ["ios"]}
    assert (await service.call("POST", ALL, key=key, json=body, status=403))["code"] == "FORBIDDEN"
