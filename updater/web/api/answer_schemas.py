"""What the REST API answers, as marshmallow schemas: they write the OpenAPI document, and tests hold answers to it."""

from __future__ import annotations

from marshmallow import Schema, fields

from updater.web.api.client_schemas import BuildAnswer, FileAnswer
from updater.web.api.file_schemas import FileItem
from updater.web.messages.application_schemas import ConfigBody, KeysBody
from updater.web.messages.feed_settings import FeedsBody


class ReleaseItem(BuildAnswer):
    """One build in a listing."""

    id = fields.String(required=True)
    version = fields.String(required=True)
    platform = fields.String(required=True)
    architecture = fields.String(required=True)
    minimum_version = fields.String(required=True)
    channel = fields.String(required=True)
    status = fields.String(required=True)
    percent = fields.Float(required=True)
    feeds = fields.Dict(keys=fields.String(), values=fields.String(), required=True)
    files = fields.List(fields.Nested(FileItem), required=True)


class PageAnswer(Schema):
    """What every listing says of itself."""

    total_count = fields.Integer(required=True)
    page = fields.Integer(required=True)
    page_size = fields.Integer(required=True)
    has_more = fields.Boolean(required=True)


class ReleasesAnswer(PageAnswer):
    """A page of builds."""

    releases = fields.List(fields.Nested(ReleaseItem), required=True)


class Created(Schema):
    """Something was made."""

    id = fields.String(required=True)
    message = fields.String(required=True)
    created_at = fields.DateTime(required=True)


class Uploaded(Created, FileAnswer):
    """A hosted build was made."""

    status = fields.String(required=True)

    version = fields.String(required=True)
    platform = fields.String(required=True)
    architecture = fields.String(required=True)


class Changed(Schema):
    """Something was changed."""

    id = fields.String(required=True)
    message = fields.String(required=True)
    updated_at = fields.DateTime(required=True)


class Deleted(Schema):
    """Something was deleted."""

    id = fields.String(required=True)
    message = fields.String(required=True)


class ValueRange(Schema):
    """How many values are at least `low` and below `high`."""

    low = fields.Integer(required=True)
    high = fields.Integer(required=True)
    count = fields.Integer(required=True)


class QuantilesAnswer(Schema):
    """Of how many values; what half, and nineteen twentieths, of them do not exceed; how they are spread."""

    count = fields.Integer(required=True)
    p50 = fields.Float(required=True, allow_none=True)
    p95 = fields.Float(required=True, allow_none=True)
    ranges = fields.List(fields.Nested(ValueRange), required=True)


class ReportsFigures(Schema):
    """How installs ended; the rate leaves cancelled ones aside."""

    completed = fields.Integer(required=True)
    failed = fields.Integer(required=True)
    cancelled = fields.Integer(required=True)
    failure_rate = fields.Float(required=True, allow_none=True)


class ErrorFigures(Schema):
    """One group of error messages."""

    message = fields.String(required=True)
    count = fields.Integer(required=True)
    share = fields.Float(required=True)


class VersionFigures(Schema):
    """What is known of one version."""

    version = fields.String(required=True)
    installs = fields.Integer(required=True)
    failures = fields.Integer(required=True)
    checks = fields.Integer(required=True)
    downloads_started = fields.Integer(required=True)
    downloads_finished = fields.Integer(required=True)


class PlatformFigures(Schema):
    """How often a platform was seen."""

    platform = fields.String(required=True)
    architecture = fields.String(required=True)
    checks = fields.Integer(required=True)
    reports = fields.Integer(required=True)
    share = fields.Float(required=True)


class DownloadsFigures(Schema):
    """Downloads of hosted builds; throughput is of whole responses of at least 1 MiB."""

    started = fields.Integer(required=True)
    finished = fields.Integer(required=True)
    success_rate = fields.Float(required=True, allow_none=True)
    throughput_bytes_per_s = fields.Nested(QuantilesAnswer, required=True)


class CountryFigures(Schema):
    """Update checks from one country: two letters, `unknown` or `other`."""

    country = fields.String(required=True)
    checks = fields.Integer(required=True)
    share = fields.Float(required=True)


