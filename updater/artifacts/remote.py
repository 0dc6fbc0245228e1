"""A blob store in an object store: S3 and what speaks its protocol, Google Cloud Storage, Azure.

Keys are those of the local folder: `blobs/ab/cd/<sha256>`, received through `incoming/<random>`.

An upload's name is its digest, which is known only when its last byte has come, and a multipart upload keeps the
key it began with. So the bytes go under a temporary key and are copied inside the store, where a copy is atomic
and moves nothing through this process: safe, since nobody ever reads the temporary key and a half upload is no
object at all, and cheap (20 ms for 256 MiB on Ceph). The copy may replace what is there: the key is the digest,
so whoever comes second writes the same bytes, while a copy that refuses to replace would keep a damaged object.

Every request has a time limit and a bounded number of attempts (`Patience`).
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

import structlog

from updater.artifacts.blobs import BATCH_BYTES, BlobInfo, batched
from updater.artifacts.digests import is_digest
from updater.artifacts.location import Location
from updater.errors import ConfigurationError, NotFound, StorageFull, Unavailable

if TYPE_CHECKING:
    from obstore import AsyncWritableFile
    from obstore.store import AzureStore, GCSStore, S3Store

    Store = S3Store | GCSStore | AzureStore

PART_BYTES: Final = 8 << 20
_PARTS_AT_ONCE: Final = 4  # 32 MiB of buffers an upload
_PROBED_FOR_S: Final = 5.0
# What a browser gets from a signed address is saved, never shown.
_ATTRIBUTES: Final = {"Content-Type": "application/octet-stream", "Content-Disposition": "attachment"}
_FULL: Final = ("QuotaExceeded", "InsufficientStorage", "507 ", "EntityTooLarge")
_NO_BUCKET: Final = ("NoSuchBucket", "ContainerNotFound")

_MAY_BE_ABSENT: Final = ("read", "delete")

_log = structlog.get_logger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long one request may take, and how often it is tried again, `retry_s` after its first try at the latest.

    Copying inside the store gets `copy_s`: some stores move gigabytes for it.
    """

    connect_s: float = 3
    request_s: float = 20
    copy_s: float = 120
    retries: int = 2
    retry_s: float = 15

    @property
    def total_s(self) -> float:
        """How long a call takes at most, retries included."""
        return self.request_s + self.retry_s


PATIENCE: Final = Patience()


