"""Group commit: many events, one durable transaction, then the answers.

A commit costs a disk flush, however many rows it holds. While one batch is being flushed, the next one gathers;
so throughput grows with load and a lone report still waits for one flush only.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from updater.errors import Failure, StorageFull, Unavailable
from updater.logs.loggers import get_logger
from updater.telemetry.model import Download, Event

# Bounds the time one transaction holds the write lock.
BATCH_EVENTS = 1_000
# An entry without an event waits only for the events before it.
Entry = tuple[Event | None, asyncio.Future[None] | None]
Batch = list[Entry]
_log = get_logger(__name__)


class Recorder:
    """A bounded queue in front of `write`. Start it, and stop it before the database closes.

    `write` gets at most `BATCH_EVENTS` events at a time, in the order in which they came.
    """

    def __init__(self, write: Callable[[Sequence[Event]], Awaitable[None]], *, queue_size: int) -> None:
        self._write = write
        self._queue_size = queue_size
        self._waiting: deque[Entry] = deque()
        self.dropped = 0
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._stopping = False

    @property
    def depth(self) -> int:
        """Return the number of events that wait, in all batches; those being written are not among them."""
        return len(self._waiting)

    def start(self) -> None:
        """Start the task that writes. Call it in the event loop."""
        self._task = asyncio.create_task(self._run(), name="recorder")

    async def stop(self) -> None:
        """Write what waits, then end. Later events are refused as Unavailable."""
        self._stopping = True
        self._wake.set()
        if self._task is not None:
            await self._task

    async def record(self, event: Event) -> None:
        """Return once the event is on disk.

        Raises:
            Unavailable: the queue is full, or the database failed. StorageFull: no room left. The event is not stored.
        """
        future = asyncio.get_running_loop().create_future()
        self._put(event, future)
        await future

    def note(self, downloads: Download) -> None:
        """Queue counts without waiting for their write; those that cannot be kept are added to `dropped`.

        Raises nothing.
        """
        try:
            self._put(downloads, None)
        except Unavailable:
            self.dropped += downloads.amount

    async def settle(self) -> None:
        """Return once every event queued before has been written or given up.

        Raises nothing; at once when not running.
        """
        if self._task is not None and not self._stopping:
            future = asyncio.get_running_loop().create_future()
            self._append(None, future)
            with contextlib.suppress(Failure):
                await future

    def _put(self, event: Event, future: asyncio.Future[None] | None) -> None:
        if self._stopping or len(self._waiting) >= self._queue_size:
            raise Unavailable("Too many reports are waiting; send it again later", retry_after_s=2)
        self._append(event, future)

    def _append(self, event: Event | None, future: asyncio.Future[None] | None) -> None:
        self._waiting.append((event, future))
        self._wake.set()

    async def _run(self) -> None:
        while self._waiting or not self._stopping:
            if not self._waiting:
                self._wake.clear()
                await self._wake.wait()
                continue
            batch = [self._waiting.popleft() for _ in range(min(BATCH_EVENTS, len(self._waiting)))]
            await self._flush(batch)

    async def _flush(self, batch: Batch) -> None:
        try:
            events = [event for event, _ in batch if event is not None]
            if events:
                await self._write(events)
        except (Unavailable, StorageFull) as failure:
            _log.error("telemetry.flush_failed", events=len(batch), cause=repr(failure.__cause__))
            self._refuse(batch, failure)
            # Without a pause the loop would retry a broken database as fast as the processor allows.
            await asyncio.sleep(0.05)
            return
        except Exception as error:
            if len(batch) > 1:
                # One event that cannot be written must not fail the rest of its batch.
                for each in batch:
                    await self._flush([each])
                return
            _log.error("telemetry.event_refused", exc_info=error)
            self._refuse(batch, error if isinstance(error, Failure) else Unavailable("The report cannot be stored"))
            return
        for _, future in batch:
            if future is not None and not future.done():
                future.set_result(None)

    def _refuse(self, batch: Batch, failure: Failure) -> None:
        for event, future in batch:
            if isinstance(event, Download):
                self.dropped += event.amount
            elif future is not None and not future.done():
                future.set_exception(failure)
