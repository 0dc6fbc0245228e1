"""What the server adds to files beside everything else: block maps, zsync files, facts of AppImages, digests."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import io
import json
import random
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import structlog
from sqlalchemy import select, update

from tests.artifacts.test_deriving import children, started
from tests.conftest import Service, StartService
from tests.servers.buckets import Buckets
from tests.stored import database_of, rows_since
from updater import background
from updater.artifacts import derived, makers
from updater.artifacts.derived import Underivable
from updater.audit.model import SYSTEM
from updater.database.tables import blob, file, pinned_digest

U = "/api/v1/updates/my-app"
EXE = random.Random(1).randbytes(100_000)
OTHER = random.Random(2).randbytes(50_000)


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the processes their share of a machine on which other tests run."""
    monkeypatch.setattr(derived, "NICENESS", 0)


async def add(service: Service, name: str, content: bytes = EXE, version: str = "1.0.0", **more: Any) -> Any:
    target, status = more.pop("target", "windows/amd64"), more.pop("status", 201)
    path = f"{U}/builds/{version}/{target}/files/{quote(name)}"
    return await service.call("PUT", path, key="write", data=io.BytesIO(content), params=more, status=status)


async def setup(
    service: Service, name: str = "Setup.exe", content: bytes = EXE, version: str = "1.0.0", **more: Any
) -> Any:
    more = {"platform": "windows", **more}
    return await service.publish(io.BytesIO(content), version, file_name=name, **more)


async def derive(service: Service) -> int:
    return await service.services.derived.files.work_off(actor=SYSTEM)


async def names(service: Service, version: str = "1.0.0") -> dict[str, str]:
    """Return who made the files of the first build of a release, by name."""
    found = await service.call("GET", f"{U}/releases", key="read", params={"version": version}, status=200)
    return {each["name"]: each["made_by"] for each in found["releases"][0]["files"]}


async def bytes_of(service: Service, name: str, version: str = "1.0.0", target: str = "windows/amd64") -> bytes:
    return (await service.exchange("GET", f"{U}/download/{version}/{target}/{quote(name)}", status=200))[1]


async def test_a_block_map_is_made_of_an_exe_and_a_zip(service: Service) -> None:
    await setup(service, "My Setup.EXE")
    await add(service, "app.zip", OTHER)
    await add(service, "app.msi", OTHER)
    await setup(service, "My App.zip", OTHER, platform="darwin", arch="arm64")
    await setup(service, "tool.zip", EXE, platform="linux")
    assert await derive(service) == 3
    assert await derive(service) == 0
    assert await bytes_of(service, "My Setup.EXE.blockmap") == makers.make_block_map([EXE])
    assert await bytes_of(service, "app.zip.blockmap") == makers.make_block_map([OTHER])
    assert await bytes_of(service, "My App.zip.blockmap", target="darwin/arm64") == makers.make_block_map([OTHER])
    for target, name in (("windows/amd64", "app.msi"), ("linux/amd64", "tool.zip")):
        await service.exchange("GET", f"{U}/download/1.0.0/{target}/{name}.blockmap", status=404)
    response, _ = await service.exchange("GET", f"{U}/download/1.0.0/windows/amd64/app.zip.blockmap", status=200)
    assert response.headers["Cache-Control"] == "no-cache"


async def test_a_zsync_file_is_made_of_an_appimage(service: Service) -> None:
    await setup(service, "My App-1.0.0.AppImage", platform="linux")
    assert await derive(service) == 2, "the zsync file, and the look at its end"
    made = await bytes_of(service, "My App-1.0.0.AppImage.zsync", target="linux/amd64")
    header = made.partition(b"\n\n")[0].decode().splitlines()
    assert "Filename: My App-1.0.0.AppImage" in header
    assert "URL: My%20App-1.0.0.AppImage" in header, "beside it"
    assert f"SHA-1: {hashlib.sha1(EXE, usedforsecurity=False).hexdigest()}" in header


