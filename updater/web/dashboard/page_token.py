"""The token of forms that somebody without a session sends: bound to a short-lived cookie of the form's own page."""

from __future__ import annotations

import re
import secrets

from aiohttp import web

from updater.access.people import PeopleService
from updater.web.gate.cookies import read_cookies
from updater.web.gate.origins import Origins

_COOKIE_S = 3600
NONCE = re.compile(r"[A-Za-z0-9_-]{22}")


class PageToken:
    """The token of one page, at `path`, with a cookie of this name."""

    def __init__(self, people: PeopleService, origins: Origins, *, path: str, cookie: str) -> None:
        self._people = people
        self._origins = origins
        self._path = path
        self._cookie = cookie

    def is_known(self, request: web.Request) -> bool:
        """Tell whether the browser sent the cookie of the page."""
        return bool(self._nonce(request))

    def fits(self, request: web.Request, presented: str) -> bool:
        """Tell, in constant time, whether a form's token goes with the request's cookie."""
        nonce = self._nonce(request)
        return bool(nonce) and self._people.fits_token(f"{self._path}:{nonce}", presented)

    def begin(self, request: web.Request) -> tuple[str, str]:
        """Return the nonce of the page that is shown, a new one where the browser has none, and the form's token."""
        nonce = self._nonce(request)
        if not NONCE.fullmatch(nonce):
            nonce = secrets.token_urlsafe(16)
        return nonce, self._people.form_token(f"{self._path}:{nonce}")

    def keep(self, request: web.Request, response: web.StreamResponse, nonce: str) -> None:
        """Set the cookie of the page that is shown."""
        response.set_cookie(
            self._cookie,
            nonce,
            path=self._path,
            max_age=_COOKIE_S,
            httponly=True,
            samesite="Strict",
            secure=self._origins.is_secure(request),
        )

    def end(self, response: web.StreamResponse) -> None:
        """Remove the cookie."""
        response.del_cookie(self._cookie, path=self._path)

    def _nonce(self, request: web.Request) -> str:
        return next(reversed(read_cookies(request, self._cookie)), "")
