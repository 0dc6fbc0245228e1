"""Copies of an embedded database: consistent while it is written to, and one durable file each.

Blocking: call these in a worker thread.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path


def copy_database(source: Path, target: Path) -> None:
    """Copy the database as it is at one moment. Writers go on meanwhile; the copy has no write-ahead log.

    Raises:
        OSError: the file cannot be written. sqlite3.Error: the database cannot be read.
    """
    with closing(_open(source)) as live, closing(sqlite3.connect(target)) as copy:
        live.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")
    descriptor = os.open(target, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def find_damage(path: Path) -> str | None:
    """Return what SQLite finds wrong with a copy; None when pages, rows and indexes hold together.

    `quick_check` does not compare indexes with their rows, and a blob that an index does not lead to is not backed up.
    Source: sqlite.org, PRAGMA integrity_check.
    """
    try:
        with closing(_open(path)) as copy:
            said = str(copy.execute("PRAGMA integrity_check(1)").fetchone()[0])
    except sqlite3.DatabaseError as error:
        return str(error)
    return None if said == "ok" else said.replace("\n", " ")


def read_revision(path: Path) -> str:
    """Return the revision of a copy's schema. Raises sqlite3.Error when it is no database of this program."""
    with closing(_open(path)) as copy:
        return str(copy.execute("SELECT version_num FROM alembic_version").fetchone()[0])


def read_used_blobs(path: Path) -> dict[str, int]:
    """Return the digests that something in a copy uses, with their sizes in bytes."""
    wanted = "SELECT blob.digest, blob.size_bytes FROM blob WHERE blob.digest IN (SELECT digest FROM blob_use)"
    with closing(_open(path)) as copy:
        return dict(copy.execute(wanted).fetchall())


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
