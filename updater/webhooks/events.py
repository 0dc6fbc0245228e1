"""Which rows of the audit are events for receivers, and what is said of them. PURE."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from updater.audit.model import AuditRow
from updater.times import rfc3339

TEST = "webhook.test"
# Actions of the audit that are events of the same name.
_SAME = (
    "release.published",
    "release.promoted",
    "release.withdrawn",
    "release.restored",
    "release.deleted",
    "release.failing",
    "rollout.started",
    "rollout.advanced",
    "rollout.paused",
    "rollout.halted",
    "rollout.completed",
    "deployment.failed",
    "key.expiring",
    "backup.failed",
)
EVENTS = tuple(sorted((*_SAME, "blob.damaged", "deployment.finished")))
ACTIONS = (*_SAME, "blob.quarantined", "rollout.set", "update.moved")
"""The actions of the audit that may be events."""
OF_SEVERAL = "blob.quarantined"
"""The action whose row names the applications that it concerns."""
# How the run ended that a step of an update's status tells of; other steps end none.
_ENDS = {
    "applied": "deployment.finished",
    "rolled back": "deployment.finished",
    "not applied": "deployment.failed",
    "stay": "deployment.failed",
    "withdraw": "deployment.failed",
}
_ID = re.compile(r"(?:evt_)?([0-9]{1,18})(?:_([0-9a-f]{12}))?")


@dataclass(frozen=True, slots=True)
class Event:
    """What is told. `id` is the same whenever it is told; `number` is its place in the order of all events."""

    id: str
    number: int
    name: str
    at: datetime
    application_id: str | None
    data: Mapping[str, Any]

    def document(self) -> dict[str, Any]:
        """Return the body in the form of Standard Webhooks."""
        return {"type": self.name, "timestamp": rfc3339(self.at), "data": dict(self.data)}


def find_event(row: AuditRow, *, application_id: str | None) -> Event | None:
    """Return the event that a row is for receivers of an application, or of the whole server (None); or None.

    A receiver of an application is told of no other application, and not who acted: that is for the server's.
    """
    before, after = _tree(row.before), _tree(row.after)
    name = _name(row, after)
    if name is None:
        return None
    concerned = after.pop("applications", None) if row.action == OF_SEVERAL else None
    if application_id is not None and application_id != row.application_id and application_id not in (concerned or ()):
        return None
    data: dict[str, Any] = {"application": application_id or row.application_id, "version": row.version}
    data |= {"subject": row.subject, "reason": row.reason, "before": before or None, "after": after or None}
    if application_id is None:
        data["actor"] = {"kind": row.actor.kind.value, "name": row.actor.name}
        if concerned is not None:
            data["applications"] = concerned
    shown = {key: value for key, value in data.items() if value is not None}
    return Event(id_of(row), row.id, name, row.at, application_id or row.application_id, shown)


def id_of(row: AuditRow) -> str:
    """Return the id of a row's event. It names the row's hash, so two installations, or two pasts, share none."""
    return f"evt_{row.id}_{row.hash[:12]}"


def place_of(event_id: str) -> tuple[int, str] | None:
    """Return the place of an event, by its id or by its number alone, and the piece of its row's hash that the id has.

    The piece is empty for a number alone; None is for what is no id.
    """
    found = _ID.fullmatch(event_id)
    return None if found is None else (int(found[1]), found[2] or "")


def _name(row: AuditRow, after: Mapping[str, Any]) -> str | None:
    if row.action in _SAME:
        return row.action
    if row.action == OF_SEVERAL:
        return "blob.damaged"
    if row.action == "update.moved":
        return _ENDS.get(str(after.get("transition")))
    if row.action == "rollout.set" and row.before is None and _begins_at_once(row.at, after):
        return "rollout.started"
    return None


def _begins_at_once(at: datetime, plan: Mapping[str, Any]) -> bool:
    """Tell whether a first plan begins a rollout now: one that is for later has a row when it begins."""
    start, stages = plan.get("start_at"), plan.get("stages") or [{}]
    if start is not None and datetime.fromisoformat(str(start)) > at:
        return False
    return bool(stages[0].get("percent") != 100)


def _tree(text: str | None) -> dict[str, Any]:
    return {} if text is None else dict(json.loads(text))
