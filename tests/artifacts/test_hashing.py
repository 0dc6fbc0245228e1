"""Hashing of stored bytes, and what becomes of received ones, with a store in memory."""

from __future__ import annotations

import asyncio
import hashlib
import io
import mmap
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import updater.artifacts.hashing as hashing
from updater.artifacts.blobs import BATCH_BYTES
from updater.artifacts.hashing import feed, is_whole
from updater.artifacts.received import Received, hashed, make_hash, mapped
from updater.errors import NotFound, Unavailable

PIECES = (b"one", b"", b"two" * 100, b"three")
WHOLE = b"".join(PIECES)
DIGEST = hashlib.sha256(WHOLE).hexdigest()


class Blobs:
    """Holds what is given to it, by digest, in pieces."""

    def __init__(self, **blobs: tuple[bytes, ...]) -> None:
        self.blobs = blobs

    async def read(self, digest: str) -> AsyncIterator[bytes]:
        if digest not in self.blobs:
            raise NotFound("blob", "No such blob")
        for piece in self.blobs[digest]:
            yield piece


async def test_all_hashers_get_all_bytes() -> None:
    one, other = hashlib.sha256(), hashlib.sha1(usedforsecurity=False)
    await feed(Blobs(a=PIECES), "a", one, other)  # type: ignore[arg-type]
    assert one.hexdigest() == DIGEST
    assert other.hexdigest() == hashlib.sha1(WHOLE, usedforsecurity=False).hexdigest()


async def test_pauses_are_as_long_as_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    now, slept = [100.0], []

    class Slow:
        def update(self, data: bytes) -> None:
            now[0] += len(data)

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    async def here(function: Any, *given: Any) -> None:
        function(*given)

    monkeypatch.setattr(hashing.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(hashing, "asyncio", SimpleNamespace(sleep=sleep, to_thread=here))
    await feed(Blobs(a=(b"x" * 3, b"y" * 5)), "a", Slow(), Slow())  # type: ignore[arg-type]
    assert slept == [6.0, 10.0]


async def test_whether_a_blob_is_whole() -> None:
    blobs: Any = Blobs(**{DIGEST: PIECES, "0" * 64: PIECES})
    assert await is_whole(blobs, DIGEST) is True
    assert await is_whole(blobs, "0" * 64) is False
    assert await is_whole(blobs, "1" * 64) is False


@pytest.mark.parametrize("name", ["sha512", "sha1"])
async def test_what_comes_in_is_hashed_on_its_way(name: str) -> None:
    further = make_hash(name)
    assert further is not None
    content = bytes(2 * BATCH_BYTES) + b"end"

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(content), 400_000):
            yield content[start : start + 400_000]

    passed = [piece async for piece in hashed(chunks(), further)]
    assert b"".join(passed) == content
    assert len(passed) == 2, "batches, for fewer threads"
    assert further.hexdigest() == hashlib.new(name, content).hexdigest()
    received = Received(staged(), further)
    assert (received.sha512, received.sha1) == (
        further.hexdigest() if name == "sha512" else None,
        further.hexdigest() if name == "sha1" else None,
    )


async def test_without_a_further_hash_chunks_pass_as_they_are() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for piece in PIECES:
            yield piece

    assert make_hash(None) is None
    assert tuple([piece async for piece in hashed(chunks(), None)]) == PIECES


async def test_hashing_has_ended_when_the_reception_has() -> None:
    """Also when the client goes: nobody would wait for the thread."""
    done: list[int] = []

    class Slow:
        name = "sha1"

        def update(self, data: bytes) -> None:
            done.append(len(data))

    async def chunks() -> AsyncIterator[bytes]:
        yield bytes(BATCH_BYTES)
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        async for _ in hashed(chunks(), Slow()):  # type: ignore[arg-type]
            pass
    assert done == [BATCH_BYTES]


def staged(log: list[str] | None = None) -> Any:
    async def place() -> None:
        (log if log is not None else []).append("placed")

    return SimpleNamespace(digest="d", size_bytes=4, locate="locate", read="read", discard="discard", place=place)


async def test_a_reception_is_placed_once() -> None:
    log: list[str] = []
    received = Received(staged(log), None)
    assert (received.digest, received.size_bytes, received.sha512, received.sha1) == ("d", 4, None, None)
    assert (received.locate, received.read, received.discard) == ("locate", "read", "discard")
    for _ in range(2):
        await received.place()
    assert log == ["placed"]


async def test_a_placing_that_fails_is_tried_again() -> None:
    tries: list[int] = []

    async def place() -> None:
        tries.append(1)
        if len(tries) == 1:
            raise Unavailable("gone")

    made = staged()
    made.place = place
    received = Received(made, None)
    with pytest.raises(Unavailable):
        await received.place()
    for _ in range(2):
        await received.place()
    assert len(tries) == 2


def reading(*pieces: bytes | Exception) -> Any:
    async def read() -> AsyncIterator[bytes]:
        for each in pieces:
            if isinstance(each, Exception):
                raise each
            yield each

    return read


@pytest.mark.parametrize("local", [True, False])
async def test_bytes_are_mapped(tmp_path: Path, local: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_bytes(WHOLE)
    opened: list[Any] = []
    for owner, name in ((Path, "open"), (hashing, "feed")):
        call = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *given, call=call: opened.append(call(*given)) or opened[-1])
    read = reading(AssertionError()) if local else reading(*PIECES)
    async with mapped(path if local else None, len(WHOLE), read) as view:
        assert view[:] == WHOLE
        with pytest.raises(TypeError):
            view[0] = 1
    assert view.closed
    assert all(each.closed for each in opened if isinstance(each, io.IOBase))
    assert len(opened) == local


@pytest.mark.parametrize(
    ("path", "size_bytes", "read", "said"),
    [
        ("missing", 1, reading(), "The file cannot be read"),
        (None, 100, reading(b"few"), "The file cannot be read"),
        (None, 100, reading(Unavailable("gone")), "gone"),
        (None, 100, reading(OSError(5, "disk")), "The file cannot be read"),
    ],
)
async def test_bytes_that_cannot_be_mapped(
    tmp_path: Path, path: str | None, size_bytes: int, read: Any, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Any] = []
    import updater.artifacts.received as received

    call = received.tempfile.TemporaryFile
    monkeypatch.setattr(received.tempfile, "TemporaryFile", lambda: made.append(call()) or made[-1])
    with pytest.raises(Unavailable, match=rf"^{said}$"):
        async with mapped(tmp_path / path if path else None, size_bytes, read):
            raise AssertionError
    assert all(each.closed for each in made)
    assert len(made) == (path is None)


async def test_a_map_cannot_outlive_a_failure_in_its_block(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    kept: list[mmap.mmap] = []
    with pytest.raises(ZeroDivisionError):
        async with mapped(tmp_path / "file", 1, reading()) as view:
            kept.append(view)
            raise ZeroDivisionError
    assert kept[0].closed
    await asyncio.sleep(0)
