"""What feeds look at: hosted builds of active releases with all their files, and the lowest version ever published.

Controls: the url not asked for, drafts counted among the published, one group for all channels: each turns red.
"""

from __future__ import annotations

from typing import Any

from tests.actors import TESTER
from tests.builds import register
from tests.feeds.filing import publish, set_blob, sign
from tests.stored import database_of, set_release
from updater.catalog.platforms import Target
from updater.catalog.versions import parse_version
from updater.offers.feed_choice import RELEASES_SHOWN, FeedSnapshot
from updater.offers.feed_store import FeedStore

LINUX, WINDOWS, MAC = Target("linux", "amd64"), Target("windows", "amd64"), Target("darwin", "arm64")


async def load(service: Any, *, active_only: bool = True) -> FeedSnapshot:
    index = service.services.offers.snapshot_of("my-app")
    return await FeedStore(database_of(service)).load("my-app", index, active_only=active_only)


def versions(snapshot: FeedSnapshot, target: Target = LINUX) -> list[str]:
    return [each.build.version.text for each in snapshot.builds.get(target, ())]


async def test_builds_come_with_their_files_and_what_is_known_of_them(service: Any) -> None:
    facts = {"b.AppImage": {"facts": {"block_map_size": 7}}}
    files = {"b.AppImage": b"1", "c.deb": b"2", "A.zsync": b"3"}
    build = await publish(service, "1.0.0", LINUX, files, facts=facts, notes="new")
    await sign(service, build, "b.AppImage", "ed25519", "c2ln")
    await set_blob(service, b"2", sha512=None)
    (found,) = (await load(service)).builds[LINUX]
    assert found.build.notes == "new"
    assert [(each.name, each.primary) for each in found.files] == [
        ("b.AppImage", True),
        ("A.zsync", False),
        ("c.deb", False),
    ]
    primary, _, deb = found.files
    assert (primary.signatures, primary.facts) == ({"ed25519": "c2ln"}, {"block_map_size": 7})
    assert (deb.sha512, len(primary.sha512 or "")) == (None, 128)


async def test_external_builds_drafts_and_withdrawn_releases_are_left_out(service: Any) -> None:
    for number in range(1, 6):
        await publish(service, f"1.{number}.0", LINUX, {"a.AppImage": str(number).encode()})
    await register(service.services.publishing, "1.6.0")
    await register(service.services.publishing, "0.1.0", WINDOWS)
    await set_release(service, await publish(service, "0.2.0", LINUX, {"a.deb": b"d"}), status="draft")
    await service.services.releases.withdraw("my-app", "1.1.0", actor=TESTER)
    snapshot = await load(service)
    assert versions(snapshot) == ["1.5.0", "1.4.0", "1.3.0", "1.2.0"]
    assert versions(await load(service, active_only=False)) == [*versions(snapshot), "1.1.0", "0.2.0"]
    lowest = {LINUX: parse_version("1.1.0").sort_key, WINDOWS: parse_version("0.1.0").sort_key}
    assert snapshot.lowest_keys == lowest, "clients of withdrawn and of external builds are there, those of drafts not"


async def test_the_newest_of_each_kind_are_read(service: Any) -> None:
    await service.services.catalog.update_application("my-app", {"channels": ("stable", "beta")}, actor=TESTER)
    most = RELEASES_SHOWN
    for number in range(most + 2):
        await publish(service, f"1.{number}.0", LINUX, {"a.deb": f"{number}".encode()})
        await publish(service, f"2.{number}.0-rc.1", LINUX, {"a.deb": f"{number}".encode()}, channel="beta")
    await publish(service, "0.1.0-rc.1", LINUX, {"a.deb": b"x"})
    await publish(service, "0.1.0", MAC, {"a.zip": b"x"}, channel="beta")
    snapshot = await load(service)
    listed = versions(snapshot)
    assert len(listed) == 2 * most + 1
    assert listed[0] == f"2.{most + 1}.0-rc.1"
    assert listed[most : most + 2] == [f"1.{most + 1}.0", f"1.{most}.0"]
    assert listed[-1] == "0.1.0-rc.1"
    assert versions(snapshot, MAC) == ["0.1.0"]
