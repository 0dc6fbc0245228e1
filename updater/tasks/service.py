"""The use cases of tasks."""

from __future__ import annotations

from updater.clock import Clock, utc_now
from updater.errors import NotFound
from updater.tasks.model import Task
from updater.tasks.store import TaskStore


class TaskService:
    """The tasks of one user at a time. Another user's task is reported like one that does not exist."""

    def __init__(self, store: TaskStore, *, clock: Clock = utc_now) -> None:
        self._store = store
        self._clock = clock

    async def list_tasks(self, user_id: int) -> list[Task]:
        """Return a user's tasks, oldest first; the order is that of their ids."""
        return await self._store.list_tasks(user_id)

    async def get_task(self, user_id: int, task_id: int) -> Task:
        """Return one task of a user. Raises NotFound."""
        return _present(await self._store.find_task(user_id, task_id))

    async def create_task(self, user_id: int, *, title: str, description: str) -> Task:
        """Add a task that is not completed. Raises StorageFull or Unavailable when it cannot be stored."""
        return await self._store.insert_task(user_id, title, description, self._clock())

    async def change_task(self, user_id: int, task_id: int, changes: dict[str, str]) -> Task:
        """Change the fields given in `changes`: `title`, `description` or both. Raises NotFound."""
        return _present(await self._store.change_task(user_id, task_id, changes, self._clock()))

    async def toggle_task(self, user_id: int, task_id: int) -> Task:
        """Invert `completed`. Raises NotFound."""
        return _present(await self._store.toggle_task(user_id, task_id, self._clock()))

    async def delete_task(self, user_id: int, task_id: int) -> None:
        """Remove a task. Raises NotFound."""
        if not await self._store.delete_task(user_id, task_id):
            _present(None)


def _present(found: Task | None) -> Task:
    if found is None:
        raise NotFound("task", "Task not found")
    return found
