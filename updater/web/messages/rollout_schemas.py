"""What the REST API takes about channels and rollouts, as marshmallow schemas."""

from __future__ import annotations

from typing import Any

from marshmallow import ValidationError, fields, validate

import updater.web.messages.fields as own
from updater.catalog.channels import CHANNEL_NAME, MAX_CHANNELS
from updater.rollouts.plan import MAX_STAGES
from updater.web.messages.plans import PlanBody
from updater.web.messages.schemas import Strict

_MAX_REASON_CHARACTERS = 500


class Reason(own.Text):
    """Why somebody does something; kept in the history."""

    def __init__(self) -> None:
        length = validate.Length(max=_MAX_REASON_CHARACTERS)
        super().__init__(
            max_bytes=4 * _MAX_REASON_CHARACTERS,
            lines=True,
            empty=True,
            allow_none=True,
            load_default=None,
            validate=length,
        )


class SetPlanBody(PlanBody):
    """A plan, and why."""

    reason = Reason()


class ReasonBody(Strict):
    """Why."""

    reason = Reason()


class AdvanceBody(ReasonBody):
    """Which stage begins; left out: the next one."""

    stage = own.StrictInteger(1, MAX_STAGES + 1, allow_none=True, load_default=None)


class AcceptBody(ReasonBody):
    """Whether halts are accepted, and why."""

    accept = own.StrictBoolean(load_default=False)


class ResumeBody(AcceptBody):
    """Which halts are accepted; left out: all."""

    platforms = fields.List(own.platform(), validate=validate.Length(1), load_default=None)


class RestoreBody(ReasonBody):
    """With which rollout a release is offered again."""

    rollout = fields.Nested(PlanBody, load_default=None, allow_none=True)


class PromoteBody(RestoreBody):
    """To which channel, and with which rollout."""

    channel = fields.String(required=True)


def channel_list(**kwargs: Any) -> fields.List[str]:
    """Return the field for an application's channels, the most stable first."""
    name = fields.String(validate=validate.Regexp(CHANNEL_NAME, error="expected [a-z0-9][a-z0-9._-]{{0,39}}"))
    return fields.List(name, validate=(validate.Length(1, MAX_CHANNELS), _require_different), **kwargs)


def _require_different(names: list[str]) -> None:
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValidationError(f"in the list twice: {', '.join(repeated)}")
