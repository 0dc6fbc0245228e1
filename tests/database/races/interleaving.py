"""Two transactions, stepped: one stops before a chosen statement while the other goes as far as it gets."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import asyncpg
from sqlalchemy import Engine, event
from sqlalchemy.util import await_only

_STOPS_S = 30.0


class Pause:
    """Stops a task before its first statement that begins like `before`, until `go` is set."""

    def __init__(self, before: str) -> None:
        self.before = before
        self.reached = asyncio.Event()
        self.go = asyncio.Event()


_pause: ContextVar[Pause | None] = ContextVar("pause", default=None)


@contextmanager
def pauses() -> Iterator[None]:
    """Let pauses work for the block."""

    def stop(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        pause = _pause.get()
        if pause is not None and not pause.reached.is_set() and re.match(pause.before, statement):
            pause.reached.set()
            await_only(pause.go.wait())

    event.listen(Engine, "before_cursor_execute", stop)
    try:
        yield
    finally:
        event.remove(Engine, "before_cursor_execute", stop)


class Interleaving:
    """Runs two pieces of work of two processes against each other. `url` is the database of both."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def run(self, first: Coroutine[Any, Any, Any], *, before: str, second: Coroutine[Any, Any, Any]) -> list[Any]:
        """Run `first` up to a statement, then `second` to its end or until it waits for a lock, then both to their end.

        Return what they returned or raised.
        """
        pause = Pause(before)
        one = asyncio.create_task(self._paused(first, pause))
        async with asyncio.timeout(_STOPS_S):
            stopped = asyncio.create_task(pause.reached.wait())
            await asyncio.wait((one, stopped), return_when=asyncio.FIRST_COMPLETED)
            stopped.cancel()
        if not pause.reached.is_set():
            second.close()
            raise AssertionError(f"it ended without {before}: {one}")
        two = asyncio.create_task(second)
        self.waited = await self.wait_for_lock(two)
        pause.go.set()
        return await asyncio.gather(one, two, return_exceptions=True)

    async def _paused(self, work: Coroutine[Any, Any, Any], pause: Pause) -> Any:
        _pause.set(pause)
        return await work

    async def wait_for_lock(self, *tasks: asyncio.Task[Any]) -> bool:
        """Wait until so many wait for a lock in the database, or one of them has ended; return whether they wait."""
        observer = await asyncpg.connect(self._url)
        try:
            async with asyncio.timeout(_STOPS_S):
                while not any(task.done() for task in tasks):
                    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = "
                    if await observer.fetchval(waiting + "current_database()") == len(tasks):
                        return True
                    await asyncio.sleep(0.005)
                return False
        finally:
            await observer.close()
