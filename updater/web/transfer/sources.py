"""Where the bytes of a download come from: a local file, or a blob store somewhere else.

A source has `read`, `send` and `close`; `updater.web.transfer.wire.FileSource` is the local one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Final, Protocol, cast

from updater.artifacts.blobs import BlobStore
from updater.artifacts.ranges import ByteRange
from updater.errors import Failure, Unavailable
from updater.web.transfer.wire import FileSource, Inspect, SourceBroken, Wire

SILENCE_S: Final = 20.0
"""How long a store may send nothing; less than a client may accept nothing, or the client would get the blame."""

_READS_AT_ONCE: Final = 8


class Source(Protocol):
    """The bytes of one file, at any offset."""

    async def read(self, parts: Sequence[ByteRange]) -> list[bytes]:
        """Return some small parts, in order. Raises SourceBroken."""

    async def send(self, part: ByteRange, wire: Wire) -> None:
        """Let a part of any size leave through `wire`. Raises SourceBroken, ConnectionError."""

    async def close(self) -> None:
        """Let go of the file."""


async def open_source(
    place: Path | BlobStore, digest: str, size_bytes: int, parts: Sequence[ByteRange], inspect: Inspect | None = None
) -> Source:
    """Open what `parts` will be asked of; `inspect` looks at a local file before.

    Raises Unavailable when it is missing, cannot be read, or must not be sent.
    """
    if isinstance(place, Path):
        return await FileSource.open(place, size_bytes, inspect)
    return await StoreSource.open(place, digest, parts)


class StoreSource:
    """A blob of a store that has no local files."""

    def __init__(self, blobs: BlobStore, digest: str) -> None:
        self._blobs = blobs
        self._digest = digest
        self._ahead: tuple[ByteRange, AsyncGenerator[bytes], bytes] | None = None

    @classmethod
    async def open(cls, blobs: BlobStore, digest: str, parts: Sequence[ByteRange]) -> StoreSource:
        """Begin to read the first part: what cannot be read is known before any header is out.

        Raises:
            Unavailable: it is missing, shorter, or the store does not answer.
        """
        source = cls(blobs, digest)
        if parts and parts[0].count:
            stream = source._stream(parts[0])
            try:
                async with _noticed():
                    source._ahead = parts[0], stream, await anext(stream)
            except (SourceBroken, StopAsyncIteration):
                await stream.aclose()
                raise Unavailable("The file is not available at the moment") from None
        return source

    async def read(self, parts: Sequence[ByteRange]) -> list[bytes]:
        """See `Source.read`."""
        turn = asyncio.Semaphore(_READS_AT_ONCE)

        async def read_one(part: ByteRange) -> bytes:
            async with turn:
                return b"".join([piece async for piece in self._pieces(part)])

        return list(await asyncio.gather(*(read_one(part) for part in parts)))

    async def send(self, part: ByteRange, wire: Wire) -> None:
        """See `Source.send`."""
        async with aclosing(self._pieces(part)) as pieces:
            async for piece in pieces:
                await wire.write(piece)

    async def close(self) -> None:
        """See `Source.close`."""
        if self._ahead is not None:
            await self._ahead[1].aclose()

    async def _pieces(self, part: ByteRange) -> AsyncGenerator[bytes]:
        """Yield exactly the bytes of a part. Raises SourceBroken when there are fewer, or none for too long."""
        ahead, self._ahead = (self._ahead, None) if self._ahead and self._ahead[0] == part else (None, self._ahead)
        stream = ahead[1] if ahead else self._stream(part)
        left = part.count
        async with aclosing(stream):
            if ahead:
                left -= len(ahead[2])
                yield ahead[2]
            while left > 0:
                async with _noticed():
                    piece = await anext(stream, b"")
                if not piece:
                    raise SourceBroken(f"it ends at byte {part.stop - left}")
                left -= len(piece)
                yield piece

    def _stream(self, part: ByteRange) -> AsyncGenerator[bytes]:
        return cast(AsyncGenerator[bytes], self._blobs.read(self._digest, part.start, part.count))


@asynccontextmanager
async def _noticed() -> AsyncIterator[None]:
    """Report a store that fails, or is silent for too long, as a broken source."""
    try:
        async with asyncio.timeout(SILENCE_S):
            yield
    except (Failure, TimeoutError) as error:
        raise SourceBroken(str(error) or "it is silent") from error
