"""What needs attention: each kind comes with its cause and goes with it; who sees what; applications at a glance.

Controls: a judgement left out of `_of_memory`, the list of an application not filtered, halts not taken out of what
fails, the level of keys forgotten: each turns red.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.actors import TESTER
from tests.conftest import StartService
from tests.deployments.site import Site
from tests.feeds.filing import publish as publish_files
from tests.feeds.filing import sign
from tests.servers.tls import tls_server
from tests.tuf.developer import Developer
from tests.tuf.serving import publish as publish_repository
from tests.web.api.rollouts.releasing import WATCHED, move, release, report
from updater import background
from updater.catalog.platforms import Target
from updater.clock import utc_now
from updater.errors import Conflict, StorageFull
from updater.operations import backups

ATTENTION = "/api/v1/attention"
Items = list[dict[str, Any]]


async def list_items(service: Any, key: str = "admin", *, kept: bool = False) -> Items:
    """Return what needs attention; what is kept for seconds is looked at anew."""
    for each in service.services.overview.attention._sources:
        each._asked_s = each._asked_s if kept else None
    answer = await service.call("GET", ATTENTION, key=key, status=200)
    assert answer["waiting"] == []
    return list(answer["items"])


async def of_kind(service: Any, kind: str, key: str = "admin") -> Items:
    return [each for each in await list_items(service, key) if each["kind"] == kind]


@pytest.fixture
async def service(start_service: StartService) -> Any:
    started = await start_service(server={"trusted_proxies": ["127.0.0.0/8"]})
    await started.application(channels=["stable", "beta"])
    return started


async def back_up(service: Any, folder: Path) -> None:
    async for _ in backups.backup(service.services, TESTER, folder=str(folder)):
        pass


async def test_a_halted_rollout(service: Any) -> None:
    await release(service, "1.0.0")
    await release(service, "1.1.0", rollout={"percent": 50, "halt": WATCHED})
    assert await of_kind(service, "rollout.halted") == []
    for number in range(60):
        await report(service, "1.1.0", "failed" if number % 2 else "completed")
    (item,) = await of_kind(service, "rollout.halted")
    assert (item["severity"], item["application_id"], item["version"]) == ("problem", "my-app", "1.1.0")
    assert item["subject"] == "linux"
    assert "1.1.0 is halted on linux" in item["words"]
    assert "installs failed" in item["words"]
    assert item["page"] == "/admin/applications/my-app/releases/1.1.0/"
    assert await of_kind(service, "release.failing") == [], "the halt says it"
    await move(service, "1.1.0", "withdraw")
    assert await of_kind(service, "rollout.halted") == []


async def test_a_failing_release_that_is_for_everybody(service: Any) -> None:
    await release(service, "1.0.0")
    await release(service, "1.1.0")
    for number in range(100):
        await report(service, "1.0.0", "failed" if number % 20 == 0 else "completed")
    for number in range(40):
        await report(service, "1.1.0", "failed" if number < 4 else "completed")
    assert await of_kind(service, "release.failing") == [], "a tenth of forty may be chance"
    for _ in range(20):
        await report(service, "1.1.0", "failed")
    (item,) = await of_kind(service, "release.failing")
    assert (item["severity"], item["version"]) == ("problem", "1.1.0")
    assert "24 of 60 installs of the last 7 days (40 %), of other versions 5 %" in item["words"]
    await move(service, "1.1.0", "withdraw")
    assert await of_kind(service, "release.failing") == []


async def test_a_damaged_file_is_named_by_what_it_belongs_to(service: Any) -> None:
    made = await service.publish(b"whole bytes", "1.2.0")
    path = service.services.artifacts.blobs.locate(made["checksum"].removeprefix("sha256:"))
    path.chmod(0o600)
    path.write_bytes(b"other bytes")
    async for _ in service.services.artifacts.verify(actor=TESTER):
        pass
    (item,) = await of_kind(service, "file.damaged")
    assert (item["severity"], item["version"], item["application_id"]) == ("problem", "1.2.0", "my-app")
    assert "of 1.2.0 for linux/amd64 is damaged" in item["words"]
    assert made["checksum"][-20:] not in str(item)
    assert [each for each in await list_items(service) if each["kind"] == "component.fails"] == []
    path.write_bytes(b"whole bytes")
    async for _ in service.services.artifacts.verify(actor=TESTER):
        pass
    assert await of_kind(service, "file.damaged") == []


async def test_a_feed_that_passes_a_release_over(service: Any) -> None:
    mac, name = Target("darwin", "amd64"), "app.app.tar.gz"
    first = await publish_files(service, "1.0.0", mac, {name: b"old"})
    (item,) = await of_kind(service, "feed.passes_over")
    assert item["severity"] == "note", "no feed ever showed anything: nobody relies on them yet"
    await sign(service, first, name, "minisign", "signed")
    assert await of_kind(service, "feed.passes_over") == [], "one feed serves the target; the others are not used"
    await publish_files(service, "1.1.0", mac, {name: b"new"})
    (item,) = await of_kind(service, "feed.passes_over")
    assert (item["severity"], item["version"], item["subject"]) == ("warning", "1.1.0", "tauri")
    assert "passes over 1.1.0 for darwin/amd64 on beta, stable: missing signature" in item["words"]
    assert item["page"] == "/admin/applications/my-app/feeds/"
    await move(service, "1.1.0", "withdraw")
    assert await of_kind(service, "feed.passes_over") == []


async def test_what_a_feed_passes_over_on_purpose_is_none(service: Any) -> None:
    linux = Target("linux", "amd64")
    await publish_files(service, "1.0.0", linux, {"app.AppImage": b"1"})
    await publish_files(service, "1.1.0", linux, {"app.AppImage": b"2"})
    await service.call(
        "PUT", "/api/v1/updates/my-app/releases/1.1.0/rollout", key="write", json={"percent": 5}, status=200
    )
    await service.services.derived.digests.work_off(actor=TESTER, everything=True)
    assert await of_kind(service, "feed.passes_over") == [], "a rollout hides it; others feeds would need signatures"


async def test_keys_that_expire_are_for_administrators(service: Any) -> None:
    access = service.services.access
    now = utc_now()
    soon, _ = await access.create_key("soon", "read", expires_at=now + timedelta(days=13), actor=TESTER)
    await access.create_key("later", "read", expires_at=now + timedelta(days=15), actor=TESTER)
    (item,) = await of_kind(service, "key.expires")
    assert (item["subject"], item["severity"], item["page"]) == ("soon", "warning", "/admin/keys/")
    assert "expires in 13 days" in item["words"]
    assert await of_kind(service, "key.expires", "write") == []
    attention = service.services.overview.attention
    attention._clock = lambda: now + timedelta(days=14)
    assert [each["subject"] for each in await of_kind(service, "key.expired")] == ["soon"]
    assert [each["subject"] for each in await of_kind(service, "key.expires")] == ["later"]
    await access.revoke_key(soon.id, actor=TESTER)
    assert await of_kind(service, "key.expired") == []


async def test_metadata_that_expires(service: Any) -> None:
    await publish_repository(service, Developer(days=30))
    assert await of_kind(service, "tuf.expires") == []
    attention, now = service.services.overview.attention, utc_now()
    attention._clock = lambda: now + timedelta(days=20)
    found = await of_kind(service, "tuf.expires")
    assert [each["subject"] for each in found] == ["stable/root"]
    assert found[0]["application_id"] == "my-app"
    attention._clock = lambda: now + timedelta(days=31)
    expired = await of_kind(service, "tuf.expired")
    assert {each["subject"].split("/")[1] for each in expired} >= {"root", "targets", "snapshot", "timestamp"}
    assert {each["severity"] for each in expired} == {"problem"}


@pytest.mark.parametrize(("days", "kind"), [(200, None), (5, "certificate.expires"), (-1, "certificate.expired")])
async def test_the_certificate_of_the_public_address(
    start_service: StartService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: int, kind: str | None
) -> None:
    with tls_server(tmp_path, days) as (port, _):
        service = await start_service(server={"public_url": f"https://localhost:{port}"})
        monkeypatch.setattr(background, "_HOUSEKEEPING_S", 0.0)
        looking = asyncio.create_task(background.watch_certificate(service.services))
        async with asyncio.timeout(20):
            while service.services.overview.certificate.ends_at is None:
                await asyncio.sleep(0.01)
        looking.cancel()
    found = [each for each in await list_items(service) if each["kind"].startswith("certificate.")]
    assert [(each["kind"], each["subject"]) for each in found] == ([] if kind is None else [(kind, "localhost")])
    # Nobody answers there any more; what was seen is known all the same.
    await service.services.overview.certificate.look()
    assert service.services.overview.certificate.ends_at is not None


async def test_metrics_tell_what_needs_attention_without_names_of_keys(service: Any) -> None:
    async def shown() -> str:
        _, page = await service.exchange("GET", "/metrics", status=200)
        return "\n".join(line for line in page.decode().splitlines() if line.startswith("updater_attention"))

    assert await shown() == "", "nobody looked yet"
    soon = utc_now() + timedelta(days=1)
    for name in ("one", "two"):
        await service.services.access.create_key(f"secret-{name}", "read", expires_at=soon, actor=TESTER)
    await list_items(service)
    found = await shown()
    assert (
        'updater_attention{application="",kind="key.expires",severity="warning",subject="",version=""} 2.0' in found
    ), found
    assert "secret" not in found
    assert "updater_attention_age_seconds 0" in found
    attention = service.services.overview.attention
    attention._seen = (attention._seen[0] - 300, attention._seen[1])
    assert await shown() == "", "another process looks now"


async def test_backups(service: Any, tmp_path: Path) -> None:
    if service.services.settings.storage.database_url is not None:
        pytest.skip("backups are made of the embedded database")
    (item,) = [each for each in await list_items(service) if each["kind"].startswith("backup.")]
    assert (item["severity"], item["kind"]) == ("note", "backup.old")
    await back_up(service, tmp_path / "backup")
    assert [each for each in await list_items(service) if each["kind"].startswith("backup.")] == []
    strange = tmp_path / "strange"
    strange.mkdir()
    (strange / "file").touch()
    with pytest.raises(Conflict):
        await back_up(service, strange)
    (item,) = [each for each in await list_items(service) if each["kind"].startswith("backup.")]
    assert (item["severity"], item["kind"]) == ("problem", "backup.failed")
    assert "holds no backup" in item["words"]
    overview = await service.call("GET", "/api/v1/overview", key="write", status=200)
    assert overview["service"]["backed_up_at"] is not None, "the last good one is remembered"
    await back_up(service, tmp_path / "backup")
    assert [each for each in await list_items(service) if each["kind"].startswith("backup.")] == []
    now = utc_now()
    service.services.overview.attention._clock = lambda: now + timedelta(days=8)
    (item,) = await of_kind(service, "backup.old")
    assert (item["severity"], item["words"]) == ("warning", "The last backup was made 8 days ago")


async def test_a_job_that_fails(service: Any) -> None:
    async def fail() -> None:
        raise StorageFull("No room")

    async def work() -> None:
        pass

    await service.services.jobs.attempt("sweeping", fail, every_s=60)
    (item,) = await of_kind(service, "job.fails")
    assert (item["subject"], item["severity"]) == ("sweeping", "warning")
    await service.services.jobs.attempt("sweeping", work, every_s=60)
    assert await of_kind(service, "job.fails") == []


async def test_a_disk_near_its_reserve(start_service: StartService, tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    near = await start_service(storage={"reserve_bytes": free * 2 // 3})
    assert [each["severity"] for each in await of_kind(near, "disk.full")] == ["warning"]
    near.services.artifacts._reserve._reserve_bytes = free * 2
    assert [each["severity"] for each in await of_kind(near, "disk.full")] == ["problem"]
    near.services.artifacts._reserve._reserve_bytes = 0
    assert await of_kind(near, "disk.full") == []


async def test_a_deployment_that_is_behind_or_broken(start_service: StartService, tmp_path: Path) -> None:
    site = Site(tmp_path / "site")
    service = await start_service(deployments=[site.record(restart=None, health=None)])
    assert [each for each in await list_items(service) if each["kind"].startswith("deployment.")] == []
    site.push("two")
    site.push("three")
    await service.services.deployments.check(actor=TESTER)
    (item,) = await of_kind(service, "deployment.behind")
    assert (item["subject"], item["severity"]) == ("web", "note")
    assert item["words"] == "The deployment web is 2 commits behind main"
    assert item["page"] == "/admin/deployments/web/"
    run = await service.services.deployments.apply(actor=TESTER)
    await service.services.deployments.runs.wait(run)
    assert [each for each in await list_items(service) if each["kind"].startswith("deployment.")] == []
    shutil.rmtree(site.checkout)
    (item,) = await of_kind(service, "deployment.broken")
    assert item["severity"] == "problem"


async def test_a_run_that_failed(start_service: StartService, tmp_path: Path) -> None:
    site = Site(tmp_path / "site")
    steps = [{"name": "build", "command": ["grep", "-q", "one", "VERSION"], "timeout_s": 20}]
    service = await start_service(deployments=[site.record(steps=steps, restart=None, health=None)])
    site.push("two")
    run = await service.services.deployments.apply(actor=TESTER)
    await service.services.deployments.runs.wait(run)
    (item,) = await of_kind(service, "deployment.broken")
    assert item["severity"] == "warning"
    assert "taken back in build" in item["words"]


async def test_who_sees_what(service: Any) -> None:
    await service.application("other-app")
    access = service.services.access
    for name, application in (("global", None), ("mine", "my-app"), ("theirs", "other-app")):
        await access.create_key(
            name, "read", application=application, expires_at=utc_now() + timedelta(days=1), actor=TESTER
        )
    _, bound = await access.create_key("bound", "admin", application="my-app", actor=TESTER)
    assert {each["subject"] for each in await list_items(service, bound)} == {"mine"}
    assert {each["subject"] for each in await list_items(service)} >= {"global", "mine", "theirs"}
    await service.call("GET", ATTENTION, status=401)
    await service.call("GET", ATTENTION, key="read", status=403)
    mine = await service.call("GET", "/api/v1/overview", key=bound, status=200)
    assert ([each["id"] for each in mine["applications"]], mine["total"]) == (["my-app"], 1)
    assert mine["service"] is None


async def test_what_is_slow_is_named_and_comes_later(service: Any) -> None:
    attention = service.services.overview.attention
    await list_items(service)
    gate = asyncio.Event()
    (files,) = [each for each in attention._sources if each.name == "files"]
    ask: Callable[[], Any] = files._ask

    async def slow() -> Any:
        await gate.wait()
        return await ask()

    files._ask, files._asked_s = slow, None
    found = await attention.list_items(is_admin=True, wait_s=0.05)
    assert found.waiting == ("files",)
    gate.set()
    assert (await attention.list_items(is_admin=True, wait_s=2)).waiting == ()


async def test_applications_at_a_glance(service: Any) -> None:
    await release(service, "1.0.0")
    await release(service, "1.1.0-rc.1", channel="beta")
    await release(service, "1.0.1", rollout=25)
    for version in ("1.0.1", "1.0.0", "1.0.0", "0.9.0"):
        query = {"current_version": version, "platform": "linux", "architecture": "amd64"}
        await service.call("GET", "/api/v1/updates/my-app/check", params=query, status=200)
    await service.services.telemetry.flush_checks()
    for outcome in ("completed", "completed", "completed", "failed", "cancelled"):
        await report(service, "1.0.1", outcome)
    await service.application("z-app")
    answer = await service.call("GET", "/api/v1/overview", key="write", status=200)
    mine, other = answer["applications"]
    assert mine["channels"] == [
        {"channel": "stable", "version": "1.0.1", "percent": 25.0},
        {"channel": "beta", "version": "1.1.0-rc.1", "percent": 100.0},
    ]
    assert (mine["installs"], mine["failures"], mine["failure_rate"], mine["checks"]) == (3, 1, 0.25, 4)
    assert len(mine["adoption"]) == 30
    assert mine["adoption"][-1] == 0.25
    assert set(mine["adoption"][:-1]) == {None}
    assert other["channels"][0]["version"] is None
    assert answer["service"]["health"] == "healthy"
    page = await service.call("GET", "/api/v1/overview?limit=1&offset=1", key="write", status=200)
    assert ([each["id"] for each in page["applications"]], page["total"]) == (["z-app"], 2)
