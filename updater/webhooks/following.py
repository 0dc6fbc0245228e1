"""`config.notification_url` of applications: each is a receiver, which follows the configuration."""

from __future__ import annotations

from updater.clock import Clock, utc_now
from updater.database.engine import Database
from updater.webhooks.service import new_receiver
from updater.webhooks.store import WebhookStore

_NAME = "notification_url"


class Following:
    """Keeps the receivers that applications name in their configuration."""

    def __init__(self, store: WebhookStore, database: Database, *, clock: Clock = utc_now) -> None:
        self._store = store
        self._database = database
        self._clock = clock

    async def follow(self) -> None:
        """Make, change and remove receivers as the configurations say. Raises Unavailable.

        A new one is told of everything after the very change that named it, however late this is.
        """
        known = {each.application_id: each for each in await self._store.list_all() if each.configured}
        addresses = await self._store.list_addresses()
        now = self._clock()
        for application_id, url in addresses.items():
            found = known.get(application_id)
            if found is not None and found.url == url:
                continue
            async with self._database.write() as connection:
                if found is None:
                    cursor = await self._store.find_address_row(connection, application_id)
                    given = {"url": url, "name": _NAME}
                    made = new_receiver(application_id, given, cursor, now, configured=True)
                    await self._store.insert(connection, made)
                    continue
                values = {"url": url, "turn": found.turn + 1, "parked": False, "attempts": 0, "next_at": None}
                await self._store.change(connection, found.id, **values, last_error=None, updated_at=now)
        for gone in known.values():
            if gone.application_id not in addresses:
                async with self._database.write() as connection:
                    await self._store.delete(connection, gone.id)
