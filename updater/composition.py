"""Composition: settings -> engines -> services, and the order in which they open and close. No web."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from updater.access.opening import build_access
from updater.access.service import AccessService
from updater.access.tokens import TokenReader
from updater.artifacts.opening import open_blobs
from updater.artifacts.service import ArtifactService
from updater.artifacts.store import ArtifactStore
from updater.audit.model import SYSTEM
from updater.audit.service import AuditService
from updater.audit.store import AuditStore
from updater.background import quietly
from updater.backups.marker import require_whole
from updater.catalog.model import ReleaseFamily
from updater.catalog.publishing import Publishing
from updater.catalog.service import CatalogService
from updater.catalog.store import CatalogStore
from updater.clock import END_OF_TIME, utc_now
from updater.database.changes import ChangeWatcher
from updater.database.engine import Database
from updater.database.leases import Leases
from updater.database.opening import open_database
from updater.deployments.service import DeploymentService
from updater.deployments.store import DeploymentStore
from updater.health import HealthService
from updater.offers.service import OfferService
from updater.offers.store import OfferStore
from updater.services import Services
from updater.settings import Settings
from updater.tasks.service import TaskService
from updater.tasks.store import TaskStore
from updater.telemetry.geo import open_locator
from updater.telemetry.recorder import Recorder
from updater.telemetry.service import TelemetryService
from updater.telemetry.store import TelemetryStore


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """Open everything the settings name, for the block. The caller holds the folder.

    Raises:
        ConfigurationError: what is in the folder cannot be used. StorageFull, Unavailable: not now.
    """
    root = Path(settings.storage.root)
    require_whole(root)
    async with AsyncExitStack() as stack:
        url = settings.storage.database_url
        database = await stack.enter_async_context(open_database(url, root))
        blobs = stack.enter_context(open_blobs(settings.storage.blob_url, root))
        # A folder that is ours alone: nobody is receiving yet. After a power cut the clock may have gone back.
        if settings.storage.blob_url is None and not database.shared:
            await blobs.sweep(END_OF_TIME)
        audit = AuditService(AuditStore(database), database)
        artifact_store = ArtifactStore(database)
        max_bytes = settings.storage.max_upload_bytes
        artifacts = ArtifactService(blobs, artifact_store, database, audit, max_bytes=max_bytes)
        catalog_store = CatalogStore(database)
        catalog = CatalogService(catalog_store, audit, database)
        offers = OfferService(OfferStore(database, _families(settings)), catalog_store, database)
        stack.push_async_callback(offers.close)
        opened = build_access(database, settings, audit)
        access = opened.access
        stack.push_async_callback(access.close)
        catch_up = await stack.enter_async_context(_watched(database, url, offers, access))
        for application_id, family in _families(settings).items():
            platforms = tuple(sorted({target.platform for target in family.targets}))
            await catalog.ensure_application(application_id, name=application_id, platforms=platforms, actor=SYSTEM)
        locate = open_locator(settings.telemetry.geoip_database)
        telemetry_store = TelemetryStore(database)
        recorder = Recorder(telemetry_store.write, queue_size=settings.telemetry.queue_size)
        recorder.start()
        telemetry = TelemetryService(telemetry_store, recorder, locate=locate)
        stack.push_async_callback(recorder.stop)
        stack.callback(telemetry.flush_downloads)
        stack.push_async_callback(quietly, telemetry.flush_checks)
        stack.push_async_callback(quietly, access.flush_used)
        deployments = DeploymentService(settings.deployments, root, DeploymentStore(database, audit))
        stack.push_async_callback(deployments.runs.stop)
        if not database.shared:  # else whoever holds the lease does
            await deployments.runs.start()
        health = HealthService(database, artifacts, elsewhere=settings.storage.blob_url is not None)
        stack.push_async_callback(health.close)
        yield Services(
            settings=settings,
            started_at=utc_now(),
            access=access,
            people=opened.people,
            tokens=TokenReader(settings.access.jwt),
            tasks=TaskService(TaskStore(database), database, audit),
            artifacts=artifacts,
            audit=audit,
            catalog=catalog,
            publishing=Publishing(catalog_store, artifact_store, audit, database),
            offers=offers,
            deployments=deployments,
            telemetry=telemetry,
            health=health,
            catch_up=catch_up,
            leases=Leases(database, f"{socket.gethostname()[:30]}:{os.getpid()}"),
        )


@asynccontextmanager
async def _watched(
    database: Database, url: str | None, offers: OfferService, access: AccessService
) -> AsyncIterator[Callable[[], Awaitable[None]] | None]:
    """Fill snapshots and key ring, and have other processes' changes told to them, for the block.

    Gives what reads at once what others changed, where there are others.
    """
    watcher = ChangeWatcher(database, url) if url is not None else None
    if watcher is not None:
        await watcher.start()
    await offers.load()
    await access.load()
    watching = asyncio.create_task(watcher.run()) if watcher is not None else None
    try:
        yield watcher.catch_up if watcher is not None else None
    finally:
        if watching is not None:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)


def _families(settings: Settings) -> dict[str, ReleaseFamily]:
    """Return the applications that clients of a release family ask about, by id: those mounted as desktop API."""
    if not settings.desktop:
        return {}
    # Its words belong to the surface; a command without a desktop API imports nothing of the web.
    from updater.web.desktop.words import FAMILY

    return {each.application: FAMILY for each in settings.desktop}
