"""The pages that ask before something is done with a release: what it does, how many installs it touches, and why."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from aiohttp import web

from updater.access.principals import Permission
from updater.catalog.model import Application
from updater.errors import Failure, NotFound
from updater.rollouts.impact import Action
from updater.rollouts.releases import ReleaseDetails
from updater.services import Services
from updater.web.dashboard.impact_words import impact_in_words
from updater.web.dashboard.page import HTML, Form, PageKit, Problem
from updater.web.dashboard.plan_form import fields_of
from updater.web.dashboard.release_steps import STEPS, Doing, Step, fields_of_problem
from updater.web.gate.context import CONTEXT
from updater.web.gate.routing import Contract, endpoint


class Rollouts:
    """Asks, and does."""

    def __init__(self, kit: PageKit, services: Services) -> None:
        self._kit = kit
        self._services = services

    @endpoint(
        Contract("Ask before a step", Permission.WRITE, answers={200: None}, failures=(404, 422), media_types=HTML)
    )
    async def show_step(self, request: web.Request) -> web.Response:
        """Ask before something is done with a release. Raises HTTPNotFound: there is no such step."""
        return await self._page(request, _step_of(request))

    @endpoint(Contract("Do a step", Permission.WRITE, answers={303: None}, failures=(404, 409, 422), media_types=HTML))
    async def do_step(self, request: web.Request) -> web.Response:
        """Do what was asked about; what is refused is shown on the same form. Raises HTTPNotFound: no such step."""
        return await self._do(request, _step_of(request))

    @endpoint(
        Contract("Ask before a restore", Permission.ADMIN, answers={200: None}, failures=(404, 422), media_types=HTML)
    )
    async def show_restore(self, request: web.Request) -> web.Response:
        """Ask before a release is offered again."""
        return await self._page(request, STEPS["restore"])

    @endpoint(
        Contract("Restore a release", Permission.ADMIN, answers={303: None}, failures=(404, 409, 422), media_types=HTML)
    )
    async def restore(self, request: web.Request) -> web.Response:
        """Offer a release again; what is refused is shown on the same form."""
        return await self._do(request, STEPS["restore"])

    async def _do(self, request: web.Request, step: Step) -> web.Response:
        form, context = await self._kit.form(request), request[CONTEXT]
        application_id, version = request.match_info["app_id"], request.match_info["version"]
        is_admin = context.may(Permission.ADMIN, application_id)
        try:
            await step.perform(Doing(self._services, application_id, version, form, context.actor, is_admin))
        except NotFound:
            raise
        except Failure as failure:
            return await self._page(request, step, form, Problem.of(failure))
        place = f"/admin/applications/{application_id}/"
        if not step.leads_away:
            place += f"releases/{quote(version, safe='')}/"
        return self._kit.redirect(place, said=f"release-{step.action.value}")

    async def _page(
        self, request: web.Request, step: Step, form: Form | None = None, problem: Problem | None = None
    ) -> web.Response:
        services = self._services
        application_id, version = request.match_info["app_id"], request.match_info["version"]
        details = await services.releases.get_details(application_id, version)
        impact = await services.impacts.measure(application_id, version, step.action)
        if problem is not None:
            problem = Problem(problem.status, problem.message, fields_of_problem(problem.fields))
        context = {
            "step": step,
            "details": details,
            "release": details.release,
            "rollout": details.rollout,
            "impact": impact,
            "impact_text": impact_in_words(impact),
            "values": _values(step, details) if form is None else form.values,
            "problem": problem,
            "channels": _more_stable(services.offers.get_application(application_id), details),
        }
        return self._kit.render(
            request, "release_step.html", context, status=200 if problem is None else problem.status
        )


def _step_of(request: web.Request) -> Step:
    """Return the step of an address; restoring has an address of its own. Raises HTTPNotFound."""
    step = STEPS.get(request.match_info["action"])
    if step is None or step.action is Action.RESTORE:
        raise web.HTTPNotFound
    return step


def _values(step: Step, details: ReleaseDetails) -> dict[str, str]:
    """Return what a form shows at first: the plan of now where a plan is set."""
    rollout: Any = details.rollout
    values = fields_of(rollout["plan"] if rollout is not None and "new_plan" in step.takes else None)
    if rollout is not None and "stage" in step.takes:
        stage = rollout["stage"]
        values["stage"] = str(1 if stage is None else stage["number"] + 1)
    return values


def _more_stable(application: Application, details: ReleaseDetails) -> list[tuple[str, str]]:
    return [(each, each) for each in application.channels[: details.release.channel_position]]
