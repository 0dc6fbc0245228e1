"""Received bytes on their way into the store, with what was computed of them beside their SHA-256."""

from __future__ import annotations

import asyncio
import hashlib
import mmap
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, Protocol

from updater.artifacts.blobs import Staged, batched
from updater.artifacts.hashing import Hasher
from updater.errors import Unavailable


class Hash(Hasher, Protocol):
    """What `hashlib` makes."""

    @property
    def name(self) -> str:
        """Return the name of the algorithm."""

    def hexdigest(self) -> str:
        """Return the digest in lower-case hex."""

    def digest(self) -> bytes:
        """Return the digest."""

    def copy(self) -> Hash:
        """Return another one that goes on from here by itself."""


class Received:
    """A `Staged`, and its SHA-512 or SHA-1 in lower-case hex where that was asked for; else None."""

    def __init__(self, staged: Staged, further: Hash | None) -> None:
        self.digest = staged.digest
        self.size_bytes = staged.size_bytes
        self.sha512 = further.hexdigest() if further is not None and further.name == "sha512" else None
        self.sha1 = further.hexdigest() if further is not None and further.name == "sha1" else None
        self._staged = staged
        self.locate = staged.locate
        self.read = staged.read
        self.discard = staged.discard
        self._is_placed = False

    async def place(self) -> None:
        """Place the bytes as `Staged.place` says, the first time that this is called. Raises StorageFull, Unavailable.

        So one reception can be the file of several builds.
        """
        if not self._is_placed:
            await self._staged.place()
            self._is_placed = True


def make_hash(name: str | None) -> Hash | None:
    """Return a hash by its name, `sha512` or `sha1`; None for None."""
    return None if name is None else hashlib.new(name, usedforsecurity=False)


async def hashed(chunks: AsyncIterator[bytes], further: Hash | None) -> AsyncIterator[bytes]:
    """Yield what comes in, hashed in a thread while the consumer writes it. Raises whatever `chunks` raises."""
    if further is None:
        async for chunk in chunks:
            yield chunk
        return
    hashing: asyncio.Task[None] | None = None
    try:
        async for batch in batched(chunks):
            if hashing is not None:
                await hashing
            hashing = asyncio.create_task(asyncio.to_thread(further.update, batch))
            yield batch
    finally:
        if hashing is not None:
            await hashing


@asynccontextmanager
async def mapped(
    path: Path | None, size_bytes: int, read: Callable[[], AsyncIterator[bytes]]
) -> AsyncIterator[mmap.mmap]:
    """Give bytes as a memory map, for the block; what has no local file is read once, into a temporary one.

    Args:
        path: the local file, None when there is none.
        size_bytes: how many bytes there are, more than 0.
        read: yields them.

    Raises:
        Unavailable: they cannot be read, or are fewer. Whatever `read` raises.
    """
    try:
        file: IO[bytes] = await asyncio.to_thread(path.open, "rb") if path else await _spool(read())
    except OSError as error:
        raise Unavailable("The file cannot be read") from error
    try:
        try:
            view = mmap.mmap(file.fileno(), size_bytes, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            raise Unavailable("The file cannot be read") from error
        with view:
            yield view
    finally:
        await asyncio.to_thread(file.close)


async def _spool(pieces: AsyncIterator[bytes]) -> IO[bytes]:
    file = await asyncio.to_thread(tempfile.TemporaryFile)
    try:
        async for piece in pieces:
            await asyncio.to_thread(file.write, piece)
        await asyncio.to_thread(file.flush)
    except BaseException:
        file.close()
        raise
    return file
