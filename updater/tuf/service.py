"""What clients of TUF repositories ask for: metadata from memory, targets by their paths, and when metadata expires."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final, NamedTuple

from updater.artifacts.blobs import BlobStore
from updater.artifacts.service import ArtifactService
from updater.catalog.files import own_name
from updater.database.engine import Database
from updater.database.mirror import EVERYTHING, Mirror
from updater.errors import NotFound, Unavailable
from updater.tuf.model import Target, own_path, split_prefix
from updater.tuf.store import Expiry, TufStore

KEPT_BYTES: Final = 16 << 20
KEPT_FILES: Final = 4_096
"""How much metadata is kept in memory, of all applications together."""

_TOPIC: Final = "#tuf "
# Hashing so much takes a tenth of a millisecond.
_HASHED_AT_ONCE_BYTES: Final = 256 << 10
# What a kept file takes beside its bytes.
_ENTRY_BYTES: Final = 500
_DAMAGED: Final = "The stored file is damaged and is not served until it is repaired"


class Served(NamedTuple):
    """A metadata file with its SHA-256, in hex."""

    body: bytes
    digest: str


class TufService:
    """Reads repositories. Metadata is kept in memory until its application publishes again; `close` at the end."""

    def __init__(self, store: TufStore, artifacts: ArtifactService, database: Database) -> None:
        self._store = store
        self._artifacts = artifacts
        # None: there is no such file, which each client asks for that looks for a newer root.
        self._kept: OrderedDict[tuple[str, str, str], Served | None] = OrderedDict()
        self._kept_bytes = 0
        # Counts changes: what was read before one is not kept after it.
        self._changes = 0
        self._expiries: dict[str, list[Expiry]] = {}
        self._mirror = Mirror("TUF metadata", self._reread)
        database.subscribe(self._follow)

    async def load(self) -> None:
        """Read when the metadata of all applications expires. Raises Unavailable."""
        await self._reread({EVERYTHING})

    async def close(self) -> None:
        """Stop following changes."""
        await self._mirror.close()

    def expiries(self) -> Sequence[Expiry]:
        """Return when the present metadata of each application, channel and role expires."""
        return [each for mine in self._expiries.values() for each in mine]

    async def get_metadata(self, application_id: str, channel: str, name: str) -> Served:
        """Return a published metadata file.

        Raises:
            NotFound: there is none of this name. Unavailable: it is damaged, or cannot be read now.
        """
        key = (application_id, channel, own_name(name) or "")
        if key in self._kept:
            self._kept.move_to_end(key)
            served = self._kept[key]
        else:
            changes = self._changes
            served = await self._read(*key) if key[2] else None
            if changes == self._changes:
                self._keep(key, served)
        if served is None:
            raise NotFound("metadata", "No such metadata is published")
        return served

    async def get_target(self, application_id: str, channel: str, path: str) -> tuple[Target, bool]:
        """Return a target, and whether the path held its SHA-256 before the name: such a path has these bytes for ever.

        Raises:
            NotFound: there is none. Unavailable: it is damaged, or the database does not answer.
        """
        prefixed = split_prefix(path)
        if prefixed is not None:
            digest, plain = prefixed
            found = await self._find_target(application_id, channel, plain)
            if found is not None and found.digest == digest:
                return _whole(found), True
        found = await self._find_target(application_id, channel, path)
        if found is None:
            raise NotFound("target", "No such target is stored")
        return _whole(found), False

    async def _find_target(self, application_id: str, channel: str, path: str) -> Target | None:
        own = own_path(path)
        return None if own is None else await self._store.find_target(application_id, channel, own)

    async def _read(self, application_id: str, channel: str, name: str) -> Served | None:
        stored = await self._store.find_bytes(application_id, channel, name)
        if stored is None:
            return None
        if stored.damaged:
            raise Unavailable(_DAMAGED, retry_after_s=600)
        try:
            return Served(await read_whole(self._artifacts.blobs, stored.digest), stored.digest)
        except NotFound:
            self._artifacts.inspector.suspect(stored.digest)
            raise Unavailable(_DAMAGED, retry_after_s=600) from None

    def _keep(self, key: tuple[str, str, str], served: Served | None) -> None:
        if key in self._kept:
            return
        self._kept[key] = served
        self._kept_bytes += _size(served)
        while self._kept_bytes > KEPT_BYTES or len(self._kept) > KEPT_FILES:
            self._kept_bytes -= _size(self._kept.popitem(last=False)[1])

    async def _follow(self, topics: set[str]) -> None:
        mine = {each.removeprefix(_TOPIC) for each in topics if not each.startswith("#") or each.startswith(_TOPIC)}
        # Of an application without repositories nothing changes by what else changes in it.
        known = {each for each in mine if each in self._expiries or each == EVERYTHING or topic_of(each) in topics}
        self._changes += 1
        for key in [key for key in self._kept if key[0] in mine or EVERYTHING in mine]:
            self._kept_bytes -= _size(self._kept.pop(key))
        await self._mirror.follow(known)

    async def _reread(self, topics: set[str]) -> None:
        everything = EVERYTHING in topics
        fresh = await self._store.list_expiries(None if everything else topics)
        kept = {} if everything else {key: value for key, value in self._expiries.items() if key not in topics}
        for each in fresh:
            kept.setdefault(each.application_id, []).append(each)
        self._expiries = kept


def topic_of(application_id: str) -> str:
    """Return the topic that is announced when metadata of an application is published."""
    return f"{_TOPIC}{application_id}"


def _whole(found: Target) -> Target:
    if found.damaged:
        raise Unavailable(_DAMAGED, retry_after_s=600)
    return found


def _size(served: Served | None) -> int:
    return _ENTRY_BYTES + (0 if served is None else len(served.body))


async def read_whole(blobs: BlobStore, digest: str) -> bytes:
    """Read a small blob and hash it. Raises NotFound when it is gone or damaged, Unavailable."""
    body = b"".join([piece async for piece in blobs.read(digest)])
    small = len(body) <= _HASHED_AT_ONCE_BYTES
    found = hashlib.sha256(body) if small else await asyncio.to_thread(hashlib.sha256, body)
    if found.hexdigest() != digest:
        raise NotFound("blob", "Damaged")
    return body
