"""Composition: settings -> engines -> services, and the order in which they open and close. No web."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from updater.access.opening import AccessServices, build_access
from updater.access.tokens import TokenReader
from updater.artifacts.blobs import BlobStore
from updater.artifacts.local import LocalBlobStore
from updater.artifacts.opening import open_blobs
from updater.artifacts.partial import PartialFiles
from updater.artifacts.partial_store import PartialStore
from updater.artifacts.reserve import Reserve
from updater.artifacts.service import ArtifactService
from updater.artifacts.store import ArtifactStore
from updater.audit.checking import AuditChecks
from updater.audit.model import SYSTEM
from updater.audit.service import AuditService
from updater.audit.store import AuditStore
from updater.backups.marker import require_whole
from updater.catalog.changing import Changes
from updater.catalog.companions import Companions
from updater.catalog.derived import DerivedFiles
from updater.catalog.derived_store import DerivedStore
from updater.catalog.drafts import Drafts
from updater.catalog.file_store import FileStore
from updater.catalog.filing import Filing
from updater.catalog.model import ReleaseFamily
from updater.catalog.publishing import Publishing
from updater.catalog.release_store import ReleaseStore
from updater.catalog.service import CatalogService
from updater.catalog.signing import SignatureChecks
from updater.catalog.store import CatalogStore
from updater.catalog.uploads import UploadService
from updater.clock import END_OF_TIME, utc_now
from updater.database.belonging import require_blobs
from updater.database.changes import ChangeWatcher
from updater.database.engine import Database
from updater.database.leases import Leases
from updater.database.opening import open_database
from updater.deployments.service import DeploymentService
from updater.deployments.store import DeploymentStore
from updater.feeds.service import FeedService
from updater.health import HealthService
from updater.offers.downloads import DownloadService
from updater.offers.explaining import Explainer
from updater.offers.feed_store import FeedStore
from updater.offers.service import OfferService
from updater.offers.store import OfferStore
from updater.overview.attention import Parts
from updater.overview.certificate import PublicCertificate
from updater.overview.service import OverviewService
from updater.processes.jobs import Jobs, quietly
from updater.rollouts.changes import RolloutChanges
from updater.rollouts.counting import ArmCounter
from updater.rollouts.counting_store import CountingStore
from updater.rollouts.impacts import ImpactService
from updater.rollouts.releases import ReleaseMoves
from updater.rollouts.service import RolloutService
from updater.rollouts.store import RolloutStore
from updater.services import Services
from updater.settings import Settings
from updater.settings.in_effect import SettingsInEffect
from updater.tasks.service import TaskService
from updater.tasks.store import TaskStore
from updater.telemetry.geo import open_locator
from updater.telemetry.recorder import Recorder
from updater.telemetry.service import TelemetryService
from updater.telemetry.store import TelemetryStore
from updater.telemetry.summary_service import SummaryService
from updater.telemetry.summary_store import SummaryStore
from updater.timekeeping.service import TimekeepingService
from updater.timekeeping.store import TimekeepingStore
from updater.tuf.publishing import TufPublishing
from updater.tuf.service import TufService
from updater.tuf.store import TufStore
from updater.webhooks.opening import build_webhooks
from updater.webhooks.service import WebhookService


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """Open everything the settings name, for the block. The caller holds the folder.

    Raises:
        ConfigurationError: what is in the folder cannot be used. StorageFull, Unavailable: not now.
    """
    url, root = settings.storage.database_url, Path(settings.storage.root)
    require_whole(root)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(url, root, belonging=True))
        blobs = await stack.enter_async_context(_open_store(database, settings))
        core = _build_core(database, blobs, settings)
        # Before anything is written: what this process writes has the time of its own clock.
        await quietly(core.timekeeping.look)
        core.artifacts.inspector.start()
        access, jobs = core.access.access, Jobs()
        health = HealthService(database, core.artifacts, jobs, elsewhere=settings.storage.blob_url is not None)
        for each in (health, core.uploads, core.artifacts.inspector, core.offers, core.tuf, access):
            stack.push_async_callback(each.close)
        loads = (core.offers.load, access.load, core.tuf.load)
        catch_up = await stack.enter_async_context(_watched(database, url, loads, jobs))
        await _ensure_applications(core.catalog, settings)
        telemetry = _start_telemetry(stack, TelemetryStore(database, core.arms.count), database, settings)
        stack.push_async_callback(quietly, access.flush_used)
        deployments = await _start_deployments(stack, database, core.audit, settings, jobs)
        yield Services(
            settings=settings,
            started_at=utc_now(),
            **vars(core.access),
            in_effect=SettingsInEffect(settings),
            tokens=TokenReader(settings.access.jwt),
            tasks=TaskService(TaskStore(database), database, core.audit),
            artifacts=core.artifacts,
            audit=core.audit,
            audit_checks=AuditChecks(AuditStore(database), core.audit, database),
            catalog=core.catalog,
            publishing=core.publishing,
            companions=core.companions,
            uploads=core.uploads,
            drafts=core.drafts,
            derived=core.derived,
            rollouts=core.rollouts,
            impacts=ImpactService(core.changes, telemetry),
            releases=core.releases,
            offers=core.offers,
            explainer=Explainer(core.offers, core.audit),
            downloads=DownloadService(core.offers, CatalogStore(database), database),
            feeds=core.feeds,
            overview=_open_overview(stack, core, deployments, health, jobs, settings),
            deployments=deployments,
            telemetry=telemetry,
            health=health,
            tuf=core.tuf,
            webhooks=core.webhooks,
            tuf_publishing=core.tuf_publishing,
            catch_up=catch_up,
            timekeeping=core.timekeeping,
            leases=Leases(database, f"{socket.gethostname()[:30]}:{os.getpid()}"),
            jobs=jobs,
        )


@asynccontextmanager
async def _open_store(database: Database, settings: Settings) -> AsyncIterator[BlobStore]:
    """Open the store that the settings name, for the block. Raises as `open_services`."""
    storage = settings.storage
    root, local = Path(storage.root), storage.blob_url is None
    if local:
        await require_blobs(database, root)
    with open_blobs(storage.blob_url, root, group_reads=storage.group_reads) as blobs:
        # This process alone uses the folder and receives nothing yet. After a power cut the clock may have gone back.
        if local and not database.shared:
            await blobs.sweep(END_OF_TIME)
        yield blobs


class _Core(NamedTuple):
    """The services that stand on database and blobs alone."""

    audit: AuditService
    access: AccessServices
    artifacts: ArtifactService
    catalog: CatalogService
    publishing: Publishing
    companions: Companions
    uploads: UploadService
    drafts: Drafts
    derived: DerivedFiles
    changes: RolloutChanges
    rollouts: RolloutService
    releases: ReleaseMoves
    arms: ArmCounter
    offers: OfferService
    feeds: FeedService
    summaries: SummaryService
    timekeeping: TimekeepingService
    tuf: TufService
    tuf_publishing: TufPublishing
    webhooks: WebhookService


def _build_core(database: Database, blobs: BlobStore, settings: Settings) -> _Core:
    audit = AuditService(AuditStore(database), database)
    rows, releases, artifacts = CatalogStore(database), ReleaseStore(database), ArtifactStore(database)
    reserve = None
    if isinstance(blobs, LocalBlobStore):
        reserve = Reserve(blobs.folders.incoming, settings.storage.reserve_bytes)
    access = build_access(database, settings, audit)
    rollouts, counting = RolloutStore(database), CountingStore(database)
    changes = RolloutChanges(rollouts, counting, rows, releases, audit, database)
    service = ArtifactService(
        blobs, artifacts, database, audit, max_bytes=settings.storage.max_upload_bytes, reserve=reserve
    )
    repositories = TufStore(database)
    offers = OfferService(OfferStore(database, _families(settings)), rows, database)
    opening, files, signatures = Changes(rows, artifacts, audit, database), FileStore(), SignatureChecks(rows)
    filing = Filing(files)
    publishing = Publishing(rows, releases, opening, filing, signatures, changes.open_rollout)
    companions = Companions(rows, releases, files, opening, filing, signatures, blobs, database)
    derive_bytes = settings.feeds.derive_max_bytes if settings.feeds.derive else None
    return _Core(
        audit=audit,
        access=access,
        artifacts=service,
        catalog=CatalogService(rows, releases, opening, audit, database),
        publishing=publishing,
        companions=companions,
        uploads=_build_uploads(database, blobs, publishing, companions, settings),
        drafts=Drafts(releases, files, opening, filing, changes.open_rollout, database),
        derived=DerivedFiles(
            DerivedStore(database), files, opening, service, artifacts, database, max_bytes=derive_bytes
        ),
        timekeeping=TimekeepingService(TimekeepingStore(database), database, audit),
        changes=changes,
        rollouts=RolloutService(rollouts, rows, changes, database),
        releases=ReleaseMoves(changes, releases, audit),
        arms=ArmCounter(rollouts, counting, audit, database, access.access.hash_source),
        tuf=TufService(repositories, service, database),
        tuf_publishing=TufPublishing(repositories, service, opening),
        offers=offers,
        feeds=FeedService(offers, FeedStore(database)),
        summaries=SummaryService(SummaryStore(database)),
        webhooks=build_webhooks(database, audit, settings),
    )


def _build_uploads(
    database: Database, blobs: BlobStore, publishing: Publishing, companions: Companions, settings: Settings
) -> UploadService:
    """Build what takes uploads that resume: their bytes gather on this machine, wherever they go then."""
    storage = settings.storage
    root = Path(storage.root)
    files = PartialFiles(root / "partial")
    if isinstance(blobs, LocalBlobStore):
        files = PartialFiles(blobs.folders.partial, file_mode=blobs.folders.file_mode)
    return UploadService(
        files,
        PartialStore(database),
        blobs,
        publishing,
        companions,
        database,
        max_bytes=storage.max_upload_bytes,
        expiry_s=storage.upload_expiry_s,
        most_open=storage.uploads_per_key,
        reserve=Reserve(root if blobs.locate("0" * 64) is None else files.folder.parent, storage.reserve_bytes),
    )


def _start_telemetry(
    stack: AsyncExitStack, store: TelemetryStore, database: Database, settings: Settings
) -> TelemetryService:
    """Start what writes reports and counts; the stack stops it, and writes what waits."""
    recorder = Recorder(store.write, queue_size=settings.telemetry.queue_size)
    # Reports lie with the database; on another machine it has a disk of its own.
    room = None
    if not database.shared:
        room = Reserve(Path(settings.storage.root), settings.storage.reserve_bytes).require_for_report
    locate = open_locator(settings.telemetry.geoip_database)
    kept_bytes = settings.telemetry.report_bytes_per_day
    telemetry = TelemetryService(store, recorder, locate=locate, report_bytes_per_day=kept_bytes, require_room=room)
    recorder.start()
    stack.push_async_callback(recorder.stop)
    stack.callback(telemetry.flush_downloads)
    stack.push_async_callback(quietly, telemetry.flush_checks)
    return telemetry


async def _start_deployments(
    stack: AsyncExitStack, database: Database, audit: AuditService, settings: Settings, jobs: Jobs
) -> DeploymentService:
    """Open the deployments, and watch runs that are on their way; the stack ends the watching, not the runs."""
    store = DeploymentStore(database, audit)
    deployments = DeploymentService(settings.deployments, Path(settings.storage.root), store)
    stack.push_async_callback(deployments.runs.stop)
    if not database.shared:  # else the process that holds the lease does
        await jobs.attempt("runs_watch", deployments.runs.start, every_s=0)
    return deployments


def _open_overview(
    stack: AsyncExitStack,
    core: _Core,
    deployments: DeploymentService,
    health: HealthService,
    jobs: Jobs,
    settings: Settings,
) -> OverviewService:
    """Build what looks at all parts; the stack ends what it is looking at."""
    services = (core.offers, core.summaries, core.artifacts, core.feeds, deployments, core.access.access, core.tuf)
    parts = Parts(*services, health, jobs, PublicCertificate(settings.server.public_url), core.webhooks)
    overview = OverviewService(parts, settings.storage)
    stack.push_async_callback(overview.close)
    return overview


@asynccontextmanager
async def _watched(
    database: Database, url: str | None, loads: Iterable[Callable[[], Awaitable[None]]], jobs: Jobs
) -> AsyncIterator[Callable[[], Awaitable[None]] | None]:
    """Fill what is in memory with `loads`, and have other processes' changes told to it, for the block.

    Gives what reads at once what others changed, where there are others.
    """
    watcher = ChangeWatcher(database, url) if url is not None else None
    if watcher is not None:
        await watcher.start()
    for load in loads:
        await load()
    watching = None
    if watcher is not None:  # it ends with a failure only, and is then started again
        watching = asyncio.create_task(jobs.repeat("changes", watcher.run, every_s=0))
    try:
        yield watcher.catch_up if watcher is not None else None
    finally:
        if watching is not None:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)


async def _ensure_applications(catalog: CatalogService, settings: Settings) -> None:
    """Make the applications that the settings mount, where they are missing."""
    for application_id, family in _families(settings).items():
        platforms = tuple(sorted({target.platform for target in family.targets}))
        await catalog.ensure_application(
            application_id, name=application_id, platforms=platforms, private=True, actor=SYSTEM
        )


def _families(settings: Settings) -> dict[str, ReleaseFamily]:
    """Return the applications that clients of a release family ask about, by id: those mounted as desktop API."""
    if not settings.desktop:
        return {}
    # Its words belong to the surface; a command without a desktop API imports nothing of the web.
    from updater.web.desktop.words import FAMILY

    return {each.application: FAMILY for each in settings.desktop}
