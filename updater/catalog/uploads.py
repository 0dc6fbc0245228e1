"""Uploads that resume: begun with a rehearsal of publishing, sent in pieces, published with the last byte, once.

What became of an upload is stored in the transaction that publishes it, together with its last offset. So until then
nobody is told that all bytes are there, whoever asks again is told the same, and no kill can publish it twice.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from updater.artifacts.blobs import BlobStore
from updater.artifacts.digesting import Digests
from updater.artifacts.partial import PartialFiles, staged
from updater.artifacts.partial_file import PartialFile, Piece
from updater.artifacts.partial_store import PartialStore, PartialUpload
from updater.artifacts.reserve import Reserve
from updater.audit.model import Actor
from updater.catalog.companions import Companions
from updater.catalog.files import FileKind, further_digest, kind_of
from updater.catalog.model import Build, BuildFile
from updater.catalog.publishing import Publishing
from updater.catalog.requests import AnnouncedFile, FileRequest, PublishRequest, ReceivedFile
from updater.catalog.signing import require_forms
from updater.clock import Clock, utc_now
from updater.database.engine import Connection, Database
from updater.errors import (
    Conflict,
    DigestMismatch,
    Failure,
    Invalid,
    Locked,
    Malformed,
    NotFound,
    RateLimited,
    TooLarge,
    Unavailable,
)
from updater.logs.loggers import get_logger

# What publishing says for good; anything else passes, and the last piece may be sent again.
_REFUSALS: Final = (Malformed, Invalid, NotFound, Conflict)
_WITH_DETAILS: Final = {"Malformed": Malformed, "Conflict": Conflict}
_STRAY_AFTER: Final = timedelta(hours=1)
# Rows of a machine that is gone.
_ELSEWHERE_AFTER: Final = timedelta(days=7)
_MOST_LISTED: Final = 1_000
_TRY_AGAIN_S: Final = 60

_log = get_logger(__name__)

Render = Callable[[Build, BuildFile | None], Mapping[str, Any]]
"""Says what is answered of a build that was published, or of a companion, as a JSON object."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an upload is to become: a build, or a companion of builds; and what is said of the file."""

    request: PublishRequest | FileRequest
    name: str
    checksum: str | None = None
    kind: FileKind | None = None
    signatures: Mapping[str, str] = field(default_factory=dict)
    delta_from: str | None = None


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sends: the id of a key or person, the actor, and what raises when the credential is over by now."""

    id: str
    actor: Actor
    require: Callable[[], Awaitable[None]]


class UploadService:
    """Begins, continues, publishes and ends uploads that resume. An upload is its sender's alone."""

    def __init__(
        self,
        files: PartialFiles,
        store: PartialStore,
        blobs: BlobStore,
        publishing: Publishing,
        companions: Companions,
        database: Database,
        *,
        max_bytes: int,
        expiry_s: int,
        most_open: int,
        reserve: Reserve,
        clock: Clock = utc_now,
    ) -> None:
        self.max_bytes = max_bytes
        self.files = files
        self._store = store
        self._blobs = blobs
        self._publishing = publishing
        self._companions = companions
        self._database = database
        self._expiry = timedelta(seconds=expiry_s)
        self._most_open = most_open
        self._reserve = reserve
        self._clock = clock

    async def close(self) -> None:
        """End the worker threads when all work given to them is done."""
        self.files.close()

    async def create(self, wanted: Wanted, said: str, length_bytes: int, sender: Sender) -> PartialUpload:
        """Begin an upload of so many bytes; `said` is kept as it is. It is durable when this returns.

        Raises:
            TooLarge. Invalid: it is empty. StorageFull: there is no room beside what others announced and the reserve.
            RateLimited: the sender has too many open ones. Also what publishing raises, as far as that is known now.
        """
        if length_bytes > self.max_bytes:
            raise TooLarge(f"The file is larger than {self.max_bytes} bytes", details={"max_bytes": self.max_bytes})
        if length_bytes == 0:
            raise Invalid({"file": "is empty"})
        require_forms(wanted.signatures)
        announced = AnnouncedFile(wanted.name, wanted.kind, wanted.checksum)
        if isinstance(wanted.request, PublishRequest):
            await self._publishing.rehearse(wanted.request, announced, sender.actor)
        else:
            await self._companions.rehearse(wanted.request, announced, sender.actor)
        place = await self.files.place()
        await self._reserve.require(length_bytes + await self._store.count_missing(place))
        now, name = self._clock(), secrets.token_hex(16)
        new = PartialUpload(
            name, place, sender.id, wanted.request.application_id, said, length_bytes, 0, None, now, now + self._expiry
        )
        await self.files.create(name)
        try:
            added = await self._store.insert(new, self._most_open)
        except BaseException:
            await self.files.remove(name)
            raise
        if not added:
            await self.files.remove(name)
            message = f"{self._most_open} unfinished uploads are open already; go on with one, or end it"
            raise RateLimited(message, retry_after_s=_TRY_AGAIN_S)
        return new

    async def get(self, upload_id: str, owner: str) -> PartialUpload:
        """Return an upload as it was stored last. Raises NotFound: it is not there, or another's. Unavailable."""
        found = await self._store.find(upload_id)
        if found is None or found.owner != owner:
            raise NotFound("upload", "No such upload")
        if found.outcome is None and found.place != await self.files.place():
            if self._database.shared:
                raise Unavailable("The bytes of this upload are on another machine, which has to get its requests")
            raise NotFound("upload", "The bytes of this upload are gone; begin it again")
        return found

    async def list(self, owner: str) -> list[PartialUpload]:
        """Return the uploads of a sender, newest first, at most 1,000. Raises Unavailable."""
        return await self._store.list_of(owner, _MOST_LISTED)

    async def look(self, upload_id: str, owner: str) -> PartialUpload:
        """Return an upload after whoever sends to it has let go, so that its offset is still true when it is used.

        Raises:
            NotFound, Locked, Unavailable. What publishing refused it for.
        """
        upload = await self.get(upload_id, owner)
        async with AsyncExitStack() as stack:
            await self._hold(stack, upload)
            upload = await self.get(upload_id, owner)
        require_no_refusal(upload)
        return upload

    async def append(
        self, upload: PartialUpload, piece: Piece, wanted: Wanted, sender: Sender, render: Render
    ) -> PartialUpload:
        """Append a piece; with the last byte, publish. What came of a piece that breaks off is kept.

        An upload that has ended takes an empty piece at its end, and answers as it did.

        Raises:
            Conflict: the piece begins elsewhere than the file ends; `details.offset` says where that is.
            NotFound, Locked, TooLarge, StorageFull, Unavailable. What `PartialFile.append` raises. What publishing
            raises: what it refuses it refuses for good, after anything else the last piece may be sent again.
        """
        async with AsyncExitStack() as stack:
            held = await self._hold(stack, upload)
            upload = await self.get(upload.id, sender.id)
            if piece.offset != upload.offset_bytes:
                message = f"This upload has {upload.offset_bytes} bytes; go on from there"
                raise Conflict(message, details={"offset": upload.offset_bytes})
            if piece.offset + (piece.size_bytes or 0) > upload.length_bytes:
                raise TooLarge(f"More bytes than Upload-Length, {upload.length_bytes}")
            if held is None or upload.outcome is not None:
                require_no_refusal(upload)
                return upload
            await self._reserve.require(piece.size_bytes or 0)
            digests = await held.append(piece, upload.length_bytes, _further(wanted), self._advance(upload))
            if digests.position == upload.length_bytes:
                await sender.require()
                await self._publish(held, upload, wanted, digests, sender, render)
            return await self.get(upload.id, sender.id)

    def _advance(self, upload: PartialUpload) -> Callable[[int], Awaitable[None]]:
        at = upload.offset_bytes

        async def advance(to: int) -> None:
            nonlocal at
            if not await self._store.advance(upload.id, at, to, self._clock() + self._expiry):
                raise NotFound("upload", "No such upload")
            at = to
            await self._reserve.require(0)

        return advance

    async def _hold(self, stack: AsyncExitStack, upload: PartialUpload) -> PartialFile | None:
        """Hold the file of an open upload until the stack ends; None when it has ended. Raises NotFound, Locked."""
        if upload.outcome is not None:
            return None
        try:
            return await stack.enter_async_context(self.files.hold(upload.id))
        except NotFound:
            again = await self.get(upload.id, upload.owner)
            if again.outcome is not None:
                return None
            await self._store.delete_open(upload.id)
            raise

    async def _publish(
        self,
        held: PartialFile,
        upload: PartialUpload,
        wanted: Wanted,
        digests: Digests,
        sender: Sender,
        render: Render,
    ) -> None:
        async def settle(connection: Connection, build: Build, file: BuildFile | None) -> None:
            await self._settle(connection, upload, {"published": dict(render(build, file))})

        request = wanted.request
        try:
            async with staged(self._blobs, held, digests) as received:
                about = (wanted.name, wanted.checksum, wanted.kind, wanted.signatures, wanted.delta_from)
                file = ReceivedFile(received, *about)
                if isinstance(request, PublishRequest):
                    await self._publishing.publish(request, file, sender.actor, within=settle)
                else:
                    await self._companions.add(request, file, sender.actor, within=settle)
        except _REFUSALS as refusal:
            async with self._database.write() as connection:
                await self._store.settle(
                    connection, upload.id, {"refused": _describe(refusal)}, self._clock() + self._expiry
                )
            await self.files.remove(upload.id)
            raise
        await self.files.remove(upload.id)

    async def _settle(self, connection: Connection, upload: PartialUpload, outcome: Mapping[str, Any]) -> None:
        """Store what became of an open upload. Raises Conflict: it is not open any more, so nothing may follow."""
        if not await self._store.settle(connection, upload.id, outcome, self._clock() + self._expiry):
            raise Conflict("This upload has ended meanwhile")

    async def terminate(self, upload_id: str, owner: str) -> None:
        """Forget an upload and its bytes, and what became of it; what it published stays. Raises NotFound, Locked."""
        upload = await self.get(upload_id, owner)
        async with AsyncExitStack() as stack:
            await self._hold(stack, upload)
            await self._store.delete(upload_id)
            await self.files.remove(upload_id)

    async def expire(self) -> int:
        """Forget uploads that expired, and files that belong to none; return their number. Raises Unavailable."""
        now, gone = self._clock(), 0
        place = await self.files.place()
        for upload_id in await self._store.list_expired(place, now, now - _ELSEWHERE_AFTER):
            gone += await self._expire(upload_id)
        strays = await self.files.list_untouched((now - _STRAY_AFTER).timestamp())
        for name in set(strays) - await self._store.list_open(strays):
            await self.files.remove(name)
            gone += 1
        return gone

    async def _expire(self, upload_id: str) -> bool:
        async with AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(self.files.hold(upload_id, wait_s=0))
            except Locked:
                return False
            except NotFound:
                pass
            gone = await self._store.delete_expired(upload_id, self._clock())
            if gone:
                await self.files.remove(upload_id)
            return gone


def find_refusal(upload: PartialUpload) -> Failure | None:
    """Return what publishing refused an upload for; None when it did not."""
    told = (upload.outcome or {}).get("refused")
    if told is None:
        return None
    if told["kind"] in ("Invalid", "DigestMismatch"):
        kind = DigestMismatch if told["kind"] == "DigestMismatch" else Invalid
        return kind(told["fields"], told["message"])
    if told["kind"] == "NotFound":
        return NotFound(told["noun"], told["message"])
    return _WITH_DETAILS[told["kind"]](told["message"], details=told["details"])


def require_no_refusal(upload: PartialUpload) -> None:
    """Raise again what publishing refused an upload for."""
    refusal = find_refusal(upload)
    if refusal is not None:
        raise refusal


def _describe(refusal: Failure) -> dict[str, Any]:
    told: dict[str, Any] = {"kind": type(refusal).__name__, "message": refusal.message, "details": refusal.details}
    if isinstance(refusal, Invalid):
        told["fields"] = refusal.fields
    if isinstance(refusal, NotFound):
        told["noun"] = refusal.kind
    return told


def _further(wanted: Wanted) -> str | None:
    return further_digest(wanted.kind or kind_of(wanted.name))
