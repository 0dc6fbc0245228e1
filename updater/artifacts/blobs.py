"""The port to a blob store: immutable bytes, named by their SHA-256.

One conformance suite (`tests/artifacts/test_blob_stores.py`) holds every implementation to these docstrings.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from updater.errors import Unavailable

# Bytes given to a thread or a connection at a time: small enough for the cache, large enough to hide the hand-over.
BATCH_BYTES = 1 << 20


class StoreReadOnly(Unavailable):
    """The store can be read, but takes no writes."""


class Staged(Protocol):
    """Bytes that were received completely but are not visible yet."""

    digest: str
    size_bytes: int

    def locate(self) -> Path | None:
        """Return the local file of bytes that were not placed yet; None when this store has no local files."""

    def read(self) -> AsyncIterator[bytes]:
        """Yield all bytes, in pieces of at most 1 MiB, before they are placed. Raises Unavailable."""

    async def place(self) -> None:
        """Make the bytes visible under their digest, durably. Placing what is there already replaces it.

        Raises:
            StorageFull, Unavailable: nothing may refer to the bytes; if any became visible, they are whole.
        """

    async def discard(self) -> None:
        """Remove what is left beside the placed bytes, or everything when they were not placed. May be called again.

        Raises nothing when the store fails: the next sweep removes the rest.
        """


@dataclass(frozen=True, slots=True)
class BlobInfo:
    """A visible blob. `modified_at` is aware, in UTC."""

    digest: str
    size_bytes: int
    modified_at: datetime


class BlobStore(Protocol):
    """A place where blobs are stored. Digests are 64 lower-case hex digits."""

    async def receive(self, chunks: AsyncIterator[bytes]) -> Staged:
        """Read all chunks and hash them, into a place where they are not visible yet.

        When reading or writing fails, or the task is cancelled, nothing is left behind.

        Raises:
            StorageFull: no room left. Unavailable: the store failed. Whatever `chunks` raises.
        """

    def locate(self, digest: str) -> Path | None:
        """Return the local file to send, whether it exists or not; None when this store has no local files."""

    def read(self, digest: str, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """Yield the bytes from `start`, in pieces of at most 1 MiB; `length` bytes of them, or all when it is None.

        `start` lies within the blob, or is 0.

        Raises:
            NotFound: no such blob, or its medium cannot give it back. Unavailable: the store failed, perhaps after
                some pieces.
        """

    async def delete(self, digest: str) -> None:
        """Remove a blob; one that does not exist is fine. Raises Unavailable when the store failed."""

    def scan(self) -> AsyncIterator[BlobInfo]:
        """Yield every visible blob, in no particular order.

        Raises Unavailable when the store failed, perhaps after some.
        """

    async def probe(self) -> int | None:
        """Return the free bytes, or None where that has no meaning.

        Raises Unavailable when the store does not respond.
        """

    async def sweep(self, before: datetime) -> int:
        """Remove the remains of receptions that were interrupted before a time (UTC); return their number.

        What was touched since then may belong to a reception that is still under way, here or in another process.
        Raises Unavailable when the store failed.
        """


async def batched(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Join chunks of any size into batches of about 1 MiB, in order; the last one may be smaller.

    Raises: whatever `chunks` raises.
    """
    parts: list[bytes] = []
    size = 0
    async for chunk in chunks:
        parts.append(chunk)
        size += len(chunk)
        if size >= BATCH_BYTES:
            yield b"".join(parts)
            parts, size = [], 0
    if parts:
        yield b"".join(parts)
