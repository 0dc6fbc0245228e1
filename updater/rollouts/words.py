"""What rollouts and changes say as JSON objects, in plain words: for commands and for pages. PURE."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from updater.times import in_minutes

Json = Mapping[str, Any]

# JSON of the history is in the order of the names; people read a state before its numbers.
_ORDER = {"stage": 1, "percent": 2, "accepted": 3}


class Verbs(NamedTuple):
    """What a reader does to resume, to accept a halt, and to complete: a command, or a button."""

    resume: str
    accept: str
    complete: str


def as_percent(number: float) -> str:
    """Return a percent as text, such as `0.5 %`."""
    return f"{number:g} %"


def plan_in_words(plan: Json | None) -> str | None:
    """Return the stages of a plan, such as `1 % for 1 h, 10 % for 1 d, 100 %`; None for no plan."""
    if plan is None:
        return None
    stages = ", ".join(
        as_percent(each["percent"]) + (f" for {duration_in_words(each['for_s'])}" if each.get("for_s") else "")
        for each in plan["stages"]
    )
    return stages if plan.get("start_at") is None else f"{stages}, from {in_minutes(plan['start_at'])}"


def hold_in_words(rollout: Json, verbs: Verbs) -> str:
    """Say why the next stage has not begun, and what it needs."""
    hold, stage, plan = rollout["hold"], rollout["stage"], rollout["plan"]
    if rollout["state"] == "complete":
        return f"nothing: it is for everybody since {in_minutes(rollout['completed_at'])}"
    if hold is None:
        return "the next stage begins within seconds"
    following = "it is complete"
    if stage is not None and stage["number"] < stage["of"]:
        following = f"{as_percent(plan['stages'][stage['number']]['percent'])} follows"
    match hold["why"]:
        case "paused":
            return f"paused: nobody else is offered it, until {verbs.resume}"
        case "scheduled":
            return f"scheduled: it begins at {in_minutes(plan['start_at'])}"
        case "halted":
            names = ", ".join(each["platform"] for each in rollout["platforms"] if each["state"] == "halted")
            return (
                f"halted on {names}: nothing moves on, until the halt is accepted ({verbs.accept}) "
                "or a better version follows"
            )
        case "last_stage":
            return f"the last stage of the plan has no end: {verbs.complete}, or set another plan"
        case "time":
            missing = plan["min_reports"] - (0 if stage is None else stage["reports"])
            reports = f" and {counted(missing, 'more report')}" if missing > 0 else ""
            ends_at = None if stage is None else stage["ends_at"]
            return f"{following} after {in_minutes(ends_at)}{reports}"
        case "reports":
            missing = hold["need"] - hold["have"]
            return (
                f"{following} after {counted(missing, 'more report')}: the stage's time is over, "
                f"{hold['have']} of the {hold['need']} reports that it needs are there"
            )
    return str(hold["why"])


def halt_in_words(platform: str, halt: Json, rollout: Json) -> str:
    """Say what halted a platform, with the numbers of that moment."""
    ceiling = as_percent(100 * rollout["plan"]["halt"]["max_failure_rate"])
    why = {
        "worse_than_control": "it fails more often than what the others have",
        "above_max_failure_rate": f"it fails more often than {ceiling}, the most that its plan allows",
    }.get(halt["reason"], halt["reason"])
    control = failures_in_words(halt["control"])
    others = f"; of the others {control} failed" if control else "; there are no reports of others"
    return f"{platform}, {in_minutes(halt['at'])}: {why}: {failures_in_words(halt['rollout'])} failed{others}"


def held_back(platform: Json, rollout: Json) -> str | None:
    """Say what keeps a platform from being halted whose numbers would halt it."""
    rules, evidence = rollout["plan"]["halt"], platform["evidence"]
    if rollout["state"] == "complete" or platform["halt"] or max(evidence.values()) < platform["limit"]:
        return None
    name = platform["platform"]
    if not rules["enabled"]:
        return f"{name} would be halted, but its plan switches halts off"
    addresses = platform["rollout"]["failed_addresses"]
    return f"{name} is not halted: its failures come from {addresses} of the {rules['min_addresses']} addresses needed"


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, such as `2 reports`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def change_in_words(before: Json | None, after: Json | None) -> str:
    """Say what a change of the history changed."""
    if after is not None and after.get("state") == "halted" and "rollout" in after:
        control = failures_in_words(after["control"])
        others = f"; of the others {control}" if control else ""
        return f"{after['platform']} halted, {after['reason']}: {failures_in_words(after['rollout'])} failed{others}"
    texts = [_state_in_words(each) for each in (before, after) if each is not None]
    return " -> ".join(dict.fromkeys(texts))


def _state_in_words(state: Json) -> str:
    found = []
    if "architecture" in state:
        return f"{state['platform']}/{state['architecture']}"
    for name, value in sorted(state.items(), key=lambda each: _ORDER.get(each[0], 0)):
        match name:
            case "stages":
                found.append(plan_in_words(state) or "")
            case "percent":
                found.append(as_percent(value))
            case "stage":
                found.append(f"stage {value}" if value else "no stage")
            case "channels" | "accepted":
                found.append(f"{name} {', '.join(value)}")
            case "default_rollout":
                found.append(plan_in_words(value) or "no default rollout")
            case "channel" | "status" | "state" | "platform":
                found.append(str(value))
    return ", ".join(found)


def failures_in_words(arm: Json) -> str:
    """Return how many reports of an arm failed, such as `3 of 20 (15.0%)`; empty without reports."""
    total = arm["completed"] + arm["failed"]
    return f"{arm['failed']} of {total} ({arm['failed'] / total:.1%})" if total else ""


def duration_in_words(seconds: int) -> str:
    """Return a duration in the largest unit that it is a whole number of, such as `2 d` or `90 s`."""
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds % length == 0:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"
