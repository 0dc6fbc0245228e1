"""A copy inside Azure may be over later than its answer: until then there is an empty object in its place.

The emulator copies at once, so the request for the copy is replaced by one that does what Azure may do.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import updater.artifacts.remote as remote
from tests.artifacts.test_blob_stores import chunks, whole
from tests.servers.azurite import Azurite
from updater.artifacts.location import parse_location
from updater.artifacts.object_store import RequestTimeouts
from updater.artifacts.remote import RemoteBlobStore
from updater.errors import Unavailable

DATA = b"what is published" * 1000


@pytest.fixture
def slow_copies(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let copies end so many seconds after their answer; never, when the list is empty."""
    import obstore

    ends: list[float] = []
    copy, running = obstore.copy_async, set()

    async def begin(store: Any, source: str, target: str) -> None:
        await obstore.put_async(store, target, b"")
        if ends:
            running.add(asyncio.create_task(finish(store, source, target, ends.pop())))

    async def finish(store: Any, source: str, target: str, after_s: float) -> None:
        await asyncio.sleep(after_s)
        await copy(store, source, target)

    monkeypatch.setattr(obstore, "copy_async", begin)
    monkeypatch.setattr(remote, "_COPY_ASKED_EVERY_S", 0.05)
    return ends


@pytest.mark.parametrize("before", [b"", DATA, b"damaged" * 1000])
async def test_placing_waits_for_the_bytes(azurite: Azurite, slow_copies: list[float], before: bytes) -> None:
    store = RemoteBlobStore(parse_location(azurite.url(azurite.make_bucket())))
    staged = await store.receive(chunks(DATA))
    if before:
        await _put(store, staged.digest, before)
    slow_copies.append(0.4)
    await staged.place()
    await staged.discard()
    assert await whole(store.read(staged.digest)) == DATA


async def test_a_copy_that_never_ends_is_not_waited_for(azurite: Azurite, slow_copies: list[float]) -> None:
    location = parse_location(azurite.url(azurite.make_bucket()))
    store = RemoteBlobStore(location, RequestTimeouts(copy_s=1))
    staged = await store.receive(chunks(DATA))
    with pytest.raises(Unavailable):
        await staged.place()
    await staged.discard()


async def test_nothing_is_waited_for_in_nothing(azurite: Azurite, slow_copies: list[float]) -> None:
    store = RemoteBlobStore(parse_location(azurite.url(azurite.make_bucket())))
    staged = await store.receive(chunks(b""))
    await staged.place()
    assert await whole(store.read(staged.digest)) == b""


async def _put(store: RemoteBlobStore, digest: str, data: bytes) -> None:
    import obstore

    await obstore.put_async(store._store, f"blobs/{digest[:2]}/{digest[2:4]}/{digest}", data)
