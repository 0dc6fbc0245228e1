"""What the REST API answers about rollouts, as marshmallow schemas: they write the OpenAPI document."""

from __future__ import annotations

from marshmallow import Schema, fields

from updater.web.api.client_schemas import CheckAnswer


class StageShown(Schema):
    """One stage of a plan."""

    percent = fields.Float(required=True)
    for_s = fields.Integer(required=True, allow_none=True)


class HaltRulesShown(Schema):
    """When a platform is halted."""

    enabled = fields.Boolean(required=True)
    max_failure_rate = fields.Float(required=True)
    margin = fields.Float(required=True)
    alpha = fields.Float(required=True)
    per_address = fields.Integer(required=True)
    min_addresses = fields.Integer(required=True)


class PlanShown(Schema):
    """A plan with its defaults filled in."""

    stages = fields.List(fields.Nested(StageShown), required=True)
    start_at = fields.DateTime(required=True, allow_none=True)
    min_reports = fields.Integer(required=True)
    halt = fields.Nested(HaltRulesShown, required=True)


class PresentStage(Schema):
    """The stage that a rollout is in."""

    number = fields.Integer(required=True)
    of = fields.Integer(required=True)
    reports = fields.Integer(required=True)
    started_at = fields.DateTime(required=True)
    ends_at = fields.DateTime(required=True, allow_none=True)


class HoldShown(Schema):
    """Why the next stage has not begun."""

    why = fields.String(required=True)
    have = fields.Integer()
    need = fields.Integer()


class ControlArm(Schema):
    """Counted reports of one arm."""

    completed = fields.Integer(required=True)
    failed = fields.Integer(required=True)
    ignored = fields.Integer(required=True)


class RolloutArm(ControlArm):
    """Counted reports about the release, and from how many addresses failures came."""

    failed_addresses = fields.Integer(required=True)


class Evidence(Schema):
    """What the arms say; a platform is halted when one reaches the limit."""

    control = fields.Float(required=True)
    ceiling = fields.Float(required=True)


class HaltShown(Schema):
    """What halted a platform, with the numbers of that moment."""

    at = fields.DateTime(required=True)
    reason = fields.String(required=True)
    rollout = fields.Nested(RolloutArm, required=True)
    control = fields.Nested(ControlArm, required=True)
    evidence = fields.Nested(Evidence, required=True)


class Baseline(Schema):
    """The control of the 30 days before."""

    completed = fields.Integer(required=True)
    failed = fields.Integer(required=True)
    rate = fields.Float(required=True)


class PlatformShown(Schema):
    """One platform of a rollout."""

    platform = fields.String(required=True)
    state = fields.String(required=True)
    series = fields.Integer(required=True)
    since = fields.DateTime(required=True)
    rollout = fields.Nested(RolloutArm, required=True)
    control = fields.Nested(ControlArm, required=True)
    baseline = fields.Nested(Baseline, required=True)
    evidence = fields.Nested(Evidence, required=True)
    limit = fields.Float(required=True)
    halt = fields.Nested(HaltShown, required=True, allow_none=True)


class RolloutAnswer(Schema):
    """A rollout."""

    application_id = fields.String(required=True)
    version = fields.String(required=True)
    channel = fields.String(required=True)
    state = fields.String(required=True)
    percent = fields.Float(required=True)
    salt = fields.String(required=True)
    plan = fields.Nested(PlanShown, required=True)
    stage = fields.Nested(PresentStage, required=True, allow_none=True)
    hold = fields.Nested(HoldShown, required=True, allow_none=True)
    created_at = fields.DateTime(required=True)
    updated_at = fields.DateTime(required=True)
    completed_at = fields.DateTime(required=True, allow_none=True)
    platforms = fields.List(fields.Nested(PlatformShown), required=True)


class RolloutsAnswer(Schema):
    """All rollouts that are not complete."""

    rollouts = fields.List(fields.Nested(RolloutAnswer), required=True)


class BuildShown(Schema):
    """One build of a release."""

    id = fields.String(required=True)
    platform = fields.String(required=True)
    architecture = fields.String(required=True)
    checksum = fields.String(required=True)
    checksum_type = fields.String(required=True)
    file_size = fields.Integer(required=True)
    quarantined = fields.Boolean(required=True)


class ReleaseAnswer(Schema):
    """A release with its builds."""

    application_id = fields.String(required=True)
    version = fields.String(required=True)
    channel = fields.String(required=True)
    status = fields.String(required=True)
    prerelease = fields.Boolean(required=True)
    created_at = fields.DateTime(required=True)
    rollout = fields.Nested(RolloutAnswer, required=True, allow_none=True)
    builds = fields.List(fields.Nested(BuildShown), required=True)


class ChannelShown(Schema):
    """The channel that was asked for, the one that counts, and why: asked, default or unknown."""

    asked = fields.String(required=True, allow_none=True)
    used = fields.String(required=True)
    why = fields.String(required=True)


class IdentityShown(Schema):
    """What the client is known by."""

    kind = fields.String(required=True)
    value = fields.String(required=True)


class CandidateShown(Schema):
    """A release that was looked at."""

    version = fields.String(required=True)
    channel = fields.String(required=True)
    verdict = fields.String(required=True)
    facts = fields.Dict(required=True)
    text = fields.String(required=True)


class ExplainAnswer(Schema):
    """A check with its reasons."""

    application_id = fields.String(required=True)
    current_version = fields.String(required=True)
    platform = fields.String(required=True)
    architecture = fields.String(required=True)
    revision = fields.Integer(required=True)
    evaluated_at = fields.DateTime(required=True)
    channel = fields.Nested(ChannelShown, required=True)
    prereleases = fields.Boolean(required=True)
    manual = fields.Boolean(required=True)
    identity = fields.Nested(IdentityShown, required=True)
    candidates = fields.List(fields.Nested(CandidateShown), required=True)
    required_because = fields.String(required=True, allow_none=True)
    answer = fields.Nested(CheckAnswer, required=True)
