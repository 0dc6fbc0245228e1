"""The delivery: a cursor over the audit for each receiver, moved only by what the receiver took.

Audit rows become visible in the order of their numbers, so nothing appears behind a cursor. A cursor moves after the
answer: killed between the two, the same event is sent again, with the same id. One process at a time runs this.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, NamedTuple

from updater.clock import Clock, utc_now
from updater.database.waking import Bell
from updater.logs.loggers import get_logger
from updater.processes.jobs import Work, quietly
from updater.processes.listening import affordable_connections
from updater.webhooks.events import Event, find_event
from updater.webhooks.model import Receiver, Try
from updater.webhooks.schedule import pause_s
from updater.webhooks.sending import Sender
from updater.webhooks.signing import sign
from updater.webhooks.store import WebhookStore
from updater.webhooks.templates import body_of

# Requests on their way at once, bounded by memory: each has a body, a socket and, with TLS, 100 KiB of buffers. Those
# to receivers that failed last time have a part of it alone: while they hang, others go out.
_MOST, _MOST_FAILING = 512, 128
# Of the connections to the database, however many receivers are due: the others are for requests of clients.
_AT_THE_DATABASE = 2
_LOOK_EVERY_S = 1.0
# A cursor that only passed what is not for its receiver is written down after so many rows.
_PASSED = 500
_log = get_logger(__name__)


class _Looked(NamedTuple):
    """Up to which row there was nothing for a receiver that stood at a cursor."""

    turn: int
    cursor: int
    up_to: int

    def fits(self, receiver: Receiver) -> bool:
        """Tell whether the receiver still stands there."""
        return (self.turn, self.cursor) == (receiver.turn, receiver.cursor)


class Delivery:
    """Delivers to all receivers, each in a task of its own. `outcomes` counts tries: delivered, failed, parked."""

    def __init__(
        self,
        store: WebhookStore,
        sender: Sender,
        bell: Bell,
        follow: Work,
        *,
        installation: bytes,
        clock: Clock = utc_now,
    ) -> None:
        self._store = store
        self._sender = sender
        self._bell = bell
        self._follow = follow
        self._installation = installation
        self._clock = clock
        most = min(_MOST, max(affordable_connections() // 2, 16))
        self._places, self._of_failing = asyncio.Semaphore(most), asyncio.Semaphore(min(_MOST_FAILING, most // 4))
        self._desk = asyncio.Semaphore(_AT_THE_DATABASE)
        self._working: dict[str, asyncio.Task[None]] = {}
        self._may_go_on: Callable[[], bool] = lambda: True
        # Up to where there is nothing for a receiver, while it stands where it stood.
        self._looked: dict[str, _Looked] = {}
        self.outcomes: Counter[str] = Counter({"delivered": 0, "failed": 0, "parked": 0})
        # Receivers that are parked, and those whose next event was refused and is tried again.
        self.parked = self.retried = 0

    async def run(self, may_go_on: Callable[[], bool] = lambda: True) -> None:
        """Deliver what is due, soon after it happened, until cancelled; nothing while `may_go_on` says no.

        Raises:
            Unavailable: the database does not answer.
        """
        self._may_go_on = may_go_on
        try:
            due = True
            while True:
                # Of applications, too: one of them may have named another address.
                if self._bell.take() or due:
                    await self._follow()
                    due = False
                await self.turn()
                await self._bell.wait(_LOOK_EVERY_S)
        finally:
            # Another process knows from now on.
            self.parked = self.retried = 0
            await self.stop()

    async def turn(self) -> None:
        """Begin to work for each receiver that is due and is not being worked for. Raises Unavailable."""
        found, head = await self._store.list_with_head()
        self.parked = sum(each.parked and each.enabled for each in found)
        self.retried = sum(each.attempts > 0 and not each.parked and each.enabled for each in found)
        self._looked = {each.id: self._looked[each.id] for each in found if each.id in self._looked}
        for each in found:
            if each.is_due(self._clock()) and each.id not in self._working and self._place_of(each) < head:
                task = asyncio.create_task(self._work(each.id), name=f"webhook {each.id}")
                self._working[each.id] = task
                task.add_done_callback(functools.partial(self._ended, each.id))

    def _place_of(self, receiver: Receiver) -> int:
        """Return the number of the last audit row that needs no look for a receiver."""
        looked = self._looked.get(receiver.id)
        return looked.up_to if looked is not None and looked.fits(receiver) else receiver.cursor

    def _ended(self, webhook_id: str, _: asyncio.Task[None]) -> None:
        self._working.pop(webhook_id, None)

    async def stop(self) -> None:
        """End what is on its way; it is sent again with the next start."""
        tasks = list(self._working.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _work(self, webhook_id: str) -> None:
        """Deliver to one receiver until it has everything, or fails. What fails of our own is tried again soon."""

        async def deliver() -> None:
            while await self._deliver_some(webhook_id):
                pass

        await quietly(deliver)

    async def _find_due(self, webhook_id: str) -> Receiver | None:
        async with self._desk:
            found = await self._store.find_one(webhook_id)
        return found if found is not None and found.is_due(self._clock()) else None

    async def _deliver_some(self, webhook_id: str) -> bool:
        """Deliver the next events of a receiver; return whether there may be more at once."""
        receiver = await self._find_due(webhook_id)
        if receiver is None:
            return False
        async with self._desk:
            rows, done = await self._store.list_rows(receiver, after=self._place_of(receiver))
        for row in rows:
            event = find_event(row, application_id=receiver.application_id)
            if event is None or (receiver.events and event.name not in receiver.events):
                continue
            if not await self._deliver(receiver, event):
                return False
            # As it is now: somebody may have changed it, or sent it back to another place.
            turn, receiver = receiver.turn, await self._find_due(webhook_id)
            if receiver is None or receiver.turn != turn:
                return receiver is not None
        if done - receiver.cursor >= _PASSED:
            async with self._desk:
                await self._store.note(receiver, None, {"cursor": done})
        else:
            self._looked[webhook_id] = _Looked(receiver.turn, receiver.cursor, done)
        return bool(rows) and done == rows[-1].id

    async def _deliver(self, receiver: Receiver, event: Event) -> bool:
        """Send one event, and write down what came of it; return whether it was taken."""
        async with self._of_failing if receiver.attempts else contextlib.nullcontext(), self._places:
            if not self._may_go_on():
                return False
            tried = await self.attempt(receiver, event, receiver.attempts + 1)
        if tried.delivered:
            self.outcomes["delivered"] += 1
            values: dict[str, Any] = {"cursor": event.number, "attempts": 0, "next_at": None, "last_error": None}
            return await self._note(receiver, tried, {**values, "last_delivered_at": tried.at})
        pause = None
        if not tried.gone:
            # The spread keeps receivers that failed together from being tried together; it guards nothing.
            dice = random.random()  # noqa: S311
            pause = pause_s(tried.attempt, dice, asked_s=tried.asked_s)
        self.outcomes["failed" if pause is not None else "parked"] += 1
        values = {"attempts": tried.attempt, "last_error": tried.error, "parked": pause is None}
        values["next_at"] = None if pause is None else self._clock() + timedelta(seconds=pause)
        await self._note(receiver, tried, values)
        facts = {"webhook": receiver.id, "host": receiver.host, "webhook_event": event.id}
        _log.warning("webhook.parked" if pause is None else "webhook.failed", **facts, reason=tried.error)
        return False

    async def _note(self, seen: Receiver, tried: Try, values: Mapping[str, Any]) -> bool:
        async with self._desk:
            return await self._store.note(seen, tried, values)

    async def attempt(self, receiver: Receiver, event: Event, number: int) -> Try:
        """Send one event once, signed; return how it went. Raises nothing of the receiver's."""
        at = self._clock()
        body = body_of(event, receiver.form, receiver.url)
        headers = sign(self._installation, receiver, event.id, at, body)
        began = time.monotonic()
        status, error, asked_s = await self._sender.send(receiver.url, body, headers, at)
        took_ms = round((time.monotonic() - began) * 1_000)
        return Try(event.id, event.name, number, at, took_ms, status, error, asked_s)
