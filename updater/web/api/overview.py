"""What a person wants to know first: how applications and the service do, and what needs attention."""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web
from marshmallow import Schema, fields

import updater.web.api.schemas as schemas
from updater.access.principals import EVERYBODY, Permission, Principal
from updater.overview.model import ApplicationState, Item, ServiceState
from updater.services import Services
from updater.times import rfc3339
from updater.web.gate.context import CONTEXT
from updater.web.gate.routing import Contract, endpoint
from updater.web.messages.answers import json_answer
from updater.web.messages.pages import page_of

# A program waits a little for what has to be looked at.
_WAIT_S: Final = 2.0


class AttentionItem(Schema):
    """One thing that needs attention; `page` is the address of the page that helps."""

    severity = fields.String(required=True)
    kind = fields.String(required=True)
    words = fields.String(required=True)
    subject = fields.String(required=True, allow_none=True)
    application_id = fields.String(required=True, allow_none=True)
    version = fields.String(required=True, allow_none=True)
    at = fields.DateTime(required=True, allow_none=True)
    page = fields.String(required=True, allow_none=True)


class AttentionAnswer(Schema):
    """What needs attention, the most urgent first; `waiting` names the parts that did not answer in time."""

    items = fields.List(fields.Nested(AttentionItem), required=True)
    waiting = fields.List(fields.String(), required=True)


class ChannelItem(Schema):
    """The newest release of a channel, and the percent of clients that get it."""

    channel = fields.String(required=True)
    version = fields.String(required=True, allow_none=True)
    percent = fields.Float(required=True, allow_none=True)


class ApplicationOverview(Schema):
    """One application; installs of the last 24 hours, checks of today, adoption by day."""

    id = fields.String(required=True)
    name = fields.String(required=True)
    channels = fields.List(fields.Nested(ChannelItem), required=True)
    installs = fields.Integer(required=True)
    failures = fields.Integer(required=True)
    failure_rate = fields.Float(required=True, allow_none=True)
    checks = fields.Integer(required=True)
    adoption = fields.List(fields.Float(allow_none=True), required=True)


class ServiceOverview(Schema):
    """Storage, database and backups."""

    health = fields.String(required=True)
    components = fields.Dict(keys=fields.String(), values=fields.String(), required=True)
    blobs = fields.Integer(required=True)
    stored_bytes = fields.Integer(required=True)
    damaged = fields.Integer(required=True)
    free_bytes = fields.Integer(required=True, allow_none=True)
    database = fields.String(required=True)
    backed_up_at = fields.DateTime(required=True, allow_none=True)


class OverviewAnswer(Schema):
    """A page of applications by their ids, and the service; `service` is null for a key of one application."""

    applications = fields.List(fields.Nested(ApplicationOverview), required=True)
    total = fields.Integer(required=True)
    limit = fields.Integer(required=True)
    offset = fields.Integer(required=True)
    service = fields.Nested(ServiceOverview, required=True, allow_none=True)


class Overview:
    """Tells what the overview page shows."""

    def __init__(self, services: Services) -> None:
        self._overview = services.overview

    @endpoint(
        Contract(
            "How applications and the service do",
            Permission.WRITE,
            query=schemas.PageQuery(),
            answers={200: OverviewAnswer()},
            failures=(422, 503),
        )
    )
    async def get_overview(self, request: web.Request, query: dict[str, Any]) -> web.Response:
        """Return a page of applications, and storage, database and backups. A key of one application sees that one."""
        bound = _principal(request).application
        found, total = await self._overview.list_applications(
            limit=query["limit"], offset=query["offset"], application_id=bound
        )
        service = None if bound is not None else _service_item(await self._overview.get_service())
        answer = {"limit": query["limit"], "offset": query["offset"], "total": total, "service": service}
        return json_answer({"applications": [_application_item(each) for each in found], **answer})

    @endpoint(Contract("What needs attention", Permission.WRITE, answers={200: AttentionAnswer()}))
    async def get_attention(self, request: web.Request) -> web.Response:
        """List what needs attention, the most urgent first.

        A key of one application gets what is about that one. What is about keys is for administrators.
        """
        principal = _principal(request)
        found = await self._overview.attention.list_items(
            is_admin=principal.level >= Permission.ADMIN, application_id=principal.application, wait_s=_WAIT_S
        )
        return json_answer({"items": [_item(each) for each in found.items], "waiting": list(found.waiting)})


def _principal(request: web.Request) -> Principal:
    return request[CONTEXT].principal or EVERYBODY


def _item(each: Item) -> dict[str, Any]:
    return {
        "severity": each.severity.word,
        "kind": each.kind.value,
        "words": each.words,
        "subject": each.subject,
        "application_id": each.application,
        "version": each.version,
        "at": None if each.at is None else rfc3339(each.at),
        "page": page_of(each),
    }


def _application_item(each: ApplicationState) -> dict[str, Any]:
    return {
        "id": each.id,
        "name": each.name,
        "channels": [{"channel": one.channel, "version": one.version, "percent": one.percent} for one in each.channels],
        "installs": each.installs,
        "failures": each.failures,
        "failure_rate": each.failure_rate,
        "checks": each.checks,
        "adoption": list(each.adoption),
    }


def _service_item(each: ServiceState) -> dict[str, Any]:
    backed_up_at = None if each.backed_up_at is None else rfc3339(each.backed_up_at)
    names = ("health", "blobs", "stored_bytes", "damaged", "free_bytes", "database")
    facts = {name: getattr(each, name) for name in names}
    return {**facts, "components": dict(each.components), "backed_up_at": backed_up_at}
