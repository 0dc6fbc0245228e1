"""The SQL of tasks. Every statement names the owner, so that no user reaches another user's task."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, delete, func, insert, not_, select, update

from updater.database.asynchronous import AsyncConnection
from updater.database.engine import Database
from updater.database.tables import task
from updater.tasks.model import Holding, Task


class TaskStore:
    """Reads and writes tasks. Every method raises Unavailable when the database does not answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list_tasks(self, user_id: int) -> list[Task]:
        """Return a user's tasks, oldest first; the order is that of their ids."""
        async with self._database.read() as connection:
            rows = await connection.execute(select(task).where(task.c.user_id == user_id).order_by(task.c.id))
            return [_task(row) for row in rows]

    async def find_task(self, user_id: int, task_id: int) -> Task | None:
        """Return one task of a user; None when the user has no such task."""
        async with self._database.read() as connection:
            row = (await connection.execute(select(task).where(_own(user_id, task_id)))).first()
            return None if row is None else _task(row)

    async def measure(self, connection: AsyncConnection, user_id: int) -> Holding:
        """Return what a user keeps, as the transaction sees it."""
        characters = func.coalesce(func.sum(func.length(task.c.title) + func.length(task.c.description)), 0)
        row = (await connection.execute(select(func.count(), characters).where(task.c.user_id == user_id))).one()
        return Holding(row[0], int(row[1]))

    async def insert_task(
        self, connection: AsyncConnection, user_id: int, title: str, description: str, now: datetime
    ) -> Task:
        """Add a task that is not completed; return it with its id. `now` is aware, in UTC."""
        times = {"created_at": now, "updated_at": now}
        values = {"user_id": user_id, "title": title, "description": description, "completed": False, **times}
        return _task((await connection.execute(insert(task).values(values).returning(*task.c))).one())

    async def change_task(
        self, connection: AsyncConnection, user_id: int, task_id: int, changes: dict[str, str], now: datetime
    ) -> Task | None:
        """Set the given columns and `updated_at`; None when the user has no such task."""
        return await self._update(connection, user_id, task_id, {**changes, "updated_at": now})

    async def toggle_task(self, connection: AsyncConnection, user_id: int, task_id: int, now: datetime) -> Task | None:
        """Invert `completed` in one statement; None when the user has no such task."""
        return await self._update(
            connection, user_id, task_id, {"completed": not_(task.c.completed), "updated_at": now}
        )

    async def delete_task(self, connection: AsyncConnection, user_id: int, task_id: int) -> bool:
        """Remove a task; return whether the user had it."""
        return (await connection.execute(delete(task).where(_own(user_id, task_id)))).rowcount > 0

    async def _update(
        self, connection: AsyncConnection, user_id: int, task_id: int, values: dict[str, Any]
    ) -> Task | None:
        statement = update(task).where(_own(user_id, task_id)).values(values).returning(*task.c)
        row = (await connection.execute(statement)).first()
        return None if row is None else _task(row)


def _own(user_id: int, task_id: int) -> ColumnElement[bool]:
    return (task.c.id == task_id) & (task.c.user_id == user_id)


def _task(row: Any) -> Task:
    return Task(row.id, row.user_id, row.title, row.description, row.completed, row.created_at, row.updated_at)
