"""A file of an upload that resumes, while one request holds it: its bytes and its digests go on together."""

from __future__ import annotations

import asyncio
import fcntl
import os
import stat
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

from updater.artifacts.blobs import BATCH_BYTES
from updater.artifacts.digesting import Digests, KnownDigests, chunk_hash
from updater.artifacts.folders import sync_folder
from updater.artifacts.received import Hash
from updater.errors import ChunkMismatch, NotFound, TakenOver, TooLarge

CHECKPOINT_BYTES: Final = 8 << 20
"""After so many bytes of one request they are made durable and counted: a kill loses no more."""
COPY: Final = ".copy"
"""What follows the name of a file that is about to take the place of another one."""
_ASKED_EVERY_S: Final = 0.2

T = TypeVar("T")


class Run(Protocol):
    """Runs a function in a worker thread, with errors of the operating system as failures."""

    async def __call__(self, function: Callable[..., T], *arguments: object) -> T:
        """Return what it returns. Raises StorageFull, Unavailable."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a file: where it begins, its bytes, and what its sender says of them.

    `size_bytes` is None when it is not announced. `checksum`: the name of a hash, `sha1` or `sha256`, and its value.
    """

    offset: int
    chunks: AsyncIterator[bytes]
    size_bytes: int | None = None
    checksum: tuple[str, bytes] | None = None


