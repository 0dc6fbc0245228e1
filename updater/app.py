"""Composition: settings -> engines -> services -> web, and the order of start and stop."""

from __future__ import annotations

import asyncio
import functools
import os
import socket
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from aiohttp import web

from updater.access.addresses import AddressReader
from updater.access.keys import load_secret
from updater.access.limits import RateLimits
from updater.access.people import PeopleService
from updater.access.service import AccessService
from updater.access.shared import SharedWindows
from updater.access.store import KEYS, AccessStore, PeopleStore
from updater.access.tokens import TokenReader
from updater.artifacts.opening import open_blobs
from updater.artifacts.service import ArtifactService
from updater.artifacts.store import ArtifactStore
from updater.background import quietly
from updater.backups.restore import require_whole
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
from updater.listening import affordable_connections
from updater.services import Services
from updater.settings import Settings
from updater.tasks.service import TaskService
from updater.tasks.store import TaskStore
from updater.telemetry.geo import open_locator
from updater.telemetry.recorder import Recorder
from updater.telemetry.service import TelemetryService
from updater.telemetry.store import TelemetryStore
from updater.web import api, dashboard, desktop, ops, system, updates
from updater.web.access_log import AccessLog
from updater.web.crowd import Crowd
from updater.web.delivery import DELIVERY, Delivery
from updater.web.links import Links
from updater.web.metrics import METRICS, Metrics
from updater.web.middleware import GATE, Gate, GateParts
from updater.web.openapi import build_document
from updater.web.origins import Origins
from updater.web.pace import MIN_BYTES_PER_S
from updater.web.router import Router
from updater.web.routing import Surface
from updater.web.runner import Runner
from updater.web.sessions import SessionDoor

CUT_S = 1.0
"""What requests that outlast `server.drain_s` get to end by themselves, and then as long again to clear up.

Uploads to an object store take back there what they have sent.
"""


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
        secret = load_secret(root / "secret")
        access = AccessService(AccessStore(database), settings.access, secret=secret)
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
            people=PeopleService(PeopleStore(database), settings.access, secret=secret),
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


def build_app(services: Services, limits: RateLimits | None = None) -> web.Application:
    """Assemble the web application: every surface behind one gate."""
    settings = services.settings
    metrics = Metrics()
    _add_gauges(metrics, services)
    addresses = AddressReader(settings.server.trusted_proxies)
    if limits is not None and limits.shared is not None:
        metrics.add_gauge(
            "updater_rate_limit_shared",
            "1 while requests are counted in Redis",
            functools.partial(_available, limits.shared),
        )
    links = Links(settings.server.public_url, settings.storage.cdn_url)
    api_surface = api.build(services, links, metrics)
    ops_surface = ops.build(metrics, lambda: build_document(surfaces))
    desktops = (desktop.build(services, links, metrics, each) for each in settings.desktop)
    people = _people_surfaces(services, addresses, limits)
    # The first one that has a path answers for it.
    surfaces = (*desktops, ops_surface, api_surface, *people, updates.build(services))
    access_log = AccessLog() if settings.logging.access else None
    parts = GateParts(
        access=services.access,
        limits=limits,
        addresses=addresses,
        metrics=metrics,
        access_log=access_log,
        require_application=services.catalog.index_of,
        catch_up=services.catch_up,
    )
    gate = Gate(parts, surfaces, fallback=api_surface)
    with warnings.catch_warnings():
        # The argument goes with aiohttp 4; there the class of `application.router` is what remains.
        warnings.simplefilter("ignore", DeprecationWarning)
        application = web.Application(middlewares=[gate.handle], client_max_size=1 << 20, router=Router())
    application[GATE], application[METRICS] = gate, metrics
    application[DELIVERY] = Delivery(services.artifacts.blobs, settings)
    application[MIN_BYTES_PER_S] = settings.server.min_bytes_per_s
    dashboard.prepare(application)
    if access_log is not None:
        application.on_cleanup.append(access_log.close)
    for surface in surfaces:
        application.router.add_routes(surface.routes)
    return application


def _people_surfaces(services: Services, addresses: AddressReader, limits: RateLimits | None) -> tuple[Surface, ...]:
    """Assemble what people with a session reach."""
    origins = Origins(services.settings.server.public_url, addresses)
    door = SessionDoor(services.people, origins)
    return (*system.build(services.deployments, door), *dashboard.build(services, door, origins, limits))


def make_runner(application: web.Application, settings: Settings) -> Runner:
    """Return the runner with limits that hold slow and hostile clients off.

    Source: measured; AppRunner's own keep-alive of an hour would let idle connections pile up, and a Range
    header of a differential updater is up to 11 kB.
    """
    server, metrics = settings.server, application[METRICS]
    most = min(server.max_connections or affordable_connections(), affordable_connections())
    crowd = Crowd(most, server.max_connections_per_address, AddressReader(server.trusted_proxies), metrics)
    metrics.add_gauge("updater_connections", "Open connections", lambda: len(crowd))
    return Runner(
        application,
        crowd=crowd,
        min_bytes_per_s=server.min_bytes_per_s,
        access_log=None,
        keepalive_timeout=15,
        max_line_size=8190,
        max_field_size=32768,
        tcp_keepalive=True,
        handler_cancellation=False,
        shutdown_timeout=CUT_S,
    )


def _available(shared: SharedWindows) -> float:
    return float(shared.available)


def _add_gauges(metrics: Metrics, services: Services) -> None:
    telemetry = services.telemetry
    metrics.add_gauge("updater_report_queue_depth", "Events waiting to be written", lambda: telemetry.queue_depth)
    metrics.add_gauge("updater_download_counts_dropped", "Counts lost to a full queue", lambda: telemetry.dropped)
    for name in ("database", "storage"):
        healthy = functools.partial(services.health.is_healthy, name)
        metrics.add_gauge(f"updater_{name}_healthy", f"1 while health finds nothing wrong with the {name}", healthy)
    metrics.add_gauge("updater_blobs", "Blobs in the store", lambda: services.artifacts.totals.blobs)
    metrics.add_gauge("updater_blob_bytes", "Bytes in the store", lambda: services.artifacts.totals.size_bytes)
