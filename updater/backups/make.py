"""Make a backup: a consistent copy of the database, and the blobs that the folder does not hold yet.

Order: database copy, secret, blobs, manifest, then the removal of what the manifest no longer names. Each step is
durable before the next; after a kill at any point the folder holds the previous backup, or no manifest.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import uuid
from collections.abc import AsyncIterator, Collection
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from updater.artifacts.blobs import BlobStore
from updater.artifacts.digests import is_digest
from updater.artifacts.hashing import is_whole
from updater.artifacts.local import LocalBlobStore, sync_folder
from updater.backups.manifest import (
    DATABASE,
    MANIFEST,
    SECRET,
    Manifest,
    copy_name,
    failure_of,
    file_digest,
    find_manifest,
    hold_backup,
    is_copy_name,
    write_file,
    write_manifest,
)
from updater.clock import END_OF_TIME, Clock, utc_now
from updater.database.copies import copy_database, find_damage, read_revision, read_used_blobs
from updater.errors import Conflict, DigestMismatch, Invalid, NotFound, Unavailable
from updater.permissions import create_file, make_folder

CHECKED_WITHIN_RUNS = 30
"""Each run hashes so great a part of the blobs that are in the folder already, those longest unchecked first."""

_OWN_NAMES = frozenset({MANIFEST, f"{MANIFEST}.new", SECRET, f"{SECRET}.new", "blobs", "incoming", "lost+found"})


@dataclass(frozen=True, slots=True)
class Step:
    """The progress of a backup: blobs done, blobs in all, and how many had to be copied.

    `checked` blobs that were in the folder before were hashed again. The last step has the digests of those that were
    wrong there and are `repaired`, and of those `missing`: damaged or gone in the service.
    """

    done: int
    total: int
    copied: int
    checked: int = 0
    repaired: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


async def make_backup(folder: Path, root: Path, blobs: BlobStore, *, clock: Clock = utc_now) -> AsyncIterator[Step]:
    """Back the data folder `root` up into `folder`, made when missing; yield the progress, at the end all done.

    The caller prevents the removal of blobs meanwhile.

    Raises:
        Invalid: the folder lies in the data folder, or holds it. Conflict: it holds something else, the backup
        of another installation, or is in use. DigestMismatch: its manifest, or the database, is damaged.
        StorageFull, Unavailable: it cannot be written. A complete backup that was there before stays complete.
    """
    try:
        with ExitStack() as stack:
            await asyncio.to_thread(_prepare, folder, root)
            stack.enter_context(hold_backup(folder))
            store = LocalBlobStore(folder)
            stack.callback(store.close)
            async for step in _fill(folder, root, blobs, store, clock):
                yield step
    except sqlite3.OperationalError as error:
        raise Unavailable("The database cannot be copied") from error
    except sqlite3.DatabaseError as error:
        raise _damaged_database(str(error)) from error
    except OSError as error:
        raise failure_of(error, "The backup cannot be written") from error


async def _fill(folder: Path, root: Path, blobs: BlobStore, store: LocalBlobStore, clock: Clock) -> AsyncIterator[Step]:
    created_at = clock().isoformat(timespec="seconds")
    await store.sweep(END_OF_TIME)  # only this process writes here; the clock may have gone back
    await asyncio.to_thread(find_manifest, folder)  # a damaged one needs a person's decision: do not replace it
    secret_digest = await asyncio.to_thread(_keep_secret, folder, root)
    copy = await asyncio.to_thread(_keep_database, folder, root)
    used, held = await asyncio.to_thread(lambda: (read_used_blobs(copy), _held(folder)))
    kept = [digest for digest, size in used.items() if digest in held and held[digest].size_bytes == size]
    due = sorted(kept, key=lambda digest: held[digest].checked_ns)[: -(-len(kept) // CHECKED_WITHIN_RUNS)]
    rotten = {digest for digest in due if not await _is_still_whole(digest, store)}
    wanted = sorted((used.keys() - kept) | rotten)
    missing: list[str] = []
    done = len(used) - len(wanted)
    yield Step(done, len(used), 0, len(due))
    for number, digest in enumerate(wanted, 1):
        if not await _copy_blob(digest, blobs, store):
            missing.append(digest)
        yield Step(done + number, len(used), number - len(missing), len(due))
    manifest = Manifest(
        created_at=created_at,
        revision=await asyncio.to_thread(read_revision, copy),
        database=copy.name,
        secret_sha256=secret_digest,
        blobs={digest: size for digest, size in used.items() if digest not in missing},
        missing=tuple(missing),
    )
    await asyncio.to_thread(write_manifest, folder, manifest)
    await asyncio.to_thread(_prune, folder, manifest, held)
    repaired = tuple(sorted(rotten.difference(missing)))
    yield Step(len(used), len(used), len(wanted) - len(missing), len(due), repaired, tuple(missing))


def _prepare(folder: Path, root: Path) -> None:
    here, there = folder.resolve(), root.resolve()
    if here == there or here in there.parents or there in here.parents:
        raise Invalid({"folder": "must lie outside the data folder, and not hold it"})
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        make_folder(folder)
    for each in missing:
        sync_folder(each.parent)
    strange = sorted(each.name for each in folder.iterdir() if each.name not in _OWN_NAMES)
    if any(not is_copy_name(name) for name in strange):
        raise Conflict(f"{folder} is not empty and holds no backup")


def _keep_secret(folder: Path, root: Path) -> str:
    """Copy the secret that the stored hashes of keys depend on; it never changes in one installation."""
    secret, kept = (root / SECRET).read_bytes(), folder / SECRET
    if kept.exists():
        if kept.read_bytes() != secret:
            raise Conflict(f"{folder} holds the backup of another installation")
    else:
        write_file(kept, secret, mode=0o600)
    return file_digest(kept)


def _keep_database(folder: Path, root: Path) -> Path:
    """Copy the database and name the copy by its digest. A damaged one never replaces the copy that is there."""
    temporary = folder / "incoming" / uuid.uuid4().hex
    os.close(create_file(temporary))
    copy_database(root / DATABASE, temporary)
    damage = find_damage(temporary)
    if damage is not None:
        temporary.unlink()
        raise _damaged_database(damage)
    kept = folder / copy_name(file_digest(temporary))
    temporary.replace(kept)
    sync_folder(folder)
    return kept


def _damaged_database(damage: str) -> DigestMismatch:
    return DigestMismatch(
        {DATABASE: damage}, "The database is damaged; the last backup stays as it is. Restore it, or ask for help"
    )


async def _is_still_whole(digest: str, store: LocalBlobStore) -> bool:
    """Hash a blob of the backup again. The time of a good one's file says when that was."""
    if not await is_whole(store, digest):
        return False
    await store.run(os.utime, store.locate(digest))
    return True


