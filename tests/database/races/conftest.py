"""Two processes on one PostgreSQL, as far as their stores and services go."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.actors import TESTER
from tests.builds import catalog_of, publishing_of
from tests.database.races.interleaving import Interleaving, pauses
from tests.rollouts_of import arms_of, changes_of, moves_of, rollouts_of
from tests.servers.postgres import Postgres
from updater.access.accounts import AccountService
from updater.access.people import PeopleService
from updater.access.store import AccessStore, PeopleStore
from updater.artifacts.local import LocalBlobStore
from updater.artifacts.service import ArtifactService
from updater.artifacts.store import ArtifactStore
from updater.audit.service import AuditService
from updater.audit.store import AuditStore
from updater.catalog.platforms import Target
from updater.catalog.publishing import Publishing
from updater.catalog.service import CatalogService
from updater.catalog.store import CatalogStore
from updater.database.engine import Database
from updater.database.opening import open_database
from updater.deployments.store import DeploymentStore
from updater.offers.service import OfferService
from updater.offers.store import OfferStore
from updater.rollouts.releases import ReleaseMoves
from updater.rollouts.service import RolloutService
from updater.settings import AccessSettings
from updater.telemetry.model import Report
from updater.telemetry.store import TelemetryStore

WINDOWS = Target("windows", "amd64")
NOW = datetime(2026, 5, 1, tzinfo=UTC)
# The last statement of a transaction that others hear of.
LAST = "UPDATE revision"
SECRET, PASSWORD = b"s" * 32, "correct horse battery"


@dataclass
class Process:
    """What one process has of its own."""

    database: Database
    catalog: CatalogService
    publishing: Publishing
    offers: OfferService
    audit: AuditService
    artifacts: ArtifactService
    telemetry: TelemetryStore
    deployments: DeploymentStore
    keys: AccessStore
    people: PeopleService
    accounts: AccountService
    rollouts: RolloutService
    moves: ReleaseMoves


Processes = tuple[Process, Process]


@pytest.fixture
async def url(postgres: Postgres) -> str:
    return postgres.create_migrated()


@pytest.fixture
async def empty_url(postgres: Postgres) -> str:
    """A database that nobody has migrated."""
    return postgres.create_database()


@pytest.fixture
async def processes(url: str, tmp_path: Path) -> AsyncIterator[Processes]:
    """Two processes that know an application."""
    async with AsyncExitStack() as stack:
        both = []
        for _ in range(2):
            database = await stack.enter_async_context(open_database(url, tmp_path))
            store = ArtifactStore(database)
            blobs = LocalBlobStore(tmp_path)
            stack.callback(blobs.close)
            audit = AuditService(AuditStore(database), database, clock=lambda: NOW)
            rows = CatalogStore(database)
            catalog = catalog_of(database, lambda: NOW)
            changes = changes_of(database, lambda: NOW)
            publishing = publishing_of(database, changes.open_rollout, lambda: NOW)
            offers = OfferService(OfferStore(database), rows, database)
            stack.push_async_callback(offers.close)
            artifacts = ArtifactService(blobs, store, database, audit, max_bytes=1000)
            people = PeopleService(
                PeopleStore(database), AccessSettings(), database, audit, secret=SECRET, clock=lambda: NOW
            )
            telemetry = TelemetryStore(database, arms_of(database, lambda: NOW).count)
            deployments = DeploymentStore(database, audit)
            keys = AccessStore(database)
            both.append(
                Process(
                    database,
                    catalog,
                    publishing,
                    offers,
                    audit,
                    artifacts,
                    telemetry,
                    deployments,
                    keys,
                    people,
                    AccountService(PeopleStore(database), people, database, audit, secret=SECRET, clock=lambda: NOW),
                    rollouts_of(database, lambda: NOW),
                    moves_of(database, lambda: NOW),
                )
            )
        await both[0].catalog.create_application(
            "my-app", name="", platforms=("linux", "windows"), extra={}, actor=TESTER
        )
        for each in both:
            await each.offers.load()
        yield both[0], both[1]


@pytest.fixture
def meet(url: str) -> Iterator[Interleaving]:
    with pauses():
        yield Interleaving(url)


def report(target_version: str = "2.0.0", **more: object) -> Report:
    given = {"status": "completed", "received_at": NOW, "application_id": "my-app", **more}
    return Report(  # type: ignore[arg-type]
        current_version="1.0.0", target_version=target_version, platform="linux", architecture="amd64", **given
    )
