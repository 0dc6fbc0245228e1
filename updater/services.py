"""What the composition hands to the surfaces: every service, and the settings they stand on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from updater.access.opening import AccessServices
from updater.access.tokens import TokenReader
from updater.artifacts.service import ArtifactService
from updater.audit.checking import AuditChecks
from updater.audit.service import AuditService
from updater.catalog.companions import Companions
from updater.catalog.derived import DerivedFiles
from updater.catalog.drafts import Drafts
from updater.catalog.publishing import Publishing
from updater.catalog.service import CatalogService
from updater.catalog.uploads import UploadService
from updater.database.leases import Leases
from updater.deployments.service import DeploymentService
from updater.feeds.service import FeedService
from updater.health import HealthService
from updater.offers.downloads import DownloadService
from updater.offers.explaining import Explainer
from updater.offers.service import OfferService
from updater.overview.service import OverviewService
from updater.processes.jobs import Jobs
from updater.rollouts.impacts import ImpactService
from updater.rollouts.releases import ReleaseMoves
from updater.rollouts.service import RolloutService
from updater.settings import Settings
from updater.settings.in_effect import SettingsInEffect
from updater.tasks.service import TaskService
from updater.telemetry.service import TelemetryService
from updater.timekeeping.service import TimekeepingService
from updater.tuf.publishing import TufPublishing
from updater.tuf.service import TufService
from updater.webhooks.service import WebhookService


@dataclass(frozen=True)
class Services(AccessServices):
    """The services of one process: access and people, and these."""

    settings: Settings
    # The settings with what was reread since the start.
    in_effect: SettingsInEffect
    started_at: datetime
    tokens: TokenReader
    tasks: TaskService
    artifacts: ArtifactService
    audit: AuditService
    audit_checks: AuditChecks
    catalog: CatalogService
    publishing: Publishing
    companions: Companions
    uploads: UploadService
    drafts: Drafts
    derived: DerivedFiles
    rollouts: RolloutService
    impacts: ImpactService
    releases: ReleaseMoves
    offers: OfferService
    explainer: Explainer
    downloads: DownloadService
    feeds: FeedService
    deployments: DeploymentService
    telemetry: TelemetryService
    health: HealthService
    tuf: TufService
    webhooks: WebhookService
    tuf_publishing: TufPublishing
    timekeeping: TimekeepingService
    overview: OverviewService
    leases: Leases
    jobs: Jobs
    # Reads at once what other processes changed, where there are others.
    catch_up: Callable[[], Awaitable[None]] | None = None
