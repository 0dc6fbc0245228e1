"""What every blob store promises (`artifacts.blobs`), on real disks, a real S3 and Azure's emulator."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.servers.buckets import Buckets
from updater.artifacts.blobs import BATCH_BYTES, BlobStore, Staged
from updater.artifacts.local import LocalBlobStore
from updater.artifacts.location import parse_location
from updater.artifacts.remote import RemoteBlobStore
from updater.errors import NotFound

DATA = random.Random(5).randbytes(3 * BATCH_BYTES + 17)
LARGE = random.Random(6).randbytes(20 * BATCH_BYTES + 1)  # several parts of an upload to S3
KINDS = ("local", "ceph", "azurite")


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[BlobStore]:
    if request.param == "local":
        local = LocalBlobStore(tmp_path)
        yield local
        local.close()
    else:
        server: Buckets = request.getfixturevalue(request.param)
        yield RemoteBlobStore(parse_location(server.url(server.make_bucket(), "a/prefix")))


async def chunks(data: bytes, size: int = 300_000) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def put(store: BlobStore, data: bytes) -> Staged:
    staged = await store.receive(chunks(data))
    await staged.place()
    await staged.discard()
    return staged


async def whole(pieces: AsyncIterator[bytes]) -> bytes:
    found = [piece async for piece in pieces]
    assert all(0 < len(piece) <= BATCH_BYTES for piece in found)
    return b"".join(found)


async def digests(store: BlobStore) -> list[str]:
    return sorted([info.digest async for info in store.scan()])


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


async def left_behind(store: BlobStore) -> int:
    """Count what is still in `incoming`, unended uploads included, by sweeping as if no reception were under way."""
    return await store.sweep(datetime.now(UTC) + timedelta(days=2))


@pytest.mark.parametrize("data", [b"", b"x", DATA, LARGE], ids=["empty", "byte", "pieces", "parts"])
async def test_what_comes_in_comes_out(store: BlobStore, data: bytes) -> None:
    staged = await put(store, data)
    assert (staged.digest, staged.size_bytes) == (sha256(data), len(data))
    assert await whole(store.read(staged.digest)) == data
    assert await left_behind(store) == 0


@pytest.mark.parametrize(
    ("start", "length"),
    [(0, 0), (0, 1), (0, 4), (len(DATA) - 1, 1), (len(DATA) - 1, None), (BATCH_BYTES - 1, 2), (7, 2 * BATCH_BYTES)],
)
async def test_a_part_is_read(store: BlobStore, start: int, length: int | None) -> None:
    digest = (await put(store, DATA)).digest
    expected = DATA[start:] if length is None else DATA[start : start + length]
    assert await whole(store.read(digest, start, length)) == expected


async def test_a_part_that_reaches_beyond_the_end_is_cut(store: BlobStore) -> None:
    digest = (await put(store, DATA)).digest
    assert await whole(store.read(digest, len(DATA) - 5, 100)) == DATA[-5:]


async def test_nothing_is_visible_before_it_is_placed(store: BlobStore) -> None:
    staged = await store.receive(chunks(DATA))
    assert await digests(store) == []
    with pytest.raises(NotFound):
        await whole(store.read(staged.digest))
    await staged.place()
    assert await digests(store) == [sha256(DATA)]
    await staged.discard()
    assert await digests(store) == [sha256(DATA)]


async def test_discarded_bytes_leave_nothing(store: BlobStore) -> None:
    staged = await store.receive(chunks(DATA))
    await staged.discard()
    await staged.discard()
    assert await digests(store) == []
    assert await left_behind(store) == 0


async def test_placing_again_replaces(store: BlobStore) -> None:
    await put(store, DATA)
    await put(store, DATA)
    assert await digests(store) == [sha256(DATA)]
    assert await left_behind(store) == 0


class Interrupted(Exception):
    pass


@pytest.mark.parametrize("after", [0, 1, 9, 20])
@pytest.mark.parametrize("error", [Interrupted, TimeoutError, ConnectionResetError])
async def test_a_failing_source_leaves_nothing(store: BlobStore, after: int, error: type[Exception]) -> None:
    async def failing() -> AsyncIterator[bytes]:
        for _ in range(after):
            yield bytes(BATCH_BYTES)
        raise error

    with pytest.raises(error):
        await store.receive(failing())
    assert await digests(store) == []
    assert await left_behind(store) == 0


@pytest.mark.parametrize("after", [0, 1, 20])
async def test_a_cancelled_reception_leaves_nothing(store: BlobStore, after: int) -> None:
    reached = asyncio.Event()

    async def stalling() -> AsyncIterator[bytes]:
        for _ in range(after):
            yield bytes(BATCH_BYTES)
        reached.set()
        await asyncio.sleep(60)
        yield b""

    task = asyncio.create_task(store.receive(stalling()))
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await digests(store) == []
    assert await left_behind(store) == 0


async def test_a_cancellation_at_any_moment_leaves_nothing(store: BlobStore) -> None:
    for wait_ms in range(0, 120, 6):  # the last ones while the upload is ended
        task = asyncio.create_task(store.receive(chunks(LARGE)))
        await asyncio.sleep(wait_ms / 1000)
        task.cancel()
        try:
            await (await task).discard()
        except asyncio.CancelledError:
            continue
    assert await digests(store) == []
    assert await left_behind(store) == 0


@pytest.mark.parametrize("after", [0, 1, 20])
async def test_a_cancellation_before_a_write_begins_leaves_nothing(store: BlobStore, after: int) -> None:
    """The cancellation waits in the loop when the batch is handed over, so it comes before the write's first step."""

    async def cancelling() -> AsyncIterator[bytes]:
        for _ in range(after):
            yield bytes(BATCH_BYTES)
        asyncio.get_running_loop().call_soon(task.cancel)
        yield bytes(BATCH_BYTES)

    task = asyncio.create_task(store.receive(cancelling()))
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await digests(store) == []
    assert await left_behind(store) == 0


