"""What the REST API answers about webhooks, as marshmallow schemas."""

from __future__ import annotations

from marshmallow import Schema, fields


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
