"""Many at once: one address has one content, and no blob in use is ever removed."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

import updater.operations.storage as operations
from tests.actors import TESTER
from tests.builds import LINUX, digest_of, publish_bytes
from tests.conftest import KEYS, Service, StartService
from updater.errors import Conflict, NotFound

CLIENTS = 64
PATH = "/api/v1/updates/my-app/builds/1.0.{}/linux/amd64"


async def put_all(service: Service, path: str, contents: list[bytes]) -> list[int]:
    """Send all bodies but their last byte, then all last bytes at once; return the statuses."""
    ready, go = asyncio.Barrier(len(contents)), asyncio.Event()
    headers = {"Authorization": f"Bearer {KEYS['write']}"}

    async def body(content: bytes) -> AsyncIterator[bytes]:
        yield content[:-1]
        await ready.wait()
        yield content[-1:]

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), headers=headers) as session:

        async def put(content: bytes) -> int:
            async with session.put(service.url + path, data=body(content)) as answer:
                await answer.read()
                return answer.status

        go.set()
        return list(await asyncio.gather(*map(put, contents)))


async def files_of(service: Service) -> set[str]:
    return {info.digest async for info in service.services.artifacts.blobs.scan()}


def incoming(service: Service) -> list[Path]:
    return list((Path(service.services.settings.storage.root) / "incoming").iterdir())


@pytest.mark.parametrize("round_", [*range(3), *(pytest.param(n, marks=pytest.mark.long) for n in range(3, 100))])
async def test_one_address_takes_one_content(service: Service, round_: int) -> None:
    contents = [os.urandom(2000) for _ in range(CLIENTS)]
    statuses = await put_all(service, PATH.format(0), contents)
    assert sorted(statuses) == [201] + [409] * (CLIENTS - 1)
    winner = contents[statuses.index(201)]
    _, body = await service.exchange("GET", "/api/v1/updates/my-app/download/1.0.0/linux/amd64", status=200)
    assert body == winner
    assert await files_of(service) == {hashlib.sha256(winner).hexdigest()}
    assert incoming(service) == []


async def test_the_same_bytes_at_one_address_are_one_build(service: Service) -> None:
    statuses = await put_all(service, PATH.format(0), [b"same bytes"] * CLIENTS)
    assert sorted(statuses) == [201] + [409] * (CLIENTS - 1)
    assert len(await files_of(service)) == 1
    assert incoming(service) == []


async def test_the_same_bytes_at_many_addresses_are_one_blob(service: Service) -> None:
    addresses = [PATH.format(number) for number in range(CLIENTS)]
    statuses = await asyncio.gather(*(put_all(service, address, [b"same bytes"]) for address in addresses))
    assert statuses == [[201]] * CLIENTS
    assert len(await files_of(service)) == 1
    assert incoming(service) == []


class Players:
    """All operations that touch blobs, on few contents, so that they meet."""

    def __init__(self, service: Service, chooser: random.Random) -> None:
        self.services = service.services
        self.chooser = chooser
        self.contents = [f"content {number}".encode() * 20 for number in range(3)]
        self.there: dict[str, str] = {}
        self.count = 0
        self.done: dict[str, int] = {}

    async def upload(self) -> None:
        self.count += 1
        version = f"1.0.{self.count}"
        content = self.chooser.choice(self.contents)
        made = await publish_bytes(self.services.publishing, self.services.artifacts, content, version)
        self.there[version] = digest_of(made)
        # Acknowledged and not deleted: the file must be there now, whatever the others do.
        self.require(version)

    async def delete(self) -> None:
        if not self.there:
            return
        version = self.chooser.choice(list(self.there))
        del self.there[version]
        await self.services.catalog.delete_build("my-app", version, LINUX, actor=TESTER)

    async def collect(self) -> None:
        async for _ in self.services.artifacts.collect(actor=TESTER, grace_s=0):
            pass

    async def verify(self) -> None:
        events = [event async for event in operations.verify(self.services, TESTER)]
        assert events[-1]["result"]["bad"] == [], "a false alarm"

    async def abandon(self) -> None:
        async def broken() -> AsyncIterator[bytes]:
            yield self.chooser.choice(self.contents)
            raise ConnectionError

        try:
            async with self.services.artifacts.receive(broken()):
                pass
        except ConnectionError:
            pass

    def require(self, version: str) -> None:
        path = self.services.artifacts.blobs.locate(self.there[version]) if version in self.there else None
        assert path is None or path.exists(), "a referenced blob was removed"

    async def play(self, turns: int) -> None:
        moves: list[Any] = [self.upload] * 4 + [self.delete] * 4 + [self.collect] * 3 + [self.verify, self.abandon]
        for _ in range(turns):
            move = self.chooser.choice(moves)
            try:
                await move()
            except (Conflict, NotFound) as failure:
                raise AssertionError(f"{move.__name__}: {failure}") from failure
            self.done[move.__name__] = self.done.get(move.__name__, 0) + 1
            for version in list(self.there):
                self.require(version)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("turns", [100, pytest.param(2_000, marks=pytest.mark.long)])
async def test_nobody_removes_a_blob_in_use(service: Service, turns: int) -> None:
    players = Players(service, random.Random(11))
    await asyncio.gather(*(players.play(turns) for _ in range(6)))
    await players.collect()
    assert await files_of(service) == set(players.there.values())
    assert incoming(service) == []
    assert players.done["collect"] > turns / 2


@pytest.mark.parametrize("way", ["form", "body"])
@pytest.mark.parametrize("ending", ["gone", "reset", "too large", "stalled", "cut form"])
async def test_an_upload_that_fails_leaves_nothing(
    start_service: StartService, monkeypatch: pytest.MonkeyPatch, way: str, ending: str
) -> None:
    monkeypatch.setattr("updater.web.messages.pace.SILENCE_S", 0.3)
    service = await start_service(storage={"max_upload_bytes": 3_000_000})
    await service.application()
    host, port = service.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    length = 2_900_000 if ending != "too large" else 3_900_000
    path = PATH.format(0) if way == "body" else "/api/v1/updates/my-app/upload"
    kind = "application/octet-stream" if way == "body" else "multipart/form-data; boundary=b"
    framing = b"" if way == "body" else b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    head = f"{'PUT' if way == 'body' else 'POST'} {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\n"
    head += f"Authorization: Bearer {KEYS['write']}\r\nTransfer-Encoding: chunked\r\n\r\n"
    writer.write(head.encode())
    for block in [framing, *(os.urandom(100_000) for _ in range(length // 100_000))]:
        if block:
            writer.write(f"{len(block):x}\r\n".encode() + block + b"\r\n")
            await writer.drain()
    await wait_for(lambda: bool(incoming(service)) or ending == "too large")
    if ending == "reset":
        writer.transport.abort()
    elif ending == "gone":
        writer.close()
    elif ending == "cut form" and way == "form":
        writer.write(b"0\r\n\r\n")
    elif ending == "cut form":
        writer.write(b"zz\r\n")
    expected = {"too large": b"413", "stalled": b"408", "cut form": b"4"}.get(ending)
    if expected is not None:
        assert (await reader.read(12)).startswith(b"HTTP/1.1 " + expected)
    await wait_for(lambda: incoming(service) == [])
    assert await files_of(service) == set()
    writer.close()
    await service.publish(b"after", "1.0.0")


async def wait_for(done: Any) -> None:
    async with asyncio.timeout(30):
        while not done():
            await asyncio.sleep(0.01)
