"""The account of who is signed in: the own password, the own sessions."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from updater.access.attempts import SignInAttempts
from updater.access.principals import EVERYBODY, Permission
from updater.errors import Failure, Malformed
from updater.services import Services
from updater.web.dashboard.page import HTML, PageKit, Problem
from updater.web.dashboard.passwords import read_new_password
from updater.web.gate.context import CONTEXT
from updater.web.gate.routing import Contract, endpoint
from updater.web.gate.sessions import SessionAuthenticator

ACCOUNT: Final = "/admin/account/"


class Account:
    """What everybody who is signed in sees of themselves."""

    def __init__(
        self, kit: PageKit, services: Services, sessions: SessionAuthenticator, attempts: SignInAttempts
    ) -> None:
        self._kit = kit
        self._people = services.people
        self._accounts = services.accounts
        self._sessions = sessions
        self._attempts = attempts

    @endpoint(Contract("One's account", Permission.READ, answers={200: None}, media_types=HTML))
    async def show_account(self, request: web.Request) -> web.Response:
        """Show the own account with its sessions."""
        return await self._page(request)

    @endpoint(
        Contract(
            "Change one's account",
            Permission.READ,
            answers={303: None},
            failures=(400, 404, 409, 422, 429),
            media_types=HTML,
        )
    )
    async def change_account(self, request: web.Request) -> web.Response:
        """Change the own password, or end own sessions. Whoever ends this one is led to the sign-in page."""
        form, here = await self._kit.form(request), self._sessions.read(request) or ""
        actor, name = request[CONTEXT].actor, _name(request)
        try:
            match form.text("do"):
                case "password":
                    present = form.values.get("current_password", "")
                    await self._attempts.change_password(self._accounts, name, here, present, read_new_password(form))
                    said = "password-set"
                case "end":
                    await self._accounts.end_session(name, form.text("session"), actor=actor)
                    said = "session-ended"
                case "end-all":
                    await self._accounts.end_sessions(name, actor=actor, but=here)
                    said = "sessions-ended"
                case _:
                    raise Malformed("The form does not say what to do")
        except Failure as failure:
            return await self._page(request, Problem.of(failure))
        return self._kit.redirect(ACCOUNT, said=said)

    async def _page(self, request: web.Request, problem: Problem | None = None) -> web.Response:
        user = await self._people.get_user(_name(request))
        context = {
            "user": user,
            "sessions": await self._accounts.list_sessions(user.name),
            "current": self._accounts.number_of(self._sessions.read(request) or ""),
            "problem": problem,
        }
        return self._kit.render(request, "account.html", context, status=200 if problem is None else problem.status)


def _name(request: web.Request) -> str:
    return (request[CONTEXT].principal or EVERYBODY).name
