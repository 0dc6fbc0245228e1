"""Hashing of stored bytes beside the answering of requests: in a worker thread, with pauses as long as the work."""

from __future__ import annotations

import asyncio
import hashlib
import time
from typing import Protocol

from updater.artifacts.blobs import BlobStore
from updater.errors import NotFound


class Hasher(Protocol):
    """What `hashlib` makes."""

    def update(self, data: bytes, /) -> None:
        """Add bytes."""


async def feed(blobs: BlobStore, digest: str, *hashers: Hasher) -> None:
    """Give all bytes of a blob to the hashers, a MiB at a time.

    After each piece this rests for as long as reading and hashing it took, so that requests find a free processor.
    Raises NotFound, Unavailable, as `BlobStore.read` does.
    """
    began_s = time.monotonic()
    async for piece in blobs.read(digest):
        await asyncio.to_thread(_update, hashers, piece)
        await asyncio.sleep(time.monotonic() - began_s)
        began_s = time.monotonic()


async def is_whole(blobs: BlobStore, digest: str) -> bool:
    """Hash a blob; one that is not there is not whole. Raises Unavailable."""
    hasher = hashlib.sha256()
    try:
        await feed(blobs, digest, hasher)
    except NotFound:
        return False
    return hasher.hexdigest() == digest


def _update(hashers: tuple[Hasher, ...], piece: bytes) -> None:
    for each in hashers:
        each.update(piece)
