"""Connections that break, and what is kept then."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import io
import os
import shutil
import time
from base64 import b64encode
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.actors import TESTER
from tests.conftest import KEYS, Service
from tests.web.tus.talking import PIECE, TUS, UPLOADS, begin, offset_of, send
from updater.artifacts import partial
from updater.artifacts.partial import PartialFiles
from updater.artifacts.partial_file import CHECKPOINT_BYTES


def head_of(service: Service, url: str, offset: int, announced: int) -> bytes:
    """Write the head of a piece."""
    head = (
        f"PATCH {url} HTTP/1.1",
        f"Host: {urlsplit(service.url).netloc}",
        f"Authorization: Bearer {KEYS['write']}",
        "Tus-Resumable: 1.0.0",
        f"Content-Type: {PIECE}",
        f"Upload-Offset: {offset}",
        f"Content-Length: {announced}",
    )
    return "\r\n".join(head).encode() + b"\r\n\r\n"


async def cut_off(service: Service, url: str, offset: int, announced: int, *pieces: bytes, pause_s: float = 0) -> None:
    """Send a part of a piece, and close the connection."""
    parts = urlsplit(service.url)
    _, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(head_of(service, url, offset, announced))
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(pause_s)
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("size", [1, 1000, 100_000, 3_000_000])
@pytest.mark.parametrize("pause_s", [0, 0.05])
async def test_what_came_before_a_cut_is_kept(service: Service, size: int, pause_s: float) -> None:
    url = await begin(service, 10_000_000)
    await cut_off(service, url, 0, 10_000_000, b"x" * (size // 2), b"y" * (size - size // 2), pause_s=pause_s)
    async with asyncio.timeout(20):  # HEAD would end a piece that the service still reads
        while (await service.call("GET", url, key="write"))["offset"] != size:
            await asyncio.sleep(0.02)
    assert await offset_of(service, url) == size


async def stall(service: Service, url: str, offset: int, announced: int, came: bytes) -> asyncio.StreamWriter:
    """Send a part of a piece, and leave the connection open, as one that died without a word."""
    parts = urlsplit(service.url)
    _, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(head_of(service, url, offset, announced) + came)
    await writer.drain()
    return writer


async def test_a_dead_connection_is_taken_over(service: Service) -> None:
    """HEAD ends the piece of a connection that is silent, long before its 30 seconds are over, and keeps its bytes."""
    url = await begin(service, 100_000)
    dead = await stall(service, url, 0, 100_000, b"x" * 60_000)
    await asyncio.sleep(0.1)
    began_s = time.monotonic()
    assert await offset_of(service, url) == 60_000
    assert time.monotonic() - began_s < 5
    await send(service, url, 60_000, b"y" * 40_000)
    assert (await service.call("GET", url, key="write"))["state"] == "published"
    dead.close()


async def test_a_second_piece_takes_over_from_the_first(service: Service) -> None:
    """The first is told so with 400, and what came of it counts: a second one that begins elsewhere is 409."""
    url, begun = await begin(service, 100_000), asyncio.Event()

    async def slowly() -> Any:
        yield b"x" * 30_000
        begun.set()
        await asyncio.sleep(20)
        yield b"x" * 70_000

    first = asyncio.create_task(send(service, url, 0, slowly(), status=400))
    await begun.wait()
    await asyncio.sleep(0.3)
    refused = await send(service, url, 0, b"y" * 100_000, status=409)
    assert refused.status == 409
    assert (await first).status == 400
    await send(service, url, 30_000, b"x" * 70_000)


async def test_an_end_comes_between(service: Service) -> None:
    url = await begin(service, 100_000)
    dead = await stall(service, url, 0, 100_000, b"x" * 60_000)
    await asyncio.sleep(0.1)
    await service.exchange("DELETE", url, key="write", headers=TUS, status=204)
    await offset_of(service, url, status=404)
    await send(service, url, 60_000, b"", status=404)
    dead.close()


async def test_whoever_publishes_is_not_interrupted(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    publish, may_go_on = service.services.publishing.publish, asyncio.Event()

    async def slowly(*given: Any, **named: Any) -> Any:
        await may_go_on.wait()
        return await publish(*given, **named)

    monkeypatch.setattr(service.services.publishing, "publish", slowly)
    monkeypatch.setattr(PartialFiles.hold, "__kwdefaults__", {"wait_s": 0.3}, raising=False)
    monkeypatch.setattr(PartialFiles.hold.__wrapped__, "__kwdefaults__", {"wait_s": 0.3})
    url = await begin(service, 5)
    last = asyncio.create_task(send(service, url, 0, b"bytes"))
    await asyncio.sleep(0.2)
    await offset_of(service, url, status=423)
    may_go_on.set()
    await last
    assert await offset_of(service, url) == 5


async def test_a_key_that_is_revoked_while_it_sends_publishes_nothing(service: Service) -> None:
    access = service.services.access
    key, text = await access.create_key("short", "write", actor=TESTER)
    url = await begin(service, 10, key=text)

    async def chunks() -> Any:
        yield b"12345"
        await access.revoke_key(key.id, actor=TESTER)
        yield b"67890"

    await send(service, url, 0, chunks(), key=text, status=401)
    _, body = await service.exchange("GET", "/api/v1/updates/my-app/releases", key="read", status=200)
    assert b'"releases":[]' in body


async def test_uploads_expire_but_not_while_they_are_sent(service: Service) -> None:
    uploads = service.services.uploads
    url = await begin(service, 10)
    other = await begin(service, 10, version="1.0.1")
    now = uploads._clock()
    uploads._clock = lambda: now + timedelta(hours=23)
    await send(service, url, 0, b"12345")
    uploads._clock = lambda: now + timedelta(hours=25)
    dead = await stall(service, url, 5, 5, b"67")
    await asyncio.sleep(0.2)
    assert await uploads.expire() == 1
    await offset_of(service, other, status=404)
    uploads._clock = lambda: now + timedelta(hours=60)
    assert await uploads.expire() == 0, "somebody sends"
    assert await offset_of(service, url) == 7
    dead.close()
    uploads._clock = lambda: now + timedelta(hours=100)
    assert await uploads.expire() == 1
    await send(service, url, 7, b"890", status=404)
    assert [each.name for each in uploads.files.folder.iterdir()] == ["place"]


async def test_a_stray_file_goes(service: Service) -> None:
    uploads = service.services.uploads
    await begin(service, 10)
    for name in ("0" * 32, "0" * 32 + ".wanted", "1" * 32 + ".copy"):
        (uploads.files.folder / name).touch()
        os.utime(uploads.files.folder / name, (1, 1))
    (uploads.files.folder / ("2" * 32)).touch()
    await uploads.expire()
    left = {each.name[0] for each in uploads.files.folder.iterdir()} - {"p"}
    assert "2" in left
    assert len(list(uploads.files.folder.iterdir())) == 3


async def test_bytes_that_are_gone_are_404(service: Service) -> None:
    url = await begin(service, 10)
    await send(service, url, 0, b"12345")
    (service.services.uploads.files.folder / url.rpartition("/")[2]).unlink()
    await send(service, url, 5, b"67890", status=404)
    assert (await service.call("GET", UPLOADS, key="write"))["uploads"] == []
    url = await begin(service, 10)
    await send(service, url, 0, b"12345")
    os.truncate(service.services.uploads.files.folder / url.rpartition("/")[2], 3)
    await send(service, url, 5, b"67890", status=404)


async def test_what_was_never_told_is_dropped(service: Service) -> None:
    """Bytes of a process that was killed before they were durable may be in the file, and be wrong."""
    url = await begin(service, 10)
    await send(service, url, 0, b"12345")
    with (service.services.uploads.files.folder / url.rpartition("/")[2]).open("ab") as file:
        file.write(b"never told")
    assert await offset_of(service, url) == 5
    await send(service, url, 5, b"67890")
    _, body = await service.exchange("GET", "/api/v1/updates/my-app/download/1.0.0/linux/amd64", status=200)
    assert body == b"1234567890"


async def test_no_room(start_service: Any) -> None:
    """What others announced counts, also what did not come yet."""
    free = shutil.disk_usage("/tmp").free
    service = await start_service(storage={"reserve_bytes": 0, "max_upload_bytes": free * 2})
    await service.application()
    await begin(service, free * 2, status=507)
    await begin(service, free * 6 // 10)
    await begin(service, free * 6 // 10, version="1.0.1", status=507)


async def test_a_disk_that_fails_keeps_what_was_durable(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    url = await begin(service, 10)
    await send(service, url, 0, b"12345")
    write = os.write
    with monkeypatch.context() as full:

        def fail(descriptor: int, data: Any) -> int:
            if bytes(data) == b"678":
                raise OSError(errno.ENOSPC, "full")
            return write(descriptor, data)

        full.setattr(os, "write", fail)
        await send(service, url, 5, b"678", status=507)
        assert await offset_of(service, url) == 5
    with monkeypatch.context() as broken:

        def refuse(descriptor: int) -> None:
            raise OSError(errno.EIO, "broken")

        broken.setattr(os, "fsync", refuse)
        await send(service, url, 5, b"xxx", status=503)
    assert await offset_of(service, url) == 5
    await send(service, url, 5, b"67890")
    _, body = await service.exchange("GET", "/api/v1/updates/my-app/download/1.0.0/linux/amd64", status=200)
    assert body == b"1234567890"


async def test_after_a_restart_the_digest_is_read_again(service: Service) -> None:
    content = bytes(range(256)) * 20_000
    url = await begin(service, len(content), file_name="App.zip")
    await send(service, url, 0, io.BytesIO(content[:2_500_000]))
    service.services.uploads.files.digests.forget(url.rpartition("/")[2])
    await send(service, url, 2_500_000, io.BytesIO(content[2_500_000:]))
    told = (await service.call("GET", url, key="write"))["result"]
    assert told["checksum"] == hashlib.sha256(content).hexdigest()
    page = await service.call("GET", "/api/v1/updates/my-app/releases", key="read")
    assert page["releases"][0]["files"][0]["sha512"] == b64encode(hashlib.sha512(content).digest()).decode()


async def test_bytes_are_on_disk_before_they_are_told(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also in the middle of a large piece; and the last ones before they are published."""
    steps: list[str] = []
    fsync, uploads = os.fsync, service.services.uploads
    advance, publish = uploads._store.advance, service.services.publishing.publish

    def synced(descriptor: int) -> None:
        if uploads.files.folder in Path(f"/proc/self/fd/{descriptor}").readlink().parents:
            steps.append(f"fsync {os.fstat(descriptor).st_size}")
        fsync(descriptor)

    async def advanced(upload_id: str, before: int, after: int, *more: Any) -> bool:
        steps.append(f"told {after}")
        return await advance(upload_id, before, after, *more)

    async def published(*given: Any, **named: Any) -> Any:
        steps.append("publish")
        return await publish(*given, **named)

    size = CHECKPOINT_BYTES + 3_000_000
    url = await begin(service, size)
    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(uploads._store, "advance", advanced)
    monkeypatch.setattr(service.services.publishing, "publish", published)
    await send(service, url, 0, io.BytesIO(bytes(size)))
    assert len([each for each in steps if each.startswith("told")]) == 1
    assert steps[-1] == "publish"
    for each, before in zip(steps[1:], steps, strict=False):
        if not each.startswith("fsync"):
            assert before == f"fsync {each.removeprefix('told ') if each != 'publish' else size}"


async def test_a_folder_that_takes_no_files(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> int:
        raise OSError(errno.EROFS, "read-only")

    with monkeypatch.context() as broken:
        broken.setattr(partial, "create_file", refuse)
        await begin(service, 10, status=503)
    assert (await service.call("GET", UPLOADS, key="write"))["uploads"] == []
    await begin(service, 10)
