"""The SQL of deployments: updates, and the log lines imported from the journals of runs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Column, ColumnElement, Row, Select, delete, exists, func, insert, select, union, update

from updater.audit.model import RETENTION, Actor, Entry
from updater.audit.service import AuditService
from updater.database.deployment_tables import deployment_log, deployment_update
from updater.database.engine import Database
from updater.database.webhook_tables import told_fact
from updater.deployments.model import (
    Event,
    Forgotten,
    LogLevel,
    LogLine,
    LogPage,
    Plan,
    Transition,
    Update,
    UpdateStatus,
    next_status,
)
from updater.errors import NotFound

_LINES_A_TRANSACTION = 2_000


class DeploymentStore:
    """Reads and writes updates. Each change of a status follows the transition table, in one transaction.

    Every method raises Unavailable when the database does not answer.
    """

    def __init__(self, database: Database, audit: AuditService) -> None:
        self._database = database
        self._audit = audit

    async def insert(self, new: Update, actor: Actor) -> Update:
        """Add an update and return it with the id that the database gave it; `new.id` is ignored.

        Raises StorageFull.
        """
        values = {
            name: getattr(new, name)
            for name in ("deployment", "version", "title", "description", "status", "rollback_possible", "ref", "run")
        }
        values |= {"commit_hash": new.commit, "created_at": new.created_at, "updated_at": new.updated_at}
        async with self._database.write() as connection:
            new_id = await connection.scalar(insert(deployment_update).values(values).returning(deployment_update.c.id))
            after = {"version": new.version, "ref": new.ref, "commit": new.commit}
            subject = f"update {new_id} of {new.deployment}"
            await self._audit.record(connection, actor, Entry("update.recorded", subject, after=after))
        return await self.get(int(new_id))

    async def get(self, update_id: int) -> Update:
        """Return an update. Raises NotFound."""
        found = await self._select(deployment_update.c.id == update_id)
        if not found:
            raise NotFound("update", f"There is no update with id {update_id}")
        return found[0]

    async def list_updates(self, deployment: str) -> list[Update]:
        """Return a deployment's updates, newest first."""
        return await self._select(deployment_update.c.deployment == deployment)

    async def find_by_run(self, run: str) -> list[Update]:
        """Return the updates that belong to a run, newest first."""
        return await self._select(deployment_update.c.run == run)

    async def find_newest_applied(self, deployment: str) -> Update | None:
        """Return the completed update that was applied last; None when no update is completed."""
        found = await self._select(
            deployment_update.c.deployment == deployment, deployment_update.c.status == UpdateStatus.COMPLETED
        )
        return max(found, key=lambda each: (each.applied_at or each.created_at, each.id), default=None)

    async def transition(
        self, update_id: int, transition: Transition, now: datetime, actor: Actor, **changes: Any
    ) -> Update:
        """Move an update along the transition table, and set the columns in `changes`. `now` is in UTC.

        Raises:
            Conflict: its status does not allow this transition. NotFound: there is no such update.
        """
        async with self._database.write() as connection:
            row = (
                await connection.execute(
                    select(deployment_update).where(deployment_update.c.id == update_id).with_for_update()
                )
            ).first()
            if row is None:
                raise NotFound("update", f"There is no update with id {update_id}")
            status = next_status(UpdateStatus(row.status), transition)
            statement = update(deployment_update).where(deployment_update.c.id == update_id)
            await connection.execute(statement.values(status=status, updated_at=now, **changes))
            if status != row.status:
                before = {"status": row.status}
                after = {"status": status.value, "run": changes.get("run", row.run), "transition": transition.value}
                entry = Entry("update.moved", f"update {update_id} of {row.deployment}", before, after)
                await self._audit.record(connection, actor, entry)
        return await self.get(update_id)

    async def record_run(self, plan: Plan, actor: Actor, *, failed: str | None = None) -> None:
        """Record in the audit who starts a run; or once, with an outcome, that it `failed` before it had an update."""
        after = {"run": plan.run, "kind": plan.kind.value, "update": plan.update_id, "target": plan.target}
        action = "run.started"
        async with self._database.write() as connection:
            if failed is not None:
                told = self._database.upsert(told_fact).values(name=f"run:{plan.run}", at=plan.started_at)
                if not (await connection.execute(told.on_conflict_do_nothing())).rowcount:
                    return
                action, after = "deployment.failed", {**after, "outcome": failed}
            entry = Entry(action, f"deployment {plan.deployment.id}", after=after)
            await self._audit.record(connection, actor, entry)

    async def change(self, update_id: int, now: datetime, **changes: Any) -> None:
        """Set columns other than the status; without such an update do nothing. `now` is in UTC."""
        async with self._database.write() as connection:
            statement = update(deployment_update).where(deployment_update.c.id == update_id)
            await connection.execute(statement.values(updated_at=now, **changes))

    async def import_lines(self, deployment: str, run: str, update_id: int | None, events: Sequence[Event]) -> None:
        """Add the `log` events of a run, in their order; events that are stored already are skipped.

        `update_id` None: it is not known yet, and `claim_lines` sets it later.
        """
        rows = [
            {
                "deployment": deployment,
                "update_id": update_id,
                "run": run,
                "number": event.number,
                "at": event.at,
                "level": event.data["level"],
                "component": event.data["component"],
                "message": event.data["message"],
            }
            for event in events
            if event.kind == "log"
        ]
        if rows:
            async with self._database.write() as connection:
                await connection.execute(self._database.upsert(deployment_log).on_conflict_do_nothing(), rows)

    async def claim_lines(self, run: str, update_id: int) -> None:
        """Assign a run's lines that belong to no update yet to this one. Raises StorageFull, Unavailable."""
        statement = update(deployment_log).where(deployment_log.c.run == run, deployment_log.c.update_id.is_(None))
        async with self._database.write() as connection:
            await connection.execute(statement.values(update_id=update_id))

    async def list_update_logs(self, update_id: int, *, level: LogLevel | None, limit: int, offset: int) -> LogPage:
        """Return a page of an update's log, newest first; `level` None: all levels."""
        return await self._logs(deployment_log.c.update_id == update_id, level, limit, offset)

    async def list_deployment_logs(
        self, deployment: str, *, level: LogLevel | None, limit: int, offset: int
    ) -> LogPage:
        """Return a page of a deployment's log over all its runs, newest first; `level` None: all levels."""
        return await self._logs(deployment_log.c.deployment == deployment, level, limit, offset)

    async def list_run_logs(
        self, deployment: str, run: str, *, level: LogLevel | None, limit: int, offset: int
    ) -> LogPage:
        """Return a page of the log of one run of a deployment, newest first; `level` None: all levels."""
        mine = (deployment_log.c.run == run) & (deployment_log.c.deployment == deployment)
        return await self._logs(mine, level, limit, offset)

    async def list_deployments(self) -> list[str]:
        """Return the ids of all deployments that have a row, in the order of their names."""
        ids = union(select(deployment_log.c.deployment), select(deployment_update.c.deployment))
        async with self._database.read() as connection:
            return sorted(await connection.scalars(ids))

    async def forget(
        self, deployment: str, before: datetime, *, keep_runs: int, unfinished: Collection[str]
    ) -> Forgotten:
        """Delete log lines and finished updates from before a time (UTC), `_LINES_A_TRANSACTION` lines at a time.

        These stay: the newest `keep_runs` runs, the `unfinished` ones, those of updates in progress, and the update
        that was applied last.
        """
        log, columns = deployment_log.c, deployment_update.c
        mine = select(log.run, func.max(log.at).label("ended_at")).where(log.deployment == deployment).group_by(log.run)
        named = select(columns.run, columns.status).where(columns.deployment == deployment, columns.run.is_not(None))
        async with self._database.read() as connection:
            ended = {row.run: row.ended_at for row in await connection.execute(mine)}
            updates = list(await connection.execute(named))
            in_place = await connection.scalar(_newest_applied(deployment, columns.run))
        # Names of runs begin with the time, so that the last names are the newest runs.
        kept = set(sorted({*ended, *(row.run for row in updates)})[-keep_runs:])
        kept |= {row.run for row in updates if row.status == UpdateStatus.IN_PROGRESS}
        kept |= {in_place or "", *unfinished}
        lines = 0
        for run in [run for run, at in ended.items() if run not in kept and at < before]:
            lines += await self._forget_lines(run)
        return Forgotten(lines, await self._forget_updates(deployment, before, kept))

    async def _forget_lines(self, run: str) -> int:
        some = select(deployment_log.c.id).where(deployment_log.c.run == run).limit(_LINES_A_TRANSACTION)
        statement = delete(deployment_log).where(deployment_log.c.id.in_(some))
        gone, deleted = 0, _LINES_A_TRANSACTION
        while deleted == _LINES_A_TRANSACTION:
            async with self._database.write() as connection:
                deleted = (await connection.execute(statement)).rowcount
            gone += deleted
        return gone

    async def _forget_updates(self, deployment: str, before: datetime, kept: Collection[str]) -> int:
        """Delete finished updates that belong to no kept run."""
        columns = deployment_update.c
        statement = delete(deployment_update).where(
            columns.deployment == deployment,
            columns.status.in_((UpdateStatus.COMPLETED, UpdateStatus.FAILED)),
            columns.updated_at < before,
            columns.run.is_(None) | columns.run.not_in(kept),
            columns.id != func.coalesce(_newest_applied(deployment, columns.id).scalar_subquery(), 0),
            ~exists().where(deployment_log.c.update_id == columns.id),
        )
        async with self._database.write() as connection:
            gone = (await connection.execute(statement)).rowcount
            if gone:
                entry = Entry("updates.removed", f"deployment {deployment}", after={"updates": gone})
                await self._audit.record(connection, RETENTION, entry)
            return gone

    async def _logs(self, where: ColumnElement[bool], level: LogLevel | None, limit: int, offset: int) -> LogPage:
        if level is not None:
            where = where & (deployment_log.c.level == level)
        wanted = select(deployment_log).where(where).order_by(deployment_log.c.id.desc()).limit(limit).offset(offset)
        async with self._database.read() as connection:
            total = await connection.scalar(select(func.count()).select_from(deployment_log).where(where))
            rows = await connection.execute(wanted)
            lines = tuple(LogLine(row.id, row.at, LogLevel(row.level), row.message, row.component) for row in rows)
        return LogPage(lines, int(total or 0), limit, offset)

    async def _select(self, *where: ColumnElement[bool]) -> list[Update]:
        statement = select(deployment_update).where(*where).order_by(deployment_update.c.id.desc())
        async with self._database.read() as connection:
            return [_update(row) for row in await connection.execute(statement)]


def _newest_applied(deployment: str, column: Column[Any]) -> Select[Any]:
    other = deployment_update.alias()
    last = func.coalesce(other.c.applied_at, other.c.created_at).desc()
    applied = (other.c.deployment == deployment) & (other.c.status == UpdateStatus.COMPLETED)
    return select(other.c[column.name]).where(applied).order_by(last, other.c.id.desc()).limit(1)


def _update(row: Row[Any]) -> Update:
    return Update(
        id=row.id,
        deployment=row.deployment,
        version=row.version,
        title=row.title,
        description=row.description,
        status=UpdateStatus(row.status),
        rollback_possible=row.rollback_possible,
        created_at=row.created_at,
        updated_at=row.updated_at,
        applied_at=row.applied_at,
        ref=row.ref,
        commit=row.commit_hash,
        previous_commit=row.previous_commit,
        run=row.run,
    )
