"""Bytes that are not those of their digest do not leave with 200: found when a file is opened, or by the scrub."""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

import updater.artifacts.inspection as inspection
from tests.actors import TESTER
from tests.conftest import Service, StartService
from tests.stored import database_of
from updater.clock import utc_now
from updater.database.tables import blob
from updater.errors import Unavailable

DOWNLOAD = "/api/v1/updates/my-app/download/1.0.0/linux/amd64"
CHECK = "/api/v1/updates/my-app/check?current_version=0.1.0&platform=linux&architecture=amd64"
CONTENT = b"the right bytes" * 1000


async def until(true: Callable[[], bool]) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(30):
        while not true():
            await asyncio.sleep(0.01)


def file_of(service: Service, published: dict[str, Any]) -> Path:
    path = service.services.artifacts.blobs.locate(published["checksum"])
    assert path is not None
    return path


def rot(path: Path) -> None:
    """Change one bit; size and time of modification stay."""
    before = path.stat()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Note the sizes of the files that are hashed before they leave."""
    sizes: list[int] = []
    real = inspection._hash

    def counted(descriptor: int, size_bytes: int) -> str:
        sizes.append(size_bytes)
        return real(descriptor, size_bytes)

    monkeypatch.setattr(inspection, "_hash", counted)
    return sizes


async def is_offered(service: Service) -> bool:
    return bool((await service.call("GET", CHECK, status=200))["update_available"])


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("headers", [{}, {"Range": "bytes=0-99"}, {"Range": "bytes=0-9,20-29"}])
async def test_a_rotten_file_never_leaves(service: Service, method: str, headers: dict[str, str]) -> None:
    rot(file_of(service, await service.publish(CONTENT)))
    await service.exchange(method, DOWNLOAD, headers=headers, status=503)
    await until(lambda: service.services.artifacts.totals.damaged == 1)
    assert not await is_offered(service)
    await service.exchange("GET", DOWNLOAD, status=503)


async def test_a_file_that_was_touched_is_looked_at_again(service: Service, hashed: list[int]) -> None:
    path = file_of(service, await service.publish(CONTENT))
    for _ in range(3):
        _, body = await service.exchange("GET", DOWNLOAD, status=200)
        assert body == CONTENT
    assert hashed == [len(CONTENT)], "a known file is not hashed again"
    rot(path)
    await service.exchange("GET", DOWNLOAD, status=503)
    await until(lambda: service.services.artifacts.totals.damaged == 1)


async def test_many_first_downloads_hash_once(service: Service, hashed: list[int]) -> None:
    await service.publish(CONTENT)
    await asyncio.gather(*(service.exchange("GET", DOWNLOAD, status=200) for _ in range(20)))
    assert hashed == [len(CONTENT)]


async def test_a_large_file_is_looked_at_beside_its_first_download(
    service: Service, hashed: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspection, "SMALL_BYTES", 1000)
    rot(file_of(service, await service.publish(CONTENT)))
    await service.exchange("GET", DOWNLOAD, status=200)
    await until(lambda: service.services.artifacts.totals.damaged == 1)
    await service.exchange("GET", DOWNLOAD, status=503)
    assert hashed == []


async def test_the_same_bytes_published_again_repair(service: Service) -> None:
    rot(file_of(service, await service.publish(CONTENT)))
    await service.exchange("GET", DOWNLOAD, status=503)
    await until(lambda: service.services.artifacts.totals.damaged == 1)
    await service.publish(CONTENT, "1.1.0")
    assert (await service.exchange("GET", DOWNLOAD, status=200))[1] == CONTENT
    await service.services.artifacts.refresh_totals()
    assert service.services.artifacts.totals.damaged == 0


async def test_a_file_found_wrong_is_refused_also_while_that_cannot_be_written(
    service: Service, hashed: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspection, "SMALL_BYTES", 1000)
    artifacts = service.services.artifacts
    path = file_of(service, await service.publish(CONTENT))

    async def fail(*_: object) -> None:
        raise Unavailable("The database does not answer at the moment")

    monkeypatch.setattr(artifacts, "_note_verified", fail)
    rot(path)
    await service.exchange("GET", DOWNLOAD, status=200)
    await until(lambda: not artifacts.inspector._waiting)
    await service.exchange("GET", DOWNLOAD, status=503)


async def test_a_lost_file_is_put_into_quarantine(service: Service) -> None:
    file_of(service, await service.publish(CONTENT)).unlink()
    await service.exchange("GET", DOWNLOAD, status=503)
    await until(lambda: service.services.artifacts.totals.damaged == 1)
    assert not await is_offered(service)


async def test_nginx_is_not_handed_a_rotten_file(start_service: StartService) -> None:
    service = await start_service(storage={"offload": "x-accel"}, server={"trusted_proxies": ["127.0.0.1"]})
    await service.application()
    await service.publish(CONTENT)
    response, _ = await service.exchange("GET", DOWNLOAD, status=200)
    assert "X-Accel-Redirect" in response.headers
    rot(file_of(service, await service.publish(b"others" * 1000, "1.2.0")))
    await service.exchange("GET", DOWNLOAD.replace("1.0.0", "1.2.0"), status=503)


async def test_the_scrub_hashes_each_file_once_in_its_days(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    artifacts, now = service.services.artifacts, utc_now()
    paths = [file_of(service, await service.publish(b"%d" % number, f"1.0.{number}")) for number in range(30)]
    await artifacts.refresh_totals()
    for path in paths[::7]:
        rot(path)
    monkeypatch.setattr(artifacts, "_clock", lambda: now)
    checked = []
    days = 30
    for _ in range(days * 24):
        now += timedelta(hours=1)
        checked.append(await artifacts.scrub(actor=TESTER, within_s=days * 86_400, elapsed_s=3600))
        await asyncio.sleep(0)
    assert sum(checked) == len(paths)
    assert sum(checked[: days * 12]) == 0, "just published"
    assert max(checked) <= math.ceil(30 / (days * 12)), "spread"
    assert artifacts.totals.damaged == len(paths[::7])


async def test_a_scrub_of_files_never_checked(service: Service) -> None:
    path = file_of(service, await service.publish(CONTENT))
    await service.services.artifacts.refresh_totals()
    async with database_of(service).write() as connection:
        await connection.execute(update(blob).values(verified_at=None))
    rot(path)
    scrub = service.services.artifacts.scrub
    assert await scrub(actor=TESTER, within_s=86_400, elapsed_s=60) == 1
    assert service.services.artifacts.totals.damaged == 1


async def test_a_removed_file_is_forgotten(service: Service) -> None:
    """There is no end of files that come and go."""
    published = await service.publish(CONTENT)
    await service.exchange("GET", DOWNLOAD, status=200)
    artifacts = service.services.artifacts
    assert len(artifacts.inspector) == 1
    await service.call("DELETE", "/api/v1/updates/my-app/releases/1.0.0/linux/amd64", key="admin")
    assert [each async for each in artifacts.collect(actor=TESTER, grace_s=0)] == [published["checksum"]]
    assert len(artifacts.inspector) == 0
