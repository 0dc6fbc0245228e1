"""Publish a file: one multipart upload whose bytes are read from disk while they are sent.

Multipart and not PUT, because release notes and metadata may be longer than a request line.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import aiohttp
from aiohttp.abc import AbstractStreamWriter

from updater.client.errors import FileChanged
from updater.client.model import NewBuild, Progress

BLOCK_BYTES = 256 * 1024
STALL_S = 60.0
"""A block that cannot be sent within this time ends the attempt."""


@dataclass(frozen=True)
class Snapshot:
    """A file as it was when its digest was computed."""

    path: Path
    size_bytes: int
    modified_at_ns: int
    sha256: str

    def check(self) -> None:
        """Refuse a file that was written to since.

        Raises:
            FileChanged: its size or its time of change differs. OSError: it is gone.
        """
        status = self.path.stat()
        if (status.st_size, status.st_mtime_ns) != (self.size_bytes, self.modified_at_ns):
            raise FileChanged(f"{self.path.name} changed while it was being published")


async def take_snapshot(path: Path) -> Snapshot:
    """Hash a file in a thread. Raises OSError when it cannot be read."""
    return await asyncio.to_thread(_take_snapshot, path)


def _take_snapshot(path: Path) -> Snapshot:
    status = path.stat()
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Snapshot(path, status.st_size, status.st_mtime_ns, digest)


class _FilePart(aiohttp.Payload):
    """The file as a part of a known size, so that the server can refuse what is too large at once."""

    def __init__(self, snapshot: Snapshot, progress: Progress | None) -> None:
        super().__init__(snapshot, content_type="application/octet-stream")
        self._snapshot = snapshot
        self._progress = progress
        self._size = snapshot.size_bytes

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Refuse. Raises TypeError: the file is streamed and never decoded."""
        raise TypeError("the file is only ever streamed")

    def _open(self) -> BinaryIO:
        return self._snapshot.path.open("rb")

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Send the bytes of the file, block by block.

        Raises:
            OSError: the file became shorter or cannot be read. TimeoutError: a block is not taken within `STALL_S`.
        """
        sent, size = 0, self._snapshot.size_bytes
        # Opened here and not in a thread: a cancellation could not get at a file that is still being opened.
        with self._open() as file:
            while sent < size:
                block = await asyncio.to_thread(file.read, min(BLOCK_BYTES, size - sent))
                if not block:
                    raise OSError("the file became shorter")
                async with asyncio.timeout(STALL_S):
                    await writer.write(block)
                sent += len(block)
                if self._progress:
                    self._progress(sent, size)


def build_form(build: NewBuild, snapshot: Snapshot, progress: Progress | None) -> aiohttp.MultipartWriter:
    """Build the body of one attempt: the short fields first, so that they can be judged before the file.

    Raises FileChanged when the file is no longer the one that was hashed.
    """
    snapshot.check()
    form = aiohttp.MultipartWriter("form-data")
    for name, value in _fields(build, snapshot).items():
        if value:
            form.append(value).set_content_disposition("form-data", name=name)
    part = form.append_payload(_FilePart(snapshot, progress))
    # As it is, and not percent-encoded: the server keeps the name.
    name = (build.file_name or build.path.name).encode(errors="replace").decode()
    part.set_content_disposition("form-data", quote_fields=False, name="file", filename=name)
    return form


def file_body(snapshot: Snapshot, progress: Progress | None) -> aiohttp.Payload:
    """Build the raw body of one attempt. Raises FileChanged when the file is no longer the one that was hashed."""
    snapshot.check()
    return _FilePart(snapshot, progress)


def _fields(build: NewBuild, snapshot: Snapshot) -> dict[str, str]:
    return {
        "version": build.version,
        "platform": build.target.platform,
        "architecture": build.target.architecture,
        "release_notes": build.release_notes,
        "required": "true" if build.required else "",
        "minimum_version": build.minimum_version or "",
        "metadata": json.dumps(dict(build.metadata)) if build.metadata else "",
        "checksum": snapshot.sha256,
        "channel": build.channel or "",
        "rollout": "" if build.rollout is None else json.dumps(build.rollout),
        "also": ",".join(build.also),
        "draft": "true" if build.draft else "",
        "minisign": build.signatures.get("minisign", ""),
        "ed25519": build.signatures.get("ed25519", ""),
    }
