"""What the desktop API takes and gives, as marshmallow schemas."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, ValidationError, fields

import updater.web.messages.client_fields as client
import updater.web.messages.fields as own
from updater.telemetry.model import STATUSES
from updater.web.desktop.words import MAX_VERSION_CHARACTERS, TARGETS, VERSION, is_version
from updater.web.messages.schemas import FromInstaller, Lenient, Strict


class Numbers(own.VersionText):
    """A version of exactly three numbers, at most 20 characters; `empty` takes an empty text as none."""

    def __init__(self, *, empty: bool = False, **kwargs: Any) -> None:
        described = {} if empty else {"pattern": f"^{VERSION}$"}
        super().__init__(max_bytes=MAX_VERSION_CHARACTERS, empty=empty, metadata=described, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        text = super()._deserialize(value, attr, data, **kwargs)
        if not text:
            return None
        if not is_version(text):
            raise ValidationError(f"invalid version: {own.shown(text)}; expected three numbers such as 1.2.3")
        return text


class ClientNumbers(Numbers):
    """The same from an installed client: white space around it is cut off."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        return super()._deserialize(client.trimmed(value), attr, data, **kwargs)


def _client_platform(**kwargs: Any) -> client.Word:
    return client.Word("platform", tuple(TARGETS), **kwargs)


def _platform(**kwargs: Any) -> own.OneOf:
    return own.OneOf("platform", tuple(TARGETS), **kwargs)


# -- requests


class PlatformQuery(Lenient):
    """The optional filter of what clients ask."""

    platform = _client_platform()


class PackagePath(Schema):
    """Version and platform in a path."""

    version = ClientNumbers(required=True)
    platform = _client_platform(required=True)


class VersionPath(Schema):
    """The version in a path."""

    version = Numbers(required=True)


class CurrentVersionPath(Schema):
    """The client's version in a path."""

    current_version = ClientNumbers(required=True)


class UploadFields(Strict):
    """The text fields beside an uploaded package."""

    version = Numbers(required=True)
    platform = _platform(required=True)
    changelog = own.Text(max_bytes=own.MAX_NOTES_BYTES, lines=True, empty=True, load_default="")
    critical = own.QueryBoolean(load_default=False)
    minimum_version = Numbers(empty=True, load_default=None)


class UploadForm(UploadFields):
    """The whole form, for the OpenAPI document: the file is streamed past the schema."""

    file = fields.Raw(required=True, metadata={"type": "string", "format": "binary"})


class StatusBody(FromInstaller):
    """What an installer tells after an install."""

    current_version = ClientNumbers(required=True)
    target_version = ClientNumbers(required=True)
    platform = _client_platform(required=True)
    status = client.Word("status", STATUSES, required=True)
    error_message = client.ErrorMessage(load_default=None)
    install_time_seconds = client.Seconds(load_default=None)


class ListQuery(Lenient):
    """Which page of the list."""

    page = own.QueryInteger(1, 10**9, load_default=1)
    per_page = own.QueryInteger(1, 100, load_default=20)


# -- answers


class PackageAnswer(Schema):
    """The package of a version for one platform."""

    filename = fields.String(required=True)
    size = fields.Integer(required=True)
    hash = fields.String(required=True)


class LatestAnswer(Schema):
    """The latest version."""

    version = fields.String(required=True)
    release_date = fields.DateTime(required=True)
    download_url = fields.String(required=True)
    changelog = fields.String(required=True)
    critical = fields.Boolean(required=True)
    platforms = fields.Dict(keys=fields.String(), values=fields.Nested(PackageAnswer), required=True)
    minimum_version = fields.String(required=True, allow_none=True)


class CompatibilityAnswer(Schema):
    """Where a version stands."""

    compatible = fields.Boolean(required=True)
    latest_compatible_version = fields.String(required=True, allow_none=True)
    requires_update = fields.Boolean(required=True)
    reason = fields.String(required=True)


class Recorded(Schema):
    """A report is on disk."""

    recorded = fields.Boolean(required=True)
    message = fields.String(required=True)


class Uploaded(Schema):
    """A package was published."""

    message = fields.String(required=True)
    update_id = fields.Integer(required=True)
    version = fields.String(required=True)
    platform = fields.String(required=True)
    file_hash = fields.String(required=True)
    download_url = fields.String(required=True)


class UpdateItem(Schema):
    """One version in the list."""

    id = fields.Integer(required=True)
    version = fields.String(required=True)
    release_date = fields.DateTime(required=True)
    critical = fields.Boolean(required=True)
    platforms = fields.List(fields.String(), required=True)
    download_count = fields.Integer(required=True)
    status = fields.String(required=True)


class Pagination(Schema):
    """Which page this is."""

    page = fields.Integer(required=True)
    per_page = fields.Integer(required=True)
    total = fields.Integer(required=True)


class UpdatesAnswer(Schema):
    """A page of versions."""

    updates = fields.List(fields.Nested(UpdateItem), required=True)
    pagination = fields.Nested(Pagination, required=True)


class Deactivated(Schema):
    """A version was taken back."""

    message = fields.String(required=True)
