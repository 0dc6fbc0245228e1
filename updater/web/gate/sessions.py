"""Sessions in requests: the cookie, the person behind it, and the proof that a change was meant.

A browser adds the cookie to whatever another site's page makes it send. So each request that changes something
must not come from another site, and must either be of a kind that another site's page cannot send unasked (JSON,
a piece of an upload, or no body at all) or hold the token of our own page.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from aiohttp import hdrs, web

from updater.access.people import PeopleService
from updater.access.principals import Permission, Principal
from updater.access.sessions import Session, is_session_id
from updater.clock import utc_now
from updater.errors import Forbidden, Malformed, Unauthenticated
from updater.web.gate.cookies import read_cookies
from updater.web.gate.origins import Origins
from updater.web.gate.routing import Authenticator
from updater.web.messages.parsing import read_form

COOKIE = "sessionid"
TOKEN_FIELD, TOKEN_HEADER = "csrf_token", "X-CSRF-Token"
_SAFE = frozenset({"GET", "HEAD"})
# Types that no other site's page can send without asking first, and that ours send: JSON, and pieces of uploads.
_ASKED_FIRST = frozenset({"application/json", "application/offset+octet-stream"})
# What a form or a script of another site can send without being asked. Source: Fetch Standard, CORS-safelisted types.
_ANYBODY = frozenset({"application/x-www-form-urlencoded", "multipart/form-data", "text/plain"})
_FOREIGN = "This request does not come from a page of this site"
ADMIN_REFUSAL, STAFF_REFUSAL = "Admin access required", "Staff access required"
_REFUSALS = {Permission.ADMIN: ADMIN_REFUSAL}
# Other applications of the host may have set a cookie of this name: so many values are tried, in order.
_MOST_VALUES = 4
# Between the values of what a request presents; none of them has it.
_BETWEEN = ";"


class SessionAuthenticator:
    """Everything about sessions that surfaces share: authenticators, forms, and the cookie itself."""

    def __init__(self, people: PeopleService, origins: Origins) -> None:
        self._people = people
        self._origins = origins

    def alone(self, refusal: str) -> Authenticator:
        """Return the authenticator of a surface that sessions alone open.

        Its `find` raises Malformed as `find` does, its `authorize` Forbidden, with `refusal` below the level.
        """

        def authorize(request: web.Request, principal: Principal | None, level: Permission, _: str | None) -> None:
            self.require(request, principal, level, refusal)

        return Authenticator(
            "session",
            self.present,
            authorize,
            find=self.find,
            recognises=self.recognises,
            header=hdrs.COOKIE,
        )

    def beside_keys(self) -> Authenticator:
        """Return the authenticator of a surface that API keys open too.

        Staff stands with write keys, administrators with admin keys; other people are signed in without any right.
        Two sessions in one request count as none, so public routes answer with them as without them. `authorize`
        raises Unauthenticated without a session, and Forbidden as `require`.
        """

        async def find(presented: str) -> Principal | None:
            try:
                principal = await self.find(presented)
            except Malformed:
                return None
            if principal is None or principal.level >= Permission.WRITE:
                return principal
            return dataclasses.replace(principal, level=Permission.NONE)

        def authorize(request: web.Request, principal: Principal | None, level: Permission, _: str | None) -> None:
            if principal is None:
                raise Unauthenticated("A valid session is required")
            self.require(request, principal, level, _REFUSALS.get(level, STAFF_REFUSAL))

        return Authenticator(
            "session", self.present, authorize, find=find, recognises=self.recognises, header=hdrs.COOKIE
        )

    def present(self, request: web.Request) -> str | None:
        """Return the session ids that a request holds, as `find` takes them; None when it has none.

        A cookie of this name that is no session id by its form is another application's.
        """
        values = read_cookies(request, COOKIE)
        return (_BETWEEN.join(_ids(values)) or None) if values else None

    def recognises(self, presented: str) -> bool:
        """Tell, from memory, whether one of these ids was a session's a short while ago."""
        return any(self._people.recognises(each) for each in presented.split(_BETWEEN))

    def read(self, request: web.Request) -> str | None:
        """Return the session id that a request holds: of several values, the one that the gate knew as a session's."""
        values = read_cookies(request, COOKIE)
        if len(values) < 2:
            return values[0] if values else None
        ids = _ids(values)
        return next((each for each in ids if self._people.recognises(each)), ids[0] if ids else values[0])

    async def find(self, presented: str) -> Principal | None:
        """Return the person whose session has one of these ids.

        Raises:
            Malformed: two of them are sessions, and two readers could see two persons. Failure: the database does not
            answer.
        """
        found = await self._people.list_sessions(presented.split(_BETWEEN))
        if len(found) > 1:
            raise Malformed("The session cookie was given more than once, and more than one is good")
        return found[0].user.principal() if found else None

    def require(
        self, request: web.Request, principal: Principal | None, level: Permission, refusal: str, *, form: bool = False
    ) -> None:
        """Hold a person to a level and, where something is changed, to our own pages.

        With `form`, the handler reads a form and holds it to its token (`require_form`).

        Raises:
            Forbidden: no person, or one below the level; another site's page may have sent the request.
        """
        if principal is None or principal.level < level:
            raise Forbidden(refusal)
        if request.method not in _SAFE:
            self.require_same_origin(request)
            if not form:
                self._require_meant(request)

    def require_same_origin(self, request: web.Request) -> None:
        """Refuse what a browser sends for another site's page. Raises Forbidden."""
        if self._origins.is_foreign(request):
            raise Forbidden(_FOREIGN)

    def _require_meant(self, request: web.Request) -> None:
        kind = request.content_type if "Content-Type" in request.headers else None
        if kind in _ASKED_FIRST or (not request.body_exists and kind not in _ANYBODY):
            return
        if not self.is_csrf_token(request, request.headers.get(TOKEN_HEADER, "")):
            raise Forbidden(_FOREIGN)

    def is_csrf_token(self, request: web.Request, token: str) -> bool:
        """Tell whether a token is the one of this request's session."""
        presented = self.read(request)
        return presented is not None and self._people.fits_token(presented, token)

    def token(self, request: web.Request) -> str:
        """Return the token for the forms of a page, 64 hex digits; without a session, one that fits no form."""
        return self._people.form_token(self.read(request) or "")

    async def read_form(self, request: web.Request) -> Mapping[str, str]:
        """Read a small form of one of our pages. Whether its token fits is for the caller to ask.

        Raises:
            UnsupportedContent, Malformed, TooLarge, TooSlow: see `parsing.read_form`.
        """
        return await read_form(request)

    async def require_form(self, request: web.Request) -> Mapping[str, str]:
        """Read a form and hold it to the session's token. Raises Forbidden, and what `read_form` raises."""
        form = await self.read_form(request)
        if not self.is_csrf_token(request, form.get(TOKEN_FIELD, "")):
            raise Forbidden(_FOREIGN)
        return form

    def set_cookie(self, request: web.Request, response: web.StreamResponse, session_id: str, session: Session) -> None:
        """Set a session's cookie, for the seconds until the session expires.

        Scripts cannot read it, and browsers send it to pages of this site alone.
        """
        response.set_cookie(
            COOKIE,
            session_id,
            max_age=int((session.expires_at - utc_now()).total_seconds()),
            httponly=True,
            samesite="Strict",
            secure=self._origins.is_secure(request),
        )

    def clear_cookie(self, request: web.Request, response: web.StreamResponse) -> None:
        """Remove the cookie, with the attributes it was set with. Source: RFC 6265 section 3.1."""
        response.del_cookie(COOKIE, httponly=True, samesite="Strict", secure=self._origins.is_secure(request))


def _ids(values: Sequence[str]) -> list[str]:
    """Return the first few different values that could be a session's."""
    return [each for each in dict.fromkeys(values) if is_session_id(each)][:_MOST_VALUES]
