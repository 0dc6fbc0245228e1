"""The plain values that operations yield, and how a failure and a time are written in them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from updater.errors import Failure, Invalid

if TYPE_CHECKING:  # SQLAlchemy, which commands that only list do without
    from updater.database.uses import FileUse

Event = dict[str, Any]


def describe_failure(failure: Failure) -> Event:
    """Return a failure as the last event of an operation.

    Returns:
        `failure` (its kind), `message`, and `fields`, which maps the names of wrong arguments to what would fit;
        it is empty for every kind but `Invalid`.
    """
    fields = failure.fields if isinstance(failure, Invalid) else {}
    return {"failure": type(failure).__name__, "message": failure.message, "fields": fields}


def describe_uses(uses: Sequence[FileUse]) -> Event:
    """Return what a result says of damaged files: `files`, each with the fields of `FileUse`; nothing without any."""
    return {"files": [use._asdict() for use in uses]} if uses else {}


def in_seconds(moment: datetime | None) -> str | None:
    """Return a moment in ISO 8601, in UTC with a `Z`, to the second; None when there is none."""
    return None if moment is None else moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def in_milliseconds(moment: datetime) -> str:
    """Return a moment in ISO 8601, in UTC with a `Z`, to the millisecond."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
