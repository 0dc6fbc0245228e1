"""API keys: listed, made and shown once, revoked after a question."""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web
from marshmallow import Schema

import updater.web.messages.fields as own
from updater.access.keys import ApiKey
from updater.access.principals import Permission
from updater.access.service import AccessService
from updater.clock import utc_now
from updater.errors import Failure, NotFound
from updater.settings import LEVELS
from updater.web.dashboard.page import HTML, PageKit, Problem
from updater.web.dashboard.paging import older_and_newer
from updater.web.gate.context import CONTEXT
from updater.web.gate.routing import Contract, endpoint
from updater.web.messages.access_schemas import KeyBody
from updater.web.messages.numbers import number_in_path
from updater.web.messages.parsing import load_values

KEYS: Final = "/admin/keys/"
REVOKE: Final = f"{KEYS}{{key_id}}/revoke/"
_PAGE_ROWS: Final = 50
_LEVELS: Final = [
    ("feed", "feed - what installed apps of one application need"),
    ("read", "read"),
    ("write", "write - publish, for build machines"),
    ("admin", "admin - everything"),
]
_FIELDS: Final = ("name", "level", "application", "expires_at")
assert [each for each, _ in _LEVELS] == list(LEVELS)  # noqa: S101 - a level without its words is seen at the start


class KeysQuery(Schema):
    """Which page."""

    offset = own.QueryInteger(0, 10**9, load_default=0)


class Keys:
    """What administrators see of keys, and what forms do to them."""

    def __init__(self, kit: PageKit, access: AccessService) -> None:
        self._kit = kit
        self._access = access

    @endpoint(
        Contract("Keys", Permission.ADMIN, query=KeysQuery(), answers={200: None}, failures=(422,), media_types=HTML)
    )
    async def list_keys(self, request: web.Request, query: dict[str, Any]) -> web.Response:
        """Show a page of keys, the newest first, those of the settings after them, and ask for a new one."""
        return await self._page(request, {"level": "write"}, offset=query["offset"])

    @endpoint(Contract("Make a key", Permission.ADMIN, answers={201: None}, failures=(422,), media_types=HTML))
    async def create_key(self, request: web.Request) -> web.Response:
        """Make a key, and show its text this once."""
        form = await self._kit.form(request)
        try:
            body = load_values(KeyBody(), {name: form.text(name) for name in _FIELDS if form.text(name)})
            key, text = await self._access.create_key(
                body["name"],
                body["level"],
                application=body["application"],
                expires_at=body["expires_at"],
                actor=request[CONTEXT].actor,
            )
        except Failure as failure:
            return await self._page(request, form.values, problem=Problem.of(failure))
        return self._kit.render(request, "key_made.html", {"key": key, "text": text}, status=201)

    @endpoint(
        Contract("Revoke a key, the question", Permission.ADMIN, answers={200: None}, failures=(404,), media_types=HTML)
    )
    async def show_revocation(self, request: web.Request) -> web.Response:
        """Ask whether to revoke a key. Raises NotFound when no usable key has this id."""
        return self._kit.render(request, "key_revoke.html", {"key": await self._key(request)})

    @endpoint(Contract("Revoke a key", Permission.ADMIN, answers={303: None}, failures=(404,), media_types=HTML))
    async def revoke_key(self, request: web.Request) -> web.Response:
        """Revoke a key at once. Raises NotFound when no usable key has this id."""
        await self._kit.form(request)
        key = await self._key(request)
        await self._access.revoke_key(key.id or 0, actor=request[CONTEXT].actor)
        return self._kit.redirect(KEYS, said="key-revoked")

    async def _key(self, request: web.Request) -> ApiKey:
        key_id = number_in_path(request, "key_id")
        for each in await self._access.list_keys():
            if each.id == key_id and each.revoked_at is None:
                return each
        raise NotFound("key", "There is no such key, or it is revoked already")

    async def _page(
        self, request: web.Request, values: Any, problem: Problem | None = None, *, offset: int = 0
    ) -> web.Response:
        now, keys = utc_now(), [*reversed(await self._access.list_keys()), *self._access.list_configured_keys()]
        context = {
            "keys": [(each, each.state(now)) for each in keys[offset : offset + _PAGE_ROWS]],
            "total": len(keys),
            "way": older_and_newer(request, offset, _PAGE_ROWS, len(keys)),
            "levels": _LEVELS,
            "values": values,
            "problem": problem,
        }
        return self._kit.render(request, "keys.html", context, status=200 if problem is None else problem.status)
