"""Damage in the store is found, kept away from clients, and repaired by the same bytes."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

import updater.operations.storage as operations
from tests.actors import TESTER
from tests.builds import digest_of, publish_bytes
from tests.conftest import Service
from updater.artifacts.local import LocalBlobStore
from updater.errors import Unavailable

DAMAGED = {"flipped": 30, "truncated": 10, "swapped": 10, "deleted": 10}
CLEAN = 60


@dataclass
class Stored:
    """A published build: its version, its content, and the file it lies in."""

    version: str
    content: bytes
    path: Path

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


Publish = Callable[..., Awaitable[Stored]]


@pytest.fixture
def publish(service: Service) -> Publish:
    """Publish without HTTP, where only what lies in the store matters."""
    count = iter(range(1_000_000))

    async def run(content: bytes | None = None, application: str = "my-app") -> Stored:
        version = f"1.0.{next(count)}"
        given = os.urandom(300) if content is None else content
        services = service.services
        made = await publish_bytes(services.publishing, services.artifacts, given, version, application)
        path = service.services.artifacts.blobs.locate(digest_of(made))
        assert path is not None
        return Stored(version, given, path)

    return run


async def verify(service: Service, **arguments: Any) -> Any:
    return [event async for event in operations.verify(service.services, TESTER, **arguments)][-1]["result"]


def spoil(kind: str, group: list[Stored], chooser: random.Random) -> None:
    if kind == "swapped":
        for one, other in zip(group[::2], group[1::2], strict=True):
            one.path.write_bytes(other.content)
            other.path.write_bytes(one.content)
        return
    for each in group:
        content = bytearray(each.content)
        if kind == "flipped":
            content[chooser.randrange(len(content))] ^= 1 << chooser.randrange(8)
        if kind == "truncated":
            del content[chooser.randrange(len(content)) :]
        if kind == "deleted":
            each.path.unlink()
        else:
            each.path.write_bytes(content)


async def download(service: Service, version: str, application: str = "my-app") -> int:
    path = f"/api/v1/updates/{application}/download/{version}/linux/amd64"
    response, _ = await service.exchange("GET", path)
    return response.status


async def latest(service: Service, application: str = "my-app") -> str | None:
    params = {"current_version": "0.0.1", "platform": "linux", "architecture": "amd64"}
    answer = await service.call("GET", f"/api/v1/updates/{application}/check", params=params, status=200)
    found: str | None = answer.get("latest_version")
    return found


@pytest.mark.parametrize("scale", [1, pytest.param(10, marks=pytest.mark.long)])
async def test_all_damage_is_found_and_nothing_else(service: Service, publish: Publish, scale: int) -> None:
    chooser = random.Random(7)
    damaged = {kind: [await publish() for _ in range(count * scale)] for kind, count in DAMAGED.items()}
    clean = [await publish() for _ in range(CLEAN * scale)]
    assert await verify(service) == {"checked": sum(map(len, damaged.values())) + len(clean), "bad": []}
    for kind, group in damaged.items():
        spoil(kind, group, chooser)
    found = await verify(service)
    assert sorted(found["bad"]) == sorted(each.digest for group in damaged.values() for each in group)
    for group in damaged.values():
        for each in chooser.sample(group, 5):
            assert await download(service, each.version) == 503
    assert await download(service, clean[0].version) == 200
    assert await latest(service) == clean[-1].version


async def test_what_is_quarantined_is_not_offered(service: Service, publish: Publish) -> None:
    older, newer = await publish(), await publish()
    assert await latest(service) == newer.version
    newer.path.write_bytes(b"damaged")
    await verify(service)
    assert await latest(service) == older.version
    assert await download(service, newer.version) == 503
    assert await download(service, older.version) == 200


async def test_the_same_bytes_repair_a_build(service: Service, publish: Publish) -> None:
    await service.application("other")
    mine = await publish()
    theirs = await publish(mine.content, application="other")
    mine.path.write_bytes(b"damaged")
    await verify(service)
    path = f"/api/v1/updates/my-app/builds/{mine.version}/linux/amd64"
    await service.call("PUT", path, key="write", data=b"other bytes", status=409)
    assert await download(service, mine.version) == 503
    again = await service.call("PUT", path, key="write", data=mine.content, status=201)
    assert again["checksum"] == mine.digest
    assert await latest(service) == mine.version
    assert await latest(service, "other") == theirs.version
    assert await download(service, theirs.version, "other") == 200
    await service.call("PUT", path, key="write", data=mine.content, status=409)
    assert (await verify(service))["bad"] == []


async def test_the_same_bytes_elsewhere_repair_all_builds_that_share_them(service: Service, publish: Publish) -> None:
    first = await publish()
    first.path.unlink()
    await verify(service)
    second = await publish(first.content)
    assert await latest(service) == second.version
    assert [await download(service, each.version) for each in (first, second)] == [200, 200]


async def test_a_repaired_file_is_served_after_verify(service: Service, publish: Publish) -> None:
    build = await publish()
    build.path.write_bytes(b"damaged")
    assert (await verify(service))["bad"] == [build.digest]
    assert (await verify(service))["bad"] == [build.digest]
    build.path.write_bytes(build.content)
    assert (await verify(service))["bad"] == []
    assert await download(service, build.version) == 200
    assert await latest(service) == build.version


async def test_a_sample_is_a_share_of_all(service: Service, publish: Publish) -> None:
    for _ in range(20):
        await publish()
    assert (await verify(service, sample=0.25))["checked"] == 5
    assert (await verify(service, sample=0.001))["checked"] == 1
    assert (await verify(service, sample=1))["checked"] == 20


async def test_nothing_stored_is_nothing_to_verify(service: Service) -> None:
    assert await verify(service) == {"checked": 0, "bad": []}
    assert await verify(service, sample=0.5) == {"checked": 0, "bad": []}


@pytest.mark.parametrize("meanwhile", ["repaired", "collected"])
async def test_what_changes_while_it_is_read_is_no_false_alarm(
    service: Service, publish: Publish, monkeypatch: pytest.MonkeyPatch, meanwhile: str
) -> None:
    build = await publish()
    read = LocalBlobStore.read

    async def overtaken(store: LocalBlobStore, digest: str) -> AsyncIterator[bytes]:
        """Read what was damaged, and repair or remove it before the outcome is noted."""
        monkeypatch.setattr(LocalBlobStore, "read", read)
        if meanwhile == "repaired":
            await publish(build.content)
        else:
            path = f"/api/v1/updates/my-app/releases/{build.version}/linux/amd64"
            await service.call("DELETE", path, key="admin", status=200)
            assert [digest async for digest in service.services.artifacts.collect(actor=TESTER, grace_s=0)] == [
                build.digest
            ]
        yield b"damaged"

    monkeypatch.setattr(LocalBlobStore, "read", overtaken)
    assert await verify(service) == {"checked": 1, "bad": []}
    assert await verify(service) == {"checked": int(meanwhile == "repaired"), "bad": []}


async def test_an_interrupted_verify_keeps_what_it_found(service: Service, publish: Publish) -> None:
    """It withdraws what it found so far, however it ends."""
    builds = [await publish() for _ in range(3)]
    for each in builds:
        each.path.write_bytes(bytes(len(each.content)))
    run = operations.verify(service.services, TESTER)
    await anext(run)
    await run.aclose()  # type: ignore[attr-defined]
    assert service.services.artifacts.totals.damaged == 1
    await verify(service)
    assert [await download(service, each.version) for each in builds] == [503, 503, 503]
    assert await latest(service) is None


async def test_verifying_does_not_hold_up_uploads(service: Service, publish: Publish) -> None:
    for _ in range(30):
        await publish()
    verifying = asyncio.create_task(verify(service))
    await asyncio.gather(*(publish() for _ in range(10)))
    assert (await verifying)["bad"] == []


async def test_a_disk_that_is_gone_damages_nothing(service: Service, publish: Publish, tmp_path: Path) -> None:
    """An unmounted folder or a dead disk has no file at all; builds must not be withheld when it is back."""
    for _ in range(3):
        await publish()
    blobs, incoming = tmp_path / "storage" / "blobs", tmp_path / "storage" / "incoming"
    for each in (blobs, incoming):
        each.rename(each.with_suffix(".away"))
    with pytest.raises(Unavailable):
        await verify(service)
    for each in (blobs, incoming):
        each.with_suffix(".away").rename(each)
    async with service.services.catalog._database.read() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM blob WHERE quarantined_at IS NOT NULL")) == 0
    assert await verify(service) == {"checked": 3, "bad": []}
