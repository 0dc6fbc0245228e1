"""API keys: list, make, revoke."""

from __future__ import annotations

from functools import partial
from typing import Any

from aiohttp import hdrs, web

import updater.web.api.access_schemas as schemas
from updater.access.keys import ApiKey
from updater.access.principals import Permission
from updater.access.service import AccessService
from updater.catalog.model import Page
from updater.clock import utc_now
from updater.errors import NotFound
from updater.times import rfc3339_or_none
from updater.web.api.rendering import page_keys
from updater.web.gate.context import CONTEXT
from updater.web.gate.listings import list_answer
from updater.web.gate.routing import INSTALLATION, Contract, endpoint
from updater.web.messages.access_schemas import KeyBody
from updater.web.messages.answers import json_answer
from updater.web.messages.numbers import number_in_path


class Keys:
    """The keys of the whole installation."""

    def __init__(self, access: AccessService) -> None:
        self._access = access

    @endpoint(
        Contract(
            "List keys",
            Permission.ADMIN,
            INSTALLATION,
            query=schemas.KeysQuery(),
            answers={200: schemas.KeysAnswer()},
            failures=(422,),
        )
    )
    async def list_keys(self, request: web.Request, query: dict[str, Any]) -> web.StreamResponse:
        """Return one page of keys without their texts, the newest first; those of the settings come after them."""
        page, application = Page(query["limit"], query["offset"]), query.get("application")
        keys = await self._access.list_keys()
        found = (*reversed(keys), *self._access.list_configured_keys())
        wanted = [each for each in found if application in (None, each.application)]

        async def read(page: Page) -> tuple[list[dict[str, Any]], int]:
            return [key_item(each) for each in wanted[page.offset : page.offset + page.limit]], len(wanted)

        return await list_answer(request, "keys", page, read, partial(page_keys, page))

    @endpoint(
        Contract(
            "Make a key",
            Permission.ADMIN,
            INSTALLATION,
            body=KeyBody(),
            answers={201: schemas.NewKeyAnswer()},
            failures=(400, 415, 422),
        )
    )
    async def create_key(self, request: web.Request, body: dict[str, Any]) -> web.Response:
        """Make a key; its text is shown this once. A feed key is for one application."""
        key, text = await self._access.create_key(
            body["name"],
            body["level"],
            application=body["application"],
            expires_at=body["expires_at"],
            actor=request[CONTEXT].actor,
        )
        response = json_answer({**key_item(key), "key": text}, 201)
        response.headers[hdrs.CACHE_CONTROL] = "no-store"
        return response

    @endpoint(
        Contract(
            "Revoke a key",
            Permission.ADMIN,
            INSTALLATION,
            answers={200: schemas.KeyRevoked()},
            failures=(404, 409),
        )
    )
    async def revoke_key(self, request: web.Request) -> web.Response:
        """Revoke a key at once. The key that asks for it is 409, and one of the settings is changed there.

        Raises:
            NotFound: no usable key has this id. Conflict: it is the key of this request.
        """
        key_id = number_in_path(request, "key_id")
        if key_id is None:
            raise NotFound("key", "No usable key has this id")
        principal = request[CONTEXT].principal
        by = None if principal is None else principal.key_hash
        await self._access.revoke_key(key_id, actor=request[CONTEXT].actor, by=by)
        return json_answer({"id": key_id, "message": "Key revoked successfully"})


def key_item(key: ApiKey) -> dict[str, Any]:
    """Render a key without its text."""
    return {
        "id": key.id,
        "name": key.name,
        "level": key.level.word,
        "application": key.application,
        "state": key.state(utc_now()),
        "source": "settings" if key.id is None else "database",
        "created_at": rfc3339_or_none(key.created_at),
        "expires_at": rfc3339_or_none(key.expires_at),
        "revoked_at": rfc3339_or_none(key.revoked_at),
        "last_used_at": rfc3339_or_none(key.last_used_at),
    }
