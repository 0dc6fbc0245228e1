"""Further digests of stored files are filled in beside everything else."""

from __future__ import annotations

import hashlib
from typing import Any

from sqlalchemy import select, update

from tests.conftest import Service
from updater.database.tables import blob


async def digests(service: Service) -> list[Any]:
    async with service.services.catalog._database.read() as connection:
        return list(await connection.execute(select(blob.c.digest, blob.c.sha512, blob.c.sha1)))


async def test_blobs_get_their_sha512_and_sha1(service: Service) -> None:
    contents = [b"one" * 300_000, b"two", b"\n"]
    for number, content in enumerate(contents):
        await service.publish(content, f"1.{number}.0")
    assert await service.services.artifacts.fill_digests() == 3
    wanted = {
        (hashlib.sha256(each).hexdigest(), hashlib.sha512(each).hexdigest(), hashlib.sha1(each).hexdigest())
        for each in contents
    }
    assert {tuple(row) for row in await digests(service)} == wanted
    assert await service.services.artifacts.fill_digests() == 0


async def test_a_damaged_file_gets_no_digests(service: Service) -> None:
    """Control: without the comparison, the damage would be given digests of its own."""
    await service.publish(b"good", "1.0.0")
    path = service.services.artifacts.blobs.locate(hashlib.sha256(b"good").hexdigest())
    assert path is not None
    path.write_bytes(b"baad")
    assert await service.services.artifacts.fill_digests() == 0
    assert [(row.sha512, row.sha1) for row in await digests(service)] == [(None, None)]


async def test_what_nothing_uses_is_left_alone(service: Service) -> None:
    await service.publish(b"gone", "1.0.0")
    await service.call("DELETE", "/api/v1/updates/my-app/releases/1.0.0/linux/amd64", key="admin", status=200)
    assert await service.services.artifacts.fill_digests() == 0
    async with service.services.catalog._database.write() as connection:
        await connection.execute(update(blob).values(sha1=None))
    assert [(row.sha512, row.sha1) for row in await digests(service)] == [(None, None)]
