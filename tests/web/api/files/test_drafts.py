"""Drafts: nobody sees one but its publisher, and it goes live as one step."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import FormData

from tests.actors import TESTER
from tests.stored import everything
from tests.web.api.files.test_companions import ONE, OTHER, U, add, at, down, listed
from updater.database.tables import build, file, release

CHECK = {"current_version": "0.1.0", "platform": "linux", "architecture": "amd64"}


async def publish(service: Any, status: int = 200, version: str = "1.0.0", **body: Any) -> Any:
    return await service.call("POST", f"{U}/releases/{version}/publish", key="write", json=body, status=status)


async def check(service: Any) -> Any:
    return await service.call("GET", f"{U}/check", params=CHECK, status=200)


async def test_a_draft_is_seen_by_those_who_make_it(service: Any) -> None:
    made = await service.publish(b"primary", draft="true")
    assert made["status"] == "draft"
    assert (await add(service, "a.zip"))["status"] == "draft", "a draft takes files with and without the field"
    assert not (await check(service))["update_available"]
    await service.exchange("GET", f"{U}/latest", params={"platform": "linux", "architecture": "amd64"}, status=404)
    shown = await service.call("GET", "/api/v1/applications/my-app", key="read", status=200)
    assert shown["stats"]["total_releases"] == 0
    found = await service.call("GET", f"{U}/releases", key="read", status=200)
    assert [(each["version"], each["status"]) for each in found["releases"]] == [("1.0.0", "draft")]
    bare = f"{U}/download/1.0.0/linux/amd64"
    for path in (bare, down("a.zip")):
        await service.exchange("GET", path, status=404)
        response, _ = await service.exchange("GET", path, key="read", status=200)
        assert response.headers["Cache-Control"] == "private, no-store"


async def test_it_goes_live_as_one_step(service: Any) -> None:
    await service.publish(b"primary", draft="true")
    await add(service, "a.zip")
    await service.publish(b"primary arm", arch="arm64", draft="true")
    first = await publish(service, require=["linux/amd64", "linux/amd64/A.zip", "linux/arm64"])
    assert (first["version"], first["status"], first["builds"], first["files"]) == ("1.0.0", "active", 2, 3)
    assert set(first) == {"version", "message", "status", "published_at", "builds", "files", "feeds"}
    assert set(first["feeds"]) == {"linux/amd64", "linux/arm64"}
    answer = await check(service)
    assert answer["update_available"]
    assert answer["release_date"] == first["published_at"], "the later of upload and publishing"
    assert await publish(service, require=["linux/amd64"]) == first, "again: the same"
    response, _ = await service.exchange("GET", down("a.zip"), status=200)
    assert "immutable" in response.headers["Cache-Control"]
    await service.call(
        "PUT", f"{U}/builds/1.0.0/linux/386", key="write", data=b"x", params={"draft": "true"}, status=409
    )


async def test_what_is_missing_is_named(service: Any) -> None:
    await add(service, "a.zip", draft="true")
    assert (await publish(service, 409))["details"]["missing"] == ["linux/amd64"], "no primary file"
    refused = await publish(service, 409, require=["linux/amd64/a.zip", "windows/amd64", "linux/amd64/b.zip"])
    assert refused["details"]["missing"] == ["windows/amd64", "linux/amd64/b.zip"]
    assert "require.0" in (await publish(service, 422, require=["solaris/amd64"]))["errors"]
    await publish(service, 404, version="9.9.9")
    assert not (await check(service))["update_available"]
    await service.call("PUT", f"{U}/builds/1.0.0/linux/amd64", key="write", data=b"primary", status=201)
    assert (await publish(service))["builds"] == 1


async def test_names_in_a_draft_may_be_used_again(service: Any) -> None:
    await service.publish(b"primary", file_name="App.bin", release_notes="old", draft="true")
    path = f"{U}/builds/1.0.0/linux/amd64"
    again = await service.call(
        "PUT", path, key="write", data=b"mended", params={"file_name": "App2.bin", "release_notes": "new"}, status=200
    )
    assert (again["file_size"], again["status"]) == (6, "draft")
    await add(service, "a.zip")
    assert (await add(service, "a.zip", OTHER, status=200))["file_size"] == len(OTHER)
    await publish(service)
    assert [(each["name"], each["size"]) for each in await listed(service)] == [("App2.bin", 6), ("a.zip", len(OTHER))]
    assert (await check(service))["release_notes"] == "new"
    await add(service, "a.zip", ONE, status=409)


async def test_a_companion_may_become_the_primary_file(service: Any) -> None:
    await add(service, "App.bin", draft="true")
    path = f"{U}/builds/1.0.0/linux/amd64"
    await service.call("PUT", path, key="write", data=OTHER, params={"file_name": "App.bin"}, status=201)
    assert [(each["name"], each["primary"], each["size"]) for each in await listed(service)] == [
        ("App.bin", True, len(OTHER))
    ]


async def test_a_file_is_what_was_said_of_it_last(service: Any) -> None:
    await add(service, "1.delta", draft="true", delta_from="100")
    again = await add(service, "1.delta", status=200, delta_from="101", kind="other")
    assert again["kind"] == "other"
    assert [(each["kind"], each["delta_from"]) for each in await listed(service)] == [("other", "101")]
    before = await everything(service)
    assert await add(service, "1.delta", status=200) == again, "what is left out stays"
    after = await everything(service)
    assert (after["file"], after["audit"]) == (before["file"], before["audit"])
    path = f"{U}/builds/1.0.0/linux/amd64"
    await service.call("PUT", path, key="write", data=b"primary", status=201)
    await publish(service)
    assert (await add(service, "1.delta", status=200, kind="delta"))["kind"] == "other", "what is live never changes"


async def test_a_draft_that_begins_with_a_companion_is_on_the_channel_of_its_build(service: Any) -> None:
    await service.call("PUT", "/api/v1/applications/my-app", key="admin", json={"channels": ["stable", "beta"]})
    await add(service, "a.zip", draft="true")
    path = f"{U}/builds/1.0.0/linux/amd64"
    await service.call("PUT", path, key="write", data=b"x", params={"channel": "nightly"}, status=422)
    await service.call("PUT", path, key="write", data=b"x", params={"channel": "beta"}, status=201)
    await service.call(
        "PUT", f"{U}/builds/1.0.0/linux/arm64", key="write", data=b"x", params={"channel": "stable"}, status=409
    )
    await publish(service)
    shown = await service.call("GET", f"{U}/releases/1.0.0", key="read", status=200)
    assert shown["channel"] == "beta"
    assert not (await check(service))["update_available"]


async def test_a_build_whose_last_file_was_deleted_holds_no_draft_up(service: Any) -> None:
    await service.publish(b"primary", draft="true")
    await add(service, "a.zip", target="windows/amd64")
    await add(service, "b.zip", target="windows/amd64")
    for name in ("a.zip", "b.zip"):
        assert (await publish(service, 409))["details"]["missing"] == ["windows/amd64"]
        await service.call("DELETE", at(name, target="windows/amd64"), key="write", status=200)
    assert (await publish(service))["builds"] == 1


async def test_the_last_build_of_a_draft_stays_to_be_seen(service: Any) -> None:
    await add(service, "a.zip", draft="true")
    await service.call("DELETE", at("a.zip"), key="write", status=200)
    assert await listed(service) == []
    assert (await publish(service, 409))["details"]["missing"] == ["linux/amd64"]


async def test_files_of_one_form_have_names_of_their_own(service: Any) -> None:
    form = FormData()
    for name, value in {"version": "1.0.0", "platform": "linux", "architecture": "amd64", "draft": "true"}.items():
        form.add_field(name, value)
    form.add_field("file", b"primary", filename="App.bin")
    for name, content in (("a.zip", ONE), ("A.zip", OTHER)):
        form.add_field("files", content, filename=name)
    before = await everything(service)
    refused = await service.call("POST", f"{U}/upload", key="write", data=form, status=409)
    assert refused["details"] == {"file_name": "A.zip"}
    assert await everything(service) == before


async def test_a_failed_attempt_costs_no_version_number(service: Any) -> None:
    """Nothing of a draft is bound to its bytes before it is published."""
    await service.publish(b"wrong", draft="true")
    await add(service, "a.zip", OTHER)
    assert (await service.call("DELETE", f"{U}/releases/1.0.0", key="write", status=200))["version"] == "1.0.0"
    assert not (await everything(service))["pinned_digest"]
    await service.publish(b"right", draft="true")
    await add(service, "a.zip", ONE)
    await publish(service)


async def test_a_name_that_is_bound_to_other_bytes_is_found_at_publishing(service: Any) -> None:
    await service.publish(b"primary")
    await add(service, "a.zip")
    await service.call("DELETE", f"{U}/releases/1.0.0", key="write", status=403)
    await service.call("DELETE", f"{U}/releases/1.0.0", key="admin", status=200)
    await service.publish(b"primary", draft="true")
    await add(service, "a.zip", OTHER)
    before = await everything(service)
    assert "published before with other bytes" in (await publish(service, 409))["message"]
    assert await everything(service) == before
    await add(service, "a.zip", ONE, status=200)
    await publish(service)


async def test_a_rollout_limits_it_from_the_first_second(service: Any) -> None:
    await service.publish(b"old", "0.9.0")
    await service.publish(b"primary", draft="true")
    await service.publish(b"for windows", platform="windows", draft="true")
    refused = await service.call(
        "PUT", f"{U}/builds/1.0.0/linux/386", key="write", data=b"x", params={"rollout": "10"}, status=422
    )
    assert "rollout" in refused["errors"]
    await publish(service, rollout={"percent": 0}, reason="first try")
    assert (await check(service))["latest_version"] == "0.9.0"
    shown = await service.call("GET", f"{U}/releases/1.0.0/rollout", key="read", status=200)
    assert sorted(each["platform"] for each in shown["platforms"]) == ["linux", "windows"]
    history = await service.call("GET", f"{U}/history", key="read", params={"version": "1.0.0"}, status=200)
    published = next(each for each in history["entries"] if each["action"] == "release.published")
    assert published["reason"] == "first try"
    await publish(service, 409, rollout={"percent": 50})


async def test_moves_of_a_draft_are_refused(service: Any) -> None:
    await service.publish(b"primary", draft="true")
    for move, key in (("withdraw", "write"), ("restore", "admin")):
        refused = await service.call("POST", f"{U}/releases/1.0.0/{move}", key=key, json={}, status=409)
        assert refused["details"]["status"] == "draft"
    await service.call("POST", f"{U}/releases/1.0.0/promote", key="write", json={"channel": "stable"}, status=409)
    await service.call("PUT", f"{U}/releases/1.0.0/rollout", key="write", json={"percent": 5}, status=409)
    assert not (await check(service))["update_available"]


async def test_a_withdrawn_release_is_not_published(service: Any) -> None:
    await service.publish(b"primary")
    await service.call("POST", f"{U}/releases/1.0.0/withdraw", key="write", json={}, status=200)
    await publish(service, 409)
    await service.call(
        "PUT", f"{U}/builds/1.0.0/linux/arm64", key="write", data=b"x", params={"draft": "true"}, status=409
    )


async def test_an_external_build_waits_with_its_draft(service: Any) -> None:
    await add(service, "a.zip", draft="true", target="windows/amd64")
    await service.call("PUT", f"{U}/builds/1.0.0/windows/amd64", key="write", data=b"x", status=201)
    external = {
        "application_id": "my-app",
        "version": "1.0.0",
        "platform": "linux",
        "architecture": "amd64",
        "download_url": "https://files.example.com/x",
        "checksum": "x",
        "checksum_type": "md5",
    }
    await service.call("POST", f"{U}/register", key="write", json=external, status=201)
    await service.call("POST", f"{U}/register", key="write", json=external | {"platform": "darwin"}, status=201)
    await add(service, "b.zip", target="darwin/amd64", status=409)
    await add(service, "b.zip", target="windows/arm64")
    refused = await service.call(
        "POST",
        f"{U}/register",
        key="write",
        json=external | {"platform": "windows", "architecture": "arm64"},
        status=409,
    )
    assert "companions" in refused["message"]
    await service.call("DELETE", at("b.zip", target="windows/arm64"), key="write", status=200)
    assert not (await check(service))["update_available"]
    await publish(service, require=["linux/amd64"])
    assert (await check(service))["download_url"] == "https://files.example.com/x"


async def test_publishing_twice_at_once_and_while_an_upload_runs(service: Any) -> None:
    await service.publish(b"primary", draft="true")
    uploads = [service.exchange("PUT", at(f"{number}.bin"), key="write", data=bytes([number])) for number in range(6)]
    published = [service.exchange("POST", f"{U}/releases/1.0.0/publish", key="write", json={}) for _ in range(4)]
    answers = await asyncio.gather(*uploads, *published)
    assert {response.status for response, _ in answers} <= {200, 201}
    stored = await everything(service)
    assert len(stored["file"]) == 7
    assert len(stored["pinned_digest"]) == 8, "whatever came in is bound, before and after"
    assert [each["action"] for each in stored["audit"]].count("release.published") == 1


async def test_a_form_may_be_a_draft(service: Any) -> None:
    form = FormData()
    for name, value in {"version": "1.0.0", "platform": "linux", "architecture": "amd64", "draft": "true"}.items():
        form.add_field(name, value)
    form.add_field("file", b"primary", filename="App.bin")
    made = await service.call("POST", f"{U}/upload", key="write", data=form, status=201)
    assert made["status"] == "draft"


async def test_drafts_that_nobody_uploads_to_go(service: Any) -> None:
    for version in ("1.0.0", "2.0.0", "3.0.0"):
        await service.publish(version.encode(), version, draft="true")
    await service.publish(b"live", "4.0.0")
    old = datetime.now(UTC) - timedelta(days=40)
    database = service.services.catalog._database
    async with database.write() as connection:
        for table in (release, build, file):
            await connection.execute(table.update().values(created_at=old))
    await add(service, "a.zip", version="2.0.0")
    assert await service.services.drafts.retire(keep_days=30, actor=TESTER) == 2
    found = await service.call("GET", f"{U}/releases", key="read", status=200)
    assert sorted(each["version"] for each in found["releases"]) == ["2.0.0", "4.0.0"]
    assert await service.services.drafts.retire(keep_days=30, actor=TESTER) == 0


@pytest.mark.parametrize("key", ["read", None])
async def test_only_publishers_publish(service: Any, key: str | None) -> None:
    await service.publish(b"primary", draft="true")
    status = 401 if key is None else 403
    await service.exchange("POST", f"{U}/releases/1.0.0/publish", key=key, json={}, status=status)
    await service.exchange("DELETE", f"{U}/releases/1.0.0", key=key, status=status)
