"""Publish a release: the page, and the form of one file that works without a script.

With a script the files go to the REST interface one by one, into a draft that one click publishes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final
from urllib.parse import quote

from aiohttp import web

from updater.access.principals import Permission
from updater.catalog.files import FileKind
from updater.catalog.platforms import ARCHITECTURES, PLATFORMS
from updater.catalog.requests import ReceivedFile
from updater.errors import Failure, Forbidden
from updater.services import Services
from updater.web.dashboard.page import HTML, PageKit, Problem
from updater.web.gate.context import CONTEXT
from updater.web.gate.metrics import Metrics
from updater.web.gate.routing import Contract, endpoint
from updater.web.gate.sessions import TOKEN_FIELD, SessionAuthenticator
from updater.web.transfer.upload_fields import UploadFields, load_fields, request_of
from updater.web.transfer.uploads import Form, receive_form

PUBLISH: Final = "/admin/applications/{app_id}/publish/"
_FIELDS: Final = UploadFields()
_WHAT_NEXT: Final = "then"
# What the form has; a field that is left empty is as if it were not there.
_GIVEN: Final = frozenset(
    (
        *("version", "platform", "architecture", "channel", "release_notes", "required", "minimum_version", "rollout"),
        *(_WHAT_NEXT, TOKEN_FIELD),
    )
)
# Both processors of a Mac, as one word.
_UNIVERSAL: Final = "amd64,arm64"
_FOREIGN: Final = "This form does not come from a page of this site, or was open for too long"


class Publish:
    """The page, and its form."""

    def __init__(self, kit: PageKit, services: Services, sessions: SessionAuthenticator, metrics: Metrics) -> None:
        self._kit = kit
        self._services = services
        self._sessions = sessions
        self._count_received = metrics.received.inc

    @endpoint(Contract("Publish a release", Permission.WRITE, answers={200: None}, failures=(404,), media_types=HTML))
    async def show_form(self, request: web.Request) -> web.Response:
        """Show what can be published, and how."""
        return self._render(request, {}, None)

    @endpoint(
        Contract(
            "Publish one file",
            Permission.WRITE,
            answers={303: None},
            failures=(400, 403, 404, 408, 409, 413, 415, 422, 507),
            media_types=HTML,
        )
    )
    async def publish_file(self, request: web.Request) -> web.Response:
        """Take the form with its file, publish it or keep it as a draft, and lead to the release.

        Raises:
            Forbidden: the form's first field is not the token of the session.
        """

        def judge(token: str) -> None:
            if not self._sessions.is_csrf_token(request, token):
                raise Forbidden(_FOREIGN)

        form = Form()
        try:
            received = receive_form(
                request, self._services.artifacts, _GIVEN, self._count_received, admit=(TOKEN_FIELD, judge)
            )
            async with received as form:
                version = await self._publish(request, form)
        except Forbidden:
            raise
        except Failure as failure:
            problem = Problem.of(failure)
            # `rollout.percent` is about the one input of the rollout.
            named = {name.partition(".")[0]: text for name, text in problem.fields.items()}
            return self._render(request, form.fields, replace(problem, fields=named))
        is_draft = form.fields.get(_WHAT_NEXT) == "draft"
        location = f"/admin/applications/{request.match_info['app_id']}/releases/{quote(version, safe='')}/"
        return self._kit.redirect(location, said="draft-kept" if is_draft else "published")

    async def _publish(self, request: web.Request, form: Form) -> str:
        """Publish the form's file; return the version as it is stored."""
        given = {name: text for name, text in form.fields.items() if text and name not in (_WHAT_NEXT, TOKEN_FIELD)}
        # A box that is ticked has the value "yes".
        given |= {"required": "true"} if "required" in given else {}
        given |= {"draft": "true"} if form.fields.get(_WHAT_NEXT) == "draft" else {}
        fields = load_fields(_FIELDS, given)
        staged, name = form.require_file()
        wanted = request_of(request.match_info["app_id"], fields, self._services.rollouts)
        file = ReceivedFile(staged, name)
        build, _ = await self._services.publishing.publish(wanted, file, request[CONTEXT].actor, ())
        return build.version.text

    def _render(self, request: web.Request, given: Mapping[str, str], problem: Problem | None) -> web.Response:
        application = self._services.offers.get_application(request.match_info["app_id"])
        first = application.channels[0]
        context: dict[str, Any] = {
            "application": application,
            "platforms": [(each, each) for each in ("", *PLATFORMS)],
            "architectures": [(each, each) for each in ("", *ARCHITECTURES)],
            "platform_words": PLATFORMS,
            "architecture_words": (*ARCHITECTURES, _UNIVERSAL),
            "kinds": [each.value for each in FileKind],
            "channels": [("", f"{first}, by default"), *((e, e) for e in application.channels)],
            "default_share": "what the application says" if application.default_rollout else "all of them",
            "given": given,
            "problem": problem,
        }
        return self._kit.render(request, "publish.html", context, status=200 if problem is None else problem.status)
