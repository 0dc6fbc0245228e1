"""What other processes changed: a shared database tells, and is asked twice a second in case it could not.

NOTIFY makes a change known at once; the revision number catches changes during which this process could not listen.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from sqlalchemy import select

from updater.database.engine import CHANNEL, Database
from updater.database.tables import change, revision
from updater.errors import Failure, Unavailable
from updater.logs.loggers import get_logger

ASK_EVERY_S = 0.5
CATCH_UP_S = 2.0
_PAUSE_S = 0.01
_log = get_logger(__name__)


class ChangeWatcher:
    """Tells the database's subscribers what other processes changed, until cancelled. One for each process."""

    def __init__(self, database: Database, url: str) -> None:
        self._database = database
        self._url = url
        self._server: Any = None
        self._heard = asyncio.Event()
        self._waiting: list[asyncio.Future[None]] = []
        self._seen = 0

    async def start(self) -> None:
        """Note where the database stands. Call before reading what subscribers will refresh. Raises Unavailable."""
        self._seen, _ = await self._changes(None)

    async def run(self) -> None:
        """Watch. A database that is away is asked again until it is back."""
        listener = asyncio.create_task(self._listen())
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(ASK_EVERY_S):
                        await self._heard.wait()
                self._heard.clear()
                waiting, self._waiting = self._waiting, []
                good = await self._ask()
                for each in waiting:
                    if not each.done():
                        each.set_result(None) if good else each.set_exception(_no_answer())
                await asyncio.sleep(_PAUSE_S)
        finally:
            listener.cancel()
            await asyncio.gather(listener, return_exceptions=True)

    async def catch_up(self) -> None:
        """Return when everything is read that others had committed before the call.

        Calls at the same time share one question to the database, so clients cannot cause many.
        Raises Unavailable: the database does not answer, or not in time.
        """
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        self._heard.set()
        try:
            async with asyncio.timeout(CATCH_UP_S):
                await waiter
        except TimeoutError:
            raise _no_answer() from None

    async def _ask(self) -> bool:
        try:
            value, topics = await self._changes(self._seen)
            if topics:
                await self._database.tell(topics)
            self._seen = value
        except Failure:
            return False  # asked again soon, from the same revision
        except Exception as error:
            _log.error("changes.failed", exc_info=error)
            return False
        return True

    async def _changes(self, since: int | None) -> tuple[int, set[str]]:
        async with self._database.read_to_follow() as connection:
            value = int(await connection.scalar(select(revision.c.value)) or 0)
            if since is None or value == since:
                return value, set()
            # A lower value than seen: another database stands there now, so everything may have changed.
            newer = select(change.c.topic).where(change.c.revision > (since if value > since else -1))
            return value, set(await connection.scalars(newer))

    async def _listen(self) -> None:
        """Listen, again and again. The log is told once when that ends, and once when it goes on."""
        told = False
        while True:
            try:
                async with self._connection() as lost:
                    self._heard.set()
                    if told:
                        _log.info("changes.listening")
                    told = False
                    await lost.wait()
            except Exception as error:
                if not told:
                    _log.warning("changes.not_listening", cause=type(error).__name__)
                told = True
            await asyncio.sleep(ASK_EVERY_S)

    @contextlib.asynccontextmanager
    async def _connection(self) -> AsyncIterator[asyncio.Event]:
        """Listen on a connection of our own for the block; the event is set when it is lost."""
        from updater.database.postgres import Server  # the driver is an extra

        if self._server is None:
            self._server = Server(self._url)
        lost = asyncio.Event()
        if await self._server.is_pooled():
            # Behind a pooler a connection hears nothing; the revision is asked for all the same.
            yield lost
            return
        connection = await self._server.connect()
        try:
            connection.add_termination_listener(lambda _: lost.set())
            await connection.add_listener(CHANNEL, lambda *_: self._heard.set())
            yield lost
        finally:
            connection.terminate()


def _no_answer() -> Unavailable:
    return Unavailable("The database does not answer at the moment")
