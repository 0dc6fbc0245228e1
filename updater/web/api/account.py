"""The account of the person who is signed in: the own password, the own sessions."""

from __future__ import annotations

from typing import Any

from aiohttp import web

import updater.web.api.access_schemas as schemas
from updater.access.attempts import SignInAttempts
from updater.access.principals import EVERYBODY, Permission
from updater.services import Services
from updater.web.api.users import sessions_answer, user_item
from updater.web.gate.context import CONTEXT
from updater.web.gate.routing import PERSON, Contract, endpoint
from updater.web.gate.sessions import SessionAuthenticator
from updater.web.messages.answers import json_answer


class Account:
    """What everybody who is signed in may do, whatever their role."""

    def __init__(self, services: Services, sessions: SessionAuthenticator, attempts: SignInAttempts) -> None:
        self._people = services.people
        self._accounts = services.accounts
        self._sessions = sessions
        self._attempts = attempts

    @endpoint(Contract("Show one's account", Permission.NONE, PERSON, answers={200: schemas.UserItem()}))
    async def get_account(self, request: web.Request) -> web.Response:
        """Return the person of this session."""
        return json_answer(user_item(await self._people.get_user(_name(request))))

    @endpoint(
        Contract(
            "Change one's own password",
            Permission.NONE,
            PERSON,
            body=schemas.PasswordBody(),
            answers={200: schemas.SessionsEnded()},
            failures=(400, 404, 409, 415, 422),
        )
    )
    async def change_password(self, request: web.Request, body: dict[str, Any]) -> web.Response:
        """Take a new password together with the present one; this session stays, all others of this person end.

        Wrong ones are counted as failed attempts to sign in are.
        """
        ended = await self._attempts.change_password(
            self._accounts,
            _name(request),
            self._sessions.read(request) or "",
            body["current_password"],
            body["password"],
        )
        return json_answer({"ended": ended})

    @endpoint(Contract("List one's sessions", Permission.NONE, PERSON, answers={200: schemas.SessionsAnswer()}))
    async def list_sessions(self, request: web.Request) -> web.Response:
        """Return the open sessions of the person of this one."""
        current = self._accounts.number_of(self._sessions.read(request) or "")
        return sessions_answer(await self._accounts.list_sessions(_name(request)), current)

    @endpoint(
        Contract(
            "End one's session",
            Permission.NONE,
            PERSON,
            answers={200: schemas.SessionEnded()},
            failures=(404,),
        )
    )
    async def end_session(self, request: web.Request) -> web.Response:
        """End one of one's own sessions at once."""
        number = request.match_info["session"]
        await self._accounts.end_session(_name(request), number, actor=request[CONTEXT].actor)
        return json_answer({"id": number, "message": "Session ended successfully"})

    @endpoint(Contract("End one's other sessions", Permission.NONE, PERSON, answers={200: schemas.SessionsEnded()}))
    async def end_sessions(self, request: web.Request) -> web.Response:
        """End all of one's own sessions but this one."""
        ended = await self._accounts.end_sessions(
            _name(request), actor=request[CONTEXT].actor, but=self._sessions.read(request)
        )
        return json_answer({"ended": ended})


def _name(request: web.Request) -> str:
    return (request[CONTEXT].principal or EVERYBODY).name
