"""The one way into a TUF repository: targets first, then the metadata that names them, all of it in one step.

Everything happens in one transaction, in this order: application held, looked at, blobs claimed and placed (rename,
fsync), rows, audit, announcement, commit. Killed anywhere, clients see the repository before or after.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from updater.artifacts.blobs import Staged
from updater.artifacts.service import ArtifactService
from updater.artifacts.store import ArtifactStore
from updater.audit.model import Actor, Entry
from updater.audit.service import AuditService
from updater.catalog.store import CatalogStore
from updater.clock import Clock, utc_now
from updater.database.engine import Connection, Database
from updater.errors import Conflict, NotFound
from updater.tuf.checks import Repository, find_problems
from updater.tuf.model import ROOT, SNAPSHOT, TIMESTAMP, Metadata, Target, own_path, require_channel
from updater.tuf.reading import read_metadata
from updater.tuf.service import read_whole, topic_of
from updater.tuf.store import TufStore


class _Place(NamedTuple):
    """A repository that a transaction changes."""

    connection: Connection
    application_id: str
    channel: str
    actor: Actor
    now: datetime


class TufPublishing:
    """Stores targets and publishes metadata."""

    def __init__(
        self,
        store: TufStore,
        catalog: CatalogStore,
        artifacts: ArtifactService,
        blobs: ArtifactStore,
        audit: AuditService,
        database: Database,
        *,
        clock: Clock = utc_now,
    ) -> None:
        self._store = store
        self._catalog = catalog
        self._artifacts = artifacts
        self._blobs = blobs
        self._audit = audit
        self._database = database
        self._clock = clock

    async def put_target(
        self, application_id: str, channel: str, path: str, staged: Staged, actor: Actor
    ) -> tuple[Target, bool]:
        """Store a target; return it, and whether it is new here or has new bytes. `path` is as `own_path` gives it.

        The very bytes that are there repair a damaged file, and change nothing else.

        Raises:
            NotFound: no such application. Invalid: no such channel of it.
            Conflict: published metadata names the path, with other bytes. StorageFull, Unavailable: nothing changed.
        """
        async with self._database.write() as connection:
            place = await self._hold(connection, application_id, channel, actor)
            known = (await self._store.list_targets(connection, application_id, channel, [path])).get(path)
            is_same = known is not None and known.digest == staged.digest
            if known is not None and known.bound and not is_same and await self._is_named(place, path):
                raise Conflict(
                    f"{path} is named by published metadata, with other bytes; give the new file another name",
                    details={"path": path, "sha256": known.digest},
                )
            topics = await self._place_blobs(place, [staged])
            if not is_same:
                await self._store.put_target(connection, application_id, channel, path, staged.digest, place.now)
                before = None if known is None else {"sha256": known.digest}
                after = {"channel": channel, "path": path, "sha256": staged.digest, "size": staged.size_bytes}
                subject = f"{application_id} {channel} tuf {path}"
                entry = Entry("tuf.target_stored", subject, before, after, application_id)
                await self._audit.record(connection, actor, entry)
            for topic in topics:
                await self._database.announce(connection, topic)
        if known is not None and is_same:
            return replace(known, damaged=False), False
        return Target(path, staged.digest, staged.size_bytes, bound=False, damaged=False, created_at=place.now), True

    async def publish(
        self, application_id: str, channel: str, files: AsyncIterator[tuple[str, bytes]], actor: Actor
    ) -> list[str]:
        """Publish metadata files together; return their names in the order in which they came.

        Names are file names as `own_name` gives them, each once. Files that are there with the same bytes may be among
        them.

        Raises:
            NotFound: no such application. Invalid: no such channel of it; also what `files` raises.
            Conflict: nothing was published; `details.problems` says why, by name.
            StorageFull, Unavailable: nothing was published.
        """
        async with AsyncExitStack() as stack:
            staged: list[Staged] = []
            read: dict[str, Metadata | str] = {}
            async for name, body in files:
                received = await stack.enter_async_context(self._artifacts.receive(_once(body)))
                staged.append(received)
                read[name] = await asyncio.to_thread(read_metadata, name, body, received.digest)
            async with self._database.write() as connection:
                place = await self._hold(connection, application_id, channel, actor)
                changed, repository = await self._require_fitting(place, read)
                topics = await self._place_blobs(place, staged)
                if changed:
                    await self._store_metadata(place, changed, repository)
                    topics.append(topic_of(application_id))
                for topic in topics:
                    await self._database.announce(connection, topic)
        return list(read)

    async def _hold(self, connection: Connection, application_id: str, channel: str, actor: Actor) -> _Place:
        known = await self._catalog.hold_application(connection, application_id)
        if known is None:
            raise NotFound("application", "Application not found")
        require_channel(known.channels, channel)
        return _Place(connection, application_id, channel, actor, self._clock())

    async def _is_named(self, place: _Place, path: str) -> bool:
        """Tell whether metadata that is served names a path to which a target was bound.

        Names with a version are served for ever. A plain name has the last version alone: what that names no more is
        free again, as after tufup's `targets remove-latest`. What cannot be read counts as naming it.
        """
        connection, application_id, channel, _, _ = place
        files = await self._store.list_metadata(connection, application_id, channel)
        listing = [each for each in files.values() if each.role not in (ROOT, TIMESTAMP, SNAPSHOT)]
        for each in listing:
            if each.number is not None:
                return True
            try:
                read = read_metadata(each.name, await read_whole(self._artifacts.blobs, each.digest), each.digest)
            except NotFound:
                return True
            if isinstance(read, str) or path in map(own_path, read.targets):
                return True
        return False

    async def _require_fitting(
        self, place: _Place, read: Mapping[str, Metadata | str]
    ) -> tuple[list[Metadata], Repository]:
        """Hold new metadata to what is there; return those files that change something, and what clients then see.

        Raises:
            Conflict: some files cannot be used, or do not fit.
        """
        connection, application_id, channel, _, _ = place
        of = connection, application_id, channel
        unusable = {name: each for name, each in read.items() if isinstance(each, str)}
        new = {name: each for name, each in read.items() if isinstance(each, Metadata)}
        there = await self._store.list_metadata(*of)
        repository = Repository({**there, **new})
        followed: set[str] = set(new)
        while wanted := repository.chain().keys() - followed:
            for name, (meta, delegates) in (await self._store.read_named(*of, wanted)).items():
                there[name] = replace(there[name], meta=meta, delegates=delegates)
            followed |= wanted
            repository = Repository({**there, **new})
        paths = {own_path(path) for each in new.values() for path in each.targets}
        targets = await self._store.list_targets(*of, (path for path in paths if path is not None))
        pins = await self._store.list_pins(*of, new)
        problems = {**find_problems(there, new, targets, pins), **unusable}
        if problems:
            raise Conflict(
                f"Nothing was published, because of {', '.join(sorted(problems)[:5])}",
                details={"problems": dict(sorted(problems.items()))},
            )
        changed = [each for each in new.values() if each.name not in there or there[each.name].digest != each.digest]
        return changed, repository

    async def _store_metadata(self, place: _Place, changed: list[Metadata], repository: Repository) -> None:
        connection, application_id, channel, actor, now = place
        of = connection, application_id, channel
        await self._store.put_metadata(*of, changed, now)
        paths = {own_path(path) for each in changed for path in each.targets}
        await self._store.bind_targets(*of, (path for path in paths if path is not None))
        await self._store.set_current(*of, repository.current_names())
        after = {"channel": channel, "files": {each.name: each.version for each in changed}}
        entry = Entry("tuf.published", f"{application_id} {channel} tuf", None, after, application_id)
        await self._audit.record(connection, actor, entry)

    async def _place_blobs(self, place: _Place, staged: list[Staged]) -> list[str]:
        """Claim the blobs and place them, in the order in which all transactions take them.

        Returns the applications that change by it: damaged files of theirs are whole again.
        """
        repaired = []
        for digest, each in sorted({each.digest: each for each in staged}.items()):
            if await self._blobs.claim(place.connection, digest, each.size_bytes, place.now):
                repaired.append(digest)
            await each.place()
        topics: set[str] = set()
        for digest in repaired:
            topics |= set(await self._blobs.list_applications(place.connection, digest))
            await self._audit.record(place.connection, place.actor, Entry("blob.recovered", f"sha256:{digest}"))
        return sorted(topics)


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body
