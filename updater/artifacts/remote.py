"""A blob store in an object store: S3 and compatible services, Google Cloud Storage, Azure.

Keys are those of the local folder: `blobs/ab/cd/<sha256>`, received through `incoming/<random>`.

An upload's name is its digest, which is known only after its last byte, and a multipart upload keeps the key it began
with. So the bytes go under a temporary key and are copied inside the store, where a copy is atomic and moves nothing
through this process. That is safe, since nothing reads the temporary key and an unfinished upload is no object at all,
and cheap (20 ms for 256 MiB on Ceph). The copy may replace an object: the key is the digest, so a second writer writes
the same bytes, while a copy that refuses to replace would keep a damaged object.

Every request has a time limit and a bounded number of attempts (`RequestTimeouts`).
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

from updater.artifacts.abandoned import AbandonedUploads
from updater.artifacts.blobs import BATCH_BYTES, BlobInfo, batched
from updater.artifacts.digests import is_digest
from updater.artifacts.location import Location
from updater.artifacts.object_store import (
    DEFAULT_TIMEOUTS,
    RequestTimeouts,
    find_refusal,
    goes_directly,
    may_pass,
    open_store,
    to_its_end,
    translated,
)
from updater.artifacts.presigning import Signed, Signing
from updater.errors import ConfigurationError, NotFound, StorageFull, Unavailable
from updater.logs.loggers import get_logger

if TYPE_CHECKING:
    from obstore import AsyncWritableFile

PART_BYTES: Final = 8 << 20
_PARTS_AT_ONCE: Final = 4  # 32 MiB of buffers an upload
_PROBED_FOR_S: Final = 5.0
_ASKED_FOR_S: Final = 5.0
_COPY_ASKED_EVERY_S: Final = 0.5
# An upload by a client as slow as `server.min_bytes_per_s` lets it be shows no sign of life for hours.
_SLOWEST_PART: Final = timedelta(days=1)
# A browser saves what it gets from a signed address, and never shows it.
_ATTRIBUTES: Final = {"Content-Type": "application/octet-stream", "Content-Disposition": "attachment"}

_log = get_logger(__name__)

T = TypeVar("T")


class RemoteBlobStore:
    """A `BlobStore` in a bucket. Raises ConfigurationError when the library refuses its options."""

    def __init__(self, location: Location, timeouts: RequestTimeouts | None = None) -> None:
        self._location = location
        self._timeouts = timeouts = timeouts or DEFAULT_TIMEOUTS
        # Azure may answer before it has copied: what is there until then is empty.
        # Source: Microsoft, "Copy Blob", x-ms-copy-status.
        self._copies_later = location.scheme == "az"
        self._signing = Signing(location)
        lists_uploads = location.scheme == "s3" and self._signing.can and goes_directly(location)
        self._uploads = AbandonedUploads(location, "incoming", timeouts) if lists_uploads else None
        self._store = open_store(location, timeouts, timeouts.request_s)
        self._reader = open_store(location, timeouts, timeouts.request_s, reads=True)
        self._copier = open_store(location, timeouts, timeouts.copy_s)
        self._probed_at_s = -_PROBED_FOR_S

    async def receive(self, chunks: AsyncIterator[bytes]) -> StagedObject:
        """Receive as `BlobStore.receive` says. While one part is sent, the next is read from the client and hashed.

        Raises:
            StorageFull, Unavailable: the bytes cannot be sent; the upload is given up.
        """
        import obstore

        key = f"incoming/{uuid.uuid4().hex}"
        writer = obstore.open_writer_async(
            self._store, key, attributes=_ATTRIBUTES, buffer_size=PART_BYTES, max_concurrency=_PARTS_AT_ONCE
        )
        hasher, size_bytes = hashlib.sha256(), 0
        try:
            await writer.__aenter__()
            async for batch in batched(chunks):
                size_bytes += len(batch)
                hashing = asyncio.to_thread(hasher.update, batch)
                writing = functools.partial(_write, self, writer, batch)
                # After two parts the upload has begun, and a write can be given up at any point.
                begun = size_bytes > 2 * PART_BYTES
                await asyncio.gather(hashing, writing() if begun else to_its_end(writing))
            await to_its_end(lambda: self.call(writer.__aexit__(None, None, None), "finish"))
        except BaseException as error:
            await asyncio.shield(asyncio.ensure_future(self._give_up(writer, key, error)))
            raise
        return StagedObject(self, key, hasher.hexdigest(), size_bytes)

    def locate(self, digest: str) -> None:
        """Return None: there is no local file."""

    async def read(self, digest: str, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """Yield the bytes as `BlobStore.read` says. A broken connection is replaced, continuing at the next byte.

        Raises:
            NotFound: no such object. Unavailable: `RequestTimeouts.retries` new attempts brought no progress.
        """
        done, failures = 0, 0
        while length is None or done < length:
            try:
                left = None if length is None else length - done
                async for piece in self.stream(_key(digest), start + done, left):
                    yield piece
                    done += len(piece)
                    failures = 0
            except Unavailable:
                failures += 1
                if failures > self._timeouts.retries:
                    raise
            else:
                return

    async def delete(self, digest: str) -> None:
        """Remove a blob; one that does not exist is fine. Raises Unavailable."""
        await self.remove(_key(digest))

    async def scan(self) -> AsyncIterator[BlobInfo]:
        """Yield every visible blob, in the order of the store. Raises Unavailable."""
        async for each in self._list("blobs"):
            digest = each["path"].rpartition("/")[2]
            if is_digest(digest) and each["path"] == _key(digest):
                yield BlobInfo(digest, each["size"], each["last_modified"])

    async def probe(self) -> None:
        """Check that the store answers; a success holds for 5 seconds, since each check costs a request.

        Raises Unavailable.
        """
        if time.monotonic() - self._probed_at_s < _PROBED_FOR_S:
            return
        async for _ in self._list("incoming"):
            break
        self._probed_at_s = time.monotonic()

    async def require_usable(self, *, signs: bool, writes: bool) -> None:
        """Check that the store accepts a listing; with `signs` that it can sign, with `writes` that it takes an object.

        A store that does not answer or is full passes: it may recover later, so it must not prevent the start.

        Raises:
            ConfigurationError: it refuses for good.
        """
        trying = ""
        try:
            async with asyncio.timeout(_ASKED_FOR_S):
                async for _ in self._list("incoming"):
                    break
                if signs:
                    await self._try_signing()
                if writes:
                    trying = "writing and deleting: "
                    await self._try_writing()
        except (Unavailable, TimeoutError) as error:
            refusal = find_refusal(error.__cause__)
            if refusal is not None:
                raise ConfigurationError(f"storage.blob_url: {self._location}: {trying}{refusal}") from None
            _log.warning("blobs.silent_at_start", store=str(self._location))

    async def _try_signing(self) -> None:
        try:
            await self.sign("0" * 64, 60, "attachment")
        except Unavailable as error:
            if may_pass(error.__cause__):
                return
            raise ConfigurationError(
                f"storage.blob_url: {self._location}: these credentials cannot sign addresses; "
                "set storage.remote_downloads to stream, or give a key that can"
            ) from None

    async def _try_writing(self) -> None:
        import obstore

        key = f"incoming/{uuid.uuid4().hex}"
        with contextlib.suppress(StorageFull):
            await self.call(obstore.put_async(self._store, key, b"updater"), "write")
            await self.remove(key)

    async def sweep(self, before: datetime) -> int:
        """Remove temporary objects older than a time (UTC), and uploads a day older; return their number.

        Raises Unavailable.
        """
        left = [each["path"] async for each in self._list("incoming") if each["last_modified"] < before]
        for key in left:
            await self.remove(key)
        ended = 0
        if self._uploads is not None:
            ended = await asyncio.to_thread(self._uploads.end, before - _SLOWEST_PART)
        return len(left) + ended

    async def sign(self, digest: str, lifetime_s: int, disposition: str) -> Signed:
        """Return an address that works without credentials, for GET, during `lifetime_s` seconds.

        The answer's `Content-Disposition` is `disposition` where that can be signed too, else it names no file.
        Raises Unavailable.
        """
        import obstore

        lifetime = timedelta(seconds=lifetime_s)
        address = await self.call(obstore.sign_async(self._store, "GET", _key(digest), lifetime), "sign")
        return self._signing.name(address, disposition)

    async def copy(self, key: str, digest: str, size_bytes: int) -> None:
        """Make the object at a temporary key visible under its digest. Raises StorageFull, Unavailable."""
        import obstore

        limit_s = self._timeouts.copy_s + self._timeouts.retry_s
        await self.call(obstore.copy_async(self._copier, key, _key(digest)), "copy", limit_s)
        if self._copies_later and size_bytes:
            await self._wait_for(digest, size_bytes)

    async def remove(self, key: str) -> None:
        """Delete an object; one that is not there is fine. Raises Unavailable."""
        import obstore

        try:
            await self.call(obstore.delete_async(self._store, key), "delete")
        except NotFound:
            return

    async def forget(self, key: str) -> None:
        """Delete a temporary object; when the store fails, the next sweep does. Raises nothing."""
        try:
            await self.remove(key)
        except Unavailable:
            _log.warning("blobs.left_behind", key=key)

    async def call(self, request: Awaitable[T], doing: str, limit_s: float | None = None) -> T:
        """Await one request for at most `limit_s` seconds (None: `RequestTimeouts.total_s`), with errors as failures.

        Raises:
            NotFound, StorageFull, Unavailable: as `translated` decides for `doing`.
        """
        with translated(doing):
            async with asyncio.timeout(self._timeouts.total_s if limit_s is None else limit_s):
                return await request

    async def _wait_for(self, digest: str, size_bytes: int) -> None:
        """Wait until an object's last byte can be read. Raises Unavailable."""
        import obstore

        with translated("copy"):
            async with asyncio.timeout(self._timeouts.copy_s):
                while True:
                    last = obstore.get_range_async(self._store, _key(digest), start=size_bytes - 1, length=1)
                    with contextlib.suppress(NotFound, Unavailable):
                        await self.call(last, "read")
                        return
                    await asyncio.sleep(_COPY_ASKED_EVERY_S)

    async def _give_up(self, writer: AsyncWritableFile, key: str, error: BaseException) -> None:
        """Give a multipart upload up. The object may exist nevertheless, when the store's last answer was lost."""
        with contextlib.suppress(Unavailable, StorageFull):
            if not await self.call(writer.closed(), "give up"):
                await self.call(writer.__aexit__(type(error), error, None), "give up")
        await self.forget(key)

    async def stream(self, key: str, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """Yield the bytes of an object in one attempt. Raises NotFound, Unavailable."""
        import obstore

        options: Any = {}
        if length is not None:
            options = {"range": (start, start + length)}
        elif start:
            options = {"range": {"offset": start}}
        result = await self.call(obstore.get_async(self._reader, key, options=options), "read")
        pieces = result.stream(min_chunk_size=BATCH_BYTES)
        while True:
            try:
                piece = memoryview(await self.call(anext(pieces), "read"))
            except StopAsyncIteration:
                return
            for at in range(0, len(piece), BATCH_BYTES):
                yield bytes(piece[at : at + BATCH_BYTES])

    async def _list(self, folder: str) -> AsyncIterator[Mapping[str, Any]]:
        import obstore

        pages = obstore.list(self._store, folder, chunk_size=1000)
        while True:
            try:
                page = await self.call(anext(pages), "list")
            except StopAsyncIteration:
                return
            for each in page:
                yield each


class StagedObject:
    """An object under a temporary key on its way to becoming a blob."""

    def __init__(self, store: RemoteBlobStore, key: str, digest: str, size_bytes: int) -> None:
        self.digest = digest
        self.size_bytes = size_bytes
        self._store = store
        self._key = key
        self._there = True

    def locate(self) -> None:
        """Return None: there is no local file."""

    def read(self) -> AsyncIterator[bytes]:
        """Yield the bytes of the temporary object. Raises NotFound, Unavailable."""
        return self._store.stream(self._key)

    async def place(self) -> None:
        """Copy the object to its digest, as `Staged.place` says. Raises StorageFull, Unavailable.

        The temporary object stays until `discard`, so that the caller does not wait for its removal.
        """
        await self._store.copy(self._key, self.digest, self.size_bytes)

    async def discard(self) -> None:
        """Remove the temporary object, even when cancelled. Raises nothing: what stays is removed by the next sweep."""
        if self._there:
            self._there = False
            await asyncio.shield(asyncio.ensure_future(self._store.forget(self._key)))


async def _write(store: RemoteBlobStore, writer: AsyncWritableFile, batch: bytes) -> None:
    await store.call(writer.write(batch), "write")


def _key(digest: str) -> str:
    if not is_digest(digest):
        raise ValueError("not a digest")
    return f"blobs/{digest[:2]}/{digest[2:4]}/{digest}"
