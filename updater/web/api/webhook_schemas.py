"""What the REST API takes and answers about webhooks, as marshmallow schemas."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

import updater.web.messages.fields as own
from updater.web.messages.schemas import Strict
from updater.webhooks.events import EVENTS
from updater.webhooks.service import OVERLAP_HOURS
from updater.webhooks.templates import FORMS


def _events() -> fields.List[str]:
    return fields.List(own.OneOf("event", EVENTS), validate=validate.Length(max=len(EVENTS)))


class WebhookChanges(Strict):
    """Changes to a webhook; what is left out stays. An empty list of events takes all of them."""

    url = own.HttpUrl()
    name = own.Text(max_bytes=100, empty=True)
    form = own.OneOf("form", FORMS)
    events = _events()
    enabled = own.StrictBoolean()


class WebhookBody(WebhookChanges):
    """A new webhook."""

    url = own.HttpUrl(required=True)


class ReplayBody(Strict):
    """From where on events are sent again: an event, or a time; with neither it goes on where it is parked."""

    event = own.Text(max_bytes=60)
    since = own.Timestamp()


class SecretBody(Strict):
    """For how long the secret before signs as well."""

    overlap_hours = own.StrictInteger(0, 24 * 30, load_default=OVERLAP_HOURS)


class WebhookItem(Schema):
    """One webhook; `state` is active, retrying, parked or off. `application_id` null: of the whole server."""

    id = fields.String(required=True)
    application_id = fields.String(required=True, allow_none=True)
    configured = fields.Boolean(required=True)
    name = fields.String(required=True)
    url = fields.String(required=True)
    form = fields.String(required=True)
    events = fields.List(fields.String(), required=True)
    enabled = fields.Boolean(required=True)
    state = fields.String(required=True)
    attempts = fields.Integer(required=True)
    next_at = fields.DateTime(required=True, allow_none=True)
    last_error = fields.String(required=True, allow_none=True)
    last_delivered_at = fields.DateTime(required=True, allow_none=True)
    created_at = fields.DateTime(required=True)


class WebhookCreated(WebhookItem):
    """The same with its secret, which is shown this once."""

    secret = fields.String(required=True)


class WebhooksAnswer(Schema):
    """Webhooks, oldest first."""

    webhooks = fields.List(fields.Nested(WebhookItem), required=True)


class SecretAnswer(Schema):
    """A new secret, shown this once, and until when the one before signs as well."""

    secret = fields.String(required=True)
    old_until = fields.DateTime(required=True)


class TryItem(Schema):
    """One try to deliver; `error` null: it was delivered."""

    event_id = fields.String(required=True)
    event = fields.String(required=True)
    attempt = fields.Integer(required=True)
    at = fields.DateTime(required=True)
    duration_ms = fields.Integer(required=True)
    status = fields.Integer(required=True, allow_none=True)
    error = fields.String(required=True, allow_none=True)


class TriesAnswer(Schema):
    """The last tries, newest first."""

    deliveries = fields.List(fields.Nested(TryItem), required=True)
