"""Operations on the audit: list its rows, verify its chain."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Any

from updater.audit.model import Actor, AuditRow, Filter
from updater.catalog.spellings import find_spellings
from updater.catalog.versions import Scheme
from updater.errors import Invalid, NotFound
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
    `version` may be spelt in any way.

    Raises:
        Invalid: `limit` or `offset` does not fit.
    """
    if not 1 <= limit <= _MOST or offset < 0:
        raise Invalid({"limit": f"expected 1 to {_MOST}, and an offset of 0 or more"})
    wanted = await build_filter(services, application=application, version=version, actor=by, action=action)
    rows, total = await services.audit.list_rows(wanted, limit=limit, offset=offset)
    yield {"result": {"rows": [_shown(row) for row in rows], "total_count": total}}


async def build_filter(
    services: Services,
    *,
    application: str | None = None,
    version: str | None = None,
    action: str | None = None,
    **more: Any,
) -> Filter:
    """Return which rows are meant: `action` as in `list_audit`, `version` in any spelling, the rest as in `Filter`."""
    spellings = None if version is None else await _spellings(services, application, version)
    return Filter(application, actions=(action,) if action is not None else (), spellings=spellings, **more)


async def _spellings(services: Services, application: str | None, version: str) -> tuple[str, ...]:
    schemes: tuple[Scheme, ...] = tuple(Scheme)
    if application is not None:
        with suppress(NotFound):  # one that is deleted may have had either
            schemes = (services.offers.get_application(application).scheme,)
    return await find_spellings(services.audit, version, schemes, application)


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
