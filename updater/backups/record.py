"""When a backup of a data folder was made last: a small file in it, beside what is backed up.

The backups lie elsewhere, perhaps on a disk that is not there now, so the folder itself remembers. A restore does not
bring the file back: what it holds is of this folder.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import orjson

from updater.artifacts.folders import sync_folder
from updater.permissions import create_file

RECORD = "last-backup.json"


@dataclass(frozen=True, slots=True)
class BackupRecord:
    """The last good backup, and the failure after it, if the last attempt failed. Times are in UTC."""

    made_at: datetime | None = None
    failed_at: datetime | None = None
    error: str | None = None


def find_record(root: Path) -> BackupRecord | None:
    """Return what is known of the backups of a data folder; None for nothing readable. Blocks."""
    try:
        tree = orjson.loads((root / RECORD).read_bytes())
        times = {name: _moment(tree.get(name)) for name in ("made_at", "failed_at")}
        return BackupRecord(**times, error=tree.get("error"))
    except (OSError, ValueError, TypeError, AttributeError):
        return None


def note_made(root: Path, at: datetime) -> None:
    """Remember a good backup. Blocks. Raises OSError."""
    _write(root, BackupRecord(made_at=at))


def note_failed(root: Path, at: datetime, error: str) -> None:
    """Remember that a backup failed, beside the last good one. Blocks. Raises OSError."""
    _write(root, replace(find_record(root) or BackupRecord(), failed_at=at, error=error))


def _write(root: Path, record: BackupRecord) -> None:
    temporary = root / f"{RECORD}.{os.getpid()}.new"
    temporary.unlink(missing_ok=True)
    descriptor = create_file(temporary)
    try:
        os.write(descriptor, orjson.dumps(record))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    temporary.replace(root / RECORD)
    sync_folder(root)


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
