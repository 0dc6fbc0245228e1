"""The delivery: a cursor over the audit for each receiver, moved only by what the receiver took.

Audit rows become visible in the order of their numbers, so nothing appears behind a cursor. A cursor moves after the
answer: killed between the two, the same event is sent again, with the same id. One process at a time runs this.
"""

from __future__ import annotations

import asyncio
import functools
import random
import time
from collections import Counter
from datetime import timedelta
from typing import Any

import structlog

from updater.clock import Clock, utc_now
from updater.database.waking import Bell
from updater.processes.jobs import Work, quietly
from updater.webhooks.events import Event, find_event
from updater.webhooks.model import Receiver, Try
from updater.webhooks.schedule import pause_s
from updater.webhooks.sending import Sender
from updater.webhooks.signing import sign
from updater.webhooks.store import WebhookStore
from updater.webhooks.templates import body_of

# How many requests are on their way at once; each lasts 20 s at most.
_AT_ONCE = 64
_LOOK_EVERY_S = 1.0
# A cursor that only passed what is not for its receiver is written down after so many rows.
_PASSED = 500
_log = structlog.get_logger(__name__)


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
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._working: dict[str, asyncio.Task[None]] = {}
        self.outcomes: Counter[str] = Counter({"delivered": 0, "failed": 0, "parked": 0})
        # Receivers that are parked, and those whose next event was refused and is tried again.
        self.parked = self.retried = 0

    async def run(self) -> None:
        """Deliver what is due, soon after it happened, until cancelled. Raises Unavailable."""
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
        found = await self._store.list_all()
        self.parked = sum(each.parked and each.enabled for each in found)
        self.retried = sum(each.attempts > 0 and not each.parked and each.enabled for each in found)
        for each in found:
            if each.is_due(self._clock()) and each.id not in self._working:
                task = asyncio.create_task(self._work(each.id), name=f"webhook {each.id}")
                self._working[each.id] = task
                task.add_done_callback(functools.partial(self._ended, each.id))

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
            while await self._deliver_next(webhook_id):
                pass

        await quietly(deliver)

    async def _deliver_next(self, webhook_id: str) -> bool:
        """Deliver the next event of a receiver; return whether there may be more at once."""
        receiver = next((each for each in await self._store.list_all() if each.id == webhook_id), None)
        if receiver is None or not receiver.is_due(self._clock()):
            return False
        rows, done = await self._store.list_rows(receiver)
        for row in rows:
            event = find_event(row, application_id=receiver.application_id)
            if event is not None and (not receiver.events or event.name in receiver.events):
                return await self._deliver(receiver, event)
        is_full = bool(rows) and done == rows[-1].id
        if is_full or done - receiver.cursor >= _PASSED:
            await self._store.note(receiver, None, {"cursor": done})
        return is_full and done > receiver.cursor

    async def _deliver(self, receiver: Receiver, event: Event) -> bool:
        tried = await self.attempt(receiver, event, receiver.attempts + 1)
        if tried.delivered:
            self.outcomes["delivered"] += 1
            values: dict[str, Any] = {"cursor": event.number, "attempts": 0, "next_at": None, "last_error": None}
            return await self._store.note(receiver, tried, {**values, "last_delivered_at": tried.at})
        pause = None
        if not tried.gone:
            # The spread keeps receivers that failed together from being tried together; it guards nothing.
            dice = random.random()  # noqa: S311
            pause = pause_s(tried.attempt, dice, asked_s=tried.asked_s)
        self.outcomes["failed" if pause is not None else "parked"] += 1
        values = {"attempts": tried.attempt, "last_error": tried.error, "parked": pause is None}
        values["next_at"] = None if pause is None else self._clock() + timedelta(seconds=pause)
        await self._store.note(receiver, tried, values)
        facts = {"webhook": receiver.id, "host": receiver.host, "webhook_event": event.id}
        _log.warning("webhook.parked" if pause is None else "webhook.failed", **facts, reason=tried.error)
        return False

    async def attempt(self, receiver: Receiver, event: Event, number: int) -> Try:
        """Send one event once, signed; return how it went. Raises nothing of the receiver's."""
        at = self._clock()
        body = body_of(event, receiver.form, receiver.url)
        headers = sign(self._installation, receiver, event.id, at, body)
        async with self._places:
            began = time.monotonic()
            status, error, asked_s = await self._sender.send(receiver.url, body, headers, at)
        took_ms = round((time.monotonic() - began) * 1_000)
        return Try(event.id, event.name, number, at, took_ms, status, error, asked_s)
