"""Times as the documents write them."""

from __future__ import annotations

from datetime import datetime


def rfc3339(moment: datetime) -> str:
    """Render an aware UTC datetime as `2026-02-16T10:00:00Z`. Source: RFC 3339 section 5.6."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
