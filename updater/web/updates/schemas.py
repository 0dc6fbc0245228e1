"""What the updates interface takes and gives, as marshmallow schemas."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

import updater.web.messages.fields as own
from updater.deployments.model import LogLevel, UpdateStatus
from updater.tasks.model import MAX_TITLE_CHARACTERS
from updater.web.messages.schemas import Lenient

MAX_DESCRIPTION_BYTES = 64 * 1024


def _title(*, required: bool) -> own.Text:
    return own.Text(
        max_bytes=4 * MAX_TITLE_CHARACTERS, required=required, validate=validate.Length(1, MAX_TITLE_CHARACTERS)
    )


def _description() -> own.Text:
    return own.Text(max_bytes=MAX_DESCRIPTION_BYTES, lines=True, empty=True)


class NewTask(Lenient):
    """A task to be added."""

    title = _title(required=True)
    description = _description()


class TaskChanges(Lenient):
    """What is to change of a task."""

    title = _title(required=False)
    description = _description()


class TaskAnswer(Schema):
    """A task."""

    id = fields.Integer(required=True)
    title = fields.String(required=True)
    description = fields.String(required=True)
    completed = fields.Boolean(required=True)
    user_id = fields.Integer(required=True)
    created_at = fields.DateTime(required=True)
    updated_at = fields.DateTime(required=True)


class LogQuery(Lenient):
    """Which lines of a log."""

    level = own.OneOf("level", tuple(level.value for level in LogLevel))
    limit = own.QueryInteger(1, 1000, load_default=50)
    offset = own.QueryInteger(0, own.MAX_INTEGER, load_default=0)


class UpdateAnswer(Schema):
    """An update."""

    id = fields.Integer(required=True)
    title = fields.String(required=True)
    description = fields.String(required=True)
    status = fields.String(required=True, validate=validate.OneOf([each.value for each in UpdateStatus]))
    version = fields.String(required=True)
    created_at = fields.DateTime(required=True)
    updated_at = fields.DateTime(required=True)
    applied_at = fields.DateTime(required=True, allow_none=True)
    rollback_possible = fields.Boolean(required=True)


def _ending() -> fields.String:
    return fields.String(required=True, validate=validate.OneOf(["completed", "failed"]))


class Applied(Schema):
    """How applying ended."""

    message = fields.String(required=True)
    status = _ending()
    applied_at = fields.DateTime(required=True)


class RolledBack(Schema):
    """How rolling back ended."""

    message = fields.String(required=True)
    status = _ending()
    rolled_back_at = fields.DateTime(required=True)


class LogLineAnswer(Schema):
    """One line."""

    id = fields.Integer(required=True)
    timestamp = fields.DateTime(required=True)
    level = fields.String(required=True, validate=validate.OneOf([each.value for each in LogLevel]))
    message = fields.String(required=True)
    component = fields.String(required=True, allow_none=True)


class LogsAnswer(Schema):
    """Lines of a log, newest first."""

    logs = fields.List(fields.Nested(LogLineAnswer), required=True)
    total_count = fields.Integer(required=True)
    limit = fields.Integer(required=True)
    offset = fields.Integer(required=True)
