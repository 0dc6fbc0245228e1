"""The use cases of webhooks: who is told of what, how it went, and telling anew."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from updater.audit.model import Actor, Entry
from updater.audit.service import AuditService
from updater.clock import Clock, utc_now
from updater.database.engine import Connection, Database
from updater.errors import Conflict, Invalid, NotFound
from updater.times import rfc3339
from updater.webhooks.addresses import Network, may_connect
from updater.webhooks.delivery import Delivery
from updater.webhooks.events import TEST, Event, place_of
from updater.webhooks.facts import FactService
from updater.webhooks.model import Receiver, Try
from updater.webhooks.sending import plain_address
from updater.webhooks.signing import secret_of
from updater.webhooks.store import WebhookStore

MOST = 100
"""How many receivers an application, and the server itself, may have."""
OVERLAP_HOURS = 24
_SETTABLE = ("name", "url", "form", "events", "enabled")


class WebhookService:
    """Manages receivers. Whoever calls has made sure that the actor may."""

    def __init__(
        self,
        store: WebhookStore,
        delivery: Delivery,
        facts: FactService,
        audit: AuditService,
        database: Database,
        *,
        installation: bytes,
        allowed: Sequence[Network] = (),
        clock: Clock = utc_now,
    ) -> None:
        self._store = store
        self.delivery = delivery
        self.facts = facts
        self._audit = audit
        self._database = database
        self._installation = installation
        self._allowed = tuple(allowed)
        self._clock = clock

    async def list_webhooks(self, application_id: str | None) -> list[Receiver]:
        """Return the receivers of an application, or with None those of the whole server, oldest first."""
        return [each for each in await self._store.list_all() if each.application_id == application_id]

    async def list_all(self) -> list[Receiver]:
        """Return the receivers of the server and of all applications, oldest first."""
        return await self._store.list_all()

    async def get(self, webhook_id: str) -> Receiver:
        """Return a receiver. Raises NotFound."""
        async with self._database.read() as connection:
            return _present(await self._store.find(connection, webhook_id))

    async def create(
        self, application_id: str | None, given: Mapping[str, Any], *, actor: Actor
    ) -> tuple[Receiver, str]:
        """Add a receiver of what happens from now on; `given` has `url`, and `name`, `form`, `events`, `enabled`.

        Returns: the receiver, and its secret, which is shown this once.

        Raises:
            Invalid: the address is one that is never reached. Conflict: there are too many, or no such application.
        """
        self._require_reachable(str(given["url"]))
        now = self._clock()
        async with self._database.write() as connection:
            await self._audit.hold(connection)
            made = new_receiver(application_id, given, await self._store.read_head(connection), now)
            if len(await self.list_webhooks(application_id)) >= MOST:
                raise Conflict(f"There may be {MOST} webhooks; delete one of them", details={"most": MOST})
            await self._store.insert(connection, made)
            await self._record(connection, actor, "webhook.created", made, after=describe(made))
        return made, secret_of(self._installation, made.salt)

    async def change(self, webhook_id: str, given: Mapping[str, Any], *, actor: Actor) -> Receiver:
        """Change the given fields. A new address, and being switched on, end a park.

        Raises:
            NotFound. Invalid: the address is one that is never reached.
            Conflict: the address of notifications is changed in the configuration of its application.
        """
        given = {name: value for name, value in given.items() if name in _SETTABLE}
        if "events" in given:
            given["events"] = list(dict.fromkeys(given["events"]))
        async with self._database.write() as connection:
            known = _present(await self._store.find(connection, webhook_id, hold=True))
            if known.configured and given.get("url", known.url) != known.url:
                raise Conflict("This address is `config.notification_url` of the application; change it there")
            if given.get("url", known.url) != known.url:
                self._require_reachable(str(given["url"]))
            changed = replace(known, **{**given, "events": tuple(given.get("events", known.events))})
            if changed == known:
                return known
            values = {**given, "turn": known.turn + 1, "updated_at": self._clock()}
            if changed.url != known.url or (changed.enabled and not known.enabled):
                values |= {"parked": False, "attempts": 0, "next_at": None, "last_error": None}
            await self._store.change(connection, webhook_id, **values)
            await self._record(connection, actor, "webhook.changed", changed, describe(known), describe(changed))
            return _present(await self._store.find(connection, webhook_id))

    async def delete(self, webhook_id: str, *, actor: Actor) -> None:
        """Remove a receiver. Raises NotFound, or Conflict for the address of notifications of an application."""
        async with self._database.write() as connection:
            known = _present(await self._store.find(connection, webhook_id, hold=True))
            if known.configured:
                raise Conflict("This address is `config.notification_url` of the application; empty it there")
            await self._store.delete(connection, webhook_id)
            await self._record(connection, actor, "webhook.deleted", known, before=describe(known))

    async def rotate(
        self, webhook_id: str, *, overlap_hours: int = OVERLAP_HOURS, actor: Actor
    ) -> tuple[str, datetime]:
        """Give a receiver a new secret; return it, shown this once, and until when the one before signs as well.

        Raises:
            NotFound.
        """
        now = self._clock()
        until, salt = now + timedelta(hours=overlap_hours), secrets.token_hex(32)
        async with self._database.write() as connection:
            known = _present(await self._store.find(connection, webhook_id, hold=True))
            values = {"salt": salt, "old_salt": known.salt, "old_until": until, "updated_at": now}
            await self._store.change(connection, webhook_id, **values)
            after = {"old_until": rfc3339(until)}
            await self._record(connection, actor, "webhook.secret_rotated", known, after=after)
        return secret_of(self._installation, salt), until

    async def replay(
        self, webhook_id: str, *, event_id: str | None = None, since: datetime | None = None, actor: Actor
    ) -> Receiver:
        """Tell a receiver again of everything from an event or a time on, or with neither go on where it is parked.

        Raises:
            NotFound. Invalid: no such event, or it is no id; the time has not come.
        """
        async with self._database.write() as connection:
            # Events that happen meanwhile come after the cursor in any case.
            known = _present(await self._store.find(connection, webhook_id, hold=True))
            cursor, head = known.cursor, await self._store.read_head(connection)
            if event_id is not None:
                cursor = await self._find_place(connection, event_id, head) - 1
            elif since is not None:
                if since > self._clock():
                    raise Invalid({"since": "this time has not come: what waits would never be sent"})
                cursor = await self._store.find_before(connection, since)
            values = {"cursor": cursor, "turn": known.turn + 1, "parked": False, "attempts": 0, "next_at": None}
            await self._store.change(connection, webhook_id, **values, last_error=None, updated_at=self._clock())
            await self._record(connection, actor, "webhook.replayed", known, {"after": known.cursor}, {"after": cursor})
            return _present(await self._store.find(connection, webhook_id))

    async def test(self, webhook_id: str, *, actor: Actor) -> Try:
        """Send one event of the kind `webhook.test` now, beside all others; return how it went. Raises NotFound."""
        known = await self.get(webhook_id)
        async with self._database.write() as connection:
            await self._record(connection, actor, "webhook.tested", known)
        data = {"application": known.application_id, "subject": f"webhook {known.name}"}
        shown = {key: value for key, value in data.items() if value is not None}
        event = Event(f"evt_test_{secrets.token_hex(8)}", 0, TEST, self._clock(), known.application_id, shown)
        tried = await self.delivery.attempt(known, event, 1)
        async with self._database.write() as connection:
            if await self._store.find(connection, webhook_id, hold=True) is not None:
                await self._store.add_try(connection, webhook_id, tried)
        return tried

    async def list_tries(self, webhook_id: str) -> list[Try]:
        """Return the last tries of a receiver, newest first. Raises NotFound."""
        await self.get(webhook_id)
        return await self._store.list_tries(webhook_id)

    async def find_oldest_wanted(self, connection: Connection) -> int | None:
        """Return up to which audit row every receiver that is on is done; None without receivers."""
        return await self._store.find_oldest_wanted(connection)

    async def _find_place(self, connection: Connection, event_id: str, head: int) -> int:
        """Return the place of an event. Raises Invalid: there is none, or it is one of another past."""
        place = place_of(event_id)
        if place is None or not 1 <= place[0] <= head:
            raise Invalid({"event": "expected the id of an event, such as evt_12_0123456789ab"})
        hashed = await self._store.find_hash(connection, place[0])
        if hashed is not None and not hashed.startswith(place[1]):
            raise Invalid({"event": "there is no such event: what has this number here is another one"})
        return place[0]

    def _require_reachable(self, url: str) -> None:
        """Refuse an address that is plainly not public; names are looked at when they are connected to."""
        host = plain_address(urlsplit(url).hostname or "")
        if host is not None and not may_connect(host, self._allowed):
            raise Invalid({"url": "this address is not public; webhooks.allow_private names networks that are allowed"})

    async def _record(
        self,
        connection: Connection,
        actor: Actor,
        action: str,
        receiver: Receiver,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
    ) -> None:
        subject = f"webhook {receiver.id} {receiver.name}".rstrip()
        await self._audit.record(connection, actor, Entry(action, subject, before, after, receiver.application_id))


def new_receiver(
    application_id: str | None, given: Mapping[str, Any], cursor: int, now: datetime, *, configured: bool = False
) -> Receiver:
    """Return a new receiver that is told of what comes after `cursor`."""
    return Receiver(
        id=secrets.token_hex(8),
        application_id=application_id,
        configured=configured,
        name=given.get("name", ""),
        url=given["url"],
        form=given.get("form", "auto"),
        events=tuple(dict.fromkeys(given.get("events", ()))),
        enabled=given.get("enabled", True),
        salt=secrets.token_hex(32),
        old_salt=None,
        old_until=None,
        cursor=cursor,
        turn=0,
        attempts=0,
        next_at=None,
        parked=False,
        last_error=None,
        last_delivered_at=None,
        created_at=now,
        updated_at=now,
    )


def describe(each: Receiver) -> dict[str, Any]:
    """Return what the audit keeps: of the address the host alone, because the rest of it may be a secret."""
    return {
        "name": each.name,
        "host": each.host,
        "form": each.form,
        "events": list(each.events),
        "enabled": each.enabled,
    }


def _present(found: Receiver | None) -> Receiver:
    if found is None:
        raise NotFound("webhook", "There is no such webhook")
    return found
