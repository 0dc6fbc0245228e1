"""What makes and changes webhooks, as marshmallow schemas: of the REST API and of pages."""

from __future__ import annotations

from marshmallow import fields, validate

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
