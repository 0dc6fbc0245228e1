"""The reserve: free space that is left to the database, whatever is uploaded or reported.

A disk that is full to its last byte stops all writes: no release can be withdrawn, no key revoked. So what strangers
and build machines send is refused before that. The one place that knows how much is kept, and who is refused for it.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from pathlib import Path
from typing import Final, NamedTuple

from updater.errors import StorageFull, Unavailable

_LARGEST_BYTES: Final = 1 << 30
_SHARE: Final = 20
# Reports are small and many: one look at the file system serves all that come within this time.
_LOOK_HOLDS_S: Final = 1.0
_REPORT_AGAIN_S: Final = 60


class Room(NamedTuple):
    """The free bytes of a file system, and how many of them are kept for the database."""

    free_bytes: int
    reserve_bytes: int


class Reserve:
    """The reserve of the file system that a folder lies on. `reserve_bytes` None: 5 % of it, at most 1 GiB."""

    def __init__(self, folder: Path, reserve_bytes: int | None = None) -> None:
        self._folder = folder
        self._reserve_bytes = reserve_bytes
        self._looked_at_s = -_LOOK_HOLDS_S
        self._room_bytes = 0

    async def require(self, size_bytes: int) -> None:
        """Refuse what would leave less than the reserve, now.

        Raises:
            StorageFull: there is no room for `size_bytes` bytes beside the reserve.
        """
        await self._look()
        if self._room_bytes < size_bytes:
            raise StorageFull("No room left on the server to store this: the rest is kept for the database")

    async def require_for_report(self) -> None:
        """Refuse a report when the reserve is touched; the client keeps it and sends it again.

        Raises:
            Unavailable: it is.
        """
        if self._room_bytes < 0 or time.monotonic() - self._looked_at_s >= _LOOK_HOLDS_S:
            await self._look()
        if self._room_bytes < 0:
            raise Unavailable("No room left for reports; send it again later", retry_after_s=_REPORT_AGAIN_S)

    async def find_room(self) -> Room | None:
        """Return how much room there is now; None when the folder is gone."""
        return await asyncio.to_thread(self._find_room)

    async def _look(self) -> None:
        self._looked_at_s = time.monotonic()
        self._room_bytes = await asyncio.to_thread(self.measure_bytes)

    def measure_bytes(self) -> int:
        """Return the free bytes above the reserve; below 0 when it is touched."""
        room = self._find_room()
        # A folder that is gone is told by whoever writes there, in words.
        return _LARGEST_BYTES if room is None else room.free_bytes - room.reserve_bytes

    def _find_room(self) -> Room | None:
        try:
            usage = shutil.disk_usage(self._folder)
        except OSError:
            return None
        kept = min(usage.total // _SHARE, _LARGEST_BYTES) if self._reserve_bytes is None else self._reserve_bytes
        return Room(usage.free, kept)
