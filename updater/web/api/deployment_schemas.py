"""What the endpoints of deployments take and answer, as marshmallow schemas."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

import updater.web.messages.fields as own
from updater.deployments.model import Kind, LogLevel, Outcome, StepStatus
from updater.web.api.schemas import PageQuery
from updater.web.messages.schemas import Lenient


def _one_of(kind: type[Kind] | type[LogLevel] | type[Outcome] | type[StepStatus]) -> validate.OneOf:
    return validate.OneOf([each.value for each in kind])


class LogLinesQuery(PageQuery):
    """Which lines of a log."""

    level = fields.String(validate=_one_of(LogLevel), load_default=None)


class FollowQuery(Lenient):
    """Where following begins; the header `Last-Event-ID` comes first."""

    after = own.QueryInteger(0, 10**12, load_default=0)


class DeploymentCommit(Schema):
    """A commit; the date is in UTC."""

    hash = fields.String(required=True)
    message = fields.String(required=True)
    date = fields.DateTime(required=True)


class ProbeItem(Schema):
    """What a busy probe says; `busy` is null when it gives no answer."""

    probe = fields.String(required=True)
    busy = fields.Boolean(required=True, allow_none=True)
    said = fields.String(required=True)


class StepItem(Schema):
    """How one step of a run did. `output` has its last lines."""

    name = fields.String(required=True)
    status = fields.String(required=True, validate=_one_of(StepStatus))
    duration_s = fields.Float(required=True, allow_none=True)
    output = fields.String(required=True)


class RunItem(Schema):
    """One run: `steps` on its way forward, `recovery` on its way back."""

    run = fields.String(required=True)
    kind = fields.String(required=True, validate=_one_of(Kind))
    outcome = fields.String(required=True, validate=_one_of(Outcome))
    from_commit = fields.String(required=True, allow_none=True)
    to_commit = fields.String(required=True, allow_none=True)
    started_at = fields.DateTime(required=True)
    finished_at = fields.DateTime(required=True, allow_none=True)
    failed_step = fields.String(required=True, allow_none=True)
    error = fields.String(required=True, allow_none=True)
    advice = fields.String(required=True, allow_none=True)
    steps = fields.List(fields.Nested(StepItem), required=True)
    recovery = fields.List(fields.Nested(StepItem), required=True)


class RollbackItem(Schema):
    """The update that can be taken back, and the commit that would be in place then."""

    update = fields.Integer(required=True)
    version = fields.String(required=True)
    title = fields.String(required=True)
    commit = fields.String(required=True, allow_none=True)
    previous_commit = fields.String(required=True)


class DeploymentItem(Schema):
    """How a deployment stands. What only a checkout tells is null where `problem` says why it cannot be looked at."""

    id = fields.String(required=True)
    branch = fields.String(required=True)
    problem = fields.String(required=True, allow_none=True)
    commit = fields.String(required=True, allow_none=True)
    local_changes = fields.Boolean(required=True, allow_none=True)
    updates_available = fields.Integer(required=True, allow_none=True)
    running = fields.String(required=True, allow_none=True)
    busy = fields.Boolean(required=True, allow_none=True)
    probes = fields.List(fields.Nested(ProbeItem), required=True)
    last_run = fields.Nested(RunItem, required=True, allow_none=True)
    rollback = fields.Nested(RollbackItem, required=True, allow_none=True)


class DeploymentsAnswer(Schema):
    """All deployments, in the order of the settings."""

    deployments = fields.List(fields.Nested(DeploymentItem), required=True)


class DeploymentAnswer(DeploymentItem):
    """One deployment, with the commits that its last check found, newest first, 500 at most."""

    incoming = fields.List(fields.Nested(DeploymentCommit), required=True)


class CheckedAnswer(Schema):
    """What the remote has, newest commit first."""

    branch = fields.String(required=True)
    current = fields.String(required=True)
    latest = fields.String(required=True)
    has_update = fields.Boolean(required=True)
    diverged = fields.Boolean(required=True)
    local_changes = fields.Boolean(required=True)
    commits = fields.List(fields.Nested(DeploymentCommit), required=True)


class BegunAnswer(Schema):
    """A run that is on its way."""

    run = fields.String(required=True)


class RunsAnswer(Schema):
    """Runs, newest first. Those of the last 50 are kept."""

    runs = fields.List(fields.Nested(RunItem), required=True)
    total_count = fields.Integer(required=True)
    limit = fields.Integer(required=True)
    offset = fields.Integer(required=True)


class RunLine(Schema):
    """One line of a log; `component` is its step, null for the run as a whole."""

    id = fields.Integer(required=True)
    timestamp = fields.DateTime(required=True)
    level = fields.String(required=True, validate=_one_of(LogLevel))
    message = fields.String(required=True)
    component = fields.String(required=True, allow_none=True)


class RunLinesAnswer(Schema):
    """Lines of the log of a run, newest first."""

    logs = fields.List(fields.Nested(RunLine), required=True)
    total_count = fields.Integer(required=True)
    limit = fields.Integer(required=True)
    offset = fields.Integer(required=True)
