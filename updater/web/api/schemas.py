"""What the REST API takes, as marshmallow schemas: they check requests and write the OpenAPI document."""

from __future__ import annotations

from marshmallow import fields

import updater.web.messages.fields as own
from updater.catalog.model import CHECKSUM_KINDS, ReleaseStatus
from updater.telemetry.figure_tables import TABLES
from updater.telemetry.spans import BUCKETS, RANGE_DAYS
from updater.web.messages.plans import PlanValue
from updater.web.messages.schemas import Lenient, Strict
from updater.web.transfer.upload_fields import UploadDetails, UploadFields


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
