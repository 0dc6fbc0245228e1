"""Locks on files between the processes of a machine; the kernel releases them when their holder ends."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from updater.errors import Unavailable
from updater.permissions import make_folders

_POLL_S = 0.05


def try_lock(path: Path, *, make: bool = False) -> int | None:
    """Take the lock on a file, with `make` also one that does not exist yet.

    Returns: its descriptor, or None when another process holds it. Raises OSError when the file cannot be opened.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if make else 0), 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


@asynccontextmanager
async def exclusive(path: Path) -> AsyncIterator[None]:
    """Wait for the lock on a file, made when missing, and hold it for the block.

    Raises:
        Unavailable: the file cannot be made or opened.
    """
    try:
        make_folders(path.parent)
        while (descriptor := try_lock(path, make=True)) is None:  # noqa: ASYNC110 - the kernel has no event for it
            await asyncio.sleep(_POLL_S)
    except OSError as error:
        raise Unavailable(f"The folder of this deployment cannot be used: {error.strerror}") from error
    try:
        yield
    finally:
        os.close(descriptor)
