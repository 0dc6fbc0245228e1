"""The use cases of blobs: receive, verify, collect, migrate."""

from __future__ import annotations

import asyncio
import hashlib
import math
import os
import random
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from updater.artifacts.blobs import BlobStore
from updater.artifacts.hashing import feed, is_whole
from updater.artifacts.inspection import Inspector
from updater.artifacts.received import Received, hashed, make_hash
from updater.artifacts.reserve import Reserve, Room
from updater.artifacts.store import ArtifactStore, KnownBlob
from updater.audit.model import SYSTEM, Actor, Entry
from updater.audit.service import AuditService
from updater.clock import Clock, utc_now
from updater.database.engine import Database
from updater.database.uses import FileUse
from updater.errors import NotFound, TooLarge

# No reception pauses for so long: what was not touched since then was left by a process that has ended.
_ABANDONED_AFTER = timedelta(hours=1)
_COPIES_AT_ONCE = 4
# How often the room left is looked at during an upload: others fill the same disk meanwhile.
_LOOK_EVERY_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class Verified:
    """One step of `verify`: the blob, whether it is good, whether its state changed, and the progress of the run."""

    digest: str
    good: bool
    changed: bool
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Migrated:
    """One step of `migrate`. `good` is False when the source's bytes are missing or not those of the digest."""

    digest: str
    good: bool
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Totals:
    """The contents of the store, for metrics and health: `damaged` blobs are in quarantine."""

    blobs: int
    size_bytes: int
    damaged: int = 0


