"""The SQL of webhooks: receivers, their tries, and the audit rows that they are told of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, func, insert, or_, select, update

from updater.audit.model import Actor, ActorKind, AuditRow
from updater.database.engine import Connection, Database
from updater.database.tables import application, audit, audit_head
from updater.database.webhook_tables import told_fact, webhook, webhook_delivery
from updater.webhooks.events import ACTIONS, OF_SEVERAL
from updater.webhooks.model import Receiver, Try

_ROWS_AT_ONCE = 50
KEPT_TRIES = 100
# What the delivery follows instead of asking: rows that set the address of notifications.
_ADDRESS = "%notification_url%"


class WebhookStore:
    """Reads and writes receivers. Methods that take a connection run in the caller's transaction.

    Every method raises Unavailable when the database does not answer.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list_all(self) -> list[Receiver]:
        """Return all receivers, in the order in which they were made."""
        async with self._database.read() as connection:
            found = await connection.execute(select(webhook).order_by(webhook.c.created_at, webhook.c.id))
            return [_receiver(row) for row in found]

    async def list_with_head(self) -> tuple[list[Receiver], int]:
        """Return all receivers, and the number of the last audit row."""
        async with self._database.read() as connection:
            found = [_receiver(row) for row in await connection.execute(select(webhook))]
            return found, await self.read_head(connection)

    async def find_one(self, webhook_id: str) -> Receiver | None:
        """Return a receiver, as `find` does, in a transaction of its own."""
        async with self._database.read() as connection:
            return await self.find(connection, webhook_id)

    async def find(self, connection: Connection, webhook_id: str, *, hold: bool = False) -> Receiver | None:
        """Return a receiver; with `hold` it stays as it is until the transaction ends."""
        wanted = select(webhook).where(webhook.c.id == webhook_id)
        row = (await connection.execute(wanted.with_for_update() if hold else wanted)).first()
        return None if row is None else _receiver(row)

    async def insert(self, connection: Connection, made: Receiver) -> None:
        """Add a receiver."""
        await connection.execute(insert(webhook).values({**asdict(made), "events": list(made.events)}))

    async def change(self, connection: Connection, webhook_id: str, **values: Any) -> None:
        """Set columns of a receiver."""
        await connection.execute(update(webhook).where(webhook.c.id == webhook_id).values(values))

    async def delete(self, connection: Connection, webhook_id: str) -> None:
        """Remove a receiver with its tries."""
        await connection.execute(delete(webhook).where(webhook.c.id == webhook_id))

    async def read_head(self, connection: Connection) -> int:
        """Return the number of the last audit row: all up to it are committed, since their order is that of commits."""
        return int(await connection.scalar(select(audit_head.c.last_id)) or 0)

    async def find_hash(self, connection: Connection, number: int) -> str | None:
        """Return the hash of an audit row; None when there is none, or none any more."""
        found: str | None = await connection.scalar(select(audit.c.hash).where(audit.c.id == number))
        return found

    async def find_before(self, connection: Connection, at: datetime) -> int:
        """Return the number of the last audit row from before a time; 0 when there is none."""
        return int(await connection.scalar(select(func.max(audit.c.id)).where(audit.c.at < at)) or 0)

    async def find_address_row(self, connection: Connection, application_id: str) -> int:
        """Return the number of the audit row that set an application's address for notifications last."""
        wanted = select(func.max(audit.c.id)).where(
            audit.c.application_id == application_id,
            audit.c.action.in_(("application.created", "application.updated")),
            audit.c.after.like(_ADDRESS),
        )
        return int(await connection.scalar(wanted) or 0)

    async def list_addresses(self) -> dict[str, str]:
        """Return the addresses for notifications of all applications that have one."""
        async with self._database.read() as connection:
            found = await connection.execute(select(application.c.id, application.c.config))
            return {row.id: str(row.config["notification_url"]) for row in found if row.config.get("notification_url")}

    async def list_rows(self, receiver: Receiver, *, after: int) -> tuple[list[AuditRow], int]:
        """Return the next rows that may be events for a receiver, in their order, and up to where that is all."""
        wanted = select(audit).where(audit.c.id > after, audit.c.action.in_(ACTIONS))
        if receiver.application_id is not None:
            mine = audit.c.application_id == receiver.application_id
            wanted = wanted.where(or_(mine, audit.c.action == OF_SEVERAL))
        async with self._database.read() as connection:
            head = await self.read_head(connection)
            found = await connection.execute(wanted.where(audit.c.id <= head).order_by(audit.c.id).limit(_ROWS_AT_ONCE))
            rows = [_row(each) for each in found]
        return rows, rows[-1].id if len(rows) == _ROWS_AT_ONCE else head

    async def note(self, seen: Receiver, tried: Try | None, values: Mapping[str, Any]) -> bool:
        """Write down what a try came to, unless somebody moved the receiver meanwhile; return whether it was so."""
        here = (webhook.c.id == seen.id, webhook.c.cursor == seen.cursor, webhook.c.turn == seen.turn)
        async with self._database.write() as connection:
            found = await connection.execute(update(webhook).where(*here).values(dict(values)))
            if tried is not None and await self.find(connection, seen.id) is not None:
                await self.add_try(connection, seen.id, tried)
            return bool(found.rowcount)

    async def add_try(self, connection: Connection, webhook_id: str, tried: Try) -> None:
        """Keep a try, and the last `KEPT_TRIES` before it."""
        values = {name: value for name, value in asdict(tried).items() if name != "asked_s"}
        await connection.execute(insert(webhook_delivery).values(webhook_id=webhook_id, **values))
        mine = webhook_delivery.c.webhook_id == webhook_id
        oldest = select(webhook_delivery.c.id).where(mine).order_by(webhook_delivery.c.id.desc()).offset(KEPT_TRIES)
        last_gone = await connection.scalar(oldest.limit(1))
        if last_gone is not None:
            await connection.execute(delete(webhook_delivery).where(mine, webhook_delivery.c.id <= last_gone))

    async def list_tries(self, webhook_id: str) -> list[Try]:
        """Return the last tries of a receiver, newest first."""
        wanted = select(webhook_delivery).where(webhook_delivery.c.webhook_id == webhook_id)
        async with self._database.read() as connection:
            found = await connection.execute(wanted.order_by(webhook_delivery.c.id.desc()))
            names = [each.name for each in fields(Try) if each.name != "asked_s"]
            return [Try(**{name: getattr(row, name) for name in names}) for row in found]

    async def find_oldest_wanted(self, connection: Connection) -> int | None:
        """Return up to which audit row every receiver that is on is done; None without receivers."""
        wanted = select(func.min(webhook.c.cursor)).where(webhook.c.enabled, ~webhook.c.parked)
        found = await connection.scalar(wanted)
        return None if found is None else int(found)

    async def tell_once(self, connection: Connection, name: str, now: datetime, *, again_before: datetime) -> bool:
        """Note that a fact is told; return False when it was already, since `again_before`."""
        row = self._database.upsert(told_fact).values(name=name, at=now)
        statement = row.on_conflict_do_update(
            index_elements=[told_fact.c.name], set_={"at": row.excluded.at}, where=told_fact.c.at < again_before
        ).returning(told_fact.c.name)
        return await connection.scalar(statement) is not None

    async def list_told(self) -> dict[str, datetime]:
        """Return what was told, and when."""
        async with self._database.read() as connection:
            return {row.name: row.at for row in await connection.execute(select(told_fact))}


def _receiver(row: Row[Any]) -> Receiver:
    values = {each.name: getattr(row, each.name) for each in fields(Receiver)}
    return Receiver(**{**values, "events": tuple(row.events)})


def _row(row: Row[Any]) -> AuditRow:
    values = {each.name: getattr(row, each.name) for each in fields(AuditRow) if each.name != "actor"}
    return AuditRow(actor=Actor(ActorKind(row.actor_kind), row.actor_name), **values)
