"""What all pages share: the layout with its navigation, the person, forms with their token, notices, problems."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from aiohttp import web

from updater import __version__
from updater.access.principals import EVERYBODY, Permission
from updater.errors import Failure
from updater.web.dashboard.policy import page_headers
from updater.web.dashboard.templates import environment
from updater.web.dashboard.words import SAID
from updater.web.gate.context import CONTEXT
from updater.web.gate.sessions import SessionAuthenticator
from updater.web.messages.errors import answer_for

HTML: Final = ("text/html",)
OVERVIEW: Final = "/admin/dashboard/"
SIGN_IN, SIGN_OUT = "/admin/sign-in/", "/admin/sign-out/"


class Place(NamedTuple):
    """A link of the navigation; shown to people of its level."""

    label: str
    address: str
    level: Permission = Permission.WRITE


PLACES: Final = (
    Place("Overview", OVERVIEW),
    Place("Deployments", "/admin/deployments/"),
    Place("Keys", "/admin/keys/", Permission.ADMIN),
    Place("People", "/admin/people/", Permission.ADMIN),
    Place("Webhooks", "/admin/webhooks/", Permission.ADMIN),
    Place("Audit", "/admin/audit/", Permission.ADMIN),
    Place("Settings", "/admin/settings/", Permission.ADMIN),
    Place("API", "/api/v1/docs"),
)
# Below the address of an application.
APPLICATION_PLACES: Final = (
    Place("Releases", ""),
    Place("Publish", "publish/"),
    Place("Figures", "figures/"),
    Place("Feeds", "feeds/"),
    Place("Explain", "explain/"),
    Place("History", "history/"),
    Place("Webhooks", "webhooks/", Permission.ADMIN),
    Place("Settings", "settings/"),
)


@dataclass(frozen=True)
class Problem:
    """Why a form did not do its work, as its page shows it: the status, a sentence, and what fits each field."""

    status: int
    message: str
    fields: Mapping[str, str]

    @classmethod
    def of(cls, failure: Failure) -> Problem:
        """Return the problem that a failure is, with the status that the REST interface gives it."""
        answer = answer_for(failure)
        if answer is None:
            raise failure
        return cls(answer.status, answer.message, dict(answer.fields or {}))


class Form:
    """The fields of a posted form; of a name given twice, the last counts."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self.values = dict(values)

    def text(self, name: str) -> str:
        """Return a field without blanks around it; empty when the form has none."""
        return self.values.get(name, "").strip()

    def optional(self, name: str) -> str | None:
        """Return a field without blanks around it; None when it is empty or not there."""
        return self.text(name) or None

    def flag(self, name: str) -> bool:
        """Tell whether a box is ticked."""
        return name in self.values


class PageKit:
    """Renders pages and reads their forms."""

    def __init__(self, sessions: SessionAuthenticator) -> None:
        self._sessions = sessions

    def render(
        self, request: web.Request, template: str, context: Mapping[str, Any] | None = None, *, status: int = 200
    ) -> web.Response:
        """Return a page. Templates also get what the layout shows.

        That is `person` (the name), `level`, `is_admin`, `token` (of forms), `places`, `application_places` and
        `application_id` (of the path; None), `here` (the address of the present page), `said` (a notice), `version`.
        """
        principal = request[CONTEXT].principal or EVERYBODY
        level = principal.level if request[CONTEXT].principal is not None else Permission.NONE
        application_id = request.match_info.get("app_id")
        given = {
            "person": principal.name,
            "level": level,
            "is_admin": level >= Permission.ADMIN,
            "token": self._sessions.token(request),
            "places": [each for each in PLACES if level >= each.level],
            "application_id": application_id,
            "application_places": () if application_id is None else _places_of(application_id, level),
            "here": request.path,
            "said": SAID.get(request.query.get("said", "")),
            "problem": None,
            "version": __version__,
            **(context or {}),
        }
        text = environment().get_template(template).render(given)
        return web.Response(text=text, status=status, content_type="text/html", headers=page_headers())

    async def form(self, request: web.Request) -> Form:
        """Read a form and hold it to the session's token. Raises Forbidden, and what `parsing.read_form` raises."""
        return Form(await self._sessions.require_form(request))

    @staticmethod
    def redirect(location: str, *, said: str = "") -> web.Response:
        """Lead to another page after a form did its work; `said` is a code of `words.SAID`, shown there."""
        if said:
            location += ("&" if "?" in location else "?") + f"said={said}"
        return web.Response(status=303, headers={"Location": location, **page_headers()})


def _places_of(application_id: str, level: Permission) -> list[Place]:
    """Return the links of an application. An id has no character that an address would change."""
    below = f"/admin/applications/{application_id}/"
    return [each._replace(address=f"{below}{each.address}") for each in APPLICATION_PLACES if level >= each.level]
