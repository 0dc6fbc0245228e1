"""Pages of deployments: all of them, one, a run of one; update and rollback, each with a question first.

What is live on them (`static/deployment.js`) asks the REST interface.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiohttp import web

from updater.access.principals import Permission
from updater.deployments.model import LogPage, Outcome, RunState
from updater.deployments.service import DeploymentService
from updater.deployments.standing import Standing
from updater.errors import Conflict, Failure, Invalid, NotFound, Unavailable
from updater.web.dashboard.page import HTML, PageKit, Problem
from updater.web.gate.context import CONTEXT
from updater.web.gate.routing import Contract, endpoint

DEPLOYMENTS: Final = "/admin/deployments/"
DEPLOYMENT: Final = f"{DEPLOYMENTS}{{deployment_id}}/"
_RUNS_A_PAGE, _LINES, _LINES_A_PAGE = 10, 200, 500
_MOST_OFFSET = 10**6
_NO_LINES = LogPage((), 0, _LINES, 0)


def _page(summary: str, *failures: int) -> Contract:
    return Contract(summary, Permission.WRITE, answers={200: None}, failures=failures, media_types=HTML)


def _form(summary: str) -> Contract:
    return Contract(
        summary, Permission.WRITE, answers={303: None}, failures=(400, 403, 404, 409, 413), media_types=HTML
    )


class Deployments:
    """What a browser shows of deployments, and what its forms do to them."""

    def __init__(self, kit: PageKit, deployments: DeploymentService) -> None:
        self._kit = kit
        self._deployments = deployments

    @endpoint(_page("All deployments"))
    async def list_deployments(self, request: web.Request) -> web.Response:
        """Show how all deployments stand. No remote is asked."""
        found = [(each, state_of(each)) for each in await self._deployments.list_standings()]
        return self._kit.render(request, "deployments.html", {"deployments": found})

    @endpoint(_page("A deployment", 404))
    async def show_deployment(self, request: web.Request) -> web.Response:
        """Show how one stands, its last run with its log, and a page of its runs.

        Raises:
            NotFound: there is no such deployment.
        """
        return await self._show(request)

    @endpoint(_page("A run", 404))
    async def show_run(self, request: web.Request) -> web.Response:
        """Show one run: its steps with what they said, and a page of its log, oldest line first.

        Raises:
            NotFound: the deployment has no such run.
        """
        deployment, run = self._deployments.get(_id(request)), request.match_info["run"]
        history, offset = self._deployments.history, _offset(request)
        lines = await history.list_lines(deployment, run, limit=_LINES_A_PAGE, offset=offset)
        try:
            state: RunState | None = await history.get_run(deployment, run)
        except NotFound:
            state = None  # only its log is left, or it has not begun
        context = {"deployment": deployment, "run": run, "state": state, "lines": lines}
        return self._kit.render(request, "deployment_run.html", context)

    @endpoint(_page("Check for updates?", 404))
    async def ask_check(self, request: web.Request) -> web.Response:
        """Offer to ask the remote.

        Raises:
            NotFound: there is no such deployment.
        """
        return await self._ask(request, "deployment_check.html")

    @endpoint(_form("Check for updates"))
    async def check(self, request: web.Request) -> web.Response:
        """Ask the remote, and show the deployment with what it has.

        Raises:
            NotFound: there is no such deployment. Forbidden: the form is not of this session.
        """
        await self._kit.form(request)
        try:
            found = await self._deployments.check(_id(request), actor=request[CONTEXT].actor)
        except (Conflict, Invalid, Unavailable) as failure:
            return await self._show(request, failure)
        return self._kit.redirect(_address(request), said="deployment-new" if found.has_update else "deployment-newest")

    @endpoint(_page("Update?", 404))
    async def ask_update(self, request: web.Request) -> web.Response:
        """Ask before an update: what comes in, what will be done, and whether the deployment is busy.

        Raises:
            NotFound: there is no such deployment.
        """
        return await self._ask(request, "deployment_update.html")

    @endpoint(_form("Update"))
    async def update(self, request: web.Request) -> web.Response:
        """Start the update and lead to the deployment, where it is followed.

        Raises:
            NotFound: there is no such deployment. Forbidden: the form is not of this session.
        """
        return await self._start(request, self._deployments.apply, "update")

    @endpoint(_page("Roll back?", 404))
    async def ask_rollback(self, request: web.Request) -> web.Response:
        """Ask before a rollback: what is taken back, and what is in place then.

        Raises:
            NotFound: there is no such deployment.
        """
        return await self._ask(request, "deployment_rollback.html")

    @endpoint(_form("Roll back"))
    async def roll_back(self, request: web.Request) -> web.Response:
        """Start the rollback of the newest applied update and lead to the deployment, where it is followed.

        Raises:
            NotFound: there is no such deployment. Forbidden: the form is not of this session.
        """
        return await self._start(request, self._deployments.rollback, "rollback")

    async def _start(self, request: web.Request, start: Callable[..., Awaitable[str]], what: str) -> web.Response:
        """Start a run for a form and lead to the deployment; what refuses it is shown at the question."""
        await self._kit.form(request)
        try:
            await start(_id(request), actor=request[CONTEXT].actor)
        except (Conflict, Unavailable) as failure:
            return await self._ask(request, f"deployment_{what}.html", failure)
        return self._kit.redirect(_address(request), said=f"deployment-{what}")

    async def _show(self, request: web.Request, failure: Failure | None = None) -> web.Response:
        found = await self._deployments.get_standing(_id(request), with_incoming=True)
        history, deployment = self._deployments.history, found.deployment
        runs = await history.list_runs(deployment, limit=_RUNS_A_PAGE, offset=_offset(request))
        last = None if found.status is None else found.status.last_run
        lines = _NO_LINES if last is None else await history.list_lines(deployment, last.run, limit=_LINES, offset=0)
        problem = None if failure is None else Problem.of(failure)
        context: dict[str, Any] = {
            "standing": found,
            "state": state_of(found),
            "last": last,
            "lines": lines,
            "runs": runs,
            "problem": problem,
        }
        return self._kit.render(request, "deployment.html", context, status=200 if problem is None else problem.status)

    async def _ask(self, request: web.Request, template: str, failure: Failure | None = None) -> web.Response:
        found = await self._deployments.get_standing(_id(request), with_incoming=True)
        problem = None if failure is None else Problem.of(failure)
        context = {"standing": found, "problem": problem}
        return self._kit.render(request, template, context, status=200 if problem is None else problem.status)


def state_of(standing: Standing) -> tuple[str, str]:
    """Return in a few words how a deployment stands, and the kind of badge that they are."""
    status = standing.status
    if status is None:
        return "cannot be looked at", "bad"
    if status.running is not None:
        return "running", "info"
    if status.last_run is not None and status.last_run.outcome is Outcome.BROKEN:
        return "broken: a person is needed", "bad"
    if standing.busy:
        return "busy", "warn"
    if status.updates_available:
        return f"{status.updates_available} incoming", "warn"
    return "newest version", "good"


def _id(request: web.Request) -> str:
    return request.match_info["deployment_id"]


def _address(request: web.Request) -> str:
    """Return the page of the deployment that the path names; the settings allow no id that an address would change."""
    return f"{DEPLOYMENTS}{_id(request)}/"


def _offset(request: web.Request) -> int:
    """Return where a list on a page begins: 0 for what is no number."""
    text = request.query.get("offset", "")
    return min(int(text), _MOST_OFFSET) if text.isascii() and text.isdecimal() and len(text) < 9 else 0
