"""The SQL of the audit: rows are appended, read in order, and cut at the old end; never changed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from datetime import datetime

from sqlalchemy import Row, Select, Update, delete, func, insert, or_, select, update

from updater.audit.chain import EMPTY, as_text, seal
from updater.audit.model import (
    MAX_NAME_CHARACTERS,
    MAX_SUBJECT_CHARACTERS,
    Actor,
    ActorKind,
    AuditRow,
    Entry,
    Filter,
    Head,
)
from updater.database.asynchronous import AsyncConnection
from updater.database.engine import Database
from updater.database.tables import audit, audit_head

_HEAD_ID = 1
_ROWS_AT_ONCE = 1_000


class AuditStore:
    """Reads and writes audit rows. Methods that take a connection run in the caller's transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def append(self, connection: AsyncConnection, actor: Actor, entry: Entry, at: datetime) -> int:
        """Add a row at the end of the chain; return its number.

        Transactions that append wait for each other from here on, so this comes after everything slow, and before
        `Database.announce`.
        """
        head = await self._hold_head(connection)
        row = seal(
            AuditRow(
                id=head.last_id + 1,
                at=at,
                actor=Actor(actor.kind, actor.name[:MAX_NAME_CHARACTERS]),
                action=entry.action,
                subject=entry.subject[:MAX_SUBJECT_CHARACTERS],
                application_id=entry.application_id,
                version=entry.version,
                reason=entry.reason,
                before=as_text(entry.before),
                after=as_text(entry.after),
                previous_hash=head.last_hash,
                hash="",
            )
        )
        await connection.execute(insert(audit).values(_values(row)))
        await connection.execute(_change_head().values(last_id=row.id, last_hash=row.hash))
        return row.id

    async def hold(self, connection: AsyncConnection) -> None:
        """Make transactions that append wait for each other from here on."""
        await self._hold_head(connection)

    async def list_rows(self, wanted: Filter, *, limit: int, offset: int) -> tuple[list[AuditRow], int]:
        """Return one page of rows, newest first, and how many there are in all."""
        statement = _matching(wanted)
        async with self._database.read() as connection:
            total = await connection.scalar(select(func.count()).select_from(statement.subquery()))
            page = statement.order_by(audit.c.id.desc()).limit(limit).offset(offset)
            return [_row(each) for each in await connection.execute(page)], int(total or 0)

    async def list_newest(self, wanted: Filter, *, limit: int) -> list[AuditRow]:
        """Return the newest rows, newest first, without counting how many there are."""
        statement = _matching(wanted).order_by(audit.c.id.desc()).limit(limit)
        async with self._database.read() as connection:
            return [_row(each) for each in await connection.execute(statement)]

    async def find_last(self, application_id: str, action: str) -> int:
        """Return the number of the newest row of an application with this action; 0 when there is none."""
        wanted = select(func.max(audit.c.id)).where(audit.c.application_id == application_id, audit.c.action == action)
        async with self._database.read() as connection:
            return int(await connection.scalar(wanted) or 0)

    async def list_versions(self, application_id: str | None, texts: Collection[str], pattern: str) -> list[str]:
        """Return the versions that rows name: those among `texts`, or LIKE `pattern`; of all applications for None."""
        fits = or_(audit.c.version.in_(list(texts)), audit.c.version.like(pattern))
        wanted = select(audit.c.version).where(fits).distinct()
        if application_id is not None:
            wanted = wanted.where(audit.c.application_id == application_id)
        async with self._database.read() as connection:
            return list(await connection.scalars(wanted))

    async def read_head(self) -> Head:
        """Return where the chain ends and where it begins."""
        async with self._database.read() as connection:
            row = (await connection.execute(select(audit_head).where(audit_head.c.id == _HEAD_ID))).first()
            return EMPTY if row is None else _head(row)

    async def stream(self, last_id: int, *, after: int = -1) -> AsyncIterator[list[AuditRow]]:
        """Yield all rows after a number and up to another one, oldest first, in batches."""
        seen = after
        while True:
            statement = select(audit).where(audit.c.id > seen, audit.c.id <= last_id).order_by(audit.c.id)
            async with self._database.read() as connection:
                rows = [_row(each) for each in await connection.execute(statement.limit(_ROWS_AT_ONCE))]
            if not rows:
                return
            yield rows
            seen = rows[-1].id

    async def cut(self, connection: AsyncConnection, before: datetime, keep_after: int | None = None) -> int:
        """Remove the oldest rows, those from before a time, and anchor the chain there; return how many.

        The newest row always stays. Rows are removed in the order of their numbers, so one with a later time that
        lies between older ones ends the cut.
        """
        head = await self._hold_head(connection)
        wanted = [audit.c.at >= before, audit.c.id == head.last_id]
        if keep_after is not None:
            wanted.append(audit.c.id > keep_after)
        kept = select(func.min(audit.c.id)).where(or_(*wanted))
        first = await connection.scalar(kept)
        if first is None:
            return 0
        last = (await connection.execute(select(audit).where(audit.c.id == first - 1))).first()
        if last is None:
            return 0
        gone = await connection.execute(delete(audit).where(audit.c.id < first))
        await connection.execute(_change_head().values(anchor_id=last.id, anchor_hash=last.hash))
        return gone.rowcount

    async def _hold_head(self, connection: AsyncConnection) -> Head:
        """Return the head, held until the transaction ends."""
        wanted = select(audit_head).where(audit_head.c.id == _HEAD_ID).with_for_update()
        row = (await connection.execute(wanted)).first()
        if row is None:
            values = {"id": _HEAD_ID, "last_id": EMPTY.last_id, "last_hash": EMPTY.last_hash}
            values |= {"anchor_id": EMPTY.anchor_id, "anchor_hash": EMPTY.anchor_hash}
            await connection.execute(self._database.upsert(audit_head).values(values).on_conflict_do_nothing())
            row = (await connection.execute(wanted)).one()
        return _head(row)


