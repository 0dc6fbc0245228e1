"""Composition: settings -> engines -> services -> web, and the order of start and stop."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import resource
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import structlog
from aiohttp import http_parser, web

from updater.access.addresses import AddressReader
from updater.access.keys import load_secret
from updater.access.limits import RateLimits, open_limits
from updater.access.people import PeopleService
from updater.access.service import AccessService
from updater.access.shared import SharedWindows
from updater.access.store import KEYS, AccessStore, PeopleStore
from updater.access.tokens import TokenReader
from updater.artifacts.opening import open_blobs
from updater.artifacts.service import ArtifactService
from updater.artifacts.store import ArtifactStore
from updater.backups.restore import require_whole
from updater.catalog.platforms import DESKTOP_PLATFORMS
from updater.catalog.service import CatalogService
from updater.catalog.store import CatalogStore
from updater.clock import utc_now
from updater.config import RetentionSettings, Settings
from updater.database.changes import ChangeWatcher
from updater.database.engine import Database
from updater.database.leases import Leases
from updater.database.opening import open_database
from updater.deployments.service import DeploymentService
from updater.deployments.store import DeploymentStore
from updater.errors import ConfigurationError, Failure
from updater.folder import CONTROL_SOCKET, claim_folder, short_path
from updater.health import HealthService
from updater.operations import collect, retain
from updater.services import Services
from updater.tasks.service import TaskService
from updater.tasks.store import TaskStore
from updater.telemetry.geo import open_locator
from updater.telemetry.recorder import Recorder
from updater.telemetry.service import TelemetryService
from updater.telemetry.store import TelemetryStore
from updater.web import api, dashboard, desktop, ops, system, updates
from updater.web.access_log import AccessLog
from updater.web.control import build_control
from updater.web.delivery import DELIVERY, Delivery
from updater.web.links import Links
from updater.web.metrics import Metrics
from updater.web.middleware import Gate, GateParts
from updater.web.openapi import build_document
from updater.web.origins import Origins
from updater.web.routing import Surface
from updater.web.runner import Runner
from updater.web.sessions import SessionDoor

_HOUSEKEEPING_S = 60.0
_COUNTING_S = 5.0
_DAY_S = 86_400.0
_log = structlog.get_logger(__name__)


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
        # A folder that is ours alone: nobody is receiving yet.
        if settings.storage.blob_url is None and not database.shared:
            await blobs.sweep(utc_now())
        artifact_store = ArtifactStore(database)
        artifacts = ArtifactService(blobs, artifact_store, database, max_bytes=settings.storage.max_upload_bytes)
        catalog = CatalogService(CatalogStore(database), artifact_store, database)
        secret = load_secret(root / "secret")
        access = AccessService(AccessStore(database), settings.access, secret=secret)
        await stack.enter_async_context(_watched(database, url, catalog, access))
        for each in settings.desktop:
            await catalog.ensure_application(each.application, name=each.application, platforms=DESKTOP_PLATFORMS)
        locate = open_locator(settings.telemetry.geoip_database)
        telemetry_store = TelemetryStore(database)
        recorder = Recorder(telemetry_store.write, queue_size=settings.telemetry.queue_size)
        recorder.start()
        telemetry = TelemetryService(telemetry_store, recorder, locate=locate)
        stack.push_async_callback(recorder.stop)
        stack.push_async_callback(_quietly, telemetry.flush_checks)
        stack.push_async_callback(_quietly, access.flush_used)
        deployments = DeploymentService(settings.deployments, root, DeploymentStore(database))
        stack.push_async_callback(deployments.runs.stop)
        await deployments.runs.start()
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
            health=HealthService(database, artifacts),
            leases=Leases(database, f"{socket.gethostname()[:30]}:{os.getpid()}"),
        )


@asynccontextmanager
async def _watched(
    database: Database, url: str | None, catalog: CatalogService, access: AccessService
) -> AsyncIterator[None]:
    """Fill index and key ring, and keep them as other processes change them, for the block."""

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
        yield
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
    updates_surface = updates.build(services)
    described = (api_surface, updates_surface)
    ops_surface = ops.build(
        metrics, lambda: build_document([route for each in (*described, ops_surface) for route in each.routes])
    )
    desktops = (desktop.build(services, links, metrics, each) for each in settings.desktop)
    people = _people_surfaces(services, addresses, limits)
    surfaces = (*desktops, ops_surface, api_surface, *people, updates_surface)
    access_log = AccessLog() if settings.logging.access else None
    parts = GateParts(
        access=services.access,
        limits=limits,
        addresses=addresses,
        metrics=metrics,
        access_log=access_log,
        require_application=services.catalog.index_of,
    )
    gate = Gate(parts, surfaces, fallback=api_surface)
    application = web.Application(middlewares=[gate.handle], client_max_size=1 << 20)
    application[DELIVERY] = Delivery(services.artifacts.blobs, settings)
    application.on_response_prepare.append(gate.complete_headers)
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


def make_runner(application: web.Application, settings: Settings) -> web.AppRunner:
    """Return the runner with limits that hold slow and hostile clients off.

    Source: measured; AppRunner's own keep-alive of an hour would let idle connections pile up, and a Range
    header of a differential updater is up to 11 kB.
    """
    return Runner(
        application,
        access_log=None,
        keepalive_timeout=15,
        max_line_size=8190,
        max_field_size=32768,
        tcp_keepalive=True,
        handler_cancellation=False,
        shutdown_timeout=settings.server.drain_s,
    )


async def serve(settings: Settings, *, reload: Callable[[], Settings], announce: Callable[[str], None]) -> None:
    """Run the service until SIGTERM or SIGINT. SIGHUP reads keys and limits again, through `reload`.

    `announce` is told lines for the person who started it: the address, and the first admin key, once.

    Raises:
        ConfigurationError: the service cannot start with these settings.
    """
    require_platform()
    root = Path(settings.storage.root)
    stopping, rereading = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    # Before anything slow: an unhandled SIGHUP would end the process, and SIGTERM would not drain.
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    loop.add_signal_handler(signal.SIGHUP, rereading.set)
    async with AsyncExitStack() as stack:
        stack.enter_context(claim_folder(settings.storage))
        services = await stack.enter_async_context(open_services(settings))
        limits = await stack.enter_async_context(open_limits(settings.rate_limit))
        await _first_key(services, announce)
        runner = make_runner(build_app(services, limits), settings)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await _listen(runner, settings)
        await stack.enter_async_context(_control(services, root / CONTROL_SOCKET))
        jobs = [
            *(asyncio.create_task(job(services)) for job in (_keep_house, _count_checks, _keep_bounds)),
            asyncio.create_task(_reread_on(rereading, services, limits, reload)),
        ]
        for address in runner.addresses:
            announce(f"listening on http://{address[0]}:{address[1]}")
        # Only now: a run that was interrupted may restart this very service, and asks whether it is well.
        await services.deployments.runs.recover()
        await stopping.wait()
        services.deployments.runs.release()
        _log.info("server.draining", seconds=settings.server.drain_s)
        for job in jobs:
            job.cancel()


def require_platform() -> None:
    """Refuse to start where known bugs would bite. Raises ConfigurationError."""
    if http_parser.HttpRequestParser is http_parser.HttpRequestParserPy:
        raise ConfigurationError("aiohttp runs without its C parser; install a built wheel of aiohttp")
    if sys.flags.optimize:
        raise ConfigurationError("python -O switches checks off; start without -O")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < min(hard, 65_536):
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65_536), hard))


async def _listen(runner: web.AppRunner, settings: Settings) -> None:
    try:
        await web.TCPSite(runner, settings.server.host, settings.server.port, backlog=1024).start()
    except OSError as error:
        where = f"{settings.server.host}:{settings.server.port}"
        raise ConfigurationError(f"server.port: cannot listen on {where}: {_reason(error)}") from None


def _reason(error: OSError) -> str:
    """Say it in the system's words: asyncio puts its own sentence around them."""
    return os.strerror(error.errno) if error.errno and error.errno > 0 else str(error.strerror)


