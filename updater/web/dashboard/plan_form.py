"""A plan as the fields of a form: a line a stage, its start, and when it halts. PURE.

The form only reads what stands in its fields; the schemas and `make_plan` say what fits.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from updater.errors import Invalid
from updater.rollouts.plan import HaltRules
from updater.rollouts.words import duration_in_words

_UNITS: Final = {"s": 1, "m": 60, "min": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_STAGE: Final = re.compile(
    r"(?P<percent>[0-9]{1,3}(?:\.[0-9]+)?) ?%?(?:(?:,| for)? (?P<number>[0-9]{1,9}) ?(?P<unit>s|min|m|h|d|w))?"
)
_NUMBERS: Final = ("max_failure_rate", "margin", "alpha", "per_address", "min_addresses")
# Of rates, people write and read percent.
_IN_PERCENT: Final = frozenset({"max_failure_rate", "margin"})


def read_plan(values: Mapping[str, str], *, scheduled: bool = True) -> dict[str, Any] | None:
    """Return the plan that a form asks for, as a body of the REST interface has it; None without any stage.

    Raises:
        Invalid: a line is no stage, or a number none; names `stages.1.percent`, `halt.margin` and the like.
    """
    lines = [line.strip() for line in values.get("stages", "").splitlines() if line.strip()]
    if not lines:
        return None
    problems: dict[str, str] = {}
    stages = []
    for index, line in enumerate(lines):
        found = _STAGE.fullmatch(line)
        if found is None:
            problems[f"stages.{index}.percent"] = "expected a line such as: 10 % for 1 d"
            continue
        stage: dict[str, Any] = {"percent": _number(found["percent"])}
        if found["number"] is not None:
            stage["for_s"] = int(found["number"]) * _UNITS[found["unit"]]
        stages.append(stage)
    plan: dict[str, Any] = {"stages": stages}
    start_at = values.get("start_at", "").strip()
    if start_at and scheduled:
        plan["start_at"] = f"{start_at}Z" if re.fullmatch(r"[0-9-]{10}T[0-9:]{5,8}", start_at) else start_at
    if "min_reports" in values:
        _put(plan, "min_reports", values["min_reports"], "min_reports", problems)
    if "halt_shown" in values:
        halt: dict[str, Any] = {"enabled": "halt_enabled" in values}
        for name in _NUMBERS:
            _put(halt, name, values.get(f"halt_{name}", ""), f"halt.{name}", problems)
        plan["halt"] = halt
    if problems:
        raise Invalid(problems)
    return plan


def fields_of(plan: Mapping[str, Any] | None) -> dict[str, str]:
    """Return the fields that show a canonical plan; without one, those of the defaults, and no stage."""
    if plan is None:
        return {
            "stages": "",
            "start_at": "",
            "min_reports": "20",
            "halt_enabled": "yes",
            **_halt_fields(asdict(HaltRules())),
        }
    lines = [
        f"{each['percent']:g} %" + (f" for {duration_in_words(each['for_s'])}" if each["for_s"] else "")
        for each in plan["stages"]
    ]
    shown = {"stages": "\n".join(lines), "min_reports": str(plan["min_reports"]), **_halt_fields(plan["halt"])}
    start_at = plan.get("start_at")
    shown["start_at"] = "" if start_at is None else start_at.removesuffix("Z")
    return shown | ({"halt_enabled": "yes"} if plan["halt"]["enabled"] else {})


def for_form(fields: Mapping[str, str], prefix: str = "") -> dict[str, str]:
    """Return what is wrong by the names of the form's own fields: of all stages in one, `halt.margin` as `halt_margin`.

    `prefix` is what stands before the plan's names, such as `rollout.`.
    """
    shown: dict[str, str] = {}
    for name, text in fields.items():
        name = name.removeprefix(prefix)
        parts = name.split(".")
        if parts[0] in ("stages", "percent"):
            where = f"line {int(parts[1]) + 1}: " if len(parts) > 1 and parts[1].isdigit() else ""
            shown["stages"] = "; ".join(filter(None, (shown.get("stages"), where + text)))
        else:
            shown["_".join(parts)] = text
    return shown


def _halt_fields(halt: Mapping[str, Any]) -> dict[str, str]:
    return {f"halt_{name}": f"{halt[name] * 100 if name in _IN_PERCENT else halt[name]:g}" for name in _NUMBERS}


def _put(into: dict[str, Any], name: str, text: str, field: str, problems: dict[str, str]) -> None:
    """Put the number of a text into a body; an empty one is left out."""
    text = text.strip()
    if not text:
        return
    if re.fullmatch(r"[0-9]{1,9}(?:\.[0-9]{1,9})?", text) is None:
        problems[field] = "expected a number"
    else:
        number = _number(text)
        into[name] = round(number / 100, 12) if name in _IN_PERCENT else number


def _number(text: str) -> int | float:
    return float(text) if "." in text else int(text)
