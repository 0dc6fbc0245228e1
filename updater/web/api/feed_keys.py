"""Feed keys: what an installer of a private application holds."""

from __future__ import annotations

from typing import Any

from aiohttp import hdrs, web

import updater.web.api.answer_schemas as answers
import updater.web.api.schemas as schemas
from updater.access.principals import Permission
from updater.access.service import AccessService
from updater.times import rfc3339
from updater.web.gate.context import CONTEXT
from updater.web.gate.routing import Contract, endpoint
from updater.web.messages.answers import json_answer


class FeedKeys:
    """Makes feed keys. They are listed, revoked and expire as other keys."""

    def __init__(self, access: AccessService) -> None:
        self._access = access

    @endpoint(
        Contract(
            "Make a feed key",
            Permission.ADMIN,
            body=schemas.FeedKeyBody(),
            answers={201: answers.FeedKeyAnswer()},
            failures=(400, 404, 413, 415, 422),
        )
    )
    async def create_feed_key(self, request: web.Request, body: dict[str, Any]) -> web.Response:
        """Make a key that opens check, latest, downloads and reports of this application alone; shown this once."""
        key, text = await self._access.create_key(
            body["name"], "feed", application=request.match_info["app_id"], actor=request[CONTEXT].actor
        )
        made_at = "" if key.created_at is None else rfc3339(key.created_at)
        response = json_answer({"feed_key": text, "name": key.name, "created_at": made_at}, 201)
        response.headers[hdrs.CACHE_CONTROL] = "no-store"
        return response