@asynccontextmanager
async def _control(services: Services, path: Path) -> AsyncIterator[None]:
    """Open the control socket. Only the holder of the folder gets here, so an old socket is a dead one."""
    _remove(path)
    runner = web.AppRunner(build_control(services), access_log=None, shutdown_timeout=1)
    await runner.setup()
    with short_path(path) as short:
        mask = os.umask(0o177)
        try:
            await web.UnixSite(runner, short).start()
        finally:
            os.umask(mask)
        try:
            yield
        finally:
            await runner.cleanup()
            _remove(path)


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


async def _first_key(services: Services, announce: Callable[[str], None]) -> None:
    """Make an admin key when nobody could sign in otherwise."""
    access = services.settings.access
    if not access.enabled or access.api_keys or await services.access.list_keys():
        return
    _, text = await services.access.create_key("first admin", "admin")
    announce(f"admin key (shown only now): {text}")


async def _reread_on(
    rereading: asyncio.Event, services: Services, limits: RateLimits | None, reload: Callable[[], Settings]
) -> None:
    while True:
        await rereading.wait()
        rereading.clear()
        await _reread(services, limits, reload)


async def _reread(services: Services, limits: RateLimits | None, reload: Callable[[], Settings]) -> None:
    try:
        fresh = reload()
        services.tokens.configure(fresh.access.jwt)
    except ConfigurationError as error:
        _log.error("server.reload_refused", reason=str(error))
        return
    services.people.configure(fresh.access)
    services.access.configure(fresh.access)
    try:
        await services.access.load()
    except Failure as failure:
        _log.error("server.reload_failed", reason=failure.message)
        return
    if limits is not None:
        limits.configure(
            anonymous=fresh.rate_limit.anonymous_per_minute,
            authenticated=fresh.rate_limit.authenticated_per_minute,
            sign_in=fresh.rate_limit.sign_in_per_minute,
        )
    _log.info("server.reloaded")


