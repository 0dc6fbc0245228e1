"""Times as the documents write them. PURE."""

from __future__ import annotations

from datetime import UTC, datetime


def rfc3339(at: datetime) -> str:
    """Return an aware time as `2026-02-16T10:00:00Z`, in UTC and whole seconds. Source: RFC 3339 section 5.6."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def in_minutes(moment: str | None) -> str:
    """Return a time as a table has room for: `2026-02-16 10:00Z` of `2026-02-16T10:00:07Z`; empty for none."""
    return "" if moment is None else f"{moment[:10]} {moment[11:16]}Z"


def rfc3339_or_none(at: datetime | None) -> str | None:
    """Return an aware time as `rfc3339` does; None without one."""
    return None if at is None else rfc3339(at)
