"""What the REST API takes, as marshmallow schemas: they check requests and write the OpenAPI document."""

from __future__ import annotations

from typing import Any

from marshmallow import ValidationError, fields, validates_schema

import updater.web.messages.client_fields as client
import updater.web.messages.fields as own
from updater.catalog.model import CHECKSUM_KINDS, ReleaseStatus
from updater.telemetry.figure_tables import TABLES
from updater.telemetry.model import STATUSES
from updater.telemetry.spans import BUCKETS, RANGE_DAYS
from updater.web.messages.check_schemas import Asking, StagingQuery
from updater.web.messages.plans import PlanValue
from updater.web.messages.schemas import FromInstaller, Lenient, Strict
from updater.web.transfer.upload_fields import UploadDetails, UploadFields


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


class PageQuery(Lenient):
    """Where a listing starts."""

    limit = own.QueryInteger(1, 1000, load_default=50)
    offset = own.QueryInteger(0, 10**9, load_default=0)


class ReleasesQuery(PageQuery):
    """Filters and order of the releases."""

    platform = own.platform()
    architecture = own.architecture()
    version = own.VersionText()
    required = own.QueryBoolean()
    channel = fields.String()
    status = own.OneOf("status", tuple(each.value for each in ReleaseStatus))
    sort_by = own.OneOf(
        "sort field",
        ("version", "release_date", "platform", "architecture", "created_at"),
        load_default="release_date",
    )
    sort_order = own.OneOf("sort order", ("asc", "desc"), load_default="desc")


class HistoryQuery(PageQuery):
    """Which entries of the history."""

    version = own.VersionText()


class RegisterBody(Strict):
    """An external build."""

    application_id = own.ApplicationId(required=True)
    version = own.VersionText(required=True)
    platform = own.platform(required=True)
    architecture = own.architecture(required=True)
    download_url = own.HttpUrl(required=True)
    checksum = own.Text(required=True, max_bytes=256)
    checksum_type = own.OneOf("checksum type", CHECKSUM_KINDS, required=True)
    file_size = own.StrictInteger(0)
    release_notes = own.notes_text(load_default="")
    required = own.StrictBoolean(load_default=False)
    minimum_version = own.VersionText(allow_none=True, load_default=None)
    metadata = own.Metadata(load_default=dict)
    channel = fields.String(load_default=None)
    rollout = PlanValue(load_default=None)


class UploadQuery(UploadDetails):
    """The query beside a raw body; `file_name` is what downloads are called, if it can be a file's name anywhere."""

    file_name = fields.String()


class UploadForm(UploadFields):
    """The whole form, for the OpenAPI document: the files are streamed past the schema."""

    file = fields.Raw(required=True, metadata={"type": "string", "format": "binary"})
    files = fields.List(fields.Raw(metadata={"type": "string", "format": "binary"}))


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


class FiguresQuery(Lenient):
    """Over which time, and by which buckets."""

    first = own.Timestamp(data_key="from")
    last = own.Timestamp(data_key="to")
    range = own.OneOf("range", tuple(RANGE_DAYS), load_default=None)
    bucket = own.OneOf("bucket", BUCKETS, load_default="day")
    # What a program gets that says nothing of either, and the one table that a CSV file holds.
    format = own.OneOf("format", ("json", "csv"), load_default=None)
    table = own.OneOf("table", TABLES, load_default=None)


class FeedKeyBody(Strict):
    """A new feed key."""

    name = own.Name(required=True)
