"""The use cases of tasks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from updater.audit.model import Actor, Entry
from updater.audit.service import AuditService
from updater.clock import Clock, utc_now
from updater.database.engine import Connection, Database
from updater.errors import NotFound
from updater.tasks.model import Task
from updater.tasks.store import TaskStore


class TaskService:
    """The tasks of one user at a time. Another user's task is reported like one that does not exist."""

    def __init__(self, store: TaskStore, database: Database, audit: AuditService, *, clock: Clock = utc_now) -> None:
        self._store = store
        self._database = database
        self._audit = audit
        self._clock = clock

    async def list_tasks(self, user_id: int) -> list[Task]:
        """Return a user's tasks, oldest first; the order is that of their ids."""
        return await self._store.list_tasks(user_id)

    async def get_task(self, user_id: int, task_id: int) -> Task:
        """Return one task of a user. Raises NotFound."""
        return _present(await self._store.find_task(user_id, task_id))

    async def create_task(self, user_id: int, *, title: str, description: str, actor: Actor) -> Task:
        """Add a task that is not completed.

        Raises:
            Invalid: the user keeps too much. StorageFull, Unavailable: it cannot be stored.
        """
        async with self._database.write() as connection:
            before = await self._store.measure(connection, user_id)
            made = await self._store.insert_task(connection, user_id, title, description, self._clock())
            (await self._store.measure(connection, user_id)).require_room(before)
            await self._record(connection, actor, "task.created", made.id)
        return made

    async def change_task(self, user_id: int, task_id: int, changes: dict[str, str], *, actor: Actor) -> Task:
        """Change the fields given in `changes`: `title`, `description` or both.

        Raises:
            NotFound. Invalid: the user would keep too much.
        """
        async with self._database.write() as connection:
            before = await self._store.measure(connection, user_id)
            changed = _present(await self._store.change_task(connection, user_id, task_id, changes, self._clock()))
            (await self._store.measure(connection, user_id)).require_room(before)
            await self._record(connection, actor, "task.changed", task_id)
        return changed

    async def toggle_task(self, user_id: int, task_id: int, *, actor: Actor) -> Task:
        """Invert `completed`. Raises NotFound."""
        async with self._database.write() as connection:
            toggled = _present(await self._store.toggle_task(connection, user_id, task_id, self._clock()))
            await self._record(connection, actor, "task.toggled", task_id, after={"completed": toggled.completed})
        return toggled

    async def delete_task(self, user_id: int, task_id: int, *, actor: Actor) -> None:
        """Remove a task. Raises NotFound."""
        async with self._database.write() as connection:
            if not await self._store.delete_task(connection, user_id, task_id):
                _present(None)
            await self._record(connection, actor, "task.deleted", task_id)

    async def _record(
        self, connection: Connection, actor: Actor, action: str, task_id: int, after: Mapping[str, Any] | None = None
    ) -> None:
        # Titles and descriptions are the user's own: the audit says which task, not what it says.
        await self._audit.record(connection, actor, Entry(action, f"task {task_id}", after=after))


def _present(found: Task | None) -> Task:
    if found is None:
        raise NotFound("task", "Task not found")
    return found
