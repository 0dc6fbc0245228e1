"""Makes files of stored files, in a process of its own: block maps, zsync files; and looks for embedded block maps."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Final

import updater
from updater.artifacts import deriving
from updater.artifacts.blobs import BATCH_BYTES, BlobStore
from updater.artifacts.blockmaps import END_BYTES, find_embedded_bytes
from updater.artifacts.deriving import Order
from updater.errors import NotFound, Unavailable

_SAID_BYTES = 4096
NICENESS: Final = 19
"""The process gives way to everything else. On a machine that is busy to the last it hardly gets on, then."""


class Underivable(Exception):
    """The process that was to make a file ended without it; the message is the last that it said."""


class Deriver:
    """Runs the process, once at a time as its callers see to, and ends it with them."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs

    def make(self, order: Order) -> AsyncGenerator[bytes]:
        """Yield what the order asks for, made of the blob `order.digest`. Close it to end the process.

        Raises:
            NotFound: the blob is missing or damaged. Unavailable: the store failed. Underivable: the process did.
        """
        path = self._blobs.locate(order.digest)
        if path is not None:
            return _run(order, path.absolute(), None)
        return _run(order, None, self._blobs.read(order.digest))

    async def find_block_map_bytes(self, digest: str, size_bytes: int) -> int | None:
        """Return the size of the block map at the end of an AppImage; None without one. Raises as `make`."""
        end = await self._read(digest, max(size_bytes - END_BYTES, 0), END_BYTES)
        map_bytes = find_embedded_bytes(end, size_bytes)
        if map_bytes is None:
            return None
        found = self._blobs.read(digest, size_bytes - END_BYTES - map_bytes, map_bytes)
        order = Order("embedded", map_bytes, "", os.getpid())
        said = b"".join([piece async for piece in _run(order, None, found)])
        return map_bytes if said == deriving.YES else None

    async def _read(self, digest: str, start: int, length: int) -> bytes:
        return b"".join([piece async for piece in self._blobs.read(digest, start, length)])


async def _start(order: Order, path: Path | None, *, fed: bool) -> asyncio.subprocess.Process:
    """Start the process, which finds this very package and its libraries wherever they were imported from.

    Numpy's threads stay one: the other processors answer requests. Raises Unavailable.
    """
    places = [*sys.path, str(Path(updater.__file__).parent.parent)]
    environment = {
        "PYTHONPATH": os.pathsep.join(each for each in places if Path(each).is_absolute()),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    try:
        return await asyncio.create_subprocess_exec(
            *(
                sys.executable,
                "-P",
                "-m",
                deriving.__name__,
                dataclasses.replace(order, niceness=NICENESS).text(),
                *([str(path)] if path else []),
            ),
            env=environment,
            cwd="/",
            process_group=0,  # what a terminal sends to this process is not for that one
            stdin=asyncio.subprocess.PIPE if fed else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        raise Unavailable("No process could be started to make a file") from error


async def _run(order: Order, path: Path | None, source: AsyncIterator[bytes] | None) -> AsyncGenerator[bytes]:
    """Run the process on a file, or on bytes; yield what it writes, and end it whatever happens."""
    process = await _start(order, path, fed=source is not None)
    feeding = asyncio.create_task(_feed(process.stdin, source))
    saying = asyncio.create_task(_last_of(_piped(process.stderr)))
    try:
        while piece := await _piped(process.stdout).read(BATCH_BYTES):
            yield piece
        status = await process.wait()
        if feeding.done():  # else it waits for the store, and nobody takes its bytes any more
            feeding.result()
        if status == deriving.DAMAGED:
            raise NotFound("blob", "The file is missing or damaged")
        if status != 0:
            raise Underivable(f"ended with {status}: {await saying}")
    finally:
        for task in (feeding, saying):
            task.cancel()
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await asyncio.gather(feeding, saying, process.wait(), return_exceptions=True)


async def _feed(stdin: asyncio.StreamWriter | None, source: AsyncIterator[bytes] | None) -> None:
    """Give the bytes to the process, as fast as it takes them. Raises whatever reading them does."""
    if stdin is None or source is None:
        return
    try:
        async for piece in source:
            stdin.write(piece)
            await stdin.drain()
    except (BrokenPipeError, ConnectionResetError):
        return  # the process has ended, and says why
    finally:
        stdin.close()


def _piped(stream: asyncio.StreamReader | None) -> asyncio.StreamReader:
    if stream is None:
        raise RuntimeError("the process was started without a pipe")
    return stream


async def _last_of(stream: asyncio.StreamReader) -> str:
    said = b""
    while piece := await stream.read(_SAID_BYTES):
        said = (said + piece)[-_SAID_BYTES:]
    lines = said.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "nothing said"
