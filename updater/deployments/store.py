"""The SQL of deployments: updates, and the log lines that were imported from the runs' journals."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, func, insert, select, update

from updater.database.engine import Database
from updater.database.tables import deployment_log, deployment_update
from updater.deployments.model import Event, Level, LogLine, LogPage, Turn, Update, UpdateStatus, next_status
from updater.errors import NotFound


class DeploymentStore:
    """Reads and writes updates. Each change of a status goes through the transition table, in one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def insert(self, new: Update) -> Update:
        """Add an update; its id is given by the database."""
        values = {
            name: getattr(new, name)
            for name in ("deployment", "version", "title", "description", "status", "rollback_possible", "ref", "run")
        }
        values |= {"commit_hash": new.commit, "created_at": new.created_at, "updated_at": new.updated_at}
        async with self._database.write() as connection:
            new_id = await connection.scalar(insert(deployment_update).values(values).returning(deployment_update.c.id))
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
        """Return the updates a run is at, or has brought in."""
        return await self._select(deployment_update.c.run == run)

    async def find_newest_applied(self, deployment: str) -> Update | None:
        """Return the completed update that was applied last."""
        found = await self._select(
            deployment_update.c.deployment == deployment, deployment_update.c.status == UpdateStatus.COMPLETED
        )
        return max(found, key=lambda each: (each.applied_at or each.created_at, each.id), default=None)

    async def turn(self, update_id: int, turn: Turn, now: datetime, **changes: Any) -> Update:
        """Move an update along the transition table.

        Raises:
            Conflict: its status does not allow this turn. NotFound: there is no such update.
        """
        async with self._database.write() as connection:
            row = (
                await connection.execute(select(deployment_update).where(deployment_update.c.id == update_id))
            ).first()
            if row is None:
                raise NotFound("update", f"There is no update with id {update_id}")
            status = next_status(UpdateStatus(row.status), turn)
            statement = update(deployment_update).where(deployment_update.c.id == update_id)
            await connection.execute(statement.values(status=status, updated_at=now, **changes))
        return await self.get(update_id)

    async def change(self, update_id: int, now: datetime, **changes: Any) -> None:
        """Change fields that are not the status."""
        async with self._database.write() as connection:
            statement = update(deployment_update).where(deployment_update.c.id == update_id)
            await connection.execute(statement.values(updated_at=now, **changes))

    async def import_lines(self, deployment: str, run: str, update_id: int | None, events: Sequence[Event]) -> None:
        """Add the log lines among a run's events; those that are there already are left alone."""
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
        """Give a run's lines to an update, now that it is known which one it is about."""
        statement = update(deployment_log).where(deployment_log.c.run == run, deployment_log.c.update_id.is_(None))
        async with self._database.write() as connection:
            await connection.execute(statement.values(update_id=update_id))

    async def list_update_logs(self, update_id: int, *, level: Level | None, limit: int, offset: int) -> LogPage:
        """Return an update's log, newest first."""
        return await self._logs(deployment_log.c.update_id == update_id, level, limit, offset)

    async def list_deployment_logs(self, deployment: str, *, level: Level | None, limit: int, offset: int) -> LogPage:
        """Return a deployment's log over all its runs, newest first."""
        return await self._logs(deployment_log.c.deployment == deployment, level, limit, offset)

    async def _logs(self, where: ColumnElement[bool], level: Level | None, limit: int, offset: int) -> LogPage:
        if level is not None:
            where = where & (deployment_log.c.level == level)
        wanted = select(deployment_log).where(where).order_by(deployment_log.c.id.desc()).limit(limit).offset(offset)
        async with self._database.read() as connection:
            total = await connection.scalar(select(func.count()).select_from(deployment_log).where(where))
            rows = await connection.execute(wanted)
            lines = tuple(LogLine(row.id, row.at, Level(row.level), row.message, row.component) for row in rows)
        return LogPage(lines, int(total or 0), limit, offset)

    async def _select(self, *where: ColumnElement[bool]) -> list[Update]:
        statement = select(deployment_update).where(*where).order_by(deployment_update.c.id.desc())
        async with self._database.read() as connection:
            return [_update(row) for row in await connection.execute(statement)]


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
