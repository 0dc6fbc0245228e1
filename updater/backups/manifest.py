"""The manifest: the contents of a backup, written last. A folder without one is no backup.

It names the database copy by its digest, so that the previous backup stays complete while a new one is written, until
the new manifest replaces the old one in a single step.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from updater.artifacts.digests import is_digest
from updater.artifacts.local import sync_folder
from updater.errors import Conflict, DigestMismatch, Failure, NotFound, StorageFull, Unavailable
from updater.permissions import PRIVATE_FILE, create_file

MANIFEST, SECRET, DATABASE = "manifest.json", "secret", "updater.db"
FORMAT = 1
_COPY = re.compile(r"database-([0-9a-f]{64})\.db")


@dataclass(frozen=True, slots=True)
class Manifest:
    """The contents of a backup.

    `created_at` is ISO 8601 in UTC, `revision` that of the database's schema, `database` the file name of its copy, and
    `blobs` maps digests to sizes in bytes. `missing` are the blobs that were damaged or gone when it was made.
    """

    created_at: str
    revision: str
    database: str
    secret_sha256: str
    blobs: Mapping[str, int]
    missing: tuple[str, ...] = ()

    @property
    def database_sha256(self) -> str:
        """Return the digest of the database copy: 64 lower-case hex digits."""
        return self.database.removeprefix("database-").removesuffix(".db")


def copy_name(digest: str) -> str:
    """Return the file name of the database copy with this digest."""
    return f"database-{digest}.db"


def is_copy_name(name: str) -> bool:
    """Tell whether a file name is that of a database copy."""
    return _COPY.fullmatch(name) is not None


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Replace the manifest durably and in one step. Raises OSError when it cannot be written."""
    text = json.dumps({"format": FORMAT, **asdict(manifest)}, indent=1)
    write_file(folder / MANIFEST, text.encode(), mode=PRIVATE_FILE)


def find_manifest(folder: Path) -> Manifest | None:
    """Read the manifest of a folder; None when there is none. Raises DigestMismatch when it is damaged."""
    try:
        raw = (folder / MANIFEST).read_bytes()
    except FileNotFoundError:
        return None
    try:
        return _manifest(json.loads(raw))
    except (ValueError, KeyError, TypeError):
        raise DigestMismatch({"manifest": "damaged, or written by a newer version"}, "The backup is damaged") from None


def get_manifest(folder: Path) -> Manifest:
    """Read the manifest of a folder.

    Raises:
        NotFound: there is no complete backup. DigestMismatch: the manifest is damaged.
    """
    found = find_manifest(folder)
    if found is None:
        raise NotFound("backup", f"{folder} holds no complete backup: it has no {MANIFEST}")
    return found


@contextmanager
def hold_backup(folder: Path) -> Iterator[None]:
    """Lock the folder against every other backup and restore for the block. Raises Conflict when it is locked."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(f"{folder} is in use by another backup or restore") from None
        yield
    finally:
        os.close(descriptor)


def write_file(path: Path, content: bytes, *, mode: int) -> None:
    """Write a small file with permissions `mode`, durably; a reader finds the old bytes or the new ones.

    Raises:
        OSError: it cannot be written; the old file is still there.
    """
    temporary = path.with_name(path.name + ".new")
    temporary.unlink(missing_ok=True)
    descriptor = create_file(temporary, mode)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    temporary.replace(path)
    sync_folder(path.parent)


def failure_of(error: OSError, what: str) -> Failure:
    """Return an error of the operating system as a failure for an operator, with its reason.

    Returns: StorageFull for a full disk or quota, else Unavailable.
    """
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFull(f"{what}: no room left")
    return Unavailable(f"{what}: {error.strerror}")


def file_digest(path: Path) -> str:
    """Return a file's SHA-256: 64 lower-case hex digits. Raises OSError when it cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _manifest(tree: Any) -> Manifest:
    """Check a parsed manifest, since its names become paths. Raises ValueError, KeyError, TypeError."""
    if tree.pop("format") != FORMAT:
        raise ValueError("another format")
    blobs = {str(digest): int(size) for digest, size in tree.pop("blobs").items()}
    found = Manifest(blobs=blobs, missing=tuple(tree.pop("missing")), **{k: str(v) for k, v in tree.items()})
    if not is_copy_name(found.database) or not all(map(is_digest, (*blobs, *found.missing, found.secret_sha256))):
        raise ValueError("names that no backup has")
    return found