async def test_what_the_developer_uploaded_stays_and_replaces_what_was_made(service: Service) -> None:
    await setup(service)
    await add(service, "SETUP.exe.BLOCKMAP", b"my own")
    assert await derive(service) == 0
    await setup(service, version="1.1.0")
    assert await derive(service) == 1
    assert await names(service, "1.1.0") == {"Setup.exe": "developer", "Setup.exe.blockmap": "server"}
    await add(service, "Setup.exe.blockmap", b"my own", "1.1.0")
    assert await names(service, "1.1.0") == {"Setup.exe": "developer", "Setup.exe.blockmap": "developer"}
    assert await bytes_of(service, "Setup.exe.blockmap", "1.1.0") == b"my own"
    assert await derive(service) == 0
    await add(service, "Setup.exe.blockmap", b"other bytes", "1.1.0", status=409)


async def test_publishing_again_has_the_same_answer_when_something_was_made_meanwhile(service: Service) -> None:
    await setup(service, draft="true")
    path = f"{U}/releases/1.0.0/publish"
    first = await service.call("POST", path, key="write", json={}, status=200)
    assert first["files"] == 1
    assert await derive(service) == 1
    assert await service.call("POST", path, key="write", json={}, status=200) == first


async def test_a_name_that_was_the_developers_stays_theirs(service: Service) -> None:
    """Caches may hold their bytes for ever. Control: in a draft the name is not bound yet."""
    path = f"{U}/builds/1.0.0/windows/amd64/files/Setup.exe.blockmap"
    await setup(service, draft="true")
    await add(service, "Setup.exe.blockmap", b"my own")
    await service.call("DELETE", path, key="write", status=200)
    assert await derive(service) == 1
    await add(service, "Setup.exe.blockmap", b"my own")
    await service.call("POST", f"{U}/releases/1.0.0/publish", key="write", json={}, status=200)
    await service.call("DELETE", path, key="admin", status=200)
    assert await derive(service) == 0
    assert set(await names(service)) == {"Setup.exe"}


async def test_what_is_made_is_not_counted_and_not_bound_to_its_name(service: Service) -> None:
    await setup(service, "a.exe")
    for number in range(30):
        await add(service, f"file-{number}.txt", b"%d" % number)
    assert await derive(service) == 1
    await add(service, "the last one")
    await add(service, "one too many", status=422)
    async with database_of(service).read() as connection:
        bound = set(await connection.scalars(select(pinned_digest.c.name_key)))
    assert not [each for each in bound if each.endswith(".blockmap")]


async def test_deleted_files_take_theirs_along(service: Service) -> None:
    await setup(service)
    await add(service, "app.zip")
    await derive(service)
    await service.call("DELETE", f"{U}/builds/1.0.0/windows/amd64/files/app.zip", key="admin", status=200)
    assert set(await names(service)) == {"Setup.exe", "Setup.exe.blockmap"}


async def test_the_newest_release_comes_first(service: Service) -> None:
    for version in ("1.0.0", "1.2.0", "1.1.0"):
        await setup(service, content=version.encode() * 1000, version=version)
    await derive(service)
    made = [row.version for row in await rows_since(service, 0) if row.action == "file.derived"]
    assert made == ["1.1.0", "1.2.0", "1.0.0"], "the last that was published"


async def test_what_is_too_large_or_not_wanted_gets_none(start_service: StartService) -> None:
    service = await start_service(feeds={"derive_max_bytes": len(OTHER)})
    await service.application()
    await setup(service)
    await setup(service, content=OTHER, version="1.1.0")
    assert await derive(service) == 1
    assert "Setup.exe.blockmap" in await names(service, "1.1.0")
    assert "Setup.exe.blockmap" not in await names(service, "1.0.0")


async def test_off_means_none(start_service: StartService) -> None:
    service = await start_service(feeds={"derive": False})
    await service.application()
    await setup(service)
    assert await derive(service) == 0
    assert set(await names(service)) == {"Setup.exe"}