class ArtifactService:
    """Receives, verifies and collects blobs. `max_bytes` bounds one upload, `reserve` all of them."""

    def __init__(
        self,
        blobs: BlobStore,
        store: ArtifactStore,
        database: Database,
        audit: AuditService,
        *,
        max_bytes: int,
        reserve: Reserve | None = None,
        clock: Clock = utc_now,
    ) -> None:
        self.blobs = blobs
        self.max_bytes = max_bytes
        self._reserve = reserve
        self.totals = Totals(0, 0)
        self.room: Room | None = None
        self._store = store
        self._database = database
        self._audit = audit
        self._clock = clock
        self._removing = asyncio.Lock()
        self.inspector = Inspector(self.check_again)

    @asynccontextmanager
    async def receive(self, chunks: AsyncIterator[bytes], further: str | None = None) -> AsyncIterator[Received]:
        """Stage the bytes; what is not placed when the block ends is discarded.

        `further` names a digest to compute beside the SHA-256: `sha512` or `sha1`.

        Raises:
            TooLarge: more than `max_bytes`. StorageFull: no room beside the reserve. Unavailable: the store failed.
        """
        further_hash = make_hash(further)
        staged = await self.blobs.receive(hashed(self._bounded(chunks), further_hash))
        try:
            yield Received(staged, further_hash)
        finally:
            await staged.discard()

    async def require_room(self, size_bytes: int) -> None:
        """Refuse an upload of this size that would touch the reserve. In an object store there is always room.

        Raises:
            StorageFull: it would.
        """
        if self._reserve is not None:
            await self._reserve.require(size_bytes)

    async def refresh_totals(self) -> None:
        """Read `totals` again; between calls they keep their values. Raises Unavailable."""
        self.totals = Totals(*await self._store.total())

    async def verify(
        self, *, actor: Actor, sample: float = 1.0, chooser: random.Random | None = None
    ) -> AsyncIterator[Verified]:
        """Hash blobs again, longest unverified first, quarantine damaged ones, and yield each.

        A blob that is whole again leaves quarantine. `sample` is the share of blobs to check, 0 < sample <= 1; a sample
        is in random order. A blob that was removed, replaced or checked meanwhile counts as good.
        Raises Unavailable, StorageFull.
        """
        known = await self._store.list_to_verify()
        if sample < 1:
            count = min(len(known), max(1, round(len(known) * sample)))
            known = (chooser or random.SystemRandom()).sample(known, count)
        for number, each in enumerate(known, 1):
            good, changed = await self._check(each, actor)
            yield Verified(each.digest, good or changed is None, bool(changed), number, len(known))

    async def find_uses(self, digests: Collection[str]) -> list[FileUse]:
        """Return the files of builds that have these bytes, by application, version and target. Raises Unavailable."""
        return await self._store.find_uses(digests)

    async def list_damaged(self) -> list[FileUse]:
        """Return the files whose bytes are damaged, by application, version and target. Raises Unavailable."""
        return await self._store.find_uses(await self._store.list_damaged())

    async def find_room(self) -> Room | None:
        """Return how much room uploads have now, and keep it as `room`; None in an object store, which has always."""
        self.room = None if self._reserve is None else await self._reserve.find_room()
        return self.room

    async def scrub(self, *, actor: Actor, within_s: float, elapsed_s: float) -> int:
        """Verify the local files whose turn it is; return their number. Called every `elapsed_s` seconds.

        A file's turn comes when half of `within_s` has passed since it was hashed last, and each call takes the share
        of all files that gets everything done in the other half; so each file is hashed once in `within_s` seconds, and
        files that came in together are spread. Object stores look after their bytes themselves, and charge for
        reading. Raises Unavailable, StorageFull.
        """
        if self.blobs.locate("0" * 64) is None:
            return 0
        share = math.ceil(self.totals.blobs * elapsed_s * 2 / within_s)
        due = await self._store.list_to_verify(before=self._clock() - timedelta(seconds=within_s / 2), limit=share)
        for each in due:
            await self._check(each, actor)
        return len(due)

    async def check_again(self, digest: str) -> None:
        """Verify one blob, in the name of the service. One that nothing uses any more is left alone."""
        for each in await self._store.list_to_verify(digest=digest):
            await self._check(each, SYSTEM)

    async def _check(self, each: KnownBlob, actor: Actor) -> tuple[bool, bool | None]:
        """Hash a blob and keep the outcome; return whether it is whole, and what `_note_verified` returns."""
        path = self.blobs.locate(each.digest)
        before = await asyncio.to_thread(_find_stat, path)
        good = await is_whole(self.blobs, each.digest)
        after = await asyncio.to_thread(_find_stat, path)
        if before is not None and before == after:
            self.inspector.remember(each.digest, after, is_whole=good)
        changed = await self._note_verified(each, good, actor)
        if changed:
            await self.refresh_totals()
        return good, changed

    async def _note_verified(self, each: KnownBlob, good: bool, actor: Actor) -> bool | None:
        """Keep what a check found; what is offered follows a change before this returns."""
        async with self._database.write() as connection:
            changed = await self._store.note_verified(connection, each, now=self._clock(), good=good)
            if changed:
                action = "blob.recovered" if good else "blob.quarantined"
                applications = sorted(await self._store.list_applications(connection, each.digest))
                entry = Entry(action, f"sha256:{each.digest}", after={"applications": applications})
                await self._audit.record(connection, actor, entry)
                for application_id in applications:
                    await self._database.announce(connection, application_id)
        return changed

    async def compute(self, digest: str, name: str) -> str:
        """Return a further digest of a blob, its `sha512` or `sha1`, in lower-case hex.

        Raises:
            NotFound: the blob is missing or damaged. Unavailable: the store failed.
        """
        whole, further = hashlib.sha256(), hashlib.new(name, usedforsecurity=False)
        await feed(self.blobs, digest, whole, further)
        if whole.hexdigest() != digest:
            raise NotFound("blob", "The file is damaged")
        return further.hexdigest()

    async def collect(self, *, actor: Actor, grace_s: float) -> AsyncIterator[str]:
        """Remove blobs that nothing uses and that came in more than `grace_s` seconds ago; yield the digest of each.

        Safe while uploads run: an upload claims its row before it places its bytes, and both this and the
        upload hold that row until they are done. Remains of interrupted receptions are removed too.
        Raises Unavailable, StorageFull.
        """
        now = self._clock()
        before = now - timedelta(seconds=grace_s)
        for digest in await self._store.list_unused(before):
            if await self._remove(digest, actor):
                yield digest
        async for digest in self._strays(before):
            if await self._remove(digest, actor):
                yield digest
        await self.blobs.sweep(now - _ABANDONED_AFTER)

    async def migrate(self, source: BlobStore, target: BlobStore) -> AsyncIterator[Migrated]:
        """Copy every blob that is used to another store, hashing it on the way; yield each that was not there.

        Safe while the service runs, and may be repeated after an interruption: what is visible in the target is
        complete, so it is skipped. What is published meanwhile is copied too, until nothing is missing.
        Raises Unavailable, StorageFull.
        """
        there = {info.digest: info.size_bytes async for info in target.scan()}
        tried: set[str] = set()
        while True:
            known = [each for each in await self._store.list_to_verify() if each.digest not in tried]
            missing = [each.digest for each in known if there.get(each.digest) != each.size_bytes]
            if not missing:
                return
            total = len(tried) + len(missing)
            for start in range(0, len(missing), _COPIES_AT_ONCE):
                group = missing[start : start + _COPIES_AT_ONCE]
                outcomes = await asyncio.gather(*(_copy(source, target, digest) for digest in group))
                for digest, good in zip(group, outcomes, strict=True):
                    tried.add(digest)
                    if not good and await self._has_moved(digest, target):
                        continue
                    yield Migrated(digest, good, len(tried), total)

    async def _has_moved(self, digest: str, target: BlobStore) -> bool:
        """Tell whether a blob that the source lacks was published into the target meanwhile, or removed from both."""
        return await is_whole(target, digest) or not await self._store.known([digest])

    async def _strays(self, before: datetime) -> AsyncIterator[str]:
        """Yield blobs without a row: an upload was killed between placing its bytes and its commit."""
        async for info in self.blobs.scan():
            if info.modified_at < before and not await self._store.known([info.digest]):
                yield info.digest

    @asynccontextmanager
    async def keep_all(self) -> AsyncIterator[None]:
        """Prevent this process from removing blobs while the block runs; a removal waits for its end."""
        async with self._removing:
            yield

    async def _remove(self, digest: str, actor: Actor) -> bool:
        async with self._removing, self._database.write() as connection:
            await self._store.hold(connection, digest, self._clock())
            if await self._store.is_used(connection, digest):
                return False
            # The file first: a row that a crash leaves without its file is unused, and the next collection finds it.
            await self.blobs.delete(digest)
            self.inspector.forget(digest)
            await self._store.forget(connection, digest)
            await self._audit.record(connection, actor, Entry("blob.removed", f"sha256:{digest}"))
            return True

    async def _bounded(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        size = looked_at = 0
        async for chunk in chunks:
            if size >= looked_at:
                await self.require_room(0)
                looked_at = size + _LOOK_EVERY_BYTES
            size += len(chunk)
            if size > self.max_bytes:
                raise TooLarge(f"The file is larger than {self.max_bytes} bytes", details={"max_bytes": self.max_bytes})
            yield chunk


def _find_stat(path: Path | None) -> os.stat_result | None:
    """Return what the file system says of a file; None when there is none."""
    try:
        return path.stat(follow_symlinks=False) if path is not None else None
    except OSError:
        return None


async def _copy(source: BlobStore, target: BlobStore, digest: str) -> bool:
    """Copy one blob; return whether the source had the right bytes. Wrong ones never become visible."""
    try:
        staged = await target.receive(source.read(digest))
    except NotFound:
        return False
    try:
        if staged.digest == digest:
            await staged.place()
    finally:
        await staged.discard()
    return staged.digest == digest
