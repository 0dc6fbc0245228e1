"""When a clock is not believed. PURE: takes the times, reads no clock."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

BELIEVED: Final = timedelta(days=7)
"""How far the clock may be from what was seen last. A wrong clock within that removes things by so much too early."""


def find_doubt(now: datetime, seen_at: datetime | None, drift: timedelta) -> str | None:
    """Return why the clock is not believed, for an operator; None when it is.

    `seen_at` is the last time that was believed, None when there is none. `drift` is what the clock has gained on a
    clock that only counts, since this process began.
    """
    shown = now.isoformat(timespec="minutes")
    if abs(drift) > BELIEVED:
        return f"The clock says {shown}: it jumped by {_days(drift)} while the service ran"
    if seen_at is not None and abs(now - seen_at) > BELIEVED:
        last = seen_at.isoformat(timespec="minutes")
        way = "after" if now > seen_at else "before"
        return f"The clock says {shown}, {_days(now - seen_at)} {way} the newest time in the database ({last})"
    return None


def _days(span: timedelta) -> str:
    return f"{abs(span).total_seconds() / 86_400:.1f} days"
