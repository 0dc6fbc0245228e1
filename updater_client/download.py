"""Fetch a build's file: resumable, verified, and put in place whole or not at all.

Bytes collect in a part (`placing` tells where). What lies there is trusted only after its digest was read back from the
disk, so neither a cut, nor another build's leftovers, nor a second process can put wrong bytes in place.
"""

from __future__ import annotations

import asyncio
import re
from email.message import Message
from email.utils import collapse_rfc2231_value
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

import aiohttp

from updater_client.checksums import read_checksum
from updater_client.errors import DigestMismatch, Unreachable, UpdateError
from updater_client.hashing import hash_file
from updater_client.model import Build, FetchedFile, Progress
from updater_client.placing import Place, Replaced
from updater_client.reserved import is_device
from updater_client.transport import Transport

BLOCK_BYTES = 1024 * 1024


class Fetch:
    """One build on its way into one place.

    Raises:
        UpdateError: the build's checksum is of a kind that cannot be verified, or none.
    """

    def __init__(self, transport: Transport, build: Build, path: Path, place: Place, progress: Progress | None) -> None:
        self._digest = read_checksum(build.checksum_type, build.checksum)
        self._transport = transport
        self._build = build
        self._path = path
        self._place = place
        self._part = place.part
        self._progress = progress or (lambda done, total: None)
        self._received = 0
        self._resumed = 0
        # Hosted builds carry their digest as ETag; another host's own tag is learned from its answer.
        self._tag = f'"{self._digest.hex()}"' if build.checksum_type == "sha256" else None

    async def run(self) -> FetchedFile:
        """Bring the file into place, whole and durable; a file that is right already is left alone.

        Raises:
            DigestMismatch: other bytes came than were announced. Unreachable: the attempts have run out.
            UpdateError: the server refuses. OSError: the disk does.
        """
        if isinstance(self._place, Replaced) and await self._is_right(self._place.path):
            self._resumed = self._place.path.stat().st_size
            self._progress(self._resumed, self._resumed)
            return self._result(self._resumed)
        self._resumed = _size_bytes(self._part)
        await self._fill_part()
        if self._resumed and not await self._is_right(self._part):
            # The old bytes may have been another build's: once more, from nothing.
            self._part.unlink()
            self._resumed = 0
            await self._fill_part()
        await self._verify()
        size_bytes = _size_bytes(self._part)
        await self._place.settle()
        return self._result(size_bytes)

    def _result(self, size_bytes: int) -> FetchedFile:
        return FetchedFile(
            path=self._path,
            size_bytes=size_bytes,
            checksum=self._build.checksum,
            checksum_type=self._build.checksum_type,
            received_bytes=self._received,
            resumed_bytes=self._resumed,
        )

    async def _fill_part(self) -> None:
        """Attempt until all bytes are there. Attempts that bring the file further do not count."""
        size, attempts, furthest = self._build.file_size_bytes, self._transport.attempts(), 0
        while True:
            have = _size_bytes(self._part)
            if have and have == size:
                return
            if (size is not None and have > size) or (have and self._tag is None):
                self._start_over()
                have = 0
            try:
                await self._attempt(have)
                return
            except DigestMismatch:
                self._start_over()
                raise
            except UpdateError as error:
                if (reached := _size_bytes(self._part)) > furthest:
                    furthest = reached
                    attempts.forget()
                await attempts.pause(error)

    async def _attempt(self, have: int) -> None:
        headers = {"Range": f"bytes={have}-", "If-Range": self._tag or ""} if have else {}
        url = self._transport.url(self._build.download_url)
        async with self._transport.open("GET", url, headers) as response:
            if response.status == 416:
                if response.headers.get("Content-Range") == f"bytes */{have}":
                    return
                self._start_over()
                raise Unreachable("the server has no such range: starting over")
            if response.status == 206 and not _begins_at(response, have):
                self._start_over()
                raise Unreachable("the server sent another range: starting over")
            if response.status != 206:
                self._start_over()
                have = 0
            tag = response.headers.get("ETag", "")
            self._tag = tag if tag.startswith('"') else self._tag
            await self._receive(response, have)

    async def _receive(self, response: aiohttp.ClientResponse, have: int) -> None:
        size = self._build.file_size_bytes
        total = size
        if total is None and response.content_length is not None:
            total = have + response.content_length
        # Opened here and not in a thread: a cancellation could not get at a file that is still being opened.
        with self._open_part() as file:
            self._progress(have, total)
            async for block in response.content.iter_chunked(BLOCK_BYTES):
                have += len(block)
                if size is not None and have > size:
                    raise DigestMismatch(f"more than the {size} bytes that were announced")
                await asyncio.to_thread(file.write, block)
                self._received += len(block)
                self._progress(have, total)
        if size is not None and have < size:
            raise Unreachable(f"the answer ended after {have} of {size} bytes")

    def _open_part(self) -> BinaryIO:
        return self._part.open("ab")

    def _start_over(self) -> None:
        self._part.unlink(missing_ok=True)
        self._resumed = 0

    async def _is_right(self, path: Path) -> bool:
        """Say whether a file has the announced size and digest."""
        if not _may_be_right(path, self._build.file_size_bytes):
            return False
        return (await hash_file(path, self._build.checksum_type)).digest == self._digest

    async def _verify(self) -> None:
        """Read back what came; drop it when it is not what was announced."""
        if not await self._is_right(self._part):
            self._part.unlink()
            raise DigestMismatch(f"the {self._build.checksum_type} of what came is not {self._build.checksum}")


def _may_be_right(path: Path, size_bytes: int | None) -> bool:
    return path.is_file() and size_bytes in (None, path.stat().st_size)


def _size_bytes(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _begins_at(response: aiohttp.ClientResponse, start: int) -> bool:
    return response.headers.get("Content-Range", "").startswith(f"bytes {start}-")


async def find_file_name(transport: Transport, build: Build) -> str | None:
    """Ask what a build's file is called; None when the answer holds no usable name.

    After a failure the address alone says what it can. The name is a bare one, safe in any folder.

    Raises:
        UpdateError: the build's address cannot be read as one.
    """
    url = transport.url(build.download_url)
    try:
        async with transport.open("HEAD", url, {}) as response:
            header = response.headers.get("Content-Disposition", "")
            path = urlsplit(str(response.url)).path
    except UpdateError:
        header, path = "", urlsplit(url).path
    name = _name_in(header)
    if name is None and "/api/v1/updates/" not in path:
        name = unquote(path.rsplit("/", 1)[-1])
    return safe_file_name(name or "")


def _name_in(disposition: str) -> str | None:
    """Return the file name of a Content-Disposition; the extended form counts before the plain one.

    Source: RFC 6266 section 4.3.
    """
    message = Message()
    message["Content-Disposition"] = disposition
    found = [value for key, value in message.get_params([], "Content-Disposition") if key.lower() == "filename"]
    extended = [value for value in found if isinstance(value, tuple)]
    return collapse_rfc2231_value((extended or found)[0]) if found else None


def safe_file_name(name: str) -> str | None:
    """Reduce a name to one that is safe in any folder, of at most 200 bytes; None when nothing is left.

    Only what follows the last slash or backslash counts; control characters go, and reserved ones become `_`. The
    end of a long name stays, since it tells what the file is.
    """
    name = re.split(r"[/\\]", name)[-1]
    name = re.sub(r'[<>:"|?*]', "_", "".join(c for c in name if c.isprintable()))
    name = name.encode(errors="ignore")[-200:].decode(errors="ignore").lstrip(".- ").rstrip(". ")
    return f"_{name}" if is_device(name) else name or None
