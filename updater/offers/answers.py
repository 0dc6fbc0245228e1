"""Rendered answers, kept beside the snapshots they were made from: one cache for all surfaces.

Key: the surface's word, then everything the answer depends on, as it was rendered: origin, normalised question,
cohort; never an identity. Bound: `max_bytes` over all applications; when it is reached, the application with most
bytes starts anew: in a flood of invented questions that is soon the flooded one. Death: with its snapshot.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

MAX_BYTES = 32 * 1024 * 1024
# What an entry takes beside its texts: two dictionary slots, the key's tuple, small objects. Source: measured.
_ENTRY_BYTES = 1_400


class AnswerCache:
    """The bound that all shelves share."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self.max_bytes = max_bytes
        self.size_bytes = 0
        self._shelves: set[AnswerShelf] = set()

    def open_shelf(self) -> AnswerShelf:
        """Return an empty shelf for a new snapshot. `close` it when the snapshot goes."""
        return AnswerShelf(self)

    def _make_room(self, wanted_bytes: int) -> None:
        while self.size_bytes + wanted_bytes > self.max_bytes and self._shelves:
            max(self._shelves, key=lambda shelf: shelf.size_bytes).clear()


class AnswerShelf:
    """The answers of one snapshot. `get` is the way of every check: one dictionary, nothing else."""

    __slots__ = ("_answers", "_cache", "_is_closed", "get", "size_bytes")

    def __init__(self, cache: AnswerCache) -> None:
        self._cache = cache
        self._answers: dict[Hashable, Any] = {}
        self.get = self._answers.get
        self.size_bytes = 0
        self._is_closed = False

    def keep(self, key: Hashable, answer: Any, text_bytes: int) -> None:
        """Keep an answer, unless it is too large; `text_bytes` counts its body and the texts of its key.

        A closed shelf keeps nothing: its snapshot went while the answer was being made.
        """
        size_bytes = text_bytes + _ENTRY_BYTES
        if self._is_closed or key in self._answers or size_bytes > self._cache.max_bytes // 16:
            return
        self._cache._make_room(size_bytes)
        self._answers[key] = answer
        self.size_bytes += size_bytes
        self._cache.size_bytes += size_bytes
        self._cache._shelves.add(self)

    def close(self) -> None:
        """Let go of all answers, and keep none from now on."""
        self._is_closed = True
        self.clear()

    def clear(self) -> None:
        """Let go of all answers, and give their bytes back."""
        self._answers.clear()
        self._cache.size_bytes -= self.size_bytes
        self.size_bytes = 0
        self._cache._shelves.discard(self)

    def __len__(self) -> int:
        return len(self._answers)
