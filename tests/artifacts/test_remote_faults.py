"""A service whose object store fails: cut, truncated, silent, slow or refusing, at every point of its work.

What holds: no build without its object, no half object served, bounded retries and time, and nothing but the
objects of builds once the store is well again and `collect` has run.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
import random
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import aiohttp
import pytest
from structlog.testing import capture_logs

import updater.artifacts.remote as remote
from tests.actors import TESTER
from tests.conftest import KEYS, Service, StartService
from tests.faults import CutAnswer, CutRequest, Delay, EndAnswer, Fault, FaultProxy, LoseAnswer, Refuse, Swallow
from tests.servers.buckets import Buckets
from updater.artifacts.remote import RequestTimeouts
from updater.health import ANSWER_S

SIZE_BYTES = remote.PART_BYTES + 300_000  # two parts
RETRIES = 2
# The longest a request may take with these: every attempt silent until its limit, and some for the machine.
DEFAULT_TIMEOUTS = RequestTimeouts(connect_s=1, request_s=1, copy_s=1, retries=RETRIES, retry_s=2)
LONGEST_S = 12
_PATH = "/api/v1/updates/my-app/builds/{}/linux/amd64"
_DOWNLOAD = "/api/v1/updates/my-app/download/{}/linux/amd64"


@dataclass
class Rig:
    """A service, its store behind a proxy, and what the service has acknowledged."""

    buckets: Buckets
    bucket: str
    proxy: FaultProxy
    service: Service
    published: dict[str, bytes] = field(default_factory=dict)

    async def upload(self, version: str) -> int:
        """Publish new bytes; remember them when that was acknowledged."""
        content = hashlib.shake_128(version.encode()).digest(SIZE_BYTES)  # without a period, and quick
        headers = {"Authorization": f"Bearer {KEYS['write']}"}
        address = self.service.url + _PATH.format(version)
        async with self.service.session.put(address, data=io.BytesIO(content), headers=headers) as answer:
            if answer.status == 201:
                self.published[version] = content
            return answer.status

    async def download(self, version: str) -> tuple[int, bytes | None]:
        """Return the status, and the body unless the connection was cut before its end."""
        async with self.service.session.get(self.service.url + _DOWNLOAD.format(version)) as answer:
            try:
                return answer.status, await answer.read()
            except aiohttp.ClientPayloadError:
                return answer.status, None

    def spoil(self, *faults: Fault, standing: Fault | None = None) -> None:
        """Spoil the connections from now on; what waits in the pool goes, so that new ones are made."""
        self.proxy.drop_all()
        self.proxy.faults.extend(faults)
        self.proxy.standing = standing
        self.proxy.connections = 0

    def heal(self) -> None:
        self.proxy.faults.clear()
        self.spoil()

    async def collect(self) -> None:
        artifacts = self.service.services.artifacts
        async for _ in artifacts.collect(actor=TESTER, grace_s=0):
            pass

    async def hold(self) -> None:
        """Compare what is there with what was acknowledged."""
        self.heal()
        await asyncio.sleep(0.05)
        for version, content in self.published.items():
            assert await self.download(version) == (200, content)
        blobs = self.service.services.artifacts.blobs
        await self.collect()
        await blobs.sweep(_far_future())
        found = sorted([info.digest async for info in blobs.scan()])
        assert found == sorted(hashlib.sha256(content).hexdigest() for content in self.published.values())
        # Ceph forgets parts whose answer was lost and which came again; no request reaches those.
        lost = [key for key in self.buckets.keys(self.bucket) if "_multipart_" in key and not key.endswith(".meta")]
        objects = [key for key in self.buckets.keys(self.bucket) if key not in lost]
        assert len(objects) == len(self.published), objects


# What differs between the protocols is what an upload asks for. The rest is tried on one of them, for time's sake.
on_each_store = pytest.mark.parametrize("rig", ["ceph", "azurite"], indirect=True)


@pytest.fixture
async def rig(
    request: pytest.FixtureRequest, start_service: StartService, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Rig]:
    buckets: Buckets = request.getfixturevalue(getattr(request, "param", "ceph"))
    monkeypatch.setattr(remote, "DEFAULT_TIMEOUTS", DEFAULT_TIMEOUTS)
    bucket = buckets.make_bucket()
    async with FaultProxy(buckets.port) as proxy:
        url = buckets.url(bucket, "apps", port=proxy.port)
        service = await start_service(storage={"blob_url": url, "remote_downloads": "stream"})
        await service.application()
        yield Rig(buckets, bucket, proxy, service)


def cut_points(size_bytes: int) -> list[int]:
    """Twenty places: around the request's head, then all over the body, the last byte included."""
    return sorted({0, 1, 100, 400, 700, *(size_bytes * number // 14 for number in range(1, 15)), size_bytes + 250})


async def test_uploads_cut_once_at_twenty_points(rig: Rig) -> None:
    """One broken connection is repaired by a retry, or the upload is refused; nothing in between."""
    points = cut_points(remote.PART_BYTES)
    assert len(points) == 20
    statuses = []
    for number, point in enumerate(points):
        rig.spoil(CutRequest(point))
        statuses.append(await rig.upload(f"1.{number}.0"))
    assert set(statuses) <= {201, 503}
    assert statuses.count(201) >= 15, statuses
    await rig.hold()


async def test_uploads_cut_again_and_again_at_twenty_points(rig: Rig) -> None:
    for number, point in enumerate(cut_points(remote.PART_BYTES)):
        rig.spoil(standing=CutRequest(point))
        began_s = time.monotonic()
        status = await rig.upload(f"2.{number}.0")
        assert status in (201, 503)
        assert time.monotonic() - began_s < LONGEST_S
        # Begin, two parts, give up, delete: each at most its first try and the retries.
        assert rig.proxy.connections <= 6 * (1 + RETRIES), point
        if status != 201:
            rig.heal()
            assert (await rig.download(f"2.{number}.0"))[0] == 404
    await rig.hold()


@on_each_store
async def test_answers_cut_at_twenty_points_of_an_upload(rig: Rig) -> None:
    """The store did it, and we never learn: the answer to a begin, a part, the completion or the copy is lost."""
    for number, point in enumerate(range(0, 1400, 70)):
        rig.spoil(*[CutAnswer(point)] * (1 + number % 5))
        assert await rig.upload(f"3.{number}.0") in (201, 503)
    for number in range(6):
        rig.spoil(*[None] * number, LoseAnswer())  # type: ignore[list-item]
        assert await rig.upload(f"4.{number}.0") in (201, 503)
    await rig.hold()


@pytest.mark.parametrize("kind", [CutAnswer, EndAnswer])
async def test_downloads_cut_once_at_twenty_points_are_whole(rig: Rig, kind: type[CutAnswer | EndAnswer]) -> None:
    assert await rig.upload("1.0.0") == 201
    for point in cut_points(SIZE_BYTES):
        rig.spoil(kind(point))
        assert await rig.download("1.0.0") == (200, rig.published["1.0.0"]), point
    await rig.hold()


async def test_downloads_cut_again_and_again_are_whole_cut_off_or_refused(rig: Rig) -> None:
    assert await rig.upload("1.0.0") == 201
    outcomes = set()
    for point in cut_points(SIZE_BYTES):
        rig.spoil(standing=CutAnswer(point))
        began_s = time.monotonic()
        status, body = await rig.download("1.0.0")
        assert time.monotonic() - began_s < LONGEST_S
        assert (status, body) in ((503, body), (200, None), (200, rig.published["1.0.0"]))
        outcomes.add((status, body is None))
    assert {(503, False), (200, False)} <= outcomes, outcomes
    await rig.hold()


async def test_deletions_cut_at_twenty_points(rig: Rig) -> None:
    for number, point in enumerate(range(0, 800, 40)):
        version = f"1.{number}.0"
        assert await rig.upload(version) == 201
        path = f"/api/v1/updates/my-app/releases/{version}/linux/amd64"
        await rig.service.call("DELETE", path, key="admin", status=200)
        del rig.published[version]
        rig.spoil(standing=(CutRequest if number % 2 else CutAnswer)(point // 2))
        began_s = time.monotonic()
        with contextlib.suppress(remote.Unavailable):
            await rig.collect()
        assert time.monotonic() - began_s < LONGEST_S
        rig.heal()
        await asyncio.sleep(0.02)
    assert await rig.upload("9.0.0") == 201
    await rig.hold()


@pytest.mark.parametrize("fault", [Swallow(), Refuse(503), Refuse(403)], ids=str)
async def test_a_store_that_is_down_costs_bounded_time(rig: Rig, fault: Fault) -> None:
    assert await rig.upload("1.0.0") == 201
    rig.spoil(standing=fault)
    began_s = time.monotonic()
    assert await rig.upload("2.0.0") == 503
    assert (await rig.download("1.0.0"))[0] == 503
    assert time.monotonic() - began_s < 3 * LONGEST_S
    began_s = time.monotonic()
    assert (await rig.service.call("GET", "/health", status=200))["status"] == "degraded"
    assert time.monotonic() - began_s < 2 * ANSWER_S, "a balancer's patience, not the store's"
    _, text = await rig.service.exchange("GET", "/metrics")
    assert b"\nupdater_storage_healthy 0.0\n" in text
    check = "/api/v1/updates/my-app/check?current_version=0.1.0&platform=linux&architecture=amd64"
    assert (await rig.service.call("GET", check, status=200))["update_available"] is True
    await rig.hold()


@on_each_store
async def test_a_slow_store_is_waited_for(rig: Rig) -> None:
    rig.spoil(standing=Delay(0.3))
    assert await rig.upload("1.0.0") == 201
    assert await rig.download("1.0.0") == (200, rig.published["1.0.0"])
    await rig.hold()


async def test_downloads_of_a_silent_store_end_before_the_client_is_blamed(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert await rig.upload("1.0.0") == 201
    rig.spoil(CutAnswer(5_000_000), standing=Swallow())
    assert await rig.download("1.0.0") == (200, None)
    assert any("the stored file failed" in record.getMessage() for record in caplog.records)
    await rig.hold()


async def test_a_bucket_that_is_not_there_damages_nothing(buckets: Buckets, start_service: StartService) -> None:
    """Verification must not take a misspelt bucket for missing files."""
    service = await start_service(storage={"blob_url": buckets.url("no-such-bucket")})
    blobs = service.services.artifacts.blobs
    with pytest.raises(remote.Unavailable):
        await anext(aiter(blobs.read("0" * 64)))
    with pytest.raises(remote.Unavailable):
        await blobs.probe()


def _far_future() -> object:
    from datetime import UTC, datetime, timedelta

    return datetime.now(UTC) + timedelta(days=2)


@on_each_store
async def test_a_slow_client_is_no_fault_of_the_store(rig: Rig) -> None:
    """However long a download takes, one request reads it, and the log has no warning."""
    content = random.Random(7).randbytes(24 << 20)
    blobs = rig.service.services.artifacts.blobs
    staged = await blobs.receive(_pieces(content))
    await staged.place()
    await staged.discard()
    rig.spoil()
    pieces: list[bytes] = []
    with capture_logs() as logs:
        async for piece in blobs.read(staged.digest):
            pieces.append(piece)
            if len(pieces) in (1, 5):
                await asyncio.sleep(1.5 * DEFAULT_TIMEOUTS.request_s)
    assert b"".join(pieces) == content
    assert rig.proxy.connections == 1
    assert logs == []


async def _pieces(content: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(content), 1 << 20):
        yield content[at : at + (1 << 20)]
