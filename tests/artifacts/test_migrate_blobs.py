"""`updater migrate-blobs`: between a folder and a bucket, both ways, interrupted, damaged, and while publishing."""

from __future__ import annotations

import hashlib
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.actors import TESTER
from tests.conftest import Service
from tests.faults import CutRequest, FaultProxy
from tests.servers.buckets import Buckets
from updater.artifacts.local import LocalBlobStore
from updater.artifacts.location import parse_location
from updater.artifacts.remote import RemoteBlobStore
from updater.errors import Invalid, Unavailable
from updater.operations import OPERATIONS

CONTENTS = {f"1.{number}.0": random.Random(number).randbytes(30_000 + number) for number in range(9)}


@pytest.fixture
async def filled(service: Service) -> Service:
    for version, content in CONTENTS.items():
        await service.publish(content, version)
    return service


async def migrate(service: Service, source: str, target: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    events = [
        event async for event in OPERATIONS["blobs.migrate"](service.services, TESTER, source=source, target=target)
    ]
    return events[:-1], events[-1]["result"]


async def contents(store: LocalBlobStore | RemoteBlobStore) -> list[bytes]:
    return sorted([b"".join([piece async for piece in store.read(info.digest)]) async for info in store.scan()])


async def test_a_bucket_and_back(filled: Service, buckets: Buckets, tmp_path: Path) -> None:
    url = buckets.url(buckets.make_bucket(), "apps")
    progress, result = await migrate(filled, "local", url)
    assert result == {"copied": 9, "bad": []}
    assert [event["done"] for event in progress] == list(range(1, 10))
    assert await contents(RemoteBlobStore(parse_location(url))) == sorted(CONTENTS.values())
    assert (await migrate(filled, "local", url))[1] == {"copied": 0, "bad": []}
    for path in (tmp_path / "storage" / "blobs").rglob("*"):
        if path.is_file():
            path.unlink()
    assert (await migrate(filled, url, "local"))[1] == {"copied": 9, "bad": []}
    for version, content in CONTENTS.items():
        path = f"/api/v1/updates/my-app/download/{version}/linux/amd64"
        assert (await filled.exchange("GET", path, status=200))[1] == content


async def test_an_interrupted_migration_goes_on(filled: Service, buckets: Buckets) -> None:
    bucket = buckets.make_bucket()
    async with FaultProxy(buckets.port, [CutRequest(200_000)]) as proxy:
        proxy.standing = CutRequest(0)
        with pytest.raises(Unavailable):
            await migrate(filled, "local", buckets.url(bucket, port=proxy.port))
    there = len(await contents(RemoteBlobStore(parse_location(buckets.url(bucket)))))
    assert there < 9
    assert (await migrate(filled, "local", buckets.url(bucket)))[1] == {"copied": 9 - there, "bad": []}
    assert await contents(RemoteBlobStore(parse_location(buckets.url(bucket)))) == sorted(CONTENTS.values())


async def test_damaged_and_missing_files_are_named_and_not_copied(
    filled: Service, buckets: Buckets, tmp_path: Path
) -> None:
    files = sorted(path for path in (tmp_path / "storage" / "blobs").rglob("*") if path.is_file())
    files[0].write_bytes(b"x" * files[0].stat().st_size)
    files[1].unlink()
    url = buckets.url(buckets.make_bucket())
    _, result = await migrate(filled, "local", url)
    assert (result["copied"], sorted(result["bad"])) == (7, [files[0].name, files[1].name])
    assert len(await contents(RemoteBlobStore(parse_location(url)))) == 7


async def test_what_is_published_meanwhile_is_copied_too(filled: Service, buckets: Buckets) -> None:
    url, late = buckets.url(buckets.make_bucket()), b"published while files were copied"
    async for event in OPERATIONS["blobs.migrate"](filled.services, TESTER, source="local", target=url):
        if event.get("done") == 1:
            await filled.publish(late, "2.0.0")
    assert event["result"] == {"copied": 10, "bad": []}
    assert late in await contents(RemoteBlobStore(parse_location(url)))


async def test_what_is_published_into_the_target_or_removed_meanwhile_is_not_damaged(
    filled: Service, buckets: Buckets, tmp_path: Path
) -> None:
    """As while a rolling restart switches to the new store: some workers publish there already."""
    url = buckets.url(buckets.make_bucket())
    target = RemoteBlobStore(parse_location(url))
    folder = tmp_path / "storage" / "blobs"
    events = OPERATIONS["blobs.migrate"](filled.services, TESTER, source="local", target=url)
    async for event in events:
        if event.get("done") != 1:
            continue
        there = {info.digest async for info in target.scan()}
        moved, removed = [each for each in CONTENTS if _digest(CONTENTS[each]) not in there][:2]
        staged = await target.receive(_one(CONTENTS[moved]))
        await staged.place()
        await staged.discard()
        next(folder.rglob(_digest(CONTENTS[moved]))).unlink()
        await filled.call("DELETE", f"/api/v1/updates/my-app/releases/{removed}/linux/amd64", key="admin", status=200)
        assert [each async for each in filled.services.artifacts.collect(actor=TESTER, grace_s=0)] == [
            _digest(CONTENTS[removed])
        ]
    assert event["result"] == {"copied": 7, "bad": []}


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


async def _one(content: bytes) -> AsyncIterator[bytes]:
    yield content


@pytest.mark.parametrize(
    ("source", "target", "field"),
    [("local", "local", "target"), ("s4://x", "local", "source"), ("local", "x", "target")],
)
async def test_other_stores_are_refused(service: Service, source: str, target: str, field: str) -> None:
    with pytest.raises(Invalid) as caught:
        await migrate(service, source, target)
    assert field in caught.value.fields
