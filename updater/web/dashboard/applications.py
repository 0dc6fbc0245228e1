"""Applications: made, changed, and deleted."""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web

from updater.access.principals import Permission
from updater.catalog.model import Application
from updater.catalog.platforms import PLATFORMS
from updater.catalog.versions import Scheme
from updater.errors import Conflict, Failure, Forbidden, Invalid
from updater.services import Services
from updater.web.dashboard.application_form import INSTALLERS, fields_of_problem, read_changes, read_new, values_of
from updater.web.dashboard.page import HTML, OVERVIEW, Form, PageKit, Problem
from updater.web.gate.context import CONTEXT
from updater.web.gate.routing import Contract, endpoint
from updater.web.messages.application_schemas import ApplicationBody, ApplicationChanges
from updater.web.messages.parsing import load_values

_SCHEMES: Final = [(each.value, each.value) for each in Scheme]
_SCOPES: Final = [("", "not said"), ("user", "user"), ("machine", "machine")]
_INSTALLER_TYPES: Final = {
    "exe": ("exe", "inno", "nullsoft", "burn", "wix", "portable"),
    "msi": ("msi", "wix"),
}
_NEW: Final = {"version_scheme": Scheme.SEMVER.value, "channels": "stable"}


class Applications:
    """What a browser shows of an application as a whole."""

    def __init__(self, kit: PageKit, services: Services) -> None:
        self._kit = kit
        self._services = services

    @endpoint(Contract("A new application", Permission.WRITE, answers={200: None}, media_types=HTML))
    async def show_new(self, request: web.Request) -> web.Response:
        """Ask for a new application."""
        return self._new(request, _NEW)

    @endpoint(
        Contract("Make an application", Permission.WRITE, answers={303: None}, failures=(409, 422), media_types=HTML)
    )
    async def create_application(self, request: web.Request) -> web.Response:
        """Make an application; what is refused is shown on the same form."""
        form, context = await self._kit.form(request), request[CONTEXT]
        try:
            body = load_values(ApplicationBody(), read_new(form.values))
            if context.principal is not None and context.principal.application not in (None, body["id"]):
                raise Forbidden("You may work on another application alone")
            extra = {name: body[name] for name in ("description", "config", "private", "channels", "keys", "feeds")} | {
                "scheme": body["version_scheme"]
            }
            await self._services.catalog.create_application(
                body["id"], name=body["name"], platforms=tuple(body["platforms"]), extra=extra, actor=context.actor
            )
        except Failure as failure:
            return self._new(request, form.values, Problem.of(failure))
        return self._kit.redirect(f"/admin/applications/{body['id']}/", said="application-made")

    @endpoint(
        Contract("Settings of an application", Permission.WRITE, answers={200: None}, failures=(404,), media_types=HTML)
    )
    async def show_settings(self, request: web.Request) -> web.Response:
        """Show what an application says of itself; administrators may change it."""
        application = self._application(request)
        return self._settings(request, application, values_of(application))

    @endpoint(
        Contract(
            "Change an application",
            Permission.ADMIN,
            answers={303: None},
            failures=(404, 409, 422),
            media_types=HTML,
        )
    )
    async def update_application(self, request: web.Request) -> web.Response:
        """Change an application; what is refused is shown on the same form."""
        form, application = await self._kit.form(request), self._application(request)
        try:
            if form.text("updated_at") != application.updated_at.isoformat():
                raise Conflict("Somebody changed these settings meanwhile; look at them again, then change them")
            body = load_values(ApplicationChanges(), read_changes(form.values))
            body["default_rollout"] = self._services.rollouts.read_plan(body["default_rollout"], "default_rollout")
            await self._services.catalog.update_application(application.id, body, actor=request[CONTEXT].actor)
        except Failure as failure:
            return self._settings(request, application, form.values, Problem.of(failure))
        return self._kit.redirect(f"/admin/applications/{application.id}/settings/", said="application-changed")

    @endpoint(
        Contract("Ask before a deletion", Permission.ADMIN, answers={200: None}, failures=(404,), media_types=HTML)
    )
    async def show_deletion(self, request: web.Request) -> web.Response:
        """Ask before an application is deleted."""
        return await self._deletion(request)

    @endpoint(
        Contract("Delete an application", Permission.ADMIN, answers={303: None}, failures=(404, 422), media_types=HTML)
    )
    async def delete_application(self, request: web.Request) -> web.Response:
        """Delete an application whose id was typed."""
        form, application = await self._kit.form(request), self._application(request)
        if form.text("typed") != application.id:
            wrong = Invalid({"typed": f"type {application.id} to delete it"})
            return await self._deletion(request, form, Problem.of(wrong))
        await self._services.catalog.delete_application(application.id, actor=request[CONTEXT].actor)
        return self._kit.redirect(OVERVIEW, said="application-deleted")

    def _application(self, request: web.Request) -> Application:
        return self._services.offers.get_application(request.match_info["app_id"])

    def _new(self, request: web.Request, values: Any, problem: Problem | None = None) -> web.Response:
        context = {"values": values, "problem": _shown(problem), "platforms": PLATFORMS, "schemes": _SCHEMES}
        return self._kit.render(request, "application_new.html", context, status=_status(problem))

    def _settings(
        self, request: web.Request, application: Application, values: Any, problem: Problem | None = None
    ) -> web.Response:
        context = {
            "application": application,
            "values": values,
            "problem": _shown(problem),
            "platforms": PLATFORMS,
            "scopes": _SCOPES,
            "installers": [
                (each, [("", "as usual"), *((kind, kind) for kind in _INSTALLER_TYPES[each])]) for each in INSTALLERS
            ],
        }
        return self._kit.render(request, "application_settings.html", context, status=_status(problem))

    async def _deletion(
        self, request: web.Request, form: Form | None = None, problem: Problem | None = None
    ) -> web.Response:
        application = self._application(request)
        context = {
            "application": application,
            "stats": await self._services.catalog.stats(application.id),
            "installs": await self._services.impacts.count_installs(application.id),
            "typed": "" if form is None else form.text("typed"),
            "problem": problem,
        }
        return self._kit.render(request, "application_delete.html", context, status=_status(problem))


def _shown(problem: Problem | None) -> Problem | None:
    return problem and Problem(problem.status, problem.message, fields_of_problem(problem.fields))


def _status(problem: Problem | None) -> int:
    return 200 if problem is None else problem.status
