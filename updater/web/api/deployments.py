"""Deployments: how they stand, what the remote has, update and rollback, runs with their log and their live events."""

from __future__ import annotations

import contextlib
import re
from typing import Any

import orjson
from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp_sse import EventSourceResponse, sse_response

import updater.web.api.deployment_schemas as schemas
from updater.deployments.model import LogLevel, RunState
from updater.deployments.service import DeploymentService
from updater.deployments.standing import Standing
from updater.errors import Malformed
from updater.times import rfc3339
from updater.web.api.schemas import PageQuery
from updater.web.gate.context import CONTEXT, begin
from updater.web.gate.routing import Contract, endpoint
from updater.web.messages.answers import json_answer
from updater.web.messages.deployments import commit_item, log_page, step_item

_NUMBER = re.compile(r"[0-9]{1,12}")
# A browser that lost its stream, because the service was restarted, asks again after this long.
_RETRY_MS = 1000


class Deployments:
    """All deployments of the settings."""

    def __init__(self, deployments: DeploymentService) -> None:
        self._deployments = deployments

    @endpoint(Contract("List deployments", answers={200: schemas.DeploymentsAnswer()}))
    async def list_deployments(self, request: web.Request) -> web.Response:
        """Return how each deployment stands; no remote is asked."""
        found = await self._deployments.list_standings()
        return json_answer({"deployments": [_item(each) for each in found]})

    @endpoint(Contract("Show a deployment", answers={200: schemas.DeploymentAnswer()}, failures=(404,)))
    async def get_deployment(self, request: web.Request) -> web.Response:
        """Return how a deployment stands, with the commits that its last check found; the remote is not asked.

        Raises:
            NotFound: there is no such deployment.
        """
        found = await self._deployments.get_standing(_id(request), with_incoming=True)
        return json_answer({**_item(found), "incoming": [commit_item(each) for each in found.incoming]})

    @endpoint(Contract("Ask a deployment's remote", answers={200: schemas.CheckedAnswer()}, failures=(404, 409, 422)))
    async def check_deployment(self, request: web.Request) -> web.Response:
        """Fetch from the remote, and record what is new as an update.

        Raises:
            NotFound: there is no such deployment. Conflict: there is no such checkout. Invalid: the branch's name does
            not fit. Unavailable: the remote does not answer.
        """
        found = await self._deployments.check(_id(request), actor=request[CONTEXT].actor)
        return json_answer(
            {
                "branch": found.branch,
                "current": found.current,
                "latest": found.latest,
                "has_update": found.has_update,
                "diverged": found.diverged,
                "local_changes": found.local_changes,
                "commits": [commit_item(each) for each in found.commits],
            }
        )

    @endpoint(Contract("Update a deployment", answers={202: schemas.BegunAnswer()}, failures=(404, 409)))
    async def update_deployment(self, request: web.Request) -> web.Response:
        """Start bringing a deployment to the head of its branch; the answer names the run to follow.

        Raises:
            NotFound: there is no such deployment. Conflict: a run is on, or the deployment is busy. Unavailable: a
            probe gives no answer, or the run cannot be started.
        """
        run = await self._deployments.apply(_id(request), actor=request[CONTEXT].actor)
        return json_answer({"run": run}, 202)

    @endpoint(Contract("Roll a deployment back", answers={202: schemas.BegunAnswer()}, failures=(404, 409)))
    async def roll_deployment_back(self, request: web.Request) -> web.Response:
        """Start taking the newest applied update back; the answer names the run to follow.

        Raises:
            NotFound: there is no such deployment. Conflict: nothing can be taken back, a run is on, or the deployment
            is busy. Unavailable: a probe gives no answer, or the run cannot be started.
        """
        run = await self._deployments.rollback(_id(request), actor=request[CONTEXT].actor)
        return json_answer({"run": run}, 202)

    @endpoint(
        Contract(
            "List a deployment's runs", query=PageQuery(), answers={200: schemas.RunsAnswer()}, failures=(400, 404, 422)
        )
    )
    async def list_runs(self, request: web.Request, query: dict[str, Any]) -> web.Response:
        """Return a page of runs, newest first.

        Raises:
            NotFound: there is no such deployment.
        """
        deployment = self._deployments.get(_id(request))
        page = await self._deployments.history.list_runs(deployment, limit=query["limit"], offset=query["offset"])
        return json_answer(
            {
                "runs": [_run_item(each) for each in page.runs],
                "total_count": page.total_count,
                "limit": page.limit,
                "offset": page.offset,
            }
        )

    @endpoint(Contract("Show a run", answers={200: schemas.RunItem()}, failures=(404,)))
    async def get_run(self, request: web.Request) -> web.Response:
        """Return one run with its steps.

        Raises:
            NotFound: the deployment has no such run, or it has not begun.
        """
        deployment = self._deployments.get(_id(request))
        return json_answer(_run_item(await self._deployments.history.get_run(deployment, request.match_info["run"])))

    @endpoint(
        Contract(
            "Show a run's log",
            query=schemas.LogLinesQuery(),
            answers={200: schemas.RunLinesAnswer()},
            failures=(400, 404, 422),
        )
    )
    async def list_run_lines(self, request: web.Request, query: dict[str, Any]) -> web.Response:
        """Return lines of one run's log, newest first.

        Raises:
            NotFound: the deployment has no such run.
        """
        deployment = self._deployments.get(_id(request))
        level = None if query["level"] is None else LogLevel(query["level"])
        page = await self._deployments.history.list_lines(
            deployment, request.match_info["run"], level=level, limit=query["limit"], offset=query["offset"]
        )
        return json_answer(log_page(page))

    @endpoint(
        Contract(
            "Follow a run",
            query=schemas.FollowQuery(),
            answers={200: None},
            failures=(400, 404, 422),
            media_types=("text/event-stream",),
        )
    )
    async def follow_run(self, request: web.Request, query: dict[str, Any]) -> web.StreamResponse:
        """Send a run's events as they come, after the last one that was seen, until its end.

        Server-sent events: the data of each is JSON with `number`, `at` and `kind`, which is `log`, `step`, `target` or
        `end`. The stream ends when this service stops; the run goes on, and the next service knows it.

        Raises:
            NotFound: the deployment has no such run. Malformed: the last event's id is no whole number.
        """
        run = request.match_info["run"]
        # Refused before the stream begins: what has begun can no longer say no.
        self._deployments.history.require_run(self._deployments.get(_id(request)), run)
        after = request.headers.get("Last-Event-ID") or str(query["after"])
        if not _NUMBER.fullmatch(after):
            raise Malformed("The last event's id is a whole number")
        async with sse_response(request, response_cls=_Events) as response:
            await response.send("{}", event="open", retry=_RETRY_MS)
            async with contextlib.aclosing(self._deployments.runs.follow(run, int(after))) as events:
                async for event in events:
                    await response.send(orjson.dumps(event.to_tree()).decode(), id=str(event.number))
        return response


