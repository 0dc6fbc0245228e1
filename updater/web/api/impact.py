"""Before an action: how many installs would it touch?"""

from __future__ import annotations

from typing import Any

from aiohttp import web
from marshmallow import Schema, fields

import updater.web.messages.fields as own
from updater.access.principals import Permission
from updater.rollouts.impact import Action, Seen
from updater.services import Services
from updater.times import rfc3339
from updater.web.gate.routing import Contract, endpoint
from updater.web.messages.answers import json_answer
from updater.web.messages.schemas import Lenient


class ImpactQuery(Lenient):
    """The action that is thought of."""

    action = own.OneOf("action", tuple(each.value for each in Action), required=True)


class SeenItem(Schema):
    """Completed installs of versions, and update checks of clients that run them."""

    installs = fields.Integer(required=True)
    checks = fields.Integer(required=True)


class ImpactAnswer(Schema):
    """What an action touches; `installs` is null without figures. All numbers are upper bounds."""

    application_id = fields.String(required=True)
    version = fields.String(required=True)
    action = fields.String(required=True)
    installs = fields.Integer(required=True, allow_none=True)
    percent_now = fields.Float(required=True)
    percent_then = fields.Float(required=True, allow_none=True)
    installs_since = fields.String(required=True)
    checks_since = fields.String(required=True)
    until = fields.String(required=True)
    this_version = fields.Nested(SeenItem, required=True)
    older_versions = fields.Nested(SeenItem, required=True)
    other_versions = fields.Nested(SeenItem, required=True)


class Impacts:
    """Tells what actions would touch."""

    def __init__(self, services: Services) -> None:
        self._impacts = services.impacts

    @endpoint(
        Contract(
            "What an action on a release touches",
            Permission.READ,
            query=ImpactQuery(),
            answers={200: ImpactAnswer()},
            failures=(404, 422),
        )
    )
    async def get_impact(self, request: web.Request, query: dict[str, Any]) -> web.Response:
        """Count what is known of the installs that an action would touch; nothing is changed."""
        found = await self._impacts.measure(
            request.match_info["app_id"], request.match_info["version"], Action(query["action"])
        )
        return json_answer(
            {
                "application_id": found.application_id,
                "version": found.version,
                "action": found.action.value,
                "installs": found.installs,
                "percent_now": found.percent_now,
                "percent_then": found.percent_then,
                "installs_since": rfc3339(found.installs_since),
                "checks_since": rfc3339(found.checks_since),
                "until": rfc3339(found.until),
                "this_version": _seen(found.this),
                "older_versions": _seen(found.older),
                "other_versions": _seen(found.others),
            }
        )


def _seen(each: Seen) -> dict[str, int]:
    return {"installs": each.installs, "checks": each.checks}
