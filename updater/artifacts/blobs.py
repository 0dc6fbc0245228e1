"""The port to a blob store: bytes that are named by their SHA-256 and never change.

One conformance suite (`tests/artifacts/test_blob_stores.py`) holds every implementation to these docstrings.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

# One hand-over to a thread, or to a connection, per MiB: small enough to stay in cache, large enough to hide it.
BATCH_BYTES = 1 << 20


class Staged(Protocol):
    """Bytes that were received whole but are not visible yet."""

    digest: str
    size_bytes: int

    async def place(self) -> None:
        """Make the bytes visible under their digest, durably. Placing what is there already replaces it.

        Raises:
            StorageFull, Unavailable: nothing may refer to the bytes; if any became visible, they are whole.
        """

    async def discard(self) -> None:
        """Clear away what is left beside the placed bytes, or all when they were not placed. Again is fine.

        Raises nothing for a store that fails now: the next sweep does it.
        """


@dataclass(frozen=True, slots=True)
class BlobInfo:
    """A visible blob."""

    digest: str
    size_bytes: int
    modified_at: datetime


class BlobStore(Protocol):
    """Where blobs live."""

    async def receive(self, chunks: AsyncIterator[bytes]) -> Staged:
        """Read all chunks, hashing them on the way, to a place where nobody sees them yet.

        When reading or writing fails, or the task is cancelled, nothing is left behind.

        Raises:
            StorageFull: no room left. Unavailable: the store failed. Whatever `chunks` raises.
        """

    def locate(self, digest: str) -> Path | None:
        """Return the local file to send, or None when this store has no local files."""

    def read(self, digest: str, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """Yield the bytes from `start`, in pieces of at most 1 MiB.

        `start` lies within the blob, or is 0.

        Raises:
            NotFound: no such blob, or its medium cannot give it back. Unavailable: the store failed, perhaps after
                some pieces.
        """

    async def delete(self, digest: str) -> None:
        """Remove a blob; one that is not there is fine."""

    def scan(self) -> AsyncIterator[BlobInfo]:
        """Yield every visible blob, in no order."""

    async def probe(self) -> int | None:
        """Return the free bytes, or None where that has no meaning. Raises Unavailable when the store is gone."""

    async def sweep(self, before: datetime) -> int:
        """Remove what receptions left that were interrupted before a time; return how many.

        What was touched since may still be on its way in, here or in another process.
        """


async def batched(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Gather chunks of any size into batches of about 1 MiB."""
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
