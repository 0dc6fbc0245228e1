"""To-do tasks of the person a token is for."""

from __future__ import annotations

from typing import Any

from aiohttp import web

import updater.web.updates.schemas as schemas
from updater.access.principals import Permission
from updater.errors import NotFound
from updater.tasks.model import Task
from updater.tasks.service import TaskService
from updater.times import rfc3339
from updater.web.gate.context import CONTEXT
from updater.web.gate.routing import Contract, endpoint
from updater.web.messages.answers import json_answer
from updater.web.messages.numbers import number_in_path
from updater.web.messages.parsing import parse_json

_ONE = {200: schemas.TaskAnswer()}


def _contract(summary: str, **more: Any) -> Contract:
    return Contract(summary, Permission.READ, **more)


class Tasks:
    """The six endpoints. That the path's user is the token's user is the surface's rule."""

    def __init__(self, tasks: TaskService) -> None:
        self._tasks = tasks

    @endpoint(_contract("List tasks", answers={200: schemas.TaskAnswer(many=True)}))
    async def list_tasks(self, request: web.Request) -> web.Response:
        """Return all tasks of the user, in the order in which they were made."""
        return json_answer([_item(task) for task in await self._tasks.list_tasks(_user(request))])

    @endpoint(_contract("Create a task", body=schemas.NewTask(), answers={201: schemas.TaskAnswer()}, failures=(400,)))
    async def create_task(self, request: web.Request, body: dict[str, str]) -> web.Response:
        """Add a task that is not completed."""
        description = body.get("description", "")
        made = await self._tasks.create_task(
            _user(request), title=body["title"], description=description, actor=request[CONTEXT].actor
        )
        return json_answer(_item(made), 201)

    @endpoint(_contract("Show a task", answers=_ONE, failures=(404,)))
    async def get_task(self, request: web.Request) -> web.Response:
        """Return one task.

        Raises:
            NotFound: the user has no such task.
        """
        return json_answer(_item(await self._tasks.get_task(_user(request), _id(request))))

    @endpoint(
        _contract("Change a task", body=schemas.TaskChanges(), answers=_ONE, failures=(400, 404), parses_itself=True)
    )
    async def change_task(self, request: web.Request) -> web.Response:
        """Change title or description; what is left out stays, and so does `completed`.

        Raises:
            NotFound: the user has no such task; it is found before the body is read. Also what `parse_json` raises.
        """
        # Whether the task exists is answered before the body is looked at.
        await self._tasks.get_task(_user(request), _id(request))
        changes = await parse_json(schemas.TaskChanges(), request)
        return json_answer(
            _item(await self._tasks.change_task(_user(request), _id(request), changes, actor=request[CONTEXT].actor))
        )

    @endpoint(_contract("Delete a task", answers={204: None}, failures=(404,)))
    async def delete_task(self, request: web.Request) -> web.Response:
        """Remove one task.

        Raises:
            NotFound: the user has no such task.
        """
        await self._tasks.delete_task(_user(request), _id(request), actor=request[CONTEXT].actor)
        return web.Response(status=204)

    @endpoint(_contract("Toggle a task's completion", answers=_ONE, failures=(404,)))
    async def toggle_task(self, request: web.Request) -> web.Response:
        """Invert `completed`.

        Raises:
            NotFound: the user has no such task.
        """
        return json_answer(
            _item(await self._tasks.toggle_task(_user(request), _id(request), actor=request[CONTEXT].actor))
        )


def _user(request: web.Request) -> int:
    user_id = number_in_path(request, "user_id")
    if user_id is None:
        raise NotFound("user", "No such user")
    return user_id


def _id(request: web.Request) -> int:
    task_id = number_in_path(request, "id")
    if task_id is None:
        raise NotFound("task", "Task not found")
    return task_id


def _item(task: Task) -> dict[str, Any]:
    return {
        "id": task.id,
        "title": task.title,
        "description": task.description,
        "completed": task.completed,
        "user_id": task.user_id,
        "created_at": rfc3339(task.created_at),
        "updated_at": rfc3339(task.updated_at),
    }
