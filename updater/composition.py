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
from updater.access.store import KEYS
from updater.access.tokens import TokenReader
from updater.artifacts.opening import open_blobs
from updater.artifacts.service import ArtifactService
from updater.artifacts.store import ArtifactStore
from updater.background import quietly
from updater.backups.marker import require_whole
from updater.catalog.platforms import DESKTOP_PLATFORMS
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
        artifact_store = ArtifactStore(database)
        artifacts = ArtifactService(blobs, artifact_store, database, max_bytes=settings.storage.max_upload_bytes)
        catalog = CatalogService(CatalogStore(database), artifact_store, database)
        opened = build_access(database, settings)
        access = opened.access
        catch_up = await stack.enter_async_context(_watched(database, url, catalog, access))
        for each in settings.desktop:
            await catalog.ensure_application(each.application, name=each.application, platforms=DESKTOP_PLATFORMS)
        locate = open_locator(settings.telemetry.geoip_database)
        telemetry_store = TelemetryStore(database)
        recorder = Recorder(telemetry_store.write, queue_size=settings.telemetry.queue_size)
        recorder.start()
        telemetry = TelemetryService(telemetry_store, recorder, locate=locate)
        stack.push_async_callback(recorder.stop)
        stack.callback(telemetry.flush_downloads)
        stack.push_async_callback(quietly, telemetry.flush_checks)
        stack.push_async_callback(quietly, access.flush_used)
        deployments = DeploymentService(settings.deployments, root, DeploymentStore(database))
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
            tasks=TaskService(TaskStore(database)),
            artifacts=artifacts,
            catalog=catalog,
            deployments=deployments,
            telemetry=telemetry,
            health=health,
            catch_up=catch_up,
            leases=Leases(database, f"{socket.gethostname()[:30]}:{os.getpid()}"),
        )


@asynccontextmanager
async def _watched(
    database: Database, url: str | None, catalog: CatalogService, access: AccessService
) -> AsyncIterator[Callable[[], Awaitable[None]] | None]:
    """Fill index and key ring, and keep them as other processes change them, for the block.

    Gives what reads at once what others changed, where there are others.
    """

    async def refresh(topics: set[str]) -> None:
        if KEYS in topics:
            await access.load()
        await catalog.refresh(topics - {KEYS})

    watcher = ChangeWatcher(database, url, refresh) if url is not None else None
    if watcher is not None:
        await watcher.start()
    await catalog.load()
    await access.load()
    watching = asyncio.create_task(watcher.run()) if watcher is not None else None
    try:
        yield watcher.catch_up if watcher is not None else None
    finally:
        if watching is not None:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
