"""Applications: list, create, show, change, delete."""

from __future__ import annotations

from functools import partial
from typing import Any

from aiohttp import web

import updater.web.api.answer_schemas as answers
import updater.web.api.schemas as schemas
from updater.access.principals import Permission
from updater.catalog.model import Page
from updater.errors import Forbidden
from updater.services import Services
from updater.times import rfc3339
from updater.web.api.rendering import application_item, page_keys, stats_keys
from updater.web.gate.context import CONTEXT
from updater.web.gate.listings import list_answer
from updater.web.gate.routing import Contract, endpoint
from updater.web.messages.answers import json_answer
from updater.web.messages.application_schemas import ApplicationBody, ApplicationChanges


class Applications:
    """What publishers and administrators do with applications."""

    def __init__(self, services: Services) -> None:
        self._catalog = services.catalog
        self._offers = services.offers
        self._rollouts = services.rollouts

    @endpoint(
        Contract(
            "List applications",
            Permission.READ,
            query=schemas.PageQuery(),
            answers={200: answers.ApplicationsAnswer()},
            failures=(422,),
        )
    )
    async def list_applications(self, request: web.Request, query: dict[str, Any]) -> web.StreamResponse:
        """Return one page of applications; a key bound to one application sees that one."""
        page = Page(query["limit"], query["offset"])

        async def read(page: Page) -> tuple[list[dict[str, Any]], int]:
            found, total = await self._catalog.list_applications(page, only=_bound_to(request))
            return [application_item(each) for each in found], total

        return await list_answer(request, "applications", page, read, partial(page_keys, page))

    @endpoint(
        Contract(
            "Create an application",
            Permission.WRITE,
            body=ApplicationBody(),
            answers={201: answers.Created()},
            failures=(400, 409, 413, 415, 422),
        )
    )
    async def create_application(self, request: web.Request, body: dict[str, Any]) -> web.Response:
        """Create an application. Raises Forbidden when the key is bound to another one."""
        if _bound_to(request) not in (None, body["id"]):
            raise Forbidden("This key is for another application")
        extra = {key: body[key] for key in ("description", "config", "private", "channels", "keys", "feeds")}
        extra |= {
            "scheme": body["version_scheme"],
            "default_rollout": self._rollouts.read_plan(body["default_rollout"], "default_rollout"),
        }
        made = await self._catalog.create_application(
            body["id"],
            name=body["name"],
            platforms=tuple(body["platforms"]),
            extra=extra,
            actor=request[CONTEXT].actor,
        )
        answer = {
            "id": made.id,
            "message": "Application created successfully",
            "created_at": rfc3339(made.created_at),
        }
        return json_answer(answer, 201)

    @endpoint(
        Contract("Show an application", Permission.READ, answers={200: answers.ApplicationAnswer()}, failures=(404,))
    )
    async def get_application(self, request: web.Request) -> web.Response:
        """Return an application with its configuration and counts."""
        found = self._offers.get_application(request.match_info["app_id"])
        answer = {
            **application_item(found),
            "config": dict(found.config),
            "stats": stats_keys(await self._catalog.stats(found.id)),
            "version_scheme": found.scheme.value,
            "private": found.private,
            "channels": list(found.channels),
            "default_rollout": found.default_rollout,
            "keys": {scheme: list(keys) for scheme, keys in found.keys.items()},
            "feeds": found.feeds,
        }
        return json_answer(answer)

    @endpoint(
        Contract(
            "Change an application",
            Permission.ADMIN,
            body=ApplicationChanges(),
            answers={200: answers.Changed()},
            failures=(400, 404, 409, 413, 415, 422),
        )
    )
    async def update_application(self, request: web.Request, body: dict[str, Any]) -> web.Response:
        """Change what is given; `config` is merged."""
        if "default_rollout" in body:
            body["default_rollout"] = self._rollouts.read_plan(body["default_rollout"], "default_rollout")
        changed = await self._catalog.update_application(
            request.match_info["app_id"], body, actor=request[CONTEXT].actor
        )
        answer = {
            "id": changed.id,
            "message": "Application updated successfully",
            "updated_at": rfc3339(changed.updated_at),
        }
        return json_answer(answer)

    @endpoint(Contract("Delete an application", Permission.ADMIN, answers={204: None}, failures=(404,)))
    async def delete_application(self, request: web.Request) -> web.Response:
        """Delete an application with its releases and reports."""
        await self._catalog.delete_application(request.match_info["app_id"], actor=request[CONTEXT].actor)
        return web.Response(status=204)


def _bound_to(request: web.Request) -> str | None:
    principal = request[CONTEXT].principal
    return None if principal is None else principal.application
