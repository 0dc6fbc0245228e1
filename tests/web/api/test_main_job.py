"""The main job through the REST API: publish, check, download, report."""

from __future__ import annotations

import hashlib
import io
import os
from typing import Any

from aiohttp import FormData

CHECK = "/api/v1/updates/my-app/check"
ASK = {"platform": "linux", "architecture": "amd64"}


async def test_publish_check_download_report(service: Any) -> None:
    content = os.urandom(3_000_000)
    digest = hashlib.sha256(content).hexdigest()
    form = FormData()
    form.add_field("version", "1.2.0")
    form.add_field("file", io.BytesIO(content), filename="My App.AppImage")
    form.add_field("platform", "linux")
    form.add_field("architecture", "amd64")
    form.add_field("checksum", digest)
    form.add_field("metadata", '{"commit": "abc"}')
    made = await service.call("POST", "/api/v1/updates/my-app/upload", key="write", data=form, status=201)
    assert made["checksum"] == digest
    assert made["file_size"] == len(content)

    asked = {**ASK, "current_version": "1.0.0", "include_metadata": "true"}
    offer = await service.call("GET", CHECK, params=asked, status=200)
    assert offer["update_available"] is True
    assert offer["latest_version"] == "1.2.0"
    assert offer["metadata"] == {"commit": "abc"}
    assert offer["download_url"] == made["download_url"]

    path = made["download_url"].removeprefix(service.url)
    response, body = await service.exchange("GET", path, status=200)
    assert body == content
    assert response.headers["ETag"] == f'"{digest}"'
    assert 'filename="My App.AppImage"' in response.headers["Content-Disposition"]
    part, body = await service.exchange("GET", path, headers={"Range": "bytes=1000-1999"}, status=206)
    assert body == content[1000:2000]
    assert part.headers["Content-Range"] == f"bytes 1000-1999/{len(content)}"

    report = {**ASK, "current_version": "1.0.0", "target_version": "1.2.0", "status": "completed", "report_id": "one"}
    for _ in range(2):
        answer = await service.call("POST", "/api/v1/updates/my-app/status", json=report, status=200)
        assert answer["recorded"] is True

    done = await service.call("GET", CHECK, params={**ASK, "current_version": "1.2.0"}, status=200)
    assert done == {"update_available": False, "current_version": "1.2.0", "required": False}


async def test_identical_bytes_are_stored_once(service: Any) -> None:
    await service.publish(b"same", "1.0.0")
    await service.publish(b"same", "1.0.1")
    found = [info async for info in service.services.artifacts.blobs.scan()]
    assert [info.digest for info in found] == [hashlib.sha256(b"same").hexdigest()]


async def test_what_was_published_never_changes(service: Any) -> None:
    await service.publish(b"first", "1.0.0")
    path = "/api/v1/updates/my-app/builds/1.0.0/linux/amd64"
    await service.call("PUT", path, key="write", data=b"second", status=409)
    await service.call("DELETE", "/api/v1/updates/my-app/releases/1.0.0/linux/amd64", key="admin", status=200)
    refused = await service.call("PUT", path, key="write", data=b"second", status=409)
    assert refused["code"] == "CONFLICT"
    await service.call("PUT", path, key="write", data=b"first", status=201)


async def test_wrong_checksum_leaves_nothing(service: Any) -> None:
    path = "/api/v1/updates/my-app/builds/1.0.0/linux/amd64"
    refused = await service.call("PUT", path, key="write", data=b"x", params={"checksum": "0" * 64}, status=422)
    assert "checksum" in refused["errors"]
    assert [info async for info in service.services.artifacts.blobs.scan()] == []
    assert list((service.services.artifacts.blobs._incoming).iterdir()) == []
