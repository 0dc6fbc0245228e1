"""People who sign in: listed, added, changed; and their sessions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from aiohttp import web

from updater.access.principals import Permission
from updater.audit.model import Actor
from updater.errors import Failure, Malformed
from updater.services import Services
from updater.web.dashboard.page import HTML, Form, PageKit, Problem
from updater.web.dashboard.passwords import read_new_password
from updater.web.gate.context import CONTEXT
from updater.web.gate.routing import Contract, endpoint
from updater.web.gate.sessions import SessionAuthenticator

PEOPLE: Final = "/admin/people/"
PERSON: Final = f"{PEOPLE}{{name}}/"
_ROLES: Final = [
    ("user", "user - signs in, and has no right here"),
    ("staff", "staff - publishes, and updates deployments"),
    ("admin", "admin - everything"),
]


class People:
    """What administrators see of people, and what forms do."""

    def __init__(self, kit: PageKit, services: Services, sessions: SessionAuthenticator) -> None:
        self._kit = kit
        self._people = services.people
        self._accounts = services.accounts
        self._sessions = sessions

    @endpoint(Contract("People", Permission.ADMIN, answers={200: None}, media_types=HTML))
    async def list_people(self, request: web.Request) -> web.Response:
        """Show all people, and ask for a new one."""
        return await self._list(request, {"role": "staff"})

    @endpoint(Contract("Add a person", Permission.ADMIN, answers={303: None}, failures=(409, 422), media_types=HTML))
    async def create_person(self, request: web.Request) -> web.Response:
        """Add a person; what is refused is shown on the same form, without the password."""
        form = await self._kit.form(request)
        try:
            made = await self._people.create_user(
                form.text("name"), form.text("role"), read_new_password(form), actor=request[CONTEXT].actor
            )
        except Failure as failure:
            return await self._list(request, form.values, Problem.of(failure))
        return self._kit.redirect(_address(made.name), said="person-made")

    @endpoint(Contract("A person", Permission.ADMIN, answers={200: None}, failures=(404,), media_types=HTML))
    async def show_person(self, request: web.Request) -> web.Response:
        """Show a person with their sessions, and what can be changed. Raises NotFound."""
        return await self._person(request)

    @endpoint(
        Contract(
            "Change a person", Permission.ADMIN, answers={303: None}, failures=(400, 404, 409, 422), media_types=HTML
        )
    )
    async def change_person(self, request: web.Request) -> web.Response:
        """Do what the form says: another role, another password, disable, enable, end sessions."""
        form, name = await self._kit.form(request), request.match_info["name"]
        try:
            said = await self._do(form, name, request[CONTEXT].actor)
        except Failure as failure:
            return await self._person(request, Problem.of(failure))
        return self._kit.redirect(_address(name), said=said)

    async def _do(self, form: Form, name: str, actor: Actor) -> str:
        match form.text("do"):
            case "end":
                await self._accounts.end_session(name, form.text("session"), actor=actor)
                return "session-ended"
            case "end-all":
                await self._accounts.end_sessions(name, actor=actor)
                return "sessions-ended"
            case "role":
                await self._accounts.change_user(name, role=form.text("role"), actor=actor)
            case "password":
                await self._accounts.change_user(name, password=read_new_password(form), actor=actor)
            case "disable" | "enable" as verb:
                await self._accounts.change_user(name, disabled=verb == "disable", actor=actor)
            case _:
                raise Malformed("The form does not say what to do")
        return "person-changed"

    async def _list(
        self, request: web.Request, values: Mapping[str, str], problem: Problem | None = None
    ) -> web.Response:
        context = {"people": await self._people.list_users(), "roles": _ROLES, "values": values, "problem": problem}
        return self._kit.render(request, "people.html", context, status=200 if problem is None else problem.status)

    async def _person(self, request: web.Request, problem: Problem | None = None) -> web.Response:
        user = await self._people.get_user(request.match_info["name"])
        context: dict[str, Any] = {
            "user": user,
            "roles": _ROLES,
            "sessions": await self._accounts.list_sessions(user.name),
            "current": self._accounts.number_of(self._sessions.read(request) or ""),
            "problem": problem,
        }
        return self._kit.render(request, "person.html", context, status=200 if problem is None else problem.status)


def _address(name: str) -> str:
    return f"{PEOPLE}{quote(name, safe='')}/"
