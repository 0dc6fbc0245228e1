"""Facts that arise by themselves: each is told once, by a row of the audit, which is then an event as any other."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from updater.access.keys import ApiKey
from updater.audit.model import SYSTEM, Actor, Entry
from updater.audit.service import AuditService
from updater.clock import Clock, utc_now
from updater.database.engine import Database
from updater.times import rfc3339
from updater.webhooks.store import WebhookStore

KEY_AHEAD = timedelta(days=14)
# What still is so after this long is told again; a key is told once.
_FAILING_AGAIN = timedelta(days=7)
_NEVER = timedelta(days=36_500)


class Fact(NamedTuple):
    """A fact: what it is known by, its row, and after how long it is worth another one."""

    name: str
    entry: Entry
    again: timedelta = _NEVER


def failing(application_id: str, version: str, words: str) -> Fact:
    """Return that a release fails more often than others."""
    entry = Entry(
        "release.failing",
        f"{application_id} {version}",
        after={"evidence": words},
        application_id=application_id,
        version=version,
    )
    return Fact(f"release.failing:{application_id}:{version}", entry, _FAILING_AGAIN)


def expiring(keys: Iterable[ApiKey], now: datetime) -> list[Fact]:
    """Return the keys in use that expire within `KEY_AHEAD`."""
    found = []
    for each in keys:
        if each.expires_at is None or each.revoked_at is not None or not now < each.expires_at <= now + KEY_AHEAD:
            continue
        after = {"level": each.level.word, "expires_at": rfc3339(each.expires_at)}
        subject = " ".join(filter(None, ("key", None if each.id is None else str(each.id), each.name)))
        entry = Entry("key.expiring", subject, after=after, application_id=each.application)
        found.append(Fact(f"key.expiring:{each.digest[:32]}:{after['expires_at']}", entry))
    return found


class FactService:
    """Tells of facts."""

    def __init__(self, store: WebhookStore, audit: AuditService, database: Database, *, clock: Clock = utc_now) -> None:
        self._store = store
        self._audit = audit
        self._database = database
        self._clock = clock

    async def record_backup(self, folder: str, reason: str, actor: Actor) -> None:
        """Record in the audit that a backup failed. Raises Unavailable, StorageFull."""
        async with self._database.write() as connection:
            await self._audit.record(connection, actor, Entry("backup.failed", f"backup {folder}", reason=reason))

    async def tell(self, facts: Iterable[Fact]) -> int:
        """Leave a row of the audit for each fact that was not told yet; return how many. Raises Unavailable."""
        told, now, count = await self._store.list_told(), self._clock(), 0
        for fact in facts:
            before = now - fact.again
            if fact.name in told and told[fact.name] >= before:
                continue
            async with self._database.write() as connection:
                if await self._store.tell_once(connection, fact.name, now, again_before=before):
                    await self._audit.record(connection, SYSTEM, fact.entry)
                    count += 1
        return count
