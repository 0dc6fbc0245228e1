"""The one way into a TUF repository: targets first, then the metadata that names them, all of it in one step.

Both are changes of an application (`catalog.changing`): one transaction, so that killed anywhere clients see the
repository before or after.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import NamedTuple

from updater.artifacts.received import Received
from updater.artifacts.service import ArtifactService
from updater.audit.model import Actor, Entry
from updater.catalog.changing import Change, Changes
from updater.database.engine import Connection
from updater.errors import Conflict, NotFound
from updater.tuf.checks import Repository, find_problems
from updater.tuf.model import ROOT, SNAPSHOT, TIMESTAMP, Metadata, Target, own_path, require_channel
from updater.tuf.reading import read_metadata
from updater.tuf.service import read_whole, topic_of
from updater.tuf.store import TufStore


class _Place(NamedTuple):
    """A repository that a change is about."""

    connection: Connection
    application_id: str
    channel: str


class TufPublishing:
    """Stores targets and publishes metadata."""

    def __init__(self, store: TufStore, artifacts: ArtifactService, changes: Changes) -> None:
        self._store = store
        self._artifacts = artifacts
        self._changes = changes

    async def put_target(
        self, application_id: str, channel: str, path: str, staged: Received, actor: Actor
    ) -> tuple[Target, bool]:
        """Store a target; return it, and whether it is new here or has new bytes. `path` is as `own_path` gives it.

        The very bytes that are there repair a damaged file, and change nothing else.

        Raises:
            NotFound: no such application. Invalid: no such channel of it.
            Conflict: published metadata names the path, with other bytes. StorageFull, Unavailable: nothing changed.
        """
        async with self._open(application_id, channel, actor, [staged]) as (change, place):
            known = (await self._store.list_targets(*place, [path])).get(path)
            is_same = known is not None and known.digest == staged.digest
            if known is not None and known.bound and not is_same and await self._is_named(place, path):
                raise Conflict(
                    f"{path} is named by published metadata, with other bytes; give the new file another name",
                    details={"path": path, "sha256": known.digest},
                )
            if not is_same:
                await self._store.put_target(*place, path, staged.digest, change.at)
                before = None if known is None else {"sha256": known.digest}
                after = {"channel": channel, "path": path, "sha256": staged.digest, "size": staged.size_bytes}
                subject = f"{application_id} {channel} tuf {path}"
                change.entries.append(Entry("tuf.target_stored", subject, before, after, application_id))
        if known is not None and is_same:
            return replace(known, damaged=False), False
        return Target(path, staged.digest, staged.size_bytes, bound=False, damaged=False, created_at=change.at), True

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
            staged: dict[str, Received] = {}
            read: dict[str, Metadata | str] = {}
            async for name, body in files:
                received = await stack.enter_async_context(self._artifacts.receive(_once(body)))
                staged[received.digest] = received
                read[name] = await asyncio.to_thread(read_metadata, name, body, received.digest)
            async with self._open(application_id, channel, actor, staged.values()) as (change, place):
                changed, repository = await self._require_fitting(place, read)
                if changed:
                    await self._store_metadata(change, place, changed, repository)
        return list(read)

    @asynccontextmanager
    async def _open(
        self, application_id: str, channel: str, actor: Actor, received: Iterable[Received]
    ) -> AsyncIterator[tuple[Change, _Place]]:
        async with self._changes.open(application_id, actor, received) as change:
            require_channel(change.application.channels, channel)
            if not change.repaired:
                # What clients of other interfaces are offered has nothing of a repository.
                change.topics.discard(application_id)
            yield change, _Place(change.connection, application_id, channel)

    async def _is_named(self, place: _Place, path: str) -> bool:
        """Tell whether metadata that is served names a path to which a target was bound.

        Names with a version are served for ever. A plain name has the last version alone: what that names no more is
        free again, as after tufup's `targets remove-latest`. What cannot be read counts as naming it.
        """
        files = await self._store.list_metadata(*place)
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
        unusable = {name: each for name, each in read.items() if isinstance(each, str)}
        new = {name: each for name, each in read.items() if isinstance(each, Metadata)}
        there = await self._store.list_metadata(*place)
        repository = Repository({**there, **new})
        followed: set[str] = set(new)
        while wanted := repository.chain().keys() - followed:
            for name, (meta, delegates) in (await self._store.read_named(*place, wanted)).items():
                there[name] = replace(there[name], meta=meta, delegates=delegates)
            followed |= wanted
            repository = Repository({**there, **new})
        paths = {own_path(path) for each in new.values() for path in each.targets}
        targets = await self._store.list_targets(*place, (path for path in paths if path is not None))
        pins = await self._store.list_pins(*place, new)
        problems = {**find_problems(there, new, targets, pins), **unusable}
        if problems:
            raise Conflict(
                f"Nothing was published, because of {', '.join(sorted(problems)[:5])}",
                details={"problems": dict(sorted(problems.items()))},
            )
        changed = [each for each in new.values() if each.name not in there or there[each.name].digest != each.digest]
        return changed, repository

    async def _store_metadata(
        self, change: Change, place: _Place, changed: list[Metadata], repository: Repository
    ) -> None:
        await self._store.put_metadata(*place, changed, change.at)
        paths = {own_path(path) for each in changed for path in each.targets}
        await self._store.bind_targets(*place, (path for path in paths if path is not None))
        await self._store.set_current(*place, repository.current_names())
        after = {"channel": place.channel, "files": {each.name: each.version for each in changed}}
        subject = f"{place.application_id} {place.channel} tuf"
        change.entries.append(Entry("tuf.published", subject, None, after, place.application_id))
        change.topics.add(topic_of(place.application_id))


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body