async def _keep_house(services: Services) -> None:
    while True:
        await _quietly(services.artifacts.refresh_totals)
        await _quietly(services.access.flush_used)
        await asyncio.sleep(_HOUSEKEEPING_S)


async def _count_checks(services: Services) -> None:
    """Write the counts of update checks: a crash loses no more than this long."""
    while True:
        await asyncio.sleep(_COUNTING_S)
        await _quietly(services.telemetry.flush_checks)


async def _keep_bounds(services: Services) -> None:
    """Once a day, and soon after each start, remove what the settings say need not be kept."""
    await asyncio.sleep(_HOUSEKEEPING_S)
    while True:
        await _quietly(functools.partial(_forget_reports, services))
        await _quietly(functools.partial(_retire_releases, services))
        await asyncio.sleep(_DAY_S)


async def _forget_reports(services: Services) -> None:
    gone = await services.telemetry.forget_reports(keep_days=services.settings.telemetry.retention_days)
    if gone:
        _log.info("telemetry.reports_removed", reports=gone)


async def _retire_releases(services: Services) -> None:
    """Apply the rules for releases, and then remove the bytes that nothing uses any more."""
    for operation in (retain, collect) if services.settings.retention != RetentionSettings() else ():
        async for event in operation(services):
            if event.get("result", {}).get("removed"):
                _log.info(f"retention.{operation.__name__}", removed=len(event["result"]["removed"]))


async def _quietly(work: Callable[[], object]) -> None:
    """Do housekeeping whose failure must not stop anything."""
    with contextlib.suppress(Failure):
        await work()  # type: ignore[misc]


def _available(shared: SharedWindows) -> float:
    return float(shared.available)


def _add_gauges(metrics: Metrics, services: Services) -> None:
    telemetry = services.telemetry
    metrics.add_gauge("updater_report_queue_depth", "Events waiting to be written", lambda: telemetry.queue_depth)
    metrics.add_gauge("updater_download_counts_dropped", "Counts lost to a full queue", lambda: telemetry.dropped)
    metrics.add_gauge("updater_blobs", "Blobs in the store", lambda: services.artifacts.totals.blobs)
    metrics.add_gauge("updater_blob_bytes", "Bytes in the store", lambda: services.artifacts.totals.size_bytes)