async def test_drafts_get_theirs_and_withdrawn_releases_do_not(service: Service) -> None:
    await setup(service, draft="true")
    await setup(service, content=OTHER, version="1.1.0")
    await service.call("POST", f"{U}/releases/1.1.0/withdraw", key="write", json={}, status=200)
    assert await derive(service) == 1
    assert set(await names(service)) == {"Setup.exe", "Setup.exe.blockmap"}
    await service.call("POST", f"{U}/releases/1.1.0/restore", key="admin", json={}, status=200)
    assert await derive(service) == 1
    assert set(await names(service, "1.1.0")) == {"Setup.exe", "Setup.exe.blockmap"}


async def test_equal_bytes_under_an_equal_name_are_read_once(service: Service) -> None:
    await setup(service, "App.zip", platform="darwin", also="arm64")
    assert await derive(service) == 1
    for target in ("darwin/amd64", "darwin/arm64"):
        assert await bytes_of(service, "App.zip.blockmap", target=target) == makers.make_block_map([EXE])


async def test_of_a_damaged_file_nothing_is_made_and_it_is_withheld(service: Service) -> None:
    await setup(service)
    await setup(service, content=OTHER, version="0.9.0")
    digest = hashlib.sha256(EXE).hexdigest()
    path = service.services.artifacts.blobs.locate(digest)
    assert path is not None
    path.write_bytes(EXE[:-1] + b"?")
    assert await derive(service) == 1, "the other file does not wait for it"
    await service.exchange("GET", f"{U}/download/1.0.0/windows/amd64", status=503)
    path.unlink()
    await service.publish(io.BytesIO(EXE), "2.0.0")  # repairs it
    assert await derive(service) == 0, "it is left alone for a while"
    service.services.derived.files._vain_until_s.clear()
    assert await derive(service) == 1


async def test_what_was_made_and_is_damaged_is_made_again(service: Service) -> None:
    await setup(service)
    await derive(service)
    wanted = makers.make_block_map([EXE])
    digest = hashlib.sha256(wanted).hexdigest()
    path = service.services.artifacts.blobs.locate(digest)
    assert path is not None
    path.unlink()
    await service.services.artifacts.check_again(digest)
    await service.exchange("GET", f"{U}/download/1.0.0/windows/amd64/Setup.exe.blockmap", status=503)
    assert await derive(service) == 1
    assert await bytes_of(service, "Setup.exe.blockmap") == wanted


