"""What the server adds to files: block maps, zsync files, what an AppImage holds at its end, further digests.

Whatever is missing is found by a question to the database, so that nothing is lost with a process: what was killed, or
restored from an older backup, is made again.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from urllib.parse import quote

from updater.artifacts.derived import Deriver
from updater.artifacts.deriving import Order
from updater.artifacts.received import Received
from updater.artifacts.service import ArtifactService
from updater.artifacts.store import ArtifactStore
from updater.audit.model import Actor
from updater.catalog.backlog import Backlog
from updater.catalog.changes import describe_file
from updater.catalog.changing import Change, Changes
from updater.catalog.derived_store import DerivedStore, Lack, Scope
from updater.catalog.file_store import SERVER, FileStore
from updater.catalog.files import FileKind, own_name
from updater.database.engine import Database
from updater.database.waking import Bell


class DerivedFiles:
    """Adds to files what they lack: `files` the block maps, zsync files and facts, `digests` the further digests.

    `max_bytes` bounds the files of which others are made; None: none are.
    """

    def __init__(
        self,
        store: DerivedStore,
        files: FileStore,
        changes: Changes,
        artifacts: ArtifactService,
        rows: ArtifactStore,
        database: Database,
        *,
        max_bytes: int | None,
    ) -> None:
        self._store = store
        self._files = files
        self._changes = changes
        self._artifacts = artifacts
        self._rows = rows
        self._deriver = Deriver(artifacts.blobs)
        self._max_bytes = max_bytes
        check = artifacts.check_again
        self.files = Backlog(self._list_underived, self._derive, check, Bell(database))
        self.digests = Backlog(store.list_undigested, self._digest, check, Bell(database))

    async def _list_underived(self, scope: Scope) -> list[Lack]:
        found = await self._store.list_unlooked(scope)
        if self._max_bytes is not None:
            found += await self._store.list_underived(scope, self._max_bytes)
        return [each for each in found if each.kind == "embedded" or own_name(_made_name(each)) is not None]

    async def _derive(self, lacks: Sequence[Lack], actor: Actor) -> None:
        await (self._look if lacks[0].kind == "embedded" else self._make)(lacks, actor)

    async def _make(self, lacks: Sequence[Lack], actor: Actor) -> None:
        """Make one file for all that have the same bytes under the same name."""
        first = lacks[0]
        order = Order(
            kind=first.kind,
            size_bytes=first.size_bytes,
            digest=first.digest,
            parent=os.getpid(),
            name=first.name,
            url=quote(first.name),
            modified_at=first.created_at.isoformat(),
        )
        async with (
            contextlib.aclosing(self._deriver.make(order)) as pieces,
            self._artifacts.receive(pieces) as made,
            self._changes.open(first.application_id, actor, [made]) as change,
        ):
            for each in lacks:
                await self._file(change, each, made)

    async def _file(self, change: Change, lack: Lack, made: Received) -> None:
        """Keep what was made as a companion, unless the developer's own came meanwhile. Its name is not bound to it."""
        if not await self._store.is_same(change.connection, lack):
            return
        name, kind = _made_name(lack), FileKind(lack.kind)
        there = await self._files.find_file(change.connection, lack.build_id, name)
        if there is None:
            values = {"kind": kind.value, "made_by": SERVER}
            await self._files.insert_file(change.connection, lack.build_id, name, made.digest, change.at, **values)
        elif there.made_by == SERVER and there.digest != made.digest:
            await self._files.replace_file(change.connection, there.id, digest=made.digest, created_at=change.at)
        else:
            return
        filed = await self._files.find_file(change.connection, lack.build_id, name)
        after = describe_file(filed) if filed is not None else None
        change.record("file.derived", lack.version, lack.target, after=after)

    async def _look(self, lacks: Sequence[Lack], actor: Actor) -> None:
        """Keep how large the block map at the end of an AppImage is; it may have none."""
        first = lacks[0]
        size = await self._deriver.find_block_map_bytes(first.digest, first.size_bytes)
        async with self._changes.open(first.application_id, actor) as change:
            for each in lacks:
                await self._store.set_facts(change.connection, each, {} if size is None else {"block_map_size": size})

    async def _digest(self, lacks: Sequence[Lack], actor: Actor) -> None:
        first = lacks[0]
        value = await self._artifacts.compute(first.digest, first.kind)
        async with self._changes.open(first.application_id, actor) as change:
            await self._store.set_digest(change.connection, first, value)
            # Others may have the same bytes.
            change.topics.update(await self._rows.list_applications(change.connection, first.digest))


def _made_name(lack: Lack) -> str:
    return f"{lack.name}.{lack.kind}"