class MomentFigures(Schema):
    """What happened in one bucket."""

    at = fields.DateTime(required=True)
    completed = fields.Integer(required=True)
    failed = fields.Integer(required=True)
    cancelled = fields.Integer(required=True)
    checks = fields.Integer(required=True)
    downloads_started = fields.Integer(required=True)
    downloads_finished = fields.Integer(required=True)
    installs_by_version = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)
    checks_by_version = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)


# `from` is a word of the language.
_FiguresWindow = Schema.from_dict({"from": fields.DateTime(required=True), "to": fields.DateTime(required=True)})


class FiguresAnswer(_FiguresWindow):  # type: ignore[misc,valid-type]
    """All figures of an application; lists hold the largest entries and then the sum of the rest as `other`."""

    application_id = fields.String(required=True)
    bucket = fields.String(required=True)
    reports = fields.Nested(ReportsFigures, required=True)
    errors = fields.List(fields.Nested(ErrorFigures), required=True)
    versions = fields.List(fields.Nested(VersionFigures), required=True)
    platforms = fields.List(fields.Nested(PlatformFigures), required=True)
    downloads = fields.Nested(DownloadsFigures, required=True)
    install_time_s = fields.Nested(QuantilesAnswer, required=True)
    checks = fields.Integer(required=True)
    countries = fields.List(fields.Nested(CountryFigures), required=True)
    series = fields.List(fields.Nested(MomentFigures), required=True)


class ActorAnswer(Schema):
    """Who made a change; `kind` is `key`, `user`, `operator`, `open` or `system`."""

    kind = fields.String(required=True)
    name = fields.String(required=True)


class HistoryItem(Schema):
    """One change: what it is about, before and after."""

    id = fields.Integer(required=True)
    at = fields.DateTime(required=True)
    actor = fields.Nested(ActorAnswer, required=True)
    action = fields.String(required=True)
    version = fields.String(required=True, allow_none=True)
    reason = fields.String(required=True, allow_none=True)
    before = fields.Dict(required=True, allow_none=True)
    after = fields.Dict(required=True, allow_none=True)


class HistoryAnswer(PageAnswer):
    """A page of the history, newest first."""

    entries = fields.List(fields.Nested(HistoryItem), required=True)


class ApplicationItem(Schema):
    """One application in a listing."""

    id = fields.String(required=True)
    name = fields.String(required=True)
    description = fields.String(required=True)
    platforms = fields.List(fields.String(), required=True)
    created_at = fields.DateTime(required=True)
    updated_at = fields.DateTime(required=True)


class ApplicationsAnswer(PageAnswer):
    """A page of applications."""

    applications = fields.List(fields.Nested(ApplicationItem), required=True)


class StatsAnswer(Schema):
    """Counts over the builds of an application."""

    total_releases = fields.Integer(required=True)
    latest_version = fields.String(required=True, allow_none=True)
    latest_release_date = fields.DateTime(required=True, allow_none=True)
    platform_count = fields.Integer(required=True)
    required_releases = fields.Integer(required=True)


class FeedKeyAnswer(Schema):
    """A new feed key."""

    feed_key = fields.String(required=True)
    name = fields.String(required=True)
    created_at = fields.DateTime(required=True)


class ApplicationAnswer(ApplicationItem):
    """One application with its configuration and counts."""

    config = fields.Nested(ConfigBody, required=True)
    stats = fields.Nested(StatsAnswer, required=True)
    version_scheme = fields.String(required=True)
    private = fields.Boolean(required=True)
    channels = fields.List(fields.String(), required=True)
    default_rollout = fields.Dict(required=True, allow_none=True)
    keys = fields.Nested(KeysBody, required=True)
    feeds = fields.Nested(FeedsBody, required=True)


class ErrorAnswer(Schema):
    """Every error."""

    error = fields.String(required=True)
    message = fields.String(required=True)
    code = fields.String(required=True)
    details = fields.Dict(required=True)
    timestamp = fields.DateTime(required=True)
    request_id = fields.String(required=True)
    errors = fields.Dict(keys=fields.String(), values=fields.String())
