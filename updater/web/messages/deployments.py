"""How interfaces write commits, steps and log lines of a deployment. PURE."""

from __future__ import annotations

from typing import Any

from updater.deployments.model import Commit, LogPage, StepReport
from updater.times import rfc3339


def commit_item(commit: Commit) -> dict[str, Any]:
    """Render an incoming commit: `hash`, `message`, and `date` in UTC."""
    return {"hash": commit.hash, "message": commit.message, "date": rfc3339(commit.date)}


def step_item(step: StepReport) -> dict[str, Any]:
    """Render the outcome of one step: `name`, `status`, `duration_s`, `output`.

    `duration_s` is in seconds, and None while the step has not ended.
    """
    return {"name": step.name, "status": step.status.value, "duration_s": step.duration_s, "output": step.output}


def log_page(page: LogPage) -> dict[str, Any]:
    """Render a page of log lines: `logs`, `total_count`, `limit`, `offset`; the time of a line is in UTC."""
    lines = [
        {
            "id": line.id,
            "timestamp": rfc3339(line.timestamp),
            "level": line.level.value,
            "message": line.message,
            "component": line.component,
        }
        for line in page.logs
    ]
    return {"logs": lines, "total_count": page.total_count, "limit": page.limit, "offset": page.offset}