class _Held(NamedTuple):
    size_bytes: int
    checked_ns: int


def _held(folder: Path) -> dict[str, _Held]:
    """Return every blob in the folder by its digest. A file gets its name only when it is complete."""
    found: dict[str, _Held] = {}
    for first in os.scandir(folder / "blobs"):
        for second in os.scandir(first) if first.is_dir() else ():
            for entry in os.scandir(second) if second.is_dir() else ():
                if is_digest(entry.name):
                    there = entry.stat(follow_symlinks=False)
                    found[entry.name] = _Held(there.st_size, there.st_mtime_ns)
    return found


async def _copy_blob(digest: str, blobs: BlobStore, store: LocalBlobStore) -> bool:
    """Copy one blob; return False when it is gone or its bytes do not have its digest."""
    try:
        staged = await store.receive(blobs.read(digest))
    except NotFound:
        return False
    try:
        if staged.digest != digest:
            return False
        await staged.place()
        return True
    finally:
        await staged.discard()


def _prune(folder: Path, manifest: Manifest, held: Collection[str]) -> None:
    """Remove copies and blobs that the manifest does not name; `held` are the blobs that were there before."""
    for path in folder.iterdir():
        if is_copy_name(path.name) and path.name != manifest.database:
            path.unlink()
    for digest in set(held) - manifest.blobs.keys():
        (folder / "blobs" / digest[:2] / digest[2:4] / digest).unlink()
    shutil.rmtree(folder / "incoming", ignore_errors=True)
