"""Plans of rollouts, as publishers say them in bodies, forms and queries: one description for every surface."""

from __future__ import annotations

from typing import Any

from marshmallow import ValidationError, fields, validate

import updater.web.messages.fields as own
from updater.errors import Malformed
from updater.rollouts.plan import MAX_MIN_REPORTS, MAX_SOURCES, MAX_STAGE_S, MAX_STAGES, in_hundredths
from updater.web.messages.parsing import load_text
from updater.web.messages.schemas import Strict


class Rate(fields.Float):
    """A JSON number within bounds, never a text or a boolean."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if isinstance(value, bool | str):
            raise ValidationError("expected a number")
        return super()._deserialize(value, attr, data, **kwargs)


class Percent(Rate):
    """A percent from 0 to 100 in steps of 0.01."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(validate=validate.Range(0, 100), **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        number = super()._deserialize(value, attr, data, **kwargs)
        try:
            in_hundredths(number)
        except ValueError as error:
            raise ValidationError(str(error)) from None
        return number


class StageBody(Strict):
    """One stage of a plan."""

    percent = Percent(required=True)
    for_s = own.StrictInteger(1, MAX_STAGE_S, allow_none=True)


class HaltBody(Strict):
    """When a platform is halted."""

    enabled = own.StrictBoolean()
    max_failure_rate = Rate(validate=validate.Range(0, 1, min_inclusive=False, max_inclusive=False))
    margin = Rate(validate=validate.Range(0, 0.5))
    alpha = Rate(validate=validate.Range(0.0001, 0.1))
    per_address = own.StrictInteger(1, MAX_SOURCES)
    min_addresses = own.StrictInteger(1, MAX_SOURCES)


class DefaultPlanBody(Strict):
    """The plan of releases that are published without one."""

    percent = Percent()
    stages = fields.List(fields.Nested(StageBody), validate=validate.Length(1, MAX_STAGES))
    min_reports = own.StrictInteger(0, MAX_MIN_REPORTS)
    halt = fields.Nested(HaltBody)


class PlanBody(DefaultPlanBody):
    """A plan: `percent` or `stages`."""

    start_at = fields.AwareDateTime(format="iso", allow_none=True)


class PlanValue(fields.Field[Any]):
    """A number, which is a percent, or a plan; in a form or a query, the same as JSON text.

    It gives what `read_plan` takes.
    """

    def __init__(self, schema: type[Strict] = PlanBody, *, as_text: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._schema = schema
        self.as_text = as_text

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if self.as_text and isinstance(value, str):
            try:
                value = load_text(value)
            except Malformed:
                message = "expected a percent, or a plan as a JSON object without duplicate keys, NaN or Infinity"
                raise ValidationError(message) from None
        if isinstance(value, dict):
            return self._schema().load(value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValidationError("expected a percent or a plan")
        return self._schema().load({"percent": value})
