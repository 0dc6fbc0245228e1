"""The chain of audit rows: what is hashed, and whether rows follow each other. PURE.

Each row holds the SHA-256 of its own content and of the row before, so a row that was changed, removed, inserted or
moved breaks the chain; the head holds the last one, so a cut end is found as well. It is no signature: with write
access to the database and to this code the whole chain can be made anew, so keep a copy of the last hash elsewhere.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from updater.audit.model import AuditRow, Break, Head

GENESIS = "0" * 64
EMPTY = Head(0, GENESIS, 0, GENESIS)
"""The head of a chain that has no row yet."""


def as_text(value: Mapping[str, Any] | None) -> str | None:
    """Render a JSON object in one way only: keys sorted, no blanks. None stays None."""
    if value is None:
        return None
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def hash_of(row: AuditRow) -> str:
    """Return the SHA-256, in hex, of everything a row says, the hash of the row before included."""
    content = [
        row.id,
        row.at.isoformat(timespec="microseconds"),
        row.actor.kind.value,
        row.actor.name,
        row.action,
        row.subject,
        row.application_id,
        row.version,
        row.reason,
        row.before,
        row.after,
        row.previous_hash,
    ]
    return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode("utf-8", "surrogatepass")).hexdigest()


def seal(row: AuditRow) -> AuditRow:
    """Return the row with its hash."""
    return replace(row, hash=hash_of(row))


def find_break(rows: Iterable[AuditRow], head: Head) -> Break | None:
    """Follow the chain from the anchor to the head; rows are given in the order of their numbers.

    Returns:
        The first break, or None when every row holds and the last one is the head's.
    """
    walk = ChainWalk(head)
    for row in rows:
        found = walk.step(row)
        if found is not None:
            return found
    return walk.end()


class ChainWalk:
    """Follows the chain row by row, for callers that read rows in batches.

    It begins after the anchor, or after a row that was verified: its number and its hash.
    """

    def __init__(self, head: Head, after: tuple[int, str] | None = None) -> None:
        self._head = head
        self._id, self._hash = after or (head.anchor_id, head.anchor_hash)
        self.rows = 0

    @property
    def place(self) -> tuple[int, str]:
        """Return number and hash of the last row that holds."""
        return self._id, self._hash

    def step(self, row: AuditRow) -> Break | None:
        """Take the next row; return what is wrong with it."""
        if row.id != self._id + 1:
            return Break(self._id + 1, "is missing")
        if row.previous_hash != self._hash:
            return Break(row.id, "does not follow the row before")
        if hash_of(row) != row.hash:
            return Break(row.id, "was changed")
        self._id, self._hash = row.id, row.hash
        self.rows += 1
        return None

    def end(self) -> Break | None:
        """Hold the last row to the head."""
        if self._id < self._head.last_id:
            return Break(self._id + 1, "is missing")
        if self._hash != self._head.last_hash:
            return Break(self._id, "is not the row that the chain ends with")
        return None
