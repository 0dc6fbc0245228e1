"""Builds without HTTP: published, where only what lies in the store and the database matters, or values alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from tests.actors import TESTER
from updater.artifacts.blobs import BlobStore
from updater.artifacts.service import ArtifactService
from updater.artifacts.store import ArtifactStore
from updater.audit.service import AuditService
from updater.audit.store import AuditStore
from updater.catalog.changing import Changes
from updater.catalog.companions import Companions
from updater.catalog.drafts import Drafts
from updater.catalog.file_store import FileStore
from updater.catalog.filing import Filing
from updater.catalog.model import Build, Checksum, ExternalFile, ReleaseStatus
from updater.catalog.platforms import Target
from updater.catalog.publishing import OpenRollout, Publishing
from updater.catalog.release_store import ReleaseStore
from updater.catalog.requests import PublishRequest, ReceivedFile
from updater.catalog.service import CatalogService
from updater.catalog.signing import SignatureChecks
from updater.catalog.store import CatalogStore
from updater.catalog.versions import Version
from updater.clock import Clock, utc_now
from updater.database.engine import Database

LINUX = Target("linux", "amd64")
FILE = ExternalFile("https://files.example.com/x", Checksum("md5", "x"), None)


def publishing_of(database: Database, open_rollout: OpenRollout, clock: Clock = utc_now) -> Publishing:
    """Return the use case that publishes, on a database alone."""
    rows, artifacts = CatalogStore(database), ArtifactStore(database)
    audit = AuditService(AuditStore(database), database, clock=clock)
    changes = Changes(rows, artifacts, audit, database, clock=clock)
    return Publishing(rows, ReleaseStore(database), changes, Filing(FileStore()), SignatureChecks(rows), open_rollout)


def catalog_of(database: Database, clock: Clock = utc_now) -> CatalogService:
    """Return the use cases of what exists, on a database alone."""
    rows, audit = CatalogStore(database), AuditService(AuditStore(database), database, clock=clock)
    changes = Changes(rows, ArtifactStore(database), audit, database, clock=clock)
    return CatalogService(rows, ReleaseStore(database), changes, audit, database, clock=clock)


def drafts_of(database: Database, open_rollout: OpenRollout, clock: Clock = utc_now) -> Drafts:
    """Return the use case that publishes drafts, on a database alone."""
    audit = AuditService(AuditStore(database), database, clock=clock)
    changes = Changes(CatalogStore(database), ArtifactStore(database), audit, database, clock=clock)
    return Drafts(
        ReleaseStore(database), FileStore(), changes, Filing(FileStore()), open_rollout, database, clock=clock
    )


def companions_of(database: Database, blobs: BlobStore, clock: Clock = utc_now) -> Companions:
    """Return the use case that adds companions, on a database and a store."""
    rows, files = CatalogStore(database), FileStore()
    audit = AuditService(AuditStore(database), database, clock=clock)
    changes = Changes(rows, ArtifactStore(database), audit, database, clock=clock)
    releases, signatures = ReleaseStore(database), SignatureChecks(rows)
    return Companions(rows, releases, files, changes, Filing(files), signatures, blobs, database)


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
        return (await publishing.publish(request, ReceivedFile(staged), TESTER)).build


async def register(
    publishing: Publishing, version: str, target: Target = LINUX, application_id: str = "my-app", **more: Any
) -> Build:
    """Publish an external build."""
    return (await publishing.publish(PublishRequest(application_id, version, target, **more), FILE, TESTER)).build


def digest_of(build: Build) -> str:
    """Return the digest of a hosted build."""
    assert build.file is not None
    return build.file.digest


def a_build(
    number: int, version: Version, *, complete: bool, required: bool = False, minimum: Version | None = None
) -> Build:
    """Return a build that is nowhere, of a release on the first channel."""
    return Build(
        id=number,
        release_id=number,
        application_id="my-app",
        version=version,
        target=LINUX,
        file=None,
        url="https://releases.example.com/1",
        checksum=Checksum("sha256", "ab" * 32),
        size_bytes=None,
        notes="",
        required=required,
        minimum=minimum,
        metadata={},
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        status=ReleaseStatus.ACTIVE,
        complete=complete,
        quarantined=False,
        channel="stable",
        channel_position=0,
    )
