"""Wakes background work soon after a change, wherever it was made."""

from __future__ import annotations

import asyncio
import contextlib

from updater.database.engine import Database


class Bell:
    """Rings with every change that a database announces, of this process and of others, for one listener."""

    def __init__(self, database: Database) -> None:
        self._rung = asyncio.Event()
        self._topics: set[str] = set()
        database.subscribe(self._ring)

    def take(self) -> set[str]:
        """Return the topics that changed since the last time: what is read after this knows of them."""
        topics, self._topics = self._topics, set()
        self._rung.clear()
        return topics

    async def wait(self, at_most_s: float) -> None:
        """Return when something has changed since `take`, or after `at_most_s` seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(at_most_s):
                await self._rung.wait()

    async def _ring(self, topics: set[str]) -> None:
        self._topics |= topics
        self._rung.set()
