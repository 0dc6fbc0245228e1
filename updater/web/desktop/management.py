"""What administrators do: list all versions, take one back."""

from __future__ import annotations

from typing import Any

from aiohttp import web

import updater.web.desktop.schemas as schemas
from updater.access.principals import Permission
from updater.catalog.model import Page
from updater.services import Services
from updater.web.desktop.rendering import update_item
from updater.web.desktop.words import FAMILY
from updater.web.gate.context import CONTEXT
from updater.web.gate.routing import Contract, endpoint
from updater.web.messages.answers import json_answer


class Management:
    """The list, and deactivation."""

    def __init__(self, services: Services, application: str) -> None:
        self._catalog = services.catalog
        self._moves = services.releases
        self._telemetry = services.telemetry
        self._application = application

    @endpoint(
        Contract(
            "List all versions",
            Permission.ADMIN,
            query=schemas.ListQuery(),
            answers={200: schemas.UpdatesAnswer()},
            failures=(400, 404),
        )
    )
    async def list_updates(self, request: web.Request, query: dict[str, Any]) -> web.Response:
        """Return one page of versions, active or not, highest first, with their downloads."""
        per_page = query["per_page"]
        page = Page(per_page, (query["page"] - 1) * per_page)
        releases, total = await self._catalog.list_releases(self._application, FAMILY, page)
        counts = await self._telemetry.finished_downloads(
            build.id for release in releases for build in release.builds.values()
        )
        request[CONTEXT].outcome = "listed"
        pagination = {"page": query["page"], "per_page": per_page, "total": total}
        return json_answer({"updates": [update_item(each, counts) for each in releases], "pagination": pagination})

    @endpoint(
        Contract(
            "Deactivate a version",
            Permission.ADMIN,
            path=schemas.VersionPath(),
            answers={200: schemas.Deactivated()},
            failures=(400, 404),
        )
    )
    async def deactivate_update(self, request: web.Request, path: dict[str, Any]) -> web.Response:
        """Take a version back, at once and for every client; its bytes stay. Doing it again changes nothing."""
        text: str = path["version"]
        await self._moves.withdraw(self._application, text, actor=request[CONTEXT].actor)
        request[CONTEXT].outcome = "deactivated"
        return json_answer({"message": f"Update version {text} deactivated successfully"})
