"""Rate limits counted in memory: fixed windows without a background task.

Windows are measured by the monotonic clock: a wall clock that is set back would keep a client out for as long.
"""

from __future__ import annotations

import time
from collections import OrderedDict


class _Window:
    __slots__ = ("count", "ends_at")

    def __init__(self, ends_at: float) -> None:
        self.count = 0
        self.ends_at = ends_at


class WindowStorage:
    """Fixed windows for one thread, all of one length. A window begins with the first hit after the last one ended.

    The memory storage of the library `limits` starts a thread every 10 ms that looks at every key: with 100,000 clients
    a hit took twice as long, and sometimes 20 ms. Here a new window drops at most two that are over, so the cost of a
    hit does not depend on the number of clients, and memory follows the number of clients of the last window. Without
    it the library had nothing left to do but to name keys, for 2 MiB.
    """

    def __init__(self) -> None:
        # In the order in which they began, which is the order in which they end.
        self._windows: OrderedDict[str, _Window] = OrderedDict()

    def __len__(self) -> int:
        return len(self._windows)

    def hit(self, key: str, expiry: float, amount: int = 1) -> tuple[int, float]:
        """Count `amount`; return the count of the window, and the seconds until it ends.

        A new window lasts `expiry` seconds.
        """
        now = time.monotonic()
        window = self._windows.get(key)
        if window is None or window.ends_at <= now:
            window = self._begin(key, now, expiry)
        window.count += amount
        return window.count, window.ends_at - now

    def peek(self, key: str, expiry: float) -> tuple[int, float]:
        """Return what `hit` would have returned before it counted anything."""
        now = time.monotonic()
        window = self._windows.get(key)
        return (window.count, window.ends_at - now) if window is not None and window.ends_at > now else (0, expiry)

    def charge(self, key: str, expiry: float, amount: int) -> None:
        """Count `amount` that was used already."""
        self.hit(key, expiry, amount)

    def give_back(self, key: str) -> None:
        """Take one back of what was counted in the present window, if it has not ended."""
        window = self._windows.get(key)
        if window is not None and window.ends_at > time.monotonic():
            window.count = max(0, window.count - 1)

    def _begin(self, key: str, now: float, expiry: float) -> _Window:
        windows = self._windows
        if key in windows:
            del windows[key]
        for _ in range(2):
            if not windows or windows[next(iter(windows))].ends_at > now:
                break
            windows.popitem(last=False)
        window = windows[key] = _Window(now + expiry)
        return window
