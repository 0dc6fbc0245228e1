"""Digests of files, computed beside the event loop, and given up when who asks has gone."""

from __future__ import annotations

import asyncio
import hashlib
import os
from pathlib import Path
from threading import Event
from typing import NamedTuple

BLOCK_BYTES = 1 << 20


class Hashed(NamedTuple):
    """A file as it was when its reading began, and the digest of what was read."""

    size_bytes: int
    modified_at_ns: int
    digest: bytes


async def hash_file(path: Path, kind: str) -> Hashed:
    """Read a file in a thread, which ends early when this is cancelled.

    Raises:
        OSError: the file cannot be read.
    """
    ended = Event()
    try:
        return await asyncio.to_thread(_hash_file, path, kind, ended)
    finally:
        ended.set()


def _hash_file(path: Path, kind: str, ended: Event) -> Hashed:
    digest = hashlib.new(kind, usedforsecurity=False)
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        while not ended.is_set() and (block := file.read(BLOCK_BYTES)):
            digest.update(block)
    return Hashed(status.st_size, status.st_mtime_ns, digest.digest())