async def test_a_deleted_blob_is_gone(store: BlobStore) -> None:
    digest = (await put(store, DATA)).digest
    kept = (await put(store, b"kept")).digest
    await store.delete(digest)
    await store.delete(digest)
    with pytest.raises(NotFound):
        await whole(store.read(digest))
    assert await digests(store) == [kept]


async def test_a_scan_tells_size_and_time(store: BlobStore) -> None:
    contents = [bytes([number]) * number for number in range(12)]
    for content in contents:
        await put(store, content)
    found = [info async for info in store.scan()]
    assert {info.digest: info.size_bytes for info in found} == {sha256(each): len(each) for each in contents}
    now = datetime.now(UTC)
    assert all(abs(now - info.modified_at) < timedelta(minutes=1) for info in found)


async def test_a_sweep_leaves_what_is_younger(store: BlobStore) -> None:
    staged = await store.receive(chunks(DATA))
    assert await store.sweep(datetime.now(UTC) - timedelta(minutes=5)) == 0
    await staged.place()
    assert await whole(store.read(staged.digest)) == DATA


async def test_a_sweep_removes_what_is_older_and_no_blob(store: BlobStore) -> None:
    digest = (await put(store, DATA)).digest
    await store.receive(chunks(b"left by a process that was killed"))
    assert await left_behind(store) == 1
    assert await digests(store) == [digest]


async def test_many_at_once(store: BlobStore) -> None:
    contents = [random.Random(number).randbytes(200_000) for number in range(12)]
    await asyncio.gather(*(put(store, content) for content in [*contents, *contents]))
    assert await digests(store) == sorted(sha256(content) for content in contents)
    for content in contents:
        assert await whole(store.read(sha256(content))) == content


async def test_it_says_that_it_is_there(store: BlobStore) -> None:
    free = await store.probe()
    assert free is None or free > 0


@pytest.mark.parametrize("name", ["", "x", "../../updater.db", "A" * 64, "0" * 63])
async def test_only_digests_are_names(store: BlobStore, name: str) -> None:
    for attempt in (store.delete(name), whole(store.read(name))):
        with pytest.raises(ValueError, match="not a digest"):
            await attempt


def test_every_implementation_is_here() -> None:
    """The port has at most seven methods, and this suite runs on all that implement it."""
    methods = [name for name in vars(BlobStore) if not name.startswith("_")]
    assert len(methods) <= 7
    implementations: Iterable[type] = (LocalBlobStore, RemoteBlobStore)
    for each in implementations:
        assert all(callable(getattr(each, name)) for name in methods)
