"""Restore a backup into an empty data folder, verifying every digest.

What is whole is restored, and what is not is named: one bad file must not cost all others.

A marker lies in the folder from the first byte to the last: while it is there the service refuses to start,
and the restore can be run again.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import aiofiles

from updater.artifacts.blobs import BlobStore
from updater.artifacts.hashing import is_whole
from updater.artifacts.local import open_flat, sync_folder
from updater.backups.manifest import (
    DATABASE,
    SECRET,
    Manifest,
    failure_of,
    file_digest,
    get_manifest,
    hold_backup,
    write_file,
)
from updater.backups.marker import RESTORING
from updater.database.copies import read_revision
from updater.database.revisions import head_revision
from updater.errors import Conflict, DigestMismatch

# Files that an empty data folder may hold.
_FURNITURE = frozenset({"lock", ".gitignore", "control.sock", "workers.lock", "lost+found"})
_BATCH_BYTES = 1 << 20


class RestoreStep(NamedTuple):
    """Blobs done and in all, and the digests of those that are damaged or gone in the backup."""

    done: int
    total: int
    damaged: tuple[str, ...]


async def restore_backup(folder: Path, root: Path, target: BlobStore) -> AsyncIterator[RestoreStep]:
    """Restore the backup in `folder` into `root`, its blobs into `target`; yield the progress, at the end all done.

    The caller holds `root`.

    Raises:
        NotFound: no complete backup in `folder`. Conflict: `root` or `target` is not empty, or the backup is in use or
        of a newer version. DigestMismatch: its manifest, database or secret is damaged. StorageFull, Unavailable: it
        cannot be read or written. After a failure the service refuses `root` until a restore has succeeded.
    """
    try:
        with ExitStack() as stack:
            manifest = await asyncio.to_thread(get_manifest, folder)
            stack.enter_context(hold_backup(folder))
            if not await asyncio.to_thread((root / RESTORING).exists):
                await _require_empty(root, target)
            await asyncio.to_thread(_begin, folder, root, manifest)
            total = len(manifest.blobs)
            damaged: list[str] = []
            for number, digest in enumerate(manifest.blobs):
                yield RestoreStep(number, total, tuple(damaged))
                if not await _restore_blob(digest, folder, target):
                    damaged.append(digest)
            await asyncio.to_thread(_restore_files, folder, root, manifest)
            yield RestoreStep(total, total, tuple(damaged))
    except OSError as error:
        raise failure_of(error, "The backup cannot be restored") from error


def _begin(folder: Path, root: Path, manifest: Manifest) -> None:
    for name, digest in ((manifest.database, manifest.database_sha256), (SECRET, manifest.secret_sha256)):
        if not (folder / name).is_file() or file_digest(folder / name) != digest:
            raise _damaged(name)
    try:
        known = read_revision(folder / manifest.database) <= head_revision()
    except sqlite3.Error:
        raise _damaged(manifest.database) from None
    if not known:
        raise Conflict("The backup was made by a newer version of this program")
    write_file(root / RESTORING, b"", mode=0o600)


async def _require_empty(root: Path, target: BlobStore) -> None:
    empty = await asyncio.to_thread(_is_empty, root)
    async for _ in target.scan():
        empty = False
        break
    if not empty:
        raise Conflict(f"{root}, or its store, is not empty; a backup is restored into an empty one only")


def _is_empty(root: Path) -> bool:
    """Tell whether nothing was ever stored here; folders without a file do not count."""
    for path in root.iterdir():
        if path.name in _FURNITURE:
            continue
        if path.name not in ("blobs", "incoming") or any(files for _, _, files in os.walk(path)):
            return False
    return True


async def _restore_blob(digest: str, folder: Path, target: BlobStore) -> bool:
    """Copy one blob; return False when the backup does not have it whole."""
    if await is_whole(target, digest):
        return True  # placed by a restore that was interrupted
    try:
        staged = await target.receive(_read(folder / "blobs" / digest[:2] / digest[2:4] / digest))
    except _Unreadable:
        return False
    try:
        if staged.digest == digest:
            await staged.place()
        return staged.digest == digest
    finally:
        await staged.discard()


class _Unreadable(Exception):
    """A file of the backup cannot be read to its end."""


async def _read(path: Path) -> AsyncIterator[bytes]:
    try:
        async with aiofiles.open(path, "rb", opener=open_flat) as file:
            while piece := await file.read(_BATCH_BYTES):
                yield piece
    except OSError as error:
        raise _Unreadable from error


def _restore_files(folder: Path, root: Path, manifest: Manifest) -> None:
    """Write the secret, then the database; with the database the folder is complete."""
    write_file(root / SECRET, (folder / SECRET).read_bytes(), mode=0o600)
    temporary = root / f"{DATABASE}.new"
    _copy(folder / manifest.database, temporary)
    if file_digest(temporary) != manifest.database_sha256:
        raise _damaged(manifest.database)
    temporary.replace(root / DATABASE)
    sync_folder(root)
    (root / RESTORING).unlink()
    sync_folder(root)


def _copy(source: Path, target: Path) -> None:
    target.touch(mode=0o600)
    with source.open("rb") as read, target.open("wb") as written:
        while piece := read.read(_BATCH_BYTES):
            written.write(piece)
        written.flush()
        os.fsync(written.fileno())


def _damaged(name: str) -> DigestMismatch:
    return DigestMismatch({name: "is missing or not what the manifest says"}, "The backup is damaged")
