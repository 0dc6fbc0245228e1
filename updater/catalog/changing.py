"""A change of an application: one write transaction, whose parts all use cases that publish share.

Order of locks: the application, blobs in the order of their digests, whatever the change is about, the audit, the
revision. Order of work: claims and rows, then the files (rename, fsync), the audit, the announcements, the commit.
Killed anywhere, readers see the state before or after; a placed file without a row goes with the next collection.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from updater.artifacts.received import Received
from updater.artifacts.store import ArtifactStore
from updater.audit.model import Actor, Entry
from updater.audit.service import AuditService
from updater.catalog.changes import named
from updater.catalog.model import Application
from updater.catalog.platforms import Target
from updater.catalog.store import CatalogStore
from updater.clock import Clock, utc_now
from updater.database.engine import Connection, Database
from updater.errors import Conflict, NotFound


class Rehearsed(Exception):
    """Ends a change that was only tried: raised inside it, nothing of it stays."""


@dataclass(frozen=True, slots=True)
class Change:
    """A write transaction that holds an application, who makes it, and when.

    `topics` are announced at its end: the application, and whatever else changes by it. `repaired` are the digests
    whose quarantine ends by it.
    """

    connection: Connection
    application: Application
    actor: Actor
    at: datetime
    topics: set[str]
    repaired: set[str] = field(default_factory=set)
    entries: list[Entry] = field(default_factory=list)
    claimed: list[Received] = field(default_factory=list)

    def record(
        self,
        action: str,
        version: str | None = None,
        target: Target | None = None,
        *,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
        reason: str | None = None,
    ) -> None:
        """Have an audit row written at the end of the change, after those that were asked for before."""
        application_id = self.application.id
        subject = named(application_id, version, target)
        self.entries.append(Entry(action, subject, before, after, application_id, version, reason))


class Changes:
    """Opens changes of applications."""

    def __init__(
        self,
        store: CatalogStore,
        artifacts: ArtifactStore,
        audit: AuditService,
        database: Database,
        *,
        clock: Clock = utc_now,
    ) -> None:
        self._store = store
        self._artifacts = artifacts
        self._audit = audit
        self._database = database
        self._clock = clock

    @asynccontextmanager
    async def open(self, application_id: str, actor: Actor, received: Iterable[Received] = ()) -> AsyncIterator[Change]:
        """Give a change that has claimed the received bytes; they are placed at its end.

        Raises:
            NotFound: no such application. StorageFull, Unavailable: nothing has changed.
        """
        async with self._database.write() as connection:
            known = await self._store.hold_application(connection, application_id)
            if known is None:
                raise NotFound("application", "Application not found")
            change = Change(connection, known, actor, self._clock(), {application_id})
            for staged in sorted(received, key=lambda each: each.digest):
                await self._claim(change, staged)
            yield change
            await self._end(change)

    @asynccontextmanager
    async def begin(self, made: Application, actor: Actor) -> AsyncIterator[Change]:
        """Give the change that adds an application. Raises Conflict: its id is taken."""
        async with self._database.write() as connection:
            if await self._store.hold_application(connection, made.id) is not None:
                raise Conflict(f"Application exists already: {made.id}")
            await self._store.insert_application(connection, made)
            change = Change(connection, made, actor, made.created_at, {made.id})
            yield change
            await self._end(change)

    async def _end(self, change: Change) -> None:
        for staged in change.claimed:
            await staged.place()
        for entry in change.entries:
            await self._audit.record(change.connection, change.actor, entry)
        for topic in sorted(change.topics):
            await self._database.announce(change.connection, topic)

    async def _claim(self, change: Change, staged: Received) -> None:
        """Claim a blob: whatever collects this digest waits, or has ended before."""
        repaired = await self._artifacts.claim(
            change.connection, staged.digest, staged.size_bytes, change.at, sha512=staged.sha512, sha1=staged.sha1
        )
        change.claimed.append(staged)
        if repaired:
            # Other applications may share bytes that were damaged until now.
            change.repaired.add(staged.digest)
            change.topics.update(await self._artifacts.list_applications(change.connection, staged.digest))
            change.entries.append(Entry("blob.recovered", f"sha256:{staged.digest}"))
