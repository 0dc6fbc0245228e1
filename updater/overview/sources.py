"""A question that is answered from memory, and asked again in the background: nobody waits for a slow part."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from updater.errors import Failure
from updater.logs.loggers import get_logger

Found = TypeVar("Found")
STALE_S = 60.0
_log = get_logger(__name__)


class Source(Generic[Found]):
    """The last answer of `ask`, kept for `kept_s` seconds; asked once at a time, however many wait for it.

    A failure is an answer, too: what was found before stays, and it is tried again after `kept_s`.
    """

    def __init__(self, name: str, ask: Callable[[], Awaitable[Found]], empty: Found, *, kept_s: float) -> None:
        self.name = name
        self.found = empty
        self._ask = ask
        self._kept_s = kept_s
        self._asked_s: float | None = None
        self._asking: asyncio.Task[None] | None = None

    @property
    def is_stale(self) -> bool:
        """Tell whether the last answer is so old that it should not be told any more."""
        return self._asked_s is None or time.monotonic() - self._asked_s > STALE_S

    def refresh(self) -> asyncio.Task[None] | None:
        """Begin to ask when the answer is too old; return what is under way, None when the answer counts."""
        if self._asking is not None and not self._asking.done():
            return self._asking
        if self._asked_s is not None and time.monotonic() - self._asked_s < self._kept_s:
            return None
        self._asking = asyncio.create_task(self._question(), name=f"overview: {self.name}")
        return self._asking

    async def close(self) -> None:
        """Cancel what is under way and wait for its end. Raises nothing."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)

    async def _question(self) -> None:
        try:
            self.found = await self._ask()
        except Failure as failure:
            _log.warning("overview.failed", part=self.name, reason=failure.message)
        except Exception as error:
            _log.error("overview.failed", part=self.name, exc_info=error)
        finally:
            self._asked_s = time.monotonic()
