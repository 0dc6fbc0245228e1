"""Releases as a whole: a draft goes live, a release goes."""

from __future__ import annotations

from typing import Any

from aiohttp import web

import updater.web.api.file_schemas as schemas
from updater.access.principals import Permission
from updater.services import Services
from updater.web.api.rendering import published_release
from updater.web.gate.context import CONTEXT
from updater.web.gate.routing import Contract, endpoint
from updater.web.messages.answers import json_answer


class Drafts:
    """Publish a draft, delete a release."""

    def __init__(self, services: Services) -> None:
        self._drafts = services.drafts
        self._rollouts = services.rollouts

    @endpoint(
        Contract(
            "Publish a draft",
            Permission.WRITE,
            body=schemas.PublishBody(),
            body_optional=True,
            answers={200: schemas.ReleasePublished()},
            failures=(400, 404, 409, 413, 415, 422),
        )
    )
    async def publish_release(self, request: web.Request, body: dict[str, Any]) -> web.Response:
        """Make a draft live with all its builds and files, as one step."""
        published = await self._drafts.publish(
            request.match_info["app_id"],
            request.match_info["version"],
            require=body["require"],
            plan=self._rollouts.read_plan(body["rollout"], "rollout"),
            actor=request[CONTEXT].actor,
            reason=body["reason"],
        )
        return json_answer(published_release(published))

    @endpoint(
        Contract(
            "Delete a release with all its builds",
            Permission.WRITE,
            answers={200: schemas.ReleaseDeleted()},
            failures=(404, 422),
        )
    )
    async def delete_release(self, request: web.Request) -> web.Response:
        """Delete a release with all its builds: a draft with write access, else with admin access."""
        application_id, context = request.match_info["app_id"], request[CONTEXT]
        version = await self._drafts.delete_release(
            application_id,
            request.match_info["version"],
            context.actor,
            published_too=context.may(Permission.ADMIN, application_id),
        )
        return json_answer({"version": version, "message": "Release deleted successfully"})