class PartialFile:
    """A file that this request holds. Its steps run in worker threads, one at a time, each to its end."""

    def __init__(self, path: Path, wanted: Path, descriptor: int, run: Run, known: KnownDigests) -> None:
        self.path = path
        self._wanted = wanted
        self._descriptor = descriptor
        self._run = run
        self._known = known
        self._step: asyncio.Future[Any] | None = None

    async def append(
        self, piece: Piece, most: int, further: str | None, advance: Callable[[int], Awaitable[None]]
    ) -> Digests:
        """Append a piece, up to `most` bytes in the file; return the digests of all of it.

        Whatever ends the piece, what came before is durable and told to `advance`; of a piece with a checksum all or
        nothing. The last byte of a file is told to nobody: whoever publishes the file does that, with what came of it.

        Raises:
            NotFound: the file lacks bytes that were durable. TooLarge: there are more bytes than `most`.
            ChunkMismatch: the piece has another checksum. TakenOver: another request took the upload over.
            StorageFull, Unavailable: the file cannot be written. Whatever `piece.chunks` and `advance` raise.
        """
        digests = await self._continue(piece.offset, further)
        counted = piece.offset

        async def count() -> None:
            nonlocal counted
            if counted < digests.position < most:
                await self._do(os.fsync, self._descriptor)
                await advance(digests.position)
                counted = digests.position
                self._known.keep(self.path.name, digests)

        hasher = None if piece.checksum is None else chunk_hash(piece.checksum[0])
        try:
            await self._receive(piece, most, digests, count, hasher)
        except BaseException:
            if hasher is None:
                await asyncio.shield(asyncio.ensure_future(self._count_at_last(count)))
            raise
        if hasher is not None and piece.checksum is not None and hasher.digest() != piece.checksum[1]:
            raise ChunkMismatch(f"The bytes of this chunk have another {piece.checksum[0]}; send it again")
        await count()
        if digests.position == most:
            await self._do(os.fsync, self._descriptor)
        return digests

    async def _receive(
        self, piece: Piece, most: int, digests: Digests, count: Callable[[], Awaitable[None]], hasher: Hash | None
    ) -> None:
        counted = digests.position
        taking: asyncio.Future[None] | None = None
        try:
            async with aclosing(self._batches(piece.chunks)) as batches:
                async for batch in batches:
                    if taking is not None:
                        await asyncio.shield(taking)
                    if digests.position + len(batch) > most:
                        raise TooLarge(f"More bytes than Upload-Length, {most}", details={"length": most})
                    if hasher is None and digests.position - counted >= CHECKPOINT_BYTES:
                        await count()
                        counted = digests.position
                    taking = asyncio.ensure_future(self._do(self._take, batch, digests, hasher))
                    taking.add_done_callback(_notice)
        finally:  # also what came before a failure: it is in the last batch
            if taking is not None:
                await asyncio.wait([taking])
        if taking is not None:
            taking.result()

    async def _count_at_last(self, count: Callable[[], Awaitable[None]]) -> None:
        """Count what came before a failure; what fails now fails for the same reason, and is not told twice."""
        await self._settle()
        with suppress(Exception):
            await count()

    def _take(self, batch: bytes, digests: Digests, hasher: Hash | None) -> None:
        view = memoryview(batch)
        while view:
            view = view[os.write(self._descriptor, view) :]
        digests.update(batch)
        if hasher is not None:
            hasher.update(batch)

    async def _continue(self, offset: int, further: str | None) -> Digests:
        """Drop what is beyond the durable bytes; return the digests of these, read again where they are not known."""
        digests = self._known.find(self.path.name, offset, further)
        try:
            await self._do(self._read_up_to, offset, digests)
        except EOFError:
            raise NotFound("upload", "The bytes of this upload are gone; begin it again") from None
        return digests

    def _read_up_to(self, offset: int, digests: Digests) -> None:
        found = os.fstat(self._descriptor)
        if found.st_size < offset:
            raise EOFError
        if found.st_nlink > 1:
            self._take_a_copy(offset, stat.S_IMODE(found.st_mode))
        os.ftruncate(self._descriptor, offset)
        while digests.position < offset:
            wanted = min(BATCH_BYTES, offset - digests.position)
            piece = os.pread(self._descriptor, wanted, digests.position)
            if not piece:
                raise EOFError
            digests.update(piece)
        os.lseek(self._descriptor, offset, os.SEEK_SET)

    def _take_a_copy(self, size_bytes: int, mode: int) -> None:
        """Go on in a file of our own: the bytes were placed by a publication that did not commit, and may be in use."""
        fresh = self.path.with_name(self.path.name + COPY)
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        os.fchmod(descriptor, mode)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        at = 0
        while at < size_bytes:
            at += os.write(descriptor, os.pread(self._descriptor, min(BATCH_BYTES, size_bytes - at), at))
        os.fsync(descriptor)
        fresh.replace(self.path)
        sync_folder(self.path.parent)
        shared, self._descriptor = self._descriptor, descriptor
        os.close(shared)

    async def _batches(self, chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
        """Join chunks into batches of about 1 MiB. What came before a failure is yielded before that is raised."""
        wanted = asyncio.ensure_future(self._wait_until_wanted())
        try:
            more = True
            while more:
                parts: list[bytes] = []
                size, failure = 0, None
                while size < BATCH_BYTES:
                    try:
                        chunk = await _next(chunks, wanted)
                    except BaseException as error:
                        failure = error
                        break
                    if chunk is None:
                        more = False
                        break
                    parts.append(chunk)
                    size += len(chunk)
                if parts:
                    yield b"".join(parts)
                if failure is not None:
                    raise failure
        finally:
            wanted.cancel()

    async def _wait_until_wanted(self) -> None:
        while not self._wanted.exists():  # noqa: ASYNC110 - the kernel has no event for it; a stat is short
            await asyncio.sleep(_ASKED_EVERY_S)

    async def read(self) -> AsyncIterator[bytes]:
        """Yield all bytes of the file, in pieces of 1 MiB. Raises Unavailable."""
        at = 0
        while piece := await self._do(os.pread, self._descriptor, BATCH_BYTES, at):
            at += len(piece)
            yield piece

    async def head(self, size: int) -> bytes:
        """Return the first bytes of the file. Raises Unavailable."""
        return await self._do(os.pread, self._descriptor, size, 0)

    async def close(self) -> None:
        """Let go of the file, once no thread works on it any more."""
        await self._settle()
        os.close(self._descriptor)

    async def _do(self, function: Callable[..., T], *arguments: object) -> T:
        await self._settle()
        step = asyncio.ensure_future(self._run(function, *arguments))
        step.add_done_callback(_notice)
        self._step = step
        return await asyncio.shield(step)

    async def _settle(self) -> None:
        if self._step is not None:
            await asyncio.wait([self._step])


async def _next(chunks: AsyncIterator[bytes], wanted: asyncio.Future[None]) -> bytes | None:
    """Return the next chunk, None at the end. Raises TakenOver: another request wants the upload."""
    coming = asyncio.ensure_future(anext(chunks, None))
    try:
        await asyncio.wait((coming, wanted), return_when=asyncio.FIRST_COMPLETED)
    finally:
        if not coming.done():
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)
    if coming.cancelled():
        raise TakenOver("Another request has taken this upload over")
    return coming.result()


def _notice(ended: asyncio.Future[Any]) -> None:
    """Take note of a failure that nobody awaits any more: the one that ended the request is told."""
    if not ended.cancelled():
        ended.exception()
