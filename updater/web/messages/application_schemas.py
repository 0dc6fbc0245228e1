"""What is said of an application, by the REST API and by pages, as marshmallow schemas."""

from __future__ import annotations

from typing import Any

from marshmallow import fields, validate

import updater.web.messages.fields as own
from updater.catalog.model import DEFAULT_CHANNELS
from updater.catalog.platforms import PLATFORMS
from updater.catalog.versions import Scheme
from updater.web.messages.feed_settings import FeedsBody
from updater.web.messages.plans import DefaultPlanBody, PlanValue
from updater.web.messages.rollout_schemas import channel_list
from updater.web.messages.schemas import Strict

MAX_KEYS = 4


class ConfigBody(Strict):
    """The configuration of an application."""

    update_check_url = own.HttpUrl(optional=True)
    auto_update = own.StrictBoolean()
    update_interval = own.StrictInteger(1, 366 * 86_400)
    required_update = own.StrictBoolean()
    min_version = own.Text(max_bytes=100, empty=True)
    max_version = own.Text(max_bytes=100, empty=True)
    allow_prerelease = own.StrictBoolean()
    notification_url = own.HttpUrl(optional=True)
    analytics_enabled = own.StrictBoolean()
    custom_fields = own.Metadata()


def _platforms(**kwargs: Any) -> fields.List[str]:
    return fields.List(own.platform(), validate=validate.Length(1, len(PLATFORMS) * 4), **kwargs)


def _keys() -> fields.List[str]:
    return fields.List(own.Text(max_bytes=1_000, lines=True), validate=validate.Length(max=MAX_KEYS))


class KeysBody(Strict):
    """Public keys that signatures of an application's files are held to."""

    minisign = _keys()
    ed25519 = _keys()


class ApplicationBody(Strict):
    """A new application."""

    id = own.ApplicationId(required=True)
    name = own.Name(required=True)
    description = own.notes_text(load_default="")
    platforms = _platforms(required=True)
    config = fields.Nested(ConfigBody, load_default=dict)
    channels = channel_list(load_default=list(DEFAULT_CHANNELS))
    default_rollout = PlanValue(DefaultPlanBody, allow_none=True, load_default=None)
    keys = fields.Nested(KeysBody, load_default=dict)
    feeds = fields.Nested(FeedsBody, load_default=dict)
    version_scheme = own.OneOf("version scheme", tuple(each.value for each in Scheme), load_default="semver")
    private = own.StrictBoolean(load_default=False)


class ApplicationChanges(Strict):
    """Changes to an application; what is left out stays."""

    name = own.Name()
    description = own.notes_text()
    platforms = _platforms()
    config = fields.Nested(ConfigBody)
    private = own.StrictBoolean()
    channels = channel_list()
    default_rollout = PlanValue(DefaultPlanBody, allow_none=True)
    keys = fields.Nested(KeysBody)
    feeds = fields.Nested(FeedsBody)
