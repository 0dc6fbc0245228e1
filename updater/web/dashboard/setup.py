"""The first run: while nobody has an account, an admin key makes the first one."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from updater.access.attempts import SignInAttempts
from updater.access.first_run import FirstRun
from updater.errors import Conflict, Failure, Forbidden
from updater.web.dashboard.page import HTML, OVERVIEW, SIGN_IN, Form, PageKit, Problem
from updater.web.dashboard.page_token import PageToken
from updater.web.dashboard.passwords import read_new_password
from updater.web.dashboard.sign_in import NO_COOKIE
from updater.web.gate.origins import Origins
from updater.web.gate.routing import Contract, endpoint
from updater.web.gate.sessions import TOKEN_FIELD, SessionAuthenticator

SETUP: Final = "/admin/setup/"
_STALE = "This page was open for too long. Please try again."


class Setup:
    """The page of the first run, and what its form does; afterwards both lead to the sign-in page."""

    def __init__(
        self,
        kit: PageKit,
        first_run: FirstRun,
        sessions: SessionAuthenticator,
        origins: Origins,
        attempts: SignInAttempts,
        token: PageToken,
    ) -> None:
        self._kit = kit
        self._first_run = first_run
        self._sessions = sessions
        self._origins = origins
        self._attempts = attempts
        self._token = token

    @endpoint(Contract("The first run", answers={200: None, 303: None}, media_types=HTML))
    async def show_setup(self, request: web.Request) -> web.StreamResponse:
        """Ask for an admin key, a name and a password while there is no account."""
        if not await self._first_run.is_open():
            return self._kit.redirect(SIGN_IN)
        return self._page(request, Form({}))

    @endpoint(Contract("Make the first account", answers={303: None}, failures=(400, 403, 413, 422), media_types=HTML))
    async def set_up(self, request: web.Request) -> web.StreamResponse:
        """Make the first account, an administrator, and sign in with it.

        Raises:
            Forbidden: the form comes from another site. Also what `read_form` raises.
        """
        self._sessions.require_same_origin(request)
        form = Form(await self._sessions.read_form(request))
        if not await self._first_run.is_open():
            return self._kit.redirect(SIGN_IN)
        client = self._origins.client(request)
        try:
            if not self._token.fits(request, form.values.get(TOKEN_FIELD, "")):
                raise Forbidden(_STALE if self._token.is_known(request) else NO_COOKIE)
            password = read_new_password(form)
            user = await self._first_run.make_first_account(
                form.text("key"), form.text("name"), password, client=client
            )
        except Conflict:  # somebody else was quicker
            return self._kit.redirect(SIGN_IN)
        except Failure as failure:
            return self._page(request, form, Problem.of(failure))
        session_id, session = await self._attempts.sign_in(user.name, password, client=client, device=None)
        response = self._kit.redirect(OVERVIEW, said="first-account")
        self._sessions.set_cookie(request, response, session_id, session)
        self._token.end(response)
        return response

    def _page(self, request: web.Request, form: Form, problem: Problem | None = None) -> web.StreamResponse:
        nonce, token = self._token.begin(request)
        context = {"name": form.text("name")[:100], "problem": problem, "token": token}
        status = 200 if problem is None else problem.status
        response = self._kit.render(request, "setup.html", context, status=status)
        self._token.keep(request, response, nonce)
        return response
