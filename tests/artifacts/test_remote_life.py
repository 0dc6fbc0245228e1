"""The life of a build whose bytes are in an object store: published, damaged, repaired, removed, collected."""

from __future__ import annotations

import hashlib
import io
import random
from typing import Any

from tests.actors import TESTER
from tests.conftest import Service, StartService
from tests.servers.buckets import Buckets
from updater.artifacts.location import parse_location
from updater.artifacts.remote import DEFAULT_TIMEOUTS, open_store
from updater.operations import OPERATIONS

DATA = random.Random(11).randbytes(9_000_017)  # two parts of an upload
DIGEST = hashlib.sha256(DATA).hexdigest()
KEY = f"blobs/{DIGEST[:2]}/{DIGEST[2:4]}/{DIGEST}"
_DOWNLOAD = "/api/v1/updates/my-app/download/1.0.0/linux/amd64"
_RELEASE = "/api/v1/updates/my-app/releases/1.0.0/linux/amd64"


async def operate(service: Service, name: str, **arguments: Any) -> dict[str, Any]:
    events = [event async for event in OPERATIONS[name](service.services, TESTER, **arguments)]
    result: dict[str, Any] = events[-1]["result"]
    return result


async def bad(service: Service) -> list[str]:
    found: list[str] = (await operate(service, "verify"))["bad"]
    return found


async def removed(service: Service) -> list[str]:
    found: list[str] = (await operate(service, "collect", grace_s=0))["removed"]
    return found


async def test_a_build_in_an_object_store(buckets: Buckets, start_service: StartService) -> None:
    import obstore

    bucket = buckets.make_bucket()
    url = buckets.url(bucket, "some/apps")
    service = await start_service(storage={"blob_url": url, "remote_downloads": "stream"})
    await service.application()
    await service.publish(io.BytesIO(DATA))
    assert buckets.keys(bucket) == [f"some/apps/{KEY}"]
    assert await bad(service) == []

    raw = open_store(parse_location(url), DEFAULT_TIMEOUTS, 20)
    await obstore.put_async(raw, KEY, DATA[:-1] + b"?")
    assert await bad(service) == [DIGEST]
    await service.exchange("GET", _DOWNLOAD, status=503)
    await service.publish(io.BytesIO(DATA), "1.0.1")
    assert await bad(service) == []
    assert (await service.exchange("GET", _DOWNLOAD, status=200))[1] == DATA

    await obstore.delete_async(raw, KEY)
    assert await bad(service) == [DIGEST]
    await service.exchange("GET", _DOWNLOAD, status=503)
    await service.publish(io.BytesIO(DATA), "1.0.2")
    assert (await service.exchange("GET", _DOWNLOAD, status=200))[1] == DATA

    for version in ("1.0.0", "1.0.1", "1.0.2"):
        assert await removed(service) == []
        await service.call("DELETE", _RELEASE.replace("1.0.0", version), key="admin", status=200)
    assert await removed(service) == [DIGEST]
    assert buckets.keys(bucket) == []
