"""Document 001: update the server and say how each step went; git and server status."""

from __future__ import annotations

from aiohttp import web

import updater.web.system.schemas as schemas
from updater.access.principals import Permission
from updater.deployments.model import Outcome, RunState
from updater.deployments.service import DeploymentService
from updater.web.gate.context import CONTEXT
from updater.web.gate.routing import Contract, endpoint
from updater.web.messages.answers import json_answer
from updater.web.messages.deployments import commit_item, step_item


class AdminUpdates:
    """What staff does with the default deployment."""

    def __init__(self, deployments: DeploymentService) -> None:
        self._deployments = deployments

    @endpoint(
        Contract("Update the server", Permission.WRITE, answers={200: schemas.UpdatedAnswer()}, failures=(404, 409))
    )
    async def update_server(self, request: web.Request) -> web.Response:
        """Update, and answer when that is over, or when this very service is to be restarted by it.

        Raises:
            NotFound: there is no deployment. Conflict: an update is running, or the deployment is busy.
            Unavailable: it cannot be started.
        """
        state = await self._deployments.runs.wait(await self._deployments.apply(actor=request[CONTEXT].actor))
        if state is not None and state.finished and state.outcome is not Outcome.SUCCEEDED:
            return json_answer({"success": False, "error": _why(state), "step": state.failed_step}, 500)
        over = state is not None and state.finished
        answer = {
            "success": True,
            "message": "Update completed" if over else "Update in progress: the server is being restarted",
            "steps": [step_item(each) for each in (state.steps if state is not None else ())],
        }
        return json_answer(answer)

    @endpoint(
        Contract(
            "Show git and server status", Permission.WRITE, answers={200: schemas.StatusAnswer()}, failures=(404, 503)
        )
    )
    async def get_status(self, request: web.Request) -> web.Response:
        """Ask the remote what is incoming, and say how things stand.

        Raises:
            NotFound: there is no deployment. Unavailable: the remote does not answer.
        """
        found = await self._deployments.check(actor=request[CONTEXT].actor)
        status = await self._deployments.status()
        answer = {
            "success": True,
            "git_status": {
                "branch": found.branch,
                "commit": found.current,
                "local_changes": found.local_changes,
                "remote_updates": [commit_item(each) for each in found.commits],
                "updates_available": found.has_update,
            },
            "server_status": "running" if status.running is None else "updating",
        }
        return json_answer(answer)


def _why(state: RunState) -> str:
    return ". ".join(text for text in (state.error or "The update failed", state.advice) if text)