class RemoteBlobStore:
    """A `BlobStore` in a bucket. Raises ConfigurationError when it cannot be reached with these options at all."""

    def __init__(self, location: Location, patience: Patience | None = None) -> None:
        self._patience = patience = patience or PATIENCE
        self._store = open_store(location, patience, patience.request_s)
        self._copier = open_store(location, patience, patience.copy_s)
        self._probed_at_s = -_PROBED_FOR_S

    async def receive(self, chunks: AsyncIterator[bytes]) -> StagedObject:
        """See `BlobStore.receive`. While one part is sent, the next is read from the client and hashed."""
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
                await asyncio.gather(hashing, self.call(writer.write(batch), "write"))
            await self.call(writer.__aexit__(None, None, None), "finish")
        except BaseException as error:
            await asyncio.shield(asyncio.ensure_future(self._give_up(writer, key, error)))
            raise
        return StagedObject(self, key, hasher.hexdigest(), size_bytes)

    def locate(self, digest: str) -> None:
        """See `BlobStore.locate`: there is no local file."""

    async def read(self, digest: str, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """See `BlobStore.read`. A connection that breaks on the way is replaced, from the next byte on."""
        done, failures = 0, 0
        while length is None or done < length:
            try:
                async for piece in self._stream(digest, start + done, None if length is None else length - done):
                    yield piece
                    done += len(piece)
                    failures = 0
            except Unavailable:
                failures += 1
                if failures > self._patience.retries:
                    raise
            else:
                return

    async def delete(self, digest: str) -> None:
        """See `BlobStore.delete`."""
        await self.remove(_key(digest))

    async def scan(self) -> AsyncIterator[BlobInfo]:
        """See `BlobStore.scan`."""
        async for each in self._list("blobs"):
            digest = each["path"].rpartition("/")[2]
            if is_digest(digest) and each["path"] == _key(digest):
                yield BlobInfo(digest, each["size"], each["last_modified"])

    async def probe(self) -> None:
        """See `BlobStore.probe`. A good answer holds for some seconds, since each question costs a request."""
        if time.monotonic() - self._probed_at_s < _PROBED_FOR_S:
            return
        async for _ in self._list("incoming"):
            break
        self._probed_at_s = time.monotonic()

    async def sweep(self, before: datetime) -> int:
        """See `BlobStore.sweep`."""
        left = [each["path"] async for each in self._list("incoming") if each["last_modified"] < before]
        for key in left:
            await self.remove(key)
        return len(left)

    async def sign(self, digest: str, lifetime_s: int) -> str:
        """Return an address that anybody may GET for `lifetime_s` seconds. Raises Unavailable."""
        import obstore

        return await self.call(
            obstore.sign_async(self._store, "GET", _key(digest), timedelta(seconds=lifetime_s)), "sign"
        )

    async def copy(self, key: str, digest: str) -> None:
        """Make the object at a temporary key visible under its digest. Raises StorageFull, Unavailable."""
        import obstore

        limit_s = self._patience.copy_s + self._patience.retry_s
        await self.call(obstore.copy_async(self._copier, key, _key(digest)), "copy", limit_s)

    async def remove(self, key: str) -> None:
        """Delete an object; one that is not there is fine. Raises Unavailable."""
        import obstore

        try:
            await self.call(obstore.delete_async(self._store, key), "delete")
        except NotFound:
            return

    async def forget(self, key: str) -> None:
        """Delete a temporary object if the store lets us; if not, the next sweep does."""
        try:
            await self.remove(key)
        except Unavailable:
            _log.warning("blobs.left_behind", key=key)

    async def call(self, request: Awaitable[T], doing: str, limit_s: float | None = None) -> T:
        """Wait for one request, in bounded time and with the store's errors as ours."""
        with _translated(doing):
            async with asyncio.timeout(self._patience.total_s if limit_s is None else limit_s):
                return await request

    async def _give_up(self, writer: AsyncWritableFile, key: str, error: BaseException) -> None:
        """Give a multipart upload up; the object may be there all the same, when the store's last answer got lost."""
        with contextlib.suppress(Unavailable, StorageFull):
            if not await self.call(writer.closed(), "give up"):
                await self.call(writer.__aexit__(type(error), error, None), "give up")
        await self.forget(key)

    async def _stream(self, digest: str, start: int, length: int | None) -> AsyncIterator[bytes]:
        import obstore

        options: Any = {}
        if length is not None:
            options = {"range": (start, start + length)}
        elif start:
            options = {"range": {"offset": start}}
        result = await self.call(obstore.get_async(self._store, _key(digest), options=options), "read")
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

    async def place(self) -> None:
        """See `Staged.place`. The temporary object stays until `discard`: nobody waits for its removal here."""
        await self._store.copy(self._key, self.digest)

    async def discard(self) -> None:
        """See `Staged.discard`."""
        if self._there:
            self._there = False
            await asyncio.shield(asyncio.ensure_future(self._store.forget(self._key)))


def open_store(location: Location, patience: Patience, request_s: float) -> Store:
    """Return a client for the bucket. Nothing is sent yet.

    Raises:
        ConfigurationError: obstore is not installed, or it does not take an option.
    """
    try:
        from obstore.store import AzureStore, GCSStore, S3Store
    except ImportError:
        raise ConfigurationError(
            "storage.blob_url: object stores need the extra 's3': pip install updater[s3]"
        ) from None
    kinds: dict[str, Any] = {"s3": S3Store, "gs": GCSStore, "az": AzureStore}
    options = dict(location.options)
    if location.scheme == "s3":
        # One DELETE a key: the bulk request is not everywhere, and nothing here deletes in bulk.
        options = {"virtual_hosted_style_request": "false", "disable_bulk_delete": "true", **options}
    allow_http = any(value.startswith("http://") for value in options.values())
    try:
        opened: Store = kinds[location.scheme](
            location.bucket,
            prefix=location.prefix or None,
            config=options,
            client_options={
                "allow_http": allow_http,
                "connect_timeout": timedelta(seconds=patience.connect_s),
                "timeout": timedelta(seconds=request_s),
            },
            retry_config={
                "max_retries": patience.retries,
                "retry_timeout": timedelta(seconds=patience.retry_s),
                "backoff": {
                    "init_backoff": timedelta(milliseconds=100),
                    "max_backoff": timedelta(seconds=2),
                    "base": 2,
                },
            },
        )
    except Exception as error:
        # The library's text may show the options.
        raise ConfigurationError(
            f"storage.blob_url: an option of {location} does not fit ({type(error).__name__})"
        ) from None
    return opened


def _key(digest: str) -> str:
    if not is_digest(digest):
        raise ValueError("not a digest")
    return f"blobs/{digest[:2]}/{digest[2:4]}/{digest}"


@contextmanager
def _translated(doing: str) -> Iterator[None]:
    """Turn the library's errors into ours; what it said goes to the log."""
    from obstore.exceptions import BaseError

    try:
        yield
    except (BaseError, OSError) as error:  # TimeoutError is an OSError
        said = str(error)
        # What is missing while we write is no blob: an upload whose end was already answered, to nobody.
        absent = doing in _MAY_BE_ABSENT and isinstance(error, FileNotFoundError)
        if absent and not any(word in said for word in _NO_BUCKET):
            raise NotFound("blob", "No such blob") from error
        _log.warning("blobs.request_failed", doing=doing, kind=type(error).__name__, said=said[:300])
        if any(word in said for word in _FULL):
            raise StorageFull("No room left in the object store to store this") from error
        raise Unavailable("The object store does not answer as it should") from error
