"""Digests that go on where they stopped: of a file that comes in pieces, over days and restarts."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import Final

from updater.artifacts.received import Hash, make_hash

_KEPT: Final = 1_024


class Digests:
    """The SHA-256 of the first `position` bytes of a file, and where feeds need one, a further digest of them."""

    def __init__(self, further: str | None) -> None:
        self.position = 0
        self._whole = hashlib.sha256()
        self.further = make_hash(further)

    @property
    def digest(self) -> str:
        """Return the SHA-256 in lower-case hex."""
        return self._whole.hexdigest()

    def update(self, data: bytes) -> None:
        """Add bytes; in a worker thread."""
        self._whole.update(data)
        if self.further is not None:
            self.further.update(data)
        self.position += len(data)

    def copy(self) -> Digests:
        """Return digests that go on from here by themselves."""
        other = Digests(None)
        other.position, other._whole = self.position, self._whole.copy()
        other.further = None if self.further is None else self.further.copy()
        return other


class KnownDigests:
    """What this process knows of the files that it has seen: the digests up to a place where each was durable.

    At most 1,024 files; the one that grew longest ago leaves first, and is read again when it goes on.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[str, Digests] = OrderedDict()

    def find(self, name: str, most: int, further: str | None) -> Digests:
        """Return digests of at most `most` bytes of a file, of none where nothing is known."""
        known = self._known.get(name)
        return Digests(further) if known is None or known.position > most else known.copy()

    def keep(self, name: str, digests: Digests) -> None:
        """Remember digests of a file."""
        self._known[name] = digests.copy()
        self._known.move_to_end(name)
        if len(self._known) > _KEPT:
            self._known.popitem(last=False)

    def forget(self, name: str) -> None:
        """Forget a file."""
        self._known.pop(name, None)


def chunk_hash(name: str) -> Hash:
    """Return what hashes one chunk: `sha1` or `sha256`."""
    return hashlib.new(name, usedforsecurity=False)