def _id(request: web.Request) -> str:
    return request.match_info["deployment_id"]


def _item(standing: Standing) -> dict[str, Any]:
    status, rollback = standing.status, standing.rollback
    last_run = None if status is None else status.last_run
    return {
        "id": standing.deployment.id,
        "branch": standing.deployment.branch,
        "problem": standing.problem,
        "commit": None if status is None else status.commit,
        "local_changes": None if status is None else status.local_changes,
        "updates_available": None if status is None else status.updates_available,
        "running": None if status is None else status.running,
        "busy": standing.busy,
        "probes": [{"probe": each.probe, "busy": each.busy, "said": each.said} for each in standing.probes],
        "last_run": None if last_run is None else _run_item(last_run),
        "rollback": None
        if rollback is None
        else {
            "update": rollback.id,
            "version": rollback.version,
            "title": rollback.title,
            "commit": rollback.commit,
            "previous_commit": rollback.previous_commit,
        },
    }


def _run_item(run: RunState) -> dict[str, Any]:
    return {
        "run": run.run,
        "kind": run.kind.value,
        "outcome": run.outcome.value,
        "from_commit": run.from_commit,
        "to_commit": run.to_commit,
        "started_at": rfc3339(run.started_at),
        "finished_at": None if run.finished_at is None else rfc3339(run.finished_at),
        "failed_step": run.failed_step,
        "error": run.error,
        "advice": run.advice,
        "steps": [step_item(each) for each in run.steps],
        "recovery": [step_item(each) for each in run.recovery],
    }


class _Events(EventSourceResponse):
    """An event stream that carries what every answer carries."""

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        if isinstance(request, web.Request):
            begin(request, self)
        return await super().prepare(request)
