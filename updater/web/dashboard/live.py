"""What the dashboard's script asks for: how things stand, start an update, follow it by server-sent events."""

from __future__ import annotations

import contextlib
import re
from typing import Any

import orjson
from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp_sse import EventSourceResponse, sse_response

from updater.access.principals import Permission
from updater.deployments.model import RunState
from updater.deployments.service import DeploymentService
from updater.errors import Malformed
from updater.times import rfc3339
from updater.web.gate.context import CONTEXT, begin
from updater.web.gate.routing import Contract, endpoint
from updater.web.messages.answers import json_answer
from updater.web.messages.deployments import step_item

_SHOWN_LINES = 200
_NUMBER = re.compile(r"[0-9]{1,12}")
# A browser that lost its stream, because the service was restarted, asks again after this long.
_RETRY_MS = 1000


class Live:
    """The default deployment, as a page follows it."""

    def __init__(self, deployments: DeploymentService) -> None:
        self._deployments = deployments

    @endpoint(Contract("How things stand", Permission.WRITE, answers={200: None}, failures=(404,)))
    async def get_state(self, request: web.Request) -> web.Response:
        """Return what is known here; the remote is not asked. The log's lines are in the order of their time.

        Raises:
            NotFound: there is no deployment.
        """
        status = await self._deployments.status()
        page = await self._deployments.list_logs(limit=_SHOWN_LINES)
        lines = [
            {
                "at": rfc3339(line.timestamp),
                "level": line.level.value,
                "component": line.component,
                "message": line.message,
            }
            for line in reversed(page.logs)
        ]
        answer = {
            "branch": status.branch,
            "commit": status.commit,
            "local_changes": status.local_changes,
            "updates_available": status.updates_available,
            "running": status.running,
            "last_run": None if status.last_run is None else _run_item(status.last_run),
            "log": lines,
        }
        return json_answer(answer)

    @endpoint(Contract("Start an update", Permission.WRITE, answers={202: None}, failures=(404, 409)))
    async def start_update(self, request: web.Request) -> web.Response:
        """Start bringing the deployment to the head of its branch; the answer names the run to follow.

        Raises:
            NotFound: there is no deployment. Conflict: an update is running, or the deployment is busy.
            Unavailable: it cannot be started.
        """
        return json_answer({"run": await self._deployments.apply(actor=request[CONTEXT].actor)}, 202)

    @endpoint(Contract("Follow a run", Permission.WRITE, answers={200: None}, failures=(400, 404)))
    async def follow_run(self, request: web.Request) -> web.StreamResponse:
        """Send a run's events as they come, after the last one this browser has seen, until its end.

        Raises:
            NotFound: there is no such run. Malformed: the last event's id is no whole number.
        """
        run = request.query.get("run", "")
        # Refused before the stream begins: what has begun can no longer say no.
        self._deployments.runs.folder(run)
        after = request.headers.get("Last-Event-ID") or request.query.get("after", "0")
        if not _NUMBER.fullmatch(after):
            raise Malformed("The last event's id is a whole number")
        async with sse_response(request, response_cls=_Events) as response:
            await response.send("{}", event="open", retry=_RETRY_MS)
            async with contextlib.aclosing(self._deployments.runs.follow(run, int(after))) as events:
                async for event in events:
                    await response.send(orjson.dumps(event.to_tree()).decode(), id=str(event.number))
        return response


def _run_item(run: RunState) -> dict[str, Any]:
    return {
        "run": run.run,
        "kind": run.kind.value,
        "outcome": run.outcome.value,
        "failed_step": run.failed_step,
        "error": run.error,
        "advice": run.advice,
        "started_at": rfc3339(run.started_at),
        "finished_at": None if run.finished_at is None else rfc3339(run.finished_at),
        "steps": [step_item(each) for each in run.steps],
        "recovery": [step_item(each) for each in run.recovery],
    }


class _Events(EventSourceResponse):
    """An event stream that carries what every answer carries."""

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        if isinstance(request, web.Request):
            begin(request, self)
        return await super().prepare(request)
