"""What feeds show and pass over, told to a publisher; and the statuses of one build.

Controls: drafts left out of what is read, the rollout asked before the status, `together` ignored: each turns red.
"""

from __future__ import annotations

from typing import Any

from tests.actors import TESTER
from tests.feeds.filing import publish, set_blob, sign
from tests.stored import set_release
from updater.catalog.platforms import Target

FEEDS = "/api/v1/updates/my-app/feeds"
RELEASES = "/api/v1/updates/my-app/releases"
LINUX, WINDOWS, WINDOWS_ARM = Target("linux", "amd64"), Target("windows", "amd64"), Target("windows", "arm64")
MAC = Target("darwin", "amd64")


async def start(start_service: Any) -> Any:
    service = await start_service()
    extra = {"channels": ("stable", "beta"), "config": {"max_version": "8.0.0"}}
    await service.services.catalog.create_application(
        "my-app", name="My App", platforms=("linux", "windows", "darwin"), extra=extra, actor=TESTER
    )
    return service


async def seen(service: Any, feed: str, channel: str = "") -> dict[str, Any]:
    answer = await service.call("GET", f"{FEEDS}?channel={channel}", key="read", status=200)
    return {f"{each['platform']}/{each['architecture']}": each for each in answer["feeds"] if each["feed"] == feed}


async def test_every_reason_is_told(start_service: Any) -> None:
    service = await start(start_service)

    async def image(version: str, **more: Any) -> Any:
        return await publish(service, version, LINUX, {"app.AppImage": version.encode()}, **more)

    answer = await service.call("GET", FEEDS, key="read", status=200)
    assert answer["feeds"] == []
    (tauri,) = (each for each in answer["recipes"] if each["updater"] == "Tauri")
    assert f'"{service.url}/feeds/my-app/stable/tauri/' in tauri["text"]
    assert (tauri["feed"], tauri["file"]) == ("tauri", "tauri.conf.json")
    await image("1.0.0")
    await image("2.0.0", minimum_version="1.5.0")
    await image("3.0.0")
    await service.call("PUT", f"{RELEASES}/3.0.0/rollout", key="admin", status=200, json={"percent": 25})
    await image("4.0.0")
    await service.call("PUT", f"{RELEASES}/4.0.0/rollout", key="admin", status=200, json={"percent": 25})
    await service.call("POST", f"{RELEASES}/4.0.0/rollout/pause", key="admin", status=200, json={})
    await image("5.0.0")
    await set_blob(service, b"5.0.0", sha512=None)
    await service.services.releases.withdraw("my-app", (await image("6.0.0")).version.text, actor=TESTER)
    await set_release(service, await image("7.0.0"), status="draft")
    await image("9.0.0")
    await publish(service, "9.1.0", LINUX, {"notes.txt": b"nothing for a feed"})
    await image("9.2.0-rc.1")
    item = (await seen(service, "electron"))["linux/amd64"]
    assert item == {
        "feed": "electron",
        "channel": "stable",
        "platform": "linux",
        "architecture": "amd64",
        "url": f"{service.url}/feeds/my-app/stable/electron",
        "version": "1.0.0",
        "passed_over": [
            {"version": "9.0.0", "reason": "above max_version"},
            {"version": "7.0.0", "reason": "draft"},
            {"version": "6.0.0", "reason": "withdrawn"},
            {"version": "5.0.0", "reason": "digest pending"},
            {"version": "4.0.0", "reason": "rollout at 25 %, paused"},
            {"version": "3.0.0", "reason": "rollout at 25 %"},
            {"version": "2.0.0", "reason": "minimum_version 1.5.0: the version is unknown"},
        ],
    }
    beta = (await seen(service, "electron", "beta"))["linux/amd64"]
    assert beta["url"].endswith("/feeds/my-app/beta/electron")
    assert beta["passed_over"][0] == {"version": "9.2.0-rc.1", "reason": "above max_version"}
    tauri = (await seen(service, "tauri"))["linux/amd64"]
    assert (tauri["version"], {each["reason"] for each in tauri["passed_over"]}) == (
        None,
        {"missing signature", "withdrawn", "draft"},
    )


async def test_architectures_that_are_asked_as_one_are_shown_as_one(start_service: Any) -> None:
    service = await start(start_service)
    await publish(service, "1.0.0", WINDOWS, {"Setup.exe": b"1"})
    await publish(service, "1.1.0", WINDOWS_ARM, {"Setup.exe": b"2"})
    assert [each["version"] for each in (await seen(service, "electron")).values()] == ["1.1.0", "1.1.0"]
    assert (await seen(service, "scoop"))["windows/amd64"]["url"].endswith("/stable/scoop/my-app.json")
    assert await seen(service, "winget") == {}, "it has no settings for it"


async def test_a_zip_and_a_signature_are_missed(start_service: Any) -> None:
    service = await start(start_service)
    build = await publish(service, "1.0.0", MAC, {"App.dmg": b"dmg", "App.app.tar.gz": b"tar"})
    for feed in ("electron", "squirrel"):
        item = (await seen(service, feed))["darwin/amd64"]
        assert item["passed_over"] == [{"version": "1.0.0", "reason": "missing zip"}]
    assert (await seen(service, "tauri"))["darwin/amd64"]["version"] is None
    await sign(service, build, "App.app.tar.gz", "minisign", "untrusted comment: x")
    assert (await seen(service, "tauri"))["darwin/amd64"]["version"] == "1.0.0"


async def test_an_unknown_channel_and_application_are_refused(start_service: Any) -> None:
    service = await start(start_service)
    answer = await service.call("GET", f"{FEEDS}?channel=betta", key="read", status=422)
    assert answer["errors"] == {"channel": "expected one of stable, beta"}
    await service.call("GET", FEEDS.replace("my-app", "nope"), key="read", status=404)
    await service.call("GET", FEEDS, status=401)
