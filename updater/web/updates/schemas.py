"""What the updates interface takes and gives, as marshmallow schemas."""

from __future__ import annotations

from marshmallow import EXCLUDE, Schema, fields, validate

import updater.web.fields as own
from updater.tasks.model import MAX_TITLE_CHARACTERS

MAX_DESCRIPTION_BYTES = 64 * 1024


class Lenient(Schema):
    """What the front end sends: keys that are not known are ignored."""

    class Meta:
        """Ignore unknown keys."""

        unknown = EXCLUDE


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
