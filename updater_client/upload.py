"""What is sent of a file: one multipart form, a raw body, or one piece; its bytes are read from disk meanwhile.

A form and not PUT, because release notes and metadata may be longer than a request line.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import aiohttp
from aiohttp.abc import AbstractStreamWriter

from updater_client.errors import FileChanged
from updater_client.files import NewFile
from updater_client.hashing import hash_file
from updater_client.model import NewBuild, Progress

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
    found = await hash_file(path, "sha256")
    return Snapshot(path, found.size_bytes, found.modified_at_ns, found.digest.hex())


class _FilePart(aiohttp.Payload):
    """The file, or a piece of it, of a known size, so that the server can refuse what is too large at once."""

    def __init__(
        self, snapshot: Snapshot, progress: Progress | None, start: int = 0, size_bytes: int | None = None
    ) -> None:
        super().__init__(snapshot, content_type="application/octet-stream")
        self._snapshot = snapshot
        self._progress = progress
        self._start = start
        self._size = snapshot.size_bytes if size_bytes is None else size_bytes

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
        sent, size = 0, self._size or 0
        # Opened here and not in a thread: a cancellation could not get at a file that is still being opened.
        with self._open() as file:
            file.seek(self._start)
            while sent < size:
                block = await asyncio.to_thread(file.read, min(BLOCK_BYTES, size - sent))
                if not block:
                    raise OSError("the file became shorter")
                async with asyncio.timeout(STALL_S):
                    await writer.write(block)
                sent += len(block)
                if self._progress:
                    self._progress(self._start + sent, self._snapshot.size_bytes)


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


def piece_body(
    snapshot: Snapshot, start: int, size_bytes: int, progress: Progress | None
) -> Callable[[], aiohttp.Payload]:
    """Return what builds the body of one piece; it raises FileChanged for a file that was written to since."""

    def build() -> aiohttp.Payload:
        snapshot.check()
        return _FilePart(snapshot, progress, start, size_bytes)

    return build


def said_of_build(app_id: str, build: NewBuild, snapshot: Snapshot) -> dict[str, str]:
    """Return what goes with the file of a build that is sent in pieces; empty texts are left out there."""
    name = (build.file_name or build.path.name).encode(errors="replace").decode()
    return {"application_id": app_id, "file_name": name, **_fields(build, snapshot)}


def said_of_file(app_id: str, file: NewFile, snapshot: Snapshot) -> dict[str, str]:
    """Return what goes with a companion that is sent in pieces; empty texts are left out there."""
    return {
        "application_id": app_id,
        "companion": "true",
        "file_name": file.name,
        "version": file.version,
        "platform": file.target.platform,
        "architecture": file.target.architecture,
        "also": ",".join(file.also),
        "draft": "true" if file.draft else "",
        "kind": file.kind or "",
        "delta_from": file.delta_from or "",
        "checksum": snapshot.sha256,
        "minisign": file.signatures.get("minisign", ""),
        "ed25519": file.signatures.get("ed25519", ""),
    }


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
