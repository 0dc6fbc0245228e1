"""Sign in, sign out."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping

import aiohttp_jinja2
from aiohttp import web

from updater.access.limits import RateLimits
from updater.access.people import PeopleService
from updater.access.principals import Permission
from updater.errors import RateLimited, Unauthenticated
from updater.web.dashboard.policy import page_headers
from updater.web.gate.cookies import read_cookies
from updater.web.gate.origins import Origins
from updater.web.gate.routing import Contract, endpoint
from updater.web.gate.sessions import TOKEN_FIELD, SessionAuthenticator

SIGN_IN, HOME = "/admin/sign-in/", "/admin/dashboard/"
_PAGE_COOKIE = "signinpage"
_PAGE_COOKIE_S = 3600
_NONCE = re.compile(r"[A-Za-z0-9_-]{22}")
# Nothing that a browser could take for another host.
_OWN_PATH = re.compile(r"/admin/(?:[\w-]+/)*", re.ASCII)
_HTML = ("text/html",)
_NO_COOKIE = (
    "Your browser sent no cookie with this page: it blocks the cookies of this site, or the page was open for too "
    "long. Please allow cookies for this site, and try again."
)


class SignIn:
    """The page, and what its form does."""

    def __init__(
        self, people: PeopleService, sessions: SessionAuthenticator, origins: Origins, limits: RateLimits | None
    ) -> None:
        self._people = people
        self._sessions = sessions
        self._origins = origins
        self._limits = limits

    @endpoint(Contract("The sign-in page", answers={200: None}, media_types=_HTML))
    async def show_sign_in(self, request: web.Request) -> web.StreamResponse:
        """Show the form. It only works together with the cookie that comes with it."""
        return self._page(request, wanted=request.query.get("next", ""))

    @endpoint(Contract("Sign in", answers={303: None}, failures=(400, 403, 413), media_types=_HTML))
    async def sign_in(self, request: web.Request) -> web.StreamResponse:
        """Open a session and go to the page that was wanted; a wrong name and a wrong password get the same page.

        Raises:
            Forbidden: the form comes from another site. RateLimited: too many attempts of this address, or for this
            name. Also what `read_form` raises.
        """
        self._sessions.require_same_origin(request)
        form = await self._sessions.read_form(request)
        nonce = _nonce(request)
        if not nonce:
            return self._page(request, form, _NO_COOKIE, status=403)
        if not self._people.fits_token(f"sign-in:{nonce}", form.get(TOKEN_FIELD, "")):
            return self._page(request, form, "This page was open for too long. Please try again.", status=403)
        name = form.get("name", "").strip().lower()
        await self._count(request, name)
        try:
            session_id, session = await self._people.sign_in(name, form.get("password", ""))
        except Unauthenticated as refused:
            return self._page(request, form, f"{refused.message}.", status=403)
        # A browser that signs in anew leaves what it was before.
        await self._people.sign_out(self._sessions.read(request) or "")
        response = _redirect(_own_path(form.get("next", "")))
        self._sessions.set_cookie(request, response, session_id, session)
        response.del_cookie(_PAGE_COOKIE, path=SIGN_IN)
        return response

    @endpoint(Contract("Sign out", Permission.READ, answers={303: None}, media_types=_HTML))
    async def sign_out(self, request: web.Request) -> web.StreamResponse:
        """End the session.

        Raises:
            Forbidden: the form is not of this session. Also what `read_form` raises.
        """
        await self._sessions.require_form(request)
        await self._people.sign_out(self._sessions.read(request) or "")
        response = _redirect(SIGN_IN)
        self._sessions.clear_cookie(request, response)
        return response

    async def _count(self, request: web.Request, name: str) -> None:
        if self._limits is None:
            return
        allowance = await self._limits.sign_in(self._origins.client(request), name)
        if not allowance.allowed:
            raise RateLimited("Too many attempts to sign in", retry_after_s=allowance.retry_after_s)

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
        nonce = _nonce(request)
        if not _NONCE.fullmatch(nonce):
            nonce = secrets.token_urlsafe(16)
        context = {
            "problem": problem,
            "name": form.get("name", "")[:100],
            "next": _own_path(form.get("next", "")),
            "token": self._people.form_token(f"sign-in:{nonce}"),
        }
        response = aiohttp_jinja2.render_template("sign_in.html", request, context, status=status)
        response.headers.update(page_headers())
        response.set_cookie(
            _PAGE_COOKIE,
            nonce,
            path=SIGN_IN,
            max_age=_PAGE_COOKIE_S,
            httponly=True,
            samesite="Strict",
            secure=self._origins.is_secure(request),
        )
        return response


def _nonce(request: web.Request) -> str:
    return next(reversed(read_cookies(request, _PAGE_COOKIE)), "")


def _own_path(text: str) -> str:
    return text if _OWN_PATH.fullmatch(text) else HOME


def _redirect(location: str) -> web.Response:
    return web.Response(status=303, headers={"Location": location, **page_headers()})
