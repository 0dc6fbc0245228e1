"""The people who sign in, and their sessions."""

from __future__ import annotations

from functools import partial
from typing import Any

from aiohttp import web

import updater.web.api.access_schemas as schemas
from updater.access.principals import Permission
from updater.access.sessions import Session
from updater.access.users import User
from updater.catalog.model import Page
from updater.services import Services
from updater.times import rfc3339, rfc3339_or_none
from updater.web.api.rendering import page_keys
from updater.web.api.schemas import PageQuery
from updater.web.gate.context import CONTEXT
from updater.web.gate.listings import list_answer
from updater.web.gate.routing import INSTALLATION, Contract, endpoint
from updater.web.gate.sessions import SessionAuthenticator
from updater.web.messages.answers import json_answer


class Users:
    """What administrators do with people."""

    def __init__(self, services: Services, sessions: SessionAuthenticator) -> None:
        self._people = services.people
        self._accounts = services.accounts
        self._sessions = sessions

    @endpoint(
        Contract(
            "List people",
            Permission.ADMIN,
            INSTALLATION,
            query=PageQuery(),
            answers={200: schemas.UsersAnswer()},
            failures=(422,),
        )
    )
    async def list_users(self, request: web.Request, query: dict[str, Any]) -> web.StreamResponse:
        """Return one page of people, disabled ones too, oldest first."""
        page, users = Page(query["limit"], query["offset"]), await self._people.list_users()

        async def read(page: Page) -> tuple[list[dict[str, Any]], int]:
            return [user_item(each) for each in users[page.offset : page.offset + page.limit]], len(users)

        return await list_answer(request, "users", page, read, partial(page_keys, page))

    @endpoint(
        Contract(
            "Add a person",
            Permission.ADMIN,
            INSTALLATION,
            body=schemas.UserBody(),
            answers={201: schemas.UserItem()},
            failures=(400, 409, 415, 422),
        )
    )
    async def create_user(self, request: web.Request, body: dict[str, Any]) -> web.Response:
        """Add a person who can sign in. Names are kept in lower case; one that is taken is 409."""
        made = await self._people.create_user(
            body["name"], body["role"], body["password"], actor=request[CONTEXT].actor
        )
        return json_answer(user_item(made), 201)

    @endpoint(
        Contract(
            "Change a person",
            Permission.ADMIN,
            INSTALLATION,
            body=schemas.UserChanges(),
            answers={200: schemas.UserItem()},
            failures=(400, 404, 409, 415, 422),
        )
    )
    async def change_user(self, request: web.Request, body: dict[str, Any]) -> web.Response:
        """Give a person another role or password, disable or enable them; each ends all their sessions at once.

        The last administrator who can sign in keeps that (409). One's own account is neither disabled nor lowered, and
        one's own password is changed at the account, with the present one (409).
        """
        changed = await self._accounts.change_user(request.match_info["name"], **body, actor=request[CONTEXT].actor)
        return json_answer(user_item(changed))

    @endpoint(
        Contract(
            "List sessions of a person",
            Permission.ADMIN,
            INSTALLATION,
            answers={200: schemas.SessionsAnswer()},
            failures=(404,),
        )
    )
    async def list_sessions(self, request: web.Request) -> web.Response:
        """Return a person's open sessions, the latest opened first; an id here opens nothing."""
        found = await self._accounts.list_sessions(request.match_info["name"])
        current = self._sessions.read(request)
        return sessions_answer(found, None if current is None else self._accounts.number_of(current))

    @endpoint(
        Contract(
            "End a session of a person",
            Permission.ADMIN,
            INSTALLATION,
            answers={200: schemas.SessionEnded()},
            failures=(404,),
        )
    )
    async def end_session(self, request: web.Request) -> web.Response:
        """End a session at once."""
        number = request.match_info["session"]
        await self._accounts.end_session(request.match_info["name"], number, actor=request[CONTEXT].actor)
        return json_answer({"id": number, "message": "Session ended successfully"})

    @endpoint(
        Contract(
            "End all sessions of a person",
            Permission.ADMIN,
            INSTALLATION,
            answers={200: schemas.SessionsEnded()},
            failures=(404,),
        )
    )
    async def end_sessions(self, request: web.Request) -> web.Response:
        """End all sessions of a person at once, that of this request too when it is one of them."""
        ended = await self._accounts.end_sessions(request.match_info["name"], actor=request[CONTEXT].actor)
        return json_answer({"ended": ended})


def user_item(user: User) -> dict[str, Any]:
    """Render a person."""
    return {
        "id": user.id,
        "name": user.name,
        "role": user.role.word,
        "disabled": user.disabled_at is not None,
        "created_at": rfc3339(user.created_at),
        "disabled_at": rfc3339_or_none(user.disabled_at),
        "last_sign_in_at": rfc3339_or_none(user.last_sign_in_at),
    }


def sessions_answer(sessions: list[Session], current: str | None) -> web.Response:
    """Answer with sessions; `current` is the number of that of the request."""
    items = [
        {
            "id": each.number,
            "created_at": rfc3339(each.created_at),
            "last_used_at": rfc3339(each.last_used_at),
            "expires_at": rfc3339(each.expires_at),
            "idle_until": rfc3339_or_none(each.idle_until),
            "current": each.number == current,
        }
        for each in sessions
    ]
    return json_answer({"sessions": items})
