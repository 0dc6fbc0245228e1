"""The audit: its rows, and the state of its chain."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

import updater.web.api.access_schemas as schemas
from updater.access.principals import Permission
from updater.audit.model import Actor, AuditRow, ChainState
from updater.operations.audits import build_filter
from updater.services import Services
from updater.times import rfc3339
from updater.web.gate.context import CONTEXT
from updater.web.gate.routing import INSTALLATION, Contract, endpoint
from updater.web.messages.access_schemas import AuditQuery, filters_of
from updater.web.messages.answers import json_answer


class Audit:
    """Who changed what, and whether the rows that say so were touched."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._audit = services.audit
        self._checks = services.audit_checks

    @endpoint(
        Contract(
            "List the audit",
            Permission.ADMIN,
            INSTALLATION,
            query=AuditQuery(),
            answers={200: schemas.AuditAnswer()},
            failures=(422,),
        )
    )
    async def list_audit(self, request: web.Request, query: dict[str, Any]) -> web.Response:
        """Return rows, newest first, and how far their chain was verified; reading follows no chain.

        `action` is one action, or a noun with a dot, such as `key.`, for all of its actions; `subject` is a part of a
        subject; `version` may be spelt in any way. `since` is included, `until` is not.
        """
        wanted = await build_filter(self._services, **filters_of(query))
        rows, has_more = await self._audit.list_newest(wanted, limit=query["limit"])
        answer = {
            "entries": [_row_item(each) for each in rows],
            "next_before": rows[-1].id if has_more else None,
            "has_more": has_more,
            "chain": _chain_item(await self._checks.get_state()),
        }
        return json_answer(answer)

    @endpoint(
        Contract(
            "Verify the audit",
            Permission.ADMIN,
            INSTALLATION,
            body=schemas.VerifyBody(),
            body_optional=True,
            answers={200: schemas.ChainAnswer()},
            failures=(400, 409, 415, 422),
        )
    )
    async def verify_audit(self, request: web.Request, body: dict[str, Any]) -> web.Response:
        """Follow the chain for at most `within_s` seconds and record what it came to.

        When `verified.complete` is false the time was over: ask again, and it goes on there. Where one runs, it is 409.
        """
        state = await self._checks.verify(actor=request[CONTEXT].actor, within_s=body["within_s"])
        return json_answer(_chain_item(state))


def _row_item(row: AuditRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "at": rfc3339(row.at),
        "actor": _actor_item(row.actor),
        "action": row.action,
        "subject": row.subject,
        "application": row.application_id,
        "version": row.version,
        "reason": row.reason,
        "before": None if row.before is None else json.loads(row.before),
        "after": None if row.after is None else json.loads(row.after),
        "hash": row.hash,
    }


def _chain_item(state: ChainState) -> dict[str, Any]:
    check = state.check
    verified = (
        None
        if check is None
        else {
            "at": rfc3339(check.at),
            "by": _actor_item(check.by),
            "first_id": check.first_id,
            "last_id": check.last_id,
            "rows": check.rows,
            "complete": check.complete,
            "broken": None if check.broken is None else {"id": check.broken.id, "why": check.broken.why},
        }
    )
    return {
        "last_id": state.head.last_id,
        "last_hash": state.head.last_hash,
        "unverified_rows": state.unverified,
        "verified": verified,
    }


def _actor_item(actor: Actor) -> dict[str, str]:
    return {"kind": actor.kind.value, "name": actor.name}
