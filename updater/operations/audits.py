"""Operations on the audit: list its rows, verify its chain."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator

from updater.audit.model import Actor, AuditRow, Filter
from updater.errors import Invalid
from updater.operations.events import Event, in_milliseconds
from updater.services import Services

_MOST = 1_000


async def list_audit(
    services: Services,
    actor: Actor,
    *,
    application: str | None = None,
    version: str | None = None,
    by: str | None = None,
    action: str | None = None,
    limit: int = 50,
    offset: int = 0,
) -> AsyncGenerator[Event]:
    """List rows of the audit, newest first, and tell how many there are in all.

    `by` is the name of an actor. `action` is one action, or a noun with a dot, such as `key.`, for all of its actions.

    Raises:
        Invalid: `limit` or `offset` does not fit.
    """
    if not 1 <= limit <= _MOST or offset < 0:
        raise Invalid({"limit": f"expected 1 to {_MOST}, and an offset of 0 or more"})
    wanted = Filter(application, version, by, (action,) if action is not None else ())
    rows, total = await services.audit.list_rows(wanted, limit=limit, offset=offset)
    yield {"result": {"rows": [_shown(row) for row in rows], "total_count": total}}


async def verify_audit(services: Services, actor: Actor) -> AsyncGenerator[Event]:
    """Follow the chain of the audit; the result tells how many rows hold, and the first break if there is one."""
    rows, found = await services.audit.verify()
    broken = None if found is None else {"id": found.id, "why": found.why}
    yield {"result": {"rows": rows, "broken": broken}}


def _shown(row: AuditRow) -> Event:
    return {
        "id": row.id,
        "at": in_milliseconds(row.at),
        "actor": {"kind": row.actor.kind.value, "name": row.actor.name},
        "action": row.action,
        "subject": row.subject,
        "application": row.application_id,
        "version": row.version,
        "reason": row.reason,
        "before": None if row.before is None else json.loads(row.before),
        "after": None if row.after is None else json.loads(row.after),
        "hash": row.hash,
    }
