"""What installed applications ask and are answered, as marshmallow schemas: apart, since each service imports them."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, ValidationError, fields, validates_schema

import updater.web.messages.client_fields as client
import updater.web.messages.fields as own
from updater.telemetry.model import STATUSES
from updater.web.messages.check_schemas import Asking, StagingQuery
from updater.web.messages.schemas import FromInstaller


class CheckBody(Asking):
    """The body of an update check."""

    application_id = own.ApplicationId(required=True)
    current_version = client.Version(required=True)
    platform = client.platform(required=True)
    architecture = client.architecture(required=True)
    allow_prerelease = own.StrictBoolean(load_default=False)
    include_metadata = own.StrictBoolean(load_default=False)


class LatestQuery(StagingQuery):
    """The query for the latest version."""

    platform = client.platform(required=True)
    architecture = client.architecture(required=True)
    allow_prerelease = own.QueryBoolean(load_default=False)
    include_metadata = own.QueryBoolean(load_default=False)


class LatestByIdQuery(LatestQuery):
    """The same with the application in the query; `app_id` is taken as another name for it."""

    application_id = own.ApplicationId()
    app_id = own.ApplicationId(metadata={"deprecated": True})

    @validates_schema
    def require_one(self, data: dict[str, Any], **_: Any) -> None:
        """Hold the query to one of the two names. Raises ValidationError when it has neither."""
        if "application_id" not in data and "app_id" not in data:
            raise ValidationError("Missing data for required field", "application_id")


class ReportBody(FromInstaller):
    """What an installer tells after an install."""

    current_version = client.Version(required=True)
    target_version = client.Version(required=True)
    platform = client.platform(required=True)
    architecture = client.architecture(required=True)
    status = client.Word("status", STATUSES, required=True)
    error_message = client.ErrorMessage()
    install_time_seconds = client.Seconds()
    report_id = client.ReportId(allow_none=True)
    client_id = client.ClientId(load_default=None, allow_none=True)
    channel = client.AskedChannel(load_default=None, allow_none=True)


class CheckAnswer(Schema):
    """An offer, or none: only the keys without an update are always there."""

    update_available = fields.Boolean(required=True)
    current_version = fields.String(required=True)
    required = fields.Boolean(required=True)
    latest_version = fields.String()
    download_url = fields.String()
    checksum = fields.String()
    checksum_type = fields.String()
    file_size = fields.Integer()
    release_notes = fields.String()
    release_date = fields.DateTime()
    minimum_version = fields.String()
    metadata = fields.Dict()


class FileAnswer(Schema):
    """Where the file of a build is, and how to tell that it is the right one."""

    download_url = fields.String(required=True)
    checksum = fields.String(required=True)
    checksum_type = fields.String(required=True)
    file_size = fields.Integer(required=True)


class BuildAnswer(FileAnswer):
    """What every answer with a build says of it."""

    release_notes = fields.String(required=True)
    release_date = fields.DateTime(required=True)
    required = fields.Boolean(required=True)


class LatestAnswer(BuildAnswer):
    """The latest version for a platform and architecture."""

    version = fields.String(required=True)
    metadata = fields.Dict(required=True)


class Recorded(Schema):
    """A report is on disk."""

    recorded = fields.Boolean(required=True)
    message = fields.String(required=True)


class ComponentAnswer(Schema):
    """How one part does."""

    status = fields.String(required=True)
    message = fields.String(required=True)
    timestamp = fields.DateTime(required=True)


class HealthMetrics(Schema):
    """Figures of the process."""

    goroutines = fields.Integer(required=True)
    memory_alloc_mb = fields.Float(required=True)


class HealthAnswer(Schema):
    """How the service does; all but the first two keys only for a valid key."""

    status = fields.String(required=True)
    timestamp = fields.DateTime(required=True)
    version = fields.String()
    uptime = fields.String()
    components = fields.Dict(keys=fields.String(), values=fields.Nested(ComponentAnswer))
    metrics = fields.Nested(HealthMetrics)
