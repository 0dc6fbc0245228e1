"""Multipart uploads that killed processes left in an S3 bucket, of which it shows nothing but the bill."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.artifacts.test_blob_stores import put, whole
from tests.faults import CutAnswer, FaultProxy, Refuse, Swallow
from tests.servers.ceph import Ceph
from updater.artifacts import abandoned, presigning
from updater.artifacts.abandoned import AbandonedUploads
from updater.artifacts.location import parse_location
from updater.artifacts.object_store import RequestTimeouts
from updater.artifacts.remote import PART_BYTES, RemoteBlobStore

_RECEIVE_AND_DIE = """
import asyncio, os, signal, sys
from updater.artifacts.location import parse_location
from updater.artifacts.remote import PART_BYTES, RemoteBlobStore

async def chunks():
    for _ in range(3):
        yield bytes(PART_BYTES)
    await asyncio.sleep(1)
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(RemoteBlobStore(parse_location(sys.argv[1])).receive(chunks()))
"""


def leave_upload(url: str) -> None:
    done = subprocess.run([sys.executable, "-c", _RECEIVE_AND_DIE, url], timeout=60)
    assert done.returncode == -9


def unended(ceph: Ceph, bucket: str) -> int:
    return len([key for key in ceph.keys(bucket) if key.startswith("_multipart_") and key.endswith(".meta")])


def in_days(days: float) -> datetime:
    return datetime.now(UTC) + timedelta(days=days)


async def test_the_sweep_ends_what_a_killed_process_left(ceph: Ceph) -> None:
    bucket = ceph.make_bucket()
    url = ceph.url(bucket, "some/apps")
    store = RemoteBlobStore(parse_location(url))
    data = random.Random(3).randbytes(PART_BYTES * 2)
    kept = (await put(store, data)).digest
    leave_upload(url)
    leave_upload(ceph.url(bucket, "some/apps-of-others"))
    assert unended(ceph, bucket) == 2
    assert await store.sweep(datetime.now(UTC)) == 0
    assert await store.sweep(in_days(0.9)) == 0  # a slow client may still be at its first part
    assert unended(ceph, bucket) == 2
    assert await store.sweep(in_days(1.1)) == 1
    assert unended(ceph, bucket) == 1  # that of another prefix
    assert await whole(store.read(kept)) == data


async def test_an_upload_to_which_parts_come_goes_on(ceph: Ceph) -> None:
    import obstore

    location = parse_location(ceph.url(ceph.make_bucket(), "apps"))
    store = RemoteBlobStore(location)
    key = "incoming/slow"
    async with obstore.open_writer_async(store._store, key, buffer_size=PART_BYTES, max_concurrency=1) as writer:
        await writer.write(bytes(PART_BYTES + 1))
        began_at = datetime.now(UTC)
        await asyncio.sleep(1.5)
        await writer.write(bytes(PART_BYTES))
        await asyncio.sleep(1)
        assert await store.sweep(began_at + timedelta(days=1, seconds=1)) == 0
    found = await obstore.head_async(store._store, key)
    assert found["size"] == 2 * PART_BYTES + 1


async def test_all_pages_are_read(ceph: Ceph, monkeypatch: pytest.MonkeyPatch) -> None:
    import obstore

    monkeypatch.setattr(abandoned, "_UPLOADS_A_PAGE", 2)
    bucket = ceph.make_bucket()
    store = RemoteBlobStore(parse_location(ceph.url(bucket)))
    writers: list[Any] = []
    for number in range(5):
        writer = obstore.open_writer_async(store._store, f"incoming/{number // 2}", buffer_size=5 << 20)
        await writer.__aenter__()
        await writer.write(bytes((5 << 20) + 1))
        writers.append(writer)
    assert unended(ceph, bucket) == 5
    assert await store.sweep(in_days(2)) == 5
    assert unended(ceph, bucket) == 0


@pytest.mark.parametrize("fault", [Refuse(403), Refuse(503), Swallow(), CutAnswer(100), CutAnswer(300)], ids=str)
async def test_a_store_that_does_not_tell_costs_bounded_time(
    ceph: Ceph, fault: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    async with FaultProxy(ceph.port) as proxy:
        proxy.standing = fault
        location = parse_location(ceph.url(ceph.make_bucket(), "apps", port=proxy.port))
        began_s = time.monotonic()
        abandoned = AbandonedUploads(location, "incoming", RequestTimeouts(request_s=1))
        assert await asyncio.to_thread(abandoned.end, in_days(2)) == 0
        assert time.monotonic() - began_s < 5
    assert "blobs.uploads_left" in capsys.readouterr().out


async def test_without_a_secret_nothing_is_asked(ceph: Ceph, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine's role stays inside the library; then a lifecycle rule of the bucket is needed."""
    monkeypatch.setattr(presigning, "_find_scheme", lambda _: None)
    bucket = ceph.make_bucket()
    leave_upload(ceph.url(bucket))
    assert await RemoteBlobStore(parse_location(ceph.url(bucket))).sweep(in_days(2)) == 0
    assert unended(ceph, bucket) == 1
