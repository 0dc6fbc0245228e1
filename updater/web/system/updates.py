"""Document 000: check for updates, execute them."""

from __future__ import annotations

from aiohttp import web

import updater.web.system.schemas as schemas
from updater.access.principals import Permission
from updater.deployments.service import DeploymentService
from updater.web.gate.context import CONTEXT
from updater.web.gate.routing import Contract, endpoint
from updater.web.messages.answers import json_answer
from updater.web.messages.deployments import commit_item


class SystemUpdates:
    """What administrators do with the default deployment."""

    def __init__(self, deployments: DeploymentService) -> None:
        self._deployments = deployments

    @endpoint(
        Contract("Check for updates", Permission.ADMIN, answers={200: schemas.CheckAnswer()}, failures=(404, 503))
    )
    async def check_updates(self, request: web.Request) -> web.Response:
        """Ask the remote what is incoming, newest commit first.

        Raises:
            NotFound: there is no deployment. Unavailable: the remote does not answer.
        """
        found = await self._deployments.check(actor=request[CONTEXT].actor)
        answer = {
            "currentVersion": found.current,
            "latestVersion": found.latest,
            "hasUpdate": found.has_update,
            "commits": [commit_item(each) for each in found.commits],
        }
        return json_answer(answer)

    @endpoint(
        Contract("Execute the update", Permission.ADMIN, answers={200: schemas.StartedAnswer()}, failures=(404, 409))
    )
    async def execute_update(self, request: web.Request) -> web.Response:
        """Start the update and answer at once; the process that carries it out outlives this one.

        Raises:
            NotFound: there is no deployment. Conflict: an update is running, or the deployment is busy.
            Unavailable: it cannot be started.
        """
        await self._deployments.apply(actor=request[CONTEXT].actor)
        return json_answer({"status": "started", "message": "Update process initiated"})