def _change_head() -> Update:
    return update(audit_head).where(audit_head.c.id == _HEAD_ID)


def _matching(wanted: Filter) -> Select[tuple[object, ...]]:
    statement = select(audit).where(audit.c.id > wanted.after_id)
    for column, value in (
        (audit.c.application_id, wanted.application_id),
        (audit.c.actor_name, wanted.actor),
    ):
        if value is not None:
            statement = statement.where(column == value)
    if wanted.before_id is not None:
        statement = statement.where(audit.c.id < wanted.before_id)
    if wanted.since is not None:
        statement = statement.where(audit.c.at >= wanted.since)
    if wanted.until is not None:
        statement = statement.where(audit.c.at < wanted.until)
    if wanted.subject is not None:
        statement = statement.where(audit.c.subject.icontains(wanted.subject, autoescape=True))
    if wanted.spellings is not None:
        statement = statement.where(audit.c.version.in_(wanted.spellings))
    if wanted.actions:
        statement = statement.where(
            or_(
                *(
                    audit.c.action.startswith(each, autoescape=True) if each.endswith(".") else audit.c.action == each
                    for each in wanted.actions
                )
            )
        )
    return statement


def _head(row: Row[tuple[object, ...]]) -> Head:
    return Head(row.last_id, row.last_hash, row.anchor_id, row.anchor_hash)


def _values(row: AuditRow) -> dict[str, object]:
    return {
        "id": row.id,
        "at": row.at,
        "actor_kind": row.actor.kind.value,
        "actor_name": row.actor.name,
        "action": row.action,
        "subject": row.subject,
        "application_id": row.application_id,
        "version": row.version,
        "reason": row.reason,
        "before": row.before,
        "after": row.after,
        "previous_hash": row.previous_hash,
        "hash": row.hash,
    }


def _row(row: Row[tuple[object, ...]]) -> AuditRow:
    return AuditRow(
        id=row.id,
        at=row.at,
        actor=Actor(ActorKind(row.actor_kind), row.actor_name),
        action=row.action,
        subject=row.subject,
        application_id=row.application_id,
        version=row.version,
        reason=row.reason,
        before=row.before,
        after=row.after,
        previous_hash=row.previous_hash,
        hash=row.hash,
    )
