"""Sign in, sign out."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping

from aiohttp import web

from updater.access.attempts import SignInAttempts
from updater.access.first_run import FirstRun
from updater.access.people import PeopleService
from updater.access.principals import Permission
from updater.errors import Unauthenticated
from updater.web.dashboard.page import HTML, OVERVIEW, SIGN_IN, PageKit
from updater.web.dashboard.page_token import NONCE, PageToken
from updater.web.gate.cookies import read_cookies
from updater.web.gate.origins import Origins
from updater.web.gate.routing import Contract, endpoint
from updater.web.gate.sessions import TOKEN_FIELD, SessionAuthenticator

_SETUP = "/admin/setup/"
PAGE_COOKIE, _DEVICE_COOKIE = "signinpage", "signindevice"
# How long it lives; it is renewed with each sign-in.
_DEVICE_S = 180 * 86_400
_MOST_VALUES = 4
# Nothing that a browser could take for another host, or for a folder above.
_OWN_PATH = re.compile(r"/admin/(?:(?!\.{1,2}/)[\w.~+-]+/)*", re.ASCII)
NO_COOKIE = (
    "Your browser sent no cookie with this page: it blocks the cookies of this site, or the page was open for too "
    "long. Please allow cookies for this site, and try again."
)


class SignIn:
    """The page, and what its form does."""

    def __init__(
        self,
        kit: PageKit,
        people: PeopleService,
        sessions: SessionAuthenticator,
        origins: Origins,
        attempts: SignInAttempts,
        first_run: FirstRun,
    ) -> None:
        self._kit = kit
        self._first_run = first_run
        self._token = PageToken(people, origins, path=SIGN_IN, cookie=PAGE_COOKIE)
        self._people = people
        self._sessions = sessions
        self._origins = origins
        self._attempts = attempts

    @endpoint(Contract("The sign-in page", answers={200: None}, media_types=HTML))
    async def show_sign_in(self, request: web.Request) -> web.StreamResponse:
        """Show the form, which only works together with the cookie that comes with it; lead a first run elsewhere."""
        if await self._first_run.is_open():
            return self._kit.redirect(_SETUP)
        return self._page(request, wanted=request.query.get("next", ""))

    @endpoint(Contract("Sign in", answers={303: None}, failures=(400, 403, 413), media_types=HTML))
    async def sign_in(self, request: web.Request) -> web.StreamResponse:
        """Open a session and go to the page that was wanted; a wrong name and a wrong password get the same page.

        Raises:
            Forbidden: the form comes from another site. RateLimited, Unavailable: see `SignInAttempts.sign_in`.
            Also what `read_form` raises.
        """
        self._sessions.require_same_origin(request)
        form = await self._sessions.read_form(request)
        if not self._token.is_known(request):
            return self._page(request, form, NO_COOKIE, status=403)
        if not self._token.fits(request, form.get(TOKEN_FIELD, "")):
            return self._page(request, form, "This page was open for too long. Please try again.", status=403)
        name = form.get("name", "").strip().lower()
        device = self._device(request, name)
        try:
            session_id, session = await self._attempts.sign_in(
                name, form.get("password", ""), client=self._origins.client(request), device=device
            )
        except Unauthenticated as refused:
            return self._page(request, form, f"{refused.message}.", status=403)
        # A browser that signs in anew leaves what it was before.
        await self._people.sign_out(self._sessions.read(request) or "")
        response = self._kit.redirect(_own_path(form.get("next", "")))
        self._sessions.set_cookie(request, response, session_id, session)
        self._token.end(response)
        self._remember(request, response, name, device)
        return response

    @endpoint(Contract("Sign out, the page", Permission.READ, answers={200: None}, media_types=HTML))
    async def show_sign_out(self, request: web.Request) -> web.StreamResponse:
        """Ask whether to sign out: the way on from pages that know no session, such as those of errors."""
        return self._kit.render(request, "sign_out.html")

    @endpoint(Contract("Sign out", Permission.READ, answers={303: None}, media_types=HTML))
    async def sign_out(self, request: web.Request) -> web.StreamResponse:
        """End the session.

        Raises:
            Forbidden: the form is not of this session. Also what `read_form` raises.
        """
        await self._sessions.require_form(request)
        await self._people.sign_out(self._sessions.read(request) or "")
        response = self._kit.redirect(SIGN_IN, said="signed-out")
        self._sessions.clear_cookie(request, response)
        return response

    def _device(self, request: web.Request, name: str) -> str | None:
        """Return the number of a browser in which this person signed in before, as its cookie proves."""
        for value in read_cookies(request, _DEVICE_COOKIE)[:_MOST_VALUES]:
            device, _, proof = value.partition(".")
            if NONCE.fullmatch(device) and self._people.fits_token(_device_of(name, device), proof):
                return device
        return None

    def _remember(self, request: web.Request, response: web.StreamResponse, name: str, device: str | None) -> None:
        """Let this browser prove from now on that this person signed in here."""
        device = device or secrets.token_urlsafe(16)
        response.set_cookie(
            _DEVICE_COOKIE,
            f"{device}.{self._people.form_token(_device_of(name, device))}",
            path=SIGN_IN,
            max_age=_DEVICE_S,
            httponly=True,
            samesite="Strict",
            secure=self._origins.is_secure(request),
        )

    def _page(
        self,
        request: web.Request,
        form: Mapping[str, str] | None = None,
        problem: str = "",
        *,
        wanted: str = "",
        status: int = 200,
    ) -> web.StreamResponse:
        form = form or {"next": wanted}
        nonce, token = self._token.begin(request)
        context = {
            "problem": problem,
            "name": form.get("name", "")[:100],
            "next": _own_path(form.get("next", "")),
            "token": token,
        }
        response = self._kit.render(request, "sign_in.html", context, status=status)
        self._token.keep(request, response, nonce)
        return response


def _own_path(text: str) -> str:
    return text if _OWN_PATH.fullmatch(text) else OVERVIEW


def _device_of(name: str, device: str) -> str:
    return f"sign-in-device:{device}:{name}"
