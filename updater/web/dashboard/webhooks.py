"""Webhooks of the server and of applications: listed, made, tested, replayed; their secrets are shown once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from aiohttp import web

from updater.access.principals import Permission
from updater.clock import utc_now
from updater.errors import Conflict, Failure, Invalid, Malformed, NotFound
from updater.services import Services
from updater.web.dashboard.page import HTML, Form, PageKit, Problem
from updater.web.gate.context import CONTEXT
from updater.web.gate.routing import Contract, endpoint
from updater.web.messages.parsing import load_values
from updater.web.messages.webhook_schemas import ReplayBody, SecretBody, WebhookBody, WebhookChanges
from updater.webhooks.events import EVENTS
from updater.webhooks.model import Receiver
from updater.webhooks.service import OVERLAP_HOURS
from updater.webhooks.templates import FORMS

SERVER: Final = "/admin/webhooks/"
APPLICATION: Final = "/admin/applications/{app_id}/webhooks/"
_FORMS: Final = [
    ("auto", "automatic, by its address"),
    ("standard", "Standard Webhooks, for programs"),
    ("slack", "Slack"),
    ("teams", "Microsoft Teams"),
    ("discord", "Discord"),
]
assert [each for each, _ in _FORMS] == list(FORMS)  # noqa: S101 - a form without its words is seen at the start
_STATES: Final = {
    "active": ("delivering", "good"),
    "retrying": ("retrying", "warn"),
    "parked": ("parked", "bad"),
    "off": ("switched off", "plain"),
}


class Webhooks:
    """What administrators see of webhooks, and what forms do to them: below an application, to those of it."""

    def __init__(self, kit: PageKit, services: Services) -> None:
        self._kit = kit
        self._webhooks = services.webhooks
        self._offers = services.offers

    @endpoint(Contract("Webhooks", Permission.ADMIN, answers={200: None}, failures=(404,), media_types=HTML))
    async def list_webhooks(self, request: web.Request) -> web.Response:
        """Show the webhooks of the server, or of an application, and ask for a new one."""
        return await self._list(request, {})

    @endpoint(
        Contract("Make a webhook", Permission.ADMIN, answers={201: None}, failures=(404, 409, 422), media_types=HTML)
    )
    async def create_webhook(self, request: web.Request) -> web.Response:
        """Make a webhook, and show its secret this once."""
        form, application_id = await self._kit.form(request), self._application(request)
        try:
            body = load_values(WebhookBody(), _read(form))
            made, secret = await self._webhooks.create(application_id, body, actor=request[CONTEXT].actor)
        except Failure as failure:
            return await self._list(request, form.values, Problem.of(failure))
        return self._secret(request, made, secret, status=201)

    @endpoint(Contract("A webhook", Permission.ADMIN, answers={200: None}, failures=(404,), media_types=HTML))
    async def show_webhook(self, request: web.Request) -> web.Response:
        """Show a webhook: its state, what was delivered lately, and what may be done."""
        return await self._page(request, await self._own(request))

    @endpoint(
        Contract(
            "Change a webhook", Permission.ADMIN, answers={303: None}, failures=(400, 404, 409, 422), media_types=HTML
        )
    )
    async def change_webhook(self, request: web.Request) -> web.Response:
        """Do what the form says: other values, switched off or on, a test now, or going on where it is parked."""
        form, known = await self._kit.form(request), await self._own(request)
        try:
            said, query = await self._do(request, form, known)
        except Failure as failure:
            return await self._page(request, known, form.values, Problem.of(failure))
        return self._kit.redirect(_address(known) + query, said=said)

    @endpoint(
        Contract(
            "Send events again, the question", Permission.ADMIN, answers={200: None}, failures=(404,), media_types=HTML
        )
    )
    async def show_replay(self, request: web.Request) -> web.Response:
        """Ask from where on events are sent again."""
        return self._replay(request, await self._own(request), {"event": request.query.get("event", "")})

    @endpoint(
        Contract("Send events again", Permission.ADMIN, answers={303: None}, failures=(404, 422), media_types=HTML)
    )
    async def replay_webhook(self, request: web.Request) -> web.Response:
        """Send everything again from an event or a time on, with the same ids; this ends a park."""
        form, known = await self._kit.form(request), await self._own(request)
        try:
            body = load_values(ReplayBody(), {name: text for name in ("event", "since") if (text := form.text(name))})
            if len(body) != 1:
                raise Invalid({"since": "give an event or a time: one of them"})
            event, since = body.get("event"), body.get("since")
            await self._webhooks.replay(known.id, event_id=event, since=since, actor=request[CONTEXT].actor)
        except Failure as failure:
            return self._replay(request, known, form.values, Problem.of(failure))
        return self._kit.redirect(_address(known), said="webhook-replayed")

    @endpoint(
        Contract("A new secret, the question", Permission.ADMIN, answers={200: None}, failures=(404,), media_types=HTML)
    )
    async def show_rotation(self, request: web.Request) -> web.Response:
        """Ask how long the secret before signs as well."""
        return self._rotation(request, await self._own(request), str(OVERLAP_HOURS))

    @endpoint(
        Contract(
            "Give a webhook a new secret", Permission.ADMIN, answers={200: None}, failures=(404, 422), media_types=HTML
        )
    )
    async def rotate_secret(self, request: web.Request) -> web.Response:
        """Make a new secret, shown this once; requests are signed with both until the one before ends."""
        form, known = await self._kit.form(request), await self._own(request)
        text = form.text("overlap_hours")
        try:
            hours = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else text
            body = load_values(SecretBody(), {"overlap_hours": hours})
            secret, _ = await self._webhooks.rotate(
                known.id, overlap_hours=body["overlap_hours"], actor=request[CONTEXT].actor
            )
        except Failure as failure:
            return self._rotation(request, known, text, Problem.of(failure))
        return self._secret(request, await self._webhooks.get(known.id), secret)

    @endpoint(
        Contract(
            "Delete a webhook, the question", Permission.ADMIN, answers={200: None}, failures=(404,), media_types=HTML
        )
    )
    async def show_deletion(self, request: web.Request) -> web.Response:
        """Ask whether to delete a webhook."""
        known = await self._own(request)
        return self._render(request, "webhook_delete.html", {**_shown(known), "problem": None})

    @endpoint(
        Contract("Delete a webhook", Permission.ADMIN, answers={303: None}, failures=(404, 409), media_types=HTML)
    )
    async def delete_webhook(self, request: web.Request) -> web.Response:
        """Delete a webhook."""
        await self._kit.form(request)
        known = await self._own(request)
        try:
            await self._webhooks.delete(known.id, actor=request[CONTEXT].actor)
        except Conflict as failure:
            context = {**_shown(known), "problem": Problem.of(failure)}
            return self._render(request, "webhook_delete.html", context)
        return self._kit.redirect(_place(known), said="webhook-deleted")

    async def _do(self, request: web.Request, form: Form, known: Receiver) -> tuple[str, str]:
        """Do one thing; return what is said of it, and a query for the address."""
        actor = request[CONTEXT].actor
        match form.text("do"):
            case "test":
                tried = await self._webhooks.test(known.id, actor=actor)
                return "", f"?tried={tried.event_id}"
            case "resume":
                await self._webhooks.replay(known.id, actor=actor)
                return "webhook-resumed", ""
            case "enable" | "disable" as verb:
                await self._webhooks.change(known.id, {"enabled": verb == "enable"}, actor=actor)
                return f"webhook-{verb}d", ""
            case "change":
                if form.text("updated_at") != known.updated_at.isoformat():
                    raise Conflict("Somebody changed this webhook meanwhile; look at it again, then change it")
                await self._webhooks.change(known.id, load_values(WebhookChanges(), _read(form)), actor=actor)
                return "webhook-changed", ""
            case _:
                raise Malformed("The form does not say what to do")

    def _application(self, request: web.Request) -> str | None:
        """Return the application of the address; None: the webhooks of the server. Raises NotFound."""
        application_id = request.match_info.get("app_id")
        return None if application_id is None else self._offers.get_application(application_id).id

    async def _own(self, request: web.Request) -> Receiver:
        """Return the webhook of the address. Raises NotFound: none, or it is not of this application."""
        application_id = self._application(request)
        found = await self._webhooks.get(request.match_info["webhook_id"])
        if found.application_id != application_id:
            raise NotFound("webhook", "There is no such webhook")
        return found

    async def _list(
        self, request: web.Request, values: Mapping[str, str], problem: Problem | None = None
    ) -> web.Response:
        found = await self._webhooks.list_webhooks(self._application(request))
        context = {"webhooks": [{**_shown(each), "address": _address(each)} for each in found]}
        return self._render(request, "webhooks.html", {**context, **_fields(values), "problem": problem})

    async def _page(
        self,
        request: web.Request,
        known: Receiver,
        values: Mapping[str, str] | None = None,
        problem: Problem | None = None,
    ) -> web.Response:
        tries = await self._webhooks.list_tries(known.id)
        if values is None or "url" not in values:
            ticked = {f"event-{each}": "yes" for each in known.events}
            values = {"url": known.url, "name": known.name, "form": known.form, **ticked}
        context = {
            "tries": tries,
            "tried": next((each for each in tries if each.event_id == request.query.get("tried")), None),
            "problem": problem,
        }
        return self._render(request, "webhook.html", {**_shown(known), **context, **_fields(values)})

    def _secret(self, request: web.Request, known: Receiver, secret: str, *, status: int = 200) -> web.Response:
        context = {**_shown(known), "secret": secret, "address": _address(known), "made": status == 201}
        return self._kit.render(request, "webhook_secret.html", context, status=status)

    def _replay(
        self, request: web.Request, known: Receiver, values: Mapping[str, str], problem: Problem | None = None
    ) -> web.Response:
        context = {"event": values.get("event", ""), "since": values.get("since", ""), "problem": problem}
        return self._render(request, "webhook_replay.html", {**_shown(known), **context})

    def _rotation(
        self, request: web.Request, known: Receiver, hours: str, problem: Problem | None = None
    ) -> web.Response:
        return self._render(request, "webhook_rotate.html", {**_shown(known), "hours": hours, "problem": problem})

    def _render(self, request: web.Request, template: str, context: Mapping[str, Any]) -> web.Response:
        problem: Problem | None = context["problem"]
        return self._kit.render(request, template, context, status=200 if problem is None else problem.status)


def _read(form: Form) -> dict[str, Any]:
    """Return the body that makes or changes a webhook."""
    events = [each for each in EVENTS if form.flag(f"event-{each}")]
    return {"url": form.text("url"), "name": form.text("name"), "form": form.text("form"), "events": events}


def _fields(values: Mapping[str, str]) -> dict[str, Any]:
    """Return what fields of the form show; without an event ticked, all are sent."""
    return {"values": values, "forms": _FORMS, "events": [(each, f"event-{each}" in values) for each in EVENTS]}


def _shown(each: Receiver) -> dict[str, Any]:
    """Return a webhook as templates show it. Of its address a list names the host: the rest may be a secret."""
    word, kind = _STATES[each.state]
    return {
        "webhook": each,
        "title": each.name or each.host,
        "host": each.host,
        "state": word,
        "kind": kind,
        "place": _place(each),
        "webhook_address": _address(each),
        "form_words": dict(_FORMS)[each.form],
        "now": utc_now(),
    }


def _place(each: Receiver) -> str:
    if each.application_id is None:
        return SERVER
    return APPLICATION.replace("{app_id}", quote(each.application_id, safe=""))


def _address(each: Receiver) -> str:
    return f"{_place(each)}{each.id}/"