async def test_a_process_that_fails_is_told_and_holds_nobody_up(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    await setup(service, "bad.exe")
    await setup(service, "good.exe", OTHER, version="0.9.0")
    make = service.services.derived._deriver.make

    def failing(order: Any) -> Any:
        async def fails() -> AsyncIterator[bytes]:
            raise Underivable("ended with -9: nothing said")
            yield b""

        return fails() if order.name == "bad.exe" else make(order)

    monkeypatch.setattr(service.services.derived._deriver, "make", failing)
    with structlog.testing.capture_logs() as logs:
        assert await derive(service) == 1
    assert [(each["event"], each["name"]) for each in logs if each["event"].startswith("derived")] == [
        ("derived.failed", "bad.exe")
    ]


async def test_a_file_that_changes_meanwhile_gets_what_is_its_own(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a draft a name may get other bytes, while its block map is made."""
    await setup(service, draft="true")
    files = service.services.derived
    make = files._deriver.make

    def beaten(order: Any) -> Any:
        async def makes() -> AsyncIterator[bytes]:
            monkeypatch.setattr(files._deriver, "make", make)
            async for piece in make(order):
                yield piece
            await setup_again(service)

        return makes()

    monkeypatch.setattr(files._deriver, "make", beaten)
    await derive(service)
    assert await names(service) == {"Setup.exe": "developer", "Setup.exe.blockmap": "server"}
    _, body = await service.exchange(
        "GET", f"{U}/download/1.0.0/windows/amd64/Setup.exe.blockmap", key="read", status=200
    )
    assert body == makers.make_block_map([OTHER])


async def setup_again(service: Service) -> None:
    path = f"{U}/builds/1.0.0/windows/amd64"
    params = {"file_name": "Setup.exe", "draft": "true"}
    await service.call("PUT", path, key="write", data=io.BytesIO(OTHER), params=params, status=200)


def appimage(version: str) -> tuple[bytes, int]:
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    raw = deflater.compress(json.dumps({"version": version, "files": []}).encode()) + deflater.flush()
    return b"\x7fELF" * 1000 + raw + len(raw).to_bytes(4, "big"), len(raw)


async def test_the_end_of_an_appimage_is_looked_at_once(start_service: StartService) -> None:
    service = await start_service(feeds={"derive": False})
    await service.application()
    with_map, size = appimage("2")
    await setup(service, "a.AppImage", with_map, platform="linux")
    await setup(service, "b.AppImage", appimage("1")[0], "1.1.0", platform="linux")
    assert await derive(service) == 2
    assert await derive(service) == 0
    async with database_of(service).read() as connection:
        facts = {row.name: row.facts for row in await connection.execute(select(file.c.name, file.c.facts))}
    assert facts == {"a.AppImage": {"block_map_size": size}, "b.AppImage": {}}


async def test_digests_that_feeds_give_are_filled_in(service: Service) -> None:
    await setup(service, "a.exe")
    await add(service, "Id-1.0.0-full.nupkg", OTHER)
    await add(service, "notes.txt", b"other")
    async with database_of(service).write() as connection:
        await connection.execute(update(blob).values(sha512=None, sha1=None))
    assert await service.services.derived.digests.work_off(actor=SYSTEM) == 2
    assert await service.services.derived.digests.work_off(actor=SYSTEM) == 0
    async with database_of(service).read() as connection:
        rows = await connection.execute(select(blob.c.digest, blob.c.sha512, blob.c.sha1))
        found = {row.digest: (row.sha512, row.sha1) for row in rows}
    assert found == {
        hashlib.sha256(EXE).hexdigest(): (hashlib.sha512(EXE).hexdigest(), None),
        hashlib.sha256(OTHER).hexdigest(): (None, hashlib.sha1(OTHER, usedforsecurity=False).hexdigest()),
        hashlib.sha256(b"other").hexdigest(): (None, None),
    }


async def test_a_damaged_file_gets_no_digests(service: Service) -> None:
    """Control: without the comparison, the damage would be given digests of its own."""
    await setup(service)
    async with database_of(service).write() as connection:
        await connection.execute(update(blob).values(sha512=None))
    path = service.services.artifacts.blobs.locate(hashlib.sha256(EXE).hexdigest())
    assert path is not None
    path.write_bytes(b"baad")
    assert await service.services.derived.digests.work_off(actor=SYSTEM) == 0
    async with database_of(service).read() as connection:
        assert await connection.scalar(select(blob.c.sha512)) is None


async def test_in_an_object_store(buckets: Buckets, start_service: StartService) -> None:
    url = buckets.url(buckets.make_bucket(), "some/apps")
    service = await start_service(storage={"blob_url": url, "remote_downloads": "stream"})
    await service.application()
    large = EXE * 30
    content, size = appimage("2")
    await setup(service, content=large)
    await setup(service, "a.AppImage", content, platform="linux")
    assert await derive(service) == 3
    assert await bytes_of(service, "Setup.exe.blockmap") == makers.make_block_map([large])
    async with database_of(service).read() as connection:
        wanted = select(file.c.facts).where(file.c.name == "a.AppImage")
        assert await connection.scalar(wanted) == {"block_map_size": size}


async def test_it_happens_soon_after_an_upload(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "_LACKING_FIRST_S", 0.0)
    monkeypatch.setattr(background, "_LACKING_SOON_S", 0.05)
    async with background.background(service.services), asyncio.timeout(60):
        await asyncio.sleep(0.5)
        await setup(service)
        while "Setup.exe.blockmap" not in await names(service):
            await asyncio.sleep(0.1)
        assert gzip.decompress(await bytes_of(service, "Setup.exe.blockmap")).startswith(b'{"version":"2"')
    assert not children()


async def test_a_service_that_ends_ends_the_process(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "_LACKING_FIRST_S", 0.0)
    await setup(service, content=EXE * 200)
    async with background.background(service.services):
        await started()
    assert not children()
    assert set(await names(service)) == {"Setup.exe"}
    assert not list(Path(service.services.settings.storage.root, "incoming").iterdir())
