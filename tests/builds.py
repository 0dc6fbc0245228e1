"""Builds published without HTTP, where only what lies in the store and the database matters."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from tests.actors import TESTER
from updater.artifacts.service import ArtifactService
from updater.catalog.model import Build, Checksum, ExternalFile
from updater.catalog.platforms import Target
from updater.catalog.publishing import Publishing, PublishRequest, ReceivedFile

LINUX = Target("linux", "amd64")
FILE = ExternalFile("https://files.example.com/x", Checksum("md5", "x"), None)


async def publish_bytes(
    publishing: Publishing,
    artifacts: ArtifactService,
    content: bytes,
    version: str,
    application_id: str = "my-app",
    target: Target = LINUX,
) -> Build:
    """Publish a hosted build."""

    async def once() -> AsyncIterator[bytes]:
        yield content

    async with artifacts.receive(once()) as staged:
        request = PublishRequest(application_id, version, target)
        return await publishing.publish(request, ReceivedFile(staged), TESTER)


async def register(
    publishing: Publishing, version: str, target: Target = LINUX, application_id: str = "my-app", **more: Any
) -> Build:
    """Publish an external build."""
    return await publishing.publish(PublishRequest(application_id, version, target, **more), FILE, TESTER)


def digest_of(build: Build) -> str:
    """Return the digest of a hosted build."""
    assert build.file is not None
    return build.file.digest
