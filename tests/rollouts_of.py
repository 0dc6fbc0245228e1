"""The rooms of rollouts over an open database, for tests that build their services themselves."""

from __future__ import annotations

from updater.audit.service import AuditService
from updater.audit.store import AuditStore
from updater.catalog.release_store import ReleaseStore
from updater.catalog.store import CatalogStore
from updater.clock import Clock, utc_now
from updater.database.engine import Database
from updater.rollouts.changes import RolloutChanges
from updater.rollouts.counting import ArmCounter
from updater.rollouts.counting_store import CountingStore
from updater.rollouts.releases import ReleaseMoves
from updater.rollouts.service import RolloutService
from updater.rollouts.store import RolloutStore


def changes_of(database: Database, clock: Clock = utc_now) -> RolloutChanges:
    """Return what changes rollouts; its `open_rollout` is what publishing wants."""
    audit = AuditService(AuditStore(database), database, clock=clock)
    return RolloutChanges(
        RolloutStore(database),
        CountingStore(database),
        CatalogStore(database),
        ReleaseStore(database),
        audit,
        database,
        clock=clock,
    )


def moves_of(database: Database, clock: Clock = utc_now) -> ReleaseMoves:
    """Return what promotes, withdraws and restores releases."""
    audit = AuditService(AuditStore(database), database, clock=clock)
    return ReleaseMoves(changes_of(database, clock), ReleaseStore(database), audit, clock=clock)


def rollouts_of(database: Database, clock: Clock = utc_now) -> RolloutService:
    """Return what steers rollouts, and moves their stages."""
    rows = CatalogStore(database)
    return RolloutService(RolloutStore(database), rows, changes_of(database, clock), database, clock=clock)


def arms_of(database: Database, clock: Clock = utc_now) -> ArmCounter:
    """Return what counts reports in arms; it hashes nothing, so that a test can read the sources."""
    audit = AuditService(AuditStore(database), database, clock=clock)
    return ArmCounter(RolloutStore(database), CountingStore(database), audit, database, lambda text: text, clock=clock)
