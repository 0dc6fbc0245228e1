"""Updates of the default deployment: list, show, apply, roll back, logs."""

from __future__ import annotations

from typing import Any

from aiohttp import web

import updater.web.updates.schemas as schemas
from updater.access.principals import Permission
from updater.deployments.model import LogLevel, Outcome, RunState, Update
from updater.deployments.service import DeploymentService
from updater.errors import NotFound, Unavailable
from updater.times import rfc3339
from updater.web.gate.context import CONTEXT
from updater.web.gate.routing import Contract, endpoint
from updater.web.messages.answers import json_answer
from updater.web.messages.deployments import log_page
from updater.web.messages.numbers import number_in_path
from updater.web.messages.parsing import parse_query


def _contract(summary: str, level: Permission = Permission.READ, **more: Any) -> Contract:
    return Contract(summary, level, **more)


class Updates:
    """The five endpoints. Updates of other deployments are unknown here."""

    def __init__(self, deployments: DeploymentService) -> None:
        self._deployments = deployments

    @endpoint(_contract("List updates", answers={200: schemas.UpdateAnswer(many=True)}))
    async def list_updates(self, request: web.Request) -> web.Response:
        """Return all updates, newest first; none when there is no deployment."""
        found = await self._deployments.list_updates() if self._deployments.ids else []
        return json_answer([_item(update) for update in found])

    @endpoint(_contract("Show an update", answers={200: schemas.UpdateAnswer()}, failures=(404,)))
    async def get_update(self, request: web.Request) -> web.Response:
        """Return one update.

        Raises:
            NotFound: the default deployment has no such update.
        """
        return json_answer(_item(await self._find(request, "id")))

    @endpoint(
        _contract("Apply an update", Permission.WRITE, answers={200: schemas.Applied()}, failures=(404, 409, 503))
    )
    async def apply_update(self, request: web.Request) -> web.Response:
        """Apply one update and answer when that is over; a step that fails makes the answer's status `failed`.

        Raises:
            NotFound: no such update. Conflict: it is applied, another one is running, or the deployment is busy.
            Unavailable: this service has to stop before the end.
        """
        update = await self._find(request, "id")
        state = await self._end_of(await self._deployments.apply(update_id=update.id, actor=request[CONTEXT].actor))
        done = state.outcome is Outcome.SUCCEEDED
        message = "Update applied successfully" if done else f"Update failed: {state.error}"
        return json_answer({"message": message, "status": _word(done), "applied_at": _ended(state)})

    @endpoint(
        _contract(
            "Roll an update back", Permission.WRITE, answers={200: schemas.RolledBack()}, failures=(404, 409, 503)
        )
    )
    async def roll_back_update(self, request: web.Request) -> web.Response:
        """Roll the newest applied update back and answer when that is over.

        Raises:
            NotFound: no such update. Conflict: it is not the newest applied one, or an update is running.
            Unavailable: this service has to stop before the end.
        """
        update = await self._find(request, "id")
        state = await self._end_of(await self._deployments.rollback(update_id=update.id, actor=request[CONTEXT].actor))
        done = state.outcome is Outcome.SUCCEEDED
        message = "Update rolled back successfully" if done else f"Rollback failed: {state.error}"
        return json_answer({"message": message, "status": _word(done), "rolled_back_at": _ended(state)})

    @endpoint(
        _contract(
            "Show an update's log",
            query=schemas.LogQuery(),
            answers={200: schemas.LogsAnswer()},
            failures=(400, 404),
            parses_itself=True,
        )
    )
    async def list_logs(self, request: web.Request) -> web.Response:
        """Return lines of one update's log, newest first."""
        # Whether the update exists is answered before the query is looked at.
        update = await self._find(request, "update_id")
        query = await parse_query(schemas.LogQuery(), request)
        level = LogLevel(query["level"]) if "level" in query else None
        page = await self._deployments.list_update_logs(
            update.id, level=level, limit=query["limit"], offset=query["offset"]
        )
        return json_answer(log_page(page))

    async def _find(self, request: web.Request, name: str) -> Update:
        number, ids = number_in_path(request, name), self._deployments.ids
        if number is None or not ids:
            raise NotFound("update", "Update not found")
        update = await self._deployments.get_update(number)
        if update.deployment != ids[0]:
            raise NotFound("update", "Update not found")
        return update

    async def _end_of(self, run: str) -> RunState:
        """Wait for a run's end. Raises Unavailable when this service has to stop first: the run goes on."""
        state = await self._deployments.runs.wait(run)
        if state is None or not state.finished:
            raise Unavailable("The server is being restarted to finish this; the update's status tells how it went")
        return state


def _word(done: bool) -> str:
    return "completed" if done else "failed"


def _ended(state: RunState) -> str:
    return rfc3339(state.finished_at or state.started_at)


def _item(update: Update) -> dict[str, Any]:
    return {
        "id": update.id,
        "title": update.title,
        "description": update.description,
        "status": update.status.value,
        "version": update.version,
        "created_at": rfc3339(update.created_at),
        "updated_at": rfc3339(update.updated_at),
        "applied_at": None if update.applied_at is None else rfc3339(update.applied_at),
        "rollback_possible": update.rollback_possible,
    }
