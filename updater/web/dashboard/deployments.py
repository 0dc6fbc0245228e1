"""The page of the default deployment. Its figures are asked for by its own script."""

from __future__ import annotations

from aiohttp import web

from updater.access.principals import Permission
from updater.deployments.service import DeploymentService
from updater.web.dashboard.page import HTML, PageKit
from updater.web.gate.routing import Contract, endpoint


class Deployments:
    """What a browser shows of deployments."""

    def __init__(self, kit: PageKit, deployments: DeploymentService) -> None:
        self._kit = kit
        self._deployments = deployments

    @endpoint(Contract("The dashboard", Permission.WRITE, answers={200: None}, media_types=HTML))
    async def show_dashboard(self, request: web.Request) -> web.Response:
        """Show the default deployment."""
        deployment = self._deployments.get() if self._deployments.ids else None
        return self._kit.render(request, "dashboard.html", {"deployment": deployment})
