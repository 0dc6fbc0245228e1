"""Webhooks: who is told of events, how that went, and telling anew."""

from __future__ import annotations

from typing import Any

from aiohttp import hdrs, web

import updater.web.api.webhook_schemas as schemas
from updater.access.principals import Permission
from updater.errors import Invalid, NotFound
from updater.offers.service import OfferService
from updater.services import Services
from updater.times import rfc3339
from updater.web.gate.context import CONTEXT
from updater.web.gate.routing import INSTALLATION, Contract, endpoint
from updater.web.messages.answers import json_answer
from updater.web.messages.webhook_schemas import ReplayBody, SecretBody, WebhookBody, WebhookChanges
from updater.webhooks.model import Receiver, Try

_BODY_FAILURES = (400, 404, 409, 413, 415, 422)


class Webhooks:
    """What administrators do with webhooks. A key of one application has those of that application."""

    def __init__(self, services: Services) -> None:
        self._webhooks = services.webhooks
        self._offers: OfferService = services.offers

    @endpoint(
        Contract("Webhooks of the server", Permission.ADMIN, INSTALLATION, answers={200: schemas.WebhooksAnswer()})
    )
    async def list_of_server(self, request: web.Request) -> web.Response:
        """Return the webhooks of the whole server, without secrets."""
        return json_answer({"webhooks": [_item(each) for each in await self._webhooks.list_webhooks(None)]})

    @endpoint(
        Contract(
            "Create a webhook of the server",
            Permission.ADMIN,
            INSTALLATION,
            body=WebhookBody(),
            answers={201: schemas.WebhookCreated()},
            failures=(400, 409, 413, 415, 422),
        )
    )
    async def create_of_server(self, request: web.Request, body: dict[str, Any]) -> web.Response:
        """Add a receiver of all events from now on; the answer has its secret, this once."""
        return await self._create(request, None, body)

    @endpoint(
        Contract(
            "Webhooks of an application", Permission.ADMIN, answers={200: schemas.WebhooksAnswer()}, failures=(404,)
        )
    )
    async def list_of_application(self, request: web.Request) -> web.Response:
        """Return the webhooks of an application, without secrets."""
        application_id = self._offers.get_application(request.match_info["app_id"]).id
        return json_answer({"webhooks": [_item(each) for each in await self._webhooks.list_webhooks(application_id)]})

    @endpoint(
        Contract(
            "Create a webhook of an application",
            Permission.ADMIN,
            body=WebhookBody(),
            answers={201: schemas.WebhookCreated()},
            failures=_BODY_FAILURES,
        )
    )
    async def create_of_application(self, request: web.Request, body: dict[str, Any]) -> web.Response:
        """Add a receiver of an application's events from now on; the answer has its secret, this once."""
        application_id = self._offers.get_application(request.match_info["app_id"]).id
        return await self._create(request, application_id, body)

    @endpoint(Contract("Show a webhook", Permission.ADMIN, answers={200: schemas.WebhookItem()}, failures=(404,)))
    async def get_webhook(self, request: web.Request) -> web.Response:
        """Return a webhook: its state, its last error, and when it is tried next."""
        return json_answer(_item(await self._own(request)))

    @endpoint(
        Contract(
            "Change a webhook",
            Permission.ADMIN,
            body=WebhookChanges(),
            answers={200: schemas.WebhookItem()},
            failures=_BODY_FAILURES,
        )
    )
    async def change_webhook(self, request: web.Request, body: dict[str, Any]) -> web.Response:
        """Change what is given. A new address ends a park."""
        known = await self._own(request)
        return json_answer(_item(await self._webhooks.change(known.id, body, actor=request[CONTEXT].actor)))

    @endpoint(Contract("Delete a webhook", Permission.ADMIN, answers={204: None}, failures=(404, 409)))
    async def delete_webhook(self, request: web.Request) -> web.Response:
        """Delete a webhook."""
        await self._webhooks.delete((await self._own(request)).id, actor=request[CONTEXT].actor)
        return web.Response(status=204)

    @endpoint(Contract("Test a webhook", Permission.ADMIN, answers={200: schemas.TryItem()}, failures=(404,)))
    async def test_webhook(self, request: web.Request) -> web.Response:
        """Send one event `webhook.test` now, and say how it went; this lasts 20 seconds at most."""
        known = await self._own(request)
        return json_answer(_try(await self._webhooks.test(known.id, actor=request[CONTEXT].actor)))

    @endpoint(
        Contract(
            "Send events again",
            Permission.ADMIN,
            body=ReplayBody(),
            body_optional=True,
            answers={200: schemas.WebhookItem()},
            failures=(400, 404, 413, 415, 422),
        )
    )
    async def replay_webhook(self, request: web.Request, body: dict[str, Any]) -> web.Response:
        """Send everything again from an event or a time on, with the same ids; this ends a park."""
        if "event" in body and "since" in body:
            raise Invalid({"since": "give an event or a time, not both"})
        known, actor = await self._own(request), request[CONTEXT].actor
        moved = await self._webhooks.replay(known.id, event_id=body.get("event"), since=body.get("since"), actor=actor)
        return json_answer(_item(moved))

    @endpoint(
        Contract(
            "Give a webhook a new secret",
            Permission.ADMIN,
            body=SecretBody(),
            body_optional=True,
            answers={200: schemas.SecretAnswer()},
            failures=(400, 404, 413, 415, 422),
        )
    )
    async def rotate_secret(self, request: web.Request, body: dict[str, Any]) -> web.Response:
        """Make a new secret, shown this once; requests are signed with both until the one before ends."""
        known, hours = await self._own(request), body["overlap_hours"]
        secret, until = await self._webhooks.rotate(known.id, overlap_hours=hours, actor=request[CONTEXT].actor)
        return _secret({"secret": secret, "old_until": rfc3339(until)}, 200)

    @endpoint(
        Contract("Deliveries of a webhook", Permission.ADMIN, answers={200: schemas.TriesAnswer()}, failures=(404,))
    )
    async def list_deliveries(self, request: web.Request) -> web.Response:
        """Return the last 100 tries, newest first."""
        known = await self._own(request)
        return json_answer({"deliveries": [_try(each) for each in await self._webhooks.list_tries(known.id)]})

    async def _create(self, request: web.Request, application_id: str | None, body: dict[str, Any]) -> web.Response:
        made, secret = await self._webhooks.create(application_id, body, actor=request[CONTEXT].actor)
        return _secret({**_item(made), "secret": secret}, 201)

    async def _own(self, request: web.Request) -> Receiver:
        """Return the webhook of the path. Raises NotFound: none, or the key is for another application."""
        found = await self._webhooks.get(request.match_info["webhook_id"])
        if _bound_to(request) not in (None, found.application_id):
            raise NotFound("webhook", "There is no such webhook")
        return found


def _bound_to(request: web.Request) -> str | None:
    principal = request[CONTEXT].principal
    return None if principal is None else principal.application


def _secret(answer: dict[str, Any], status: int) -> web.Response:
    response = json_answer(answer, status)
    response.headers[hdrs.CACHE_CONTROL] = "no-store"
    return response


def _item(each: Receiver) -> dict[str, Any]:
    shown = ("id", "application_id", "configured", "name", "url", "form", "enabled", "state", "attempts", "last_error")
    times = ("next_at", "last_delivered_at", "created_at")
    moments = {name: getattr(each, name) for name in times}
    item = {name: getattr(each, name) for name in shown} | {"events": list(each.events)}
    return item | {name: None if at is None else rfc3339(at) for name, at in moments.items()}


def _try(each: Try) -> dict[str, Any]:
    names = ("event_id", "event", "attempt", "duration_ms", "status", "error")
    return {name: getattr(each, name) for name in names} | {"at": rfc3339(each.at)}
