"""What the system interfaces answer, as marshmallow schemas: they describe, and render nothing."""

from __future__ import annotations

from marshmallow import Schema, fields, validate


class CommitAnswer(Schema):
    """An incoming commit."""

    hash = fields.String(required=True)
    message = fields.String(required=True)
    date = fields.DateTime(required=True)


class CheckAnswer(Schema):
    """What is incoming, newest commit first (document 000)."""

    currentVersion = fields.String(required=True)
    latestVersion = fields.String(required=True)
    hasUpdate = fields.Boolean(required=True)
    commits = fields.List(fields.Nested(CommitAnswer), required=True)


class StartedAnswer(Schema):
    """An update was started (document 000)."""

    status = fields.String(required=True, validate=validate.Equal("started"))
    message = fields.String(required=True)


class SystemErrorAnswer(Schema):
    """Every error of document 000."""

    error = fields.String(required=True)


class StepAnswer(Schema):
    """How one step of an update did."""

    name = fields.String(required=True)
    status = fields.String(required=True)
    duration_s = fields.Float(required=True, allow_none=True)
    output = fields.String(required=True)


class UpdatedAnswer(Schema):
    """How an update went, as far as it is known (document 001)."""

    success = fields.Boolean(required=True)
    message = fields.String(required=True)
    steps = fields.List(fields.Nested(StepAnswer), required=True)


class GitStatusAnswer(Schema):
    """How the checkout stands."""

    branch = fields.String(required=True, allow_none=True)
    commit = fields.String(required=True)
    local_changes = fields.Boolean(required=True)
    remote_updates = fields.List(fields.Nested(CommitAnswer), required=True)
    updates_available = fields.Boolean(required=True)


class StatusAnswer(Schema):
    """How checkout and server stand (document 001)."""

    success = fields.Boolean(required=True)
    git_status = fields.Nested(GitStatusAnswer, required=True)
    server_status = fields.String(required=True, validate=validate.OneOf(["running", "updating"]))


class AdminErrorAnswer(Schema):
    """Every error of document 001; `step` names the one that failed."""

    success = fields.Boolean(required=True)
    error = fields.String(required=True)
    step = fields.String(required=True, allow_none=True)
