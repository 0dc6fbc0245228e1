"""The audit: who changed what, with filters, and the state of its chain."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from updater.access.principals import Permission
from updater.audit.model import AuditRow
from updater.errors import Failure, Invalid
from updater.operations.audits import build_filter
from updater.rollouts.words import change_in_words
from updater.services import Services
from updater.web.dashboard.page import HTML, PageKit, Problem
from updater.web.gate.context import CONTEXT
from updater.web.gate.routing import Contract, endpoint
from updater.web.messages.access_schemas import AuditQuery, filters_of
from updater.web.messages.parsing import load_values

AUDIT: Final = "/admin/audit/"
FILTERS: Final[tuple[str, ...]] = ("actor", "action", "subject", "application", "version", "since", "until")


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """A row as the page shows it: who, and what it changed, in words."""

    row: AuditRow
    who: str
    words: str


class Audit:
    """What administrators see of the audit."""

    def __init__(self, kit: PageKit, services: Services) -> None:
        self._kit = kit
        self._services = services

    @endpoint(Contract("The audit", Permission.ADMIN, answers={200: None}, failures=(422,), media_types=HTML))
    async def list_audit(self, request: web.Request) -> web.Response:
        """Show a page of rows, the newest first, and how far the chain was verified."""
        return await self._page(request)

    @endpoint(Contract("Verify the audit", Permission.ADMIN, answers={303: None}, failures=(409,), media_types=HTML))
    async def verify_audit(self, request: web.Request) -> web.Response:
        """Follow the chain for some seconds, and record what it came to."""
        await self._kit.form(request)
        try:
            await self._services.audit_checks.verify(actor=request[CONTEXT].actor)
        except Failure as failure:
            return await self._page(request, Problem.of(failure))
        return self._kit.redirect(AUDIT, said="audit-verified")

    async def _page(self, request: web.Request, problem: Problem | None = None) -> web.Response:
        given = {name: value.strip() for name, value in request.query.items() if value.strip() and name != "limit"}
        rows: list[AuditRow] = []
        has_more = False
        try:
            query = load_values(AuditQuery(), given)
            wanted = await build_filter(self._services, **filters_of(query))
            rows, has_more = await self._services.audit.list_newest(wanted, limit=query["limit"])
        except Invalid as failure:
            problem = Problem.of(failure)
        filters: dict[str, str] = {name: given[name] for name in FILTERS if name in given}
        older = str(request.rel_url.with_query({**filters, "before": str(rows[-1].id)})) if has_more else ""
        newest = str(request.rel_url.with_query(filters)) if "before" in given else ""
        context = {
            "entries": [_entry(each) for each in rows],
            "filters": filters,
            "older": older,
            "newest": newest,
            "chain": await self._services.audit_checks.get_state(),
            "problem": problem,
        }
        return self._kit.render(request, "audit.html", context, status=200 if problem is None else problem.status)


def _entry(row: AuditRow) -> AuditEntry:
    kind, name = row.actor.kind.value, row.actor.name
    before, after = (None if each is None else json.loads(each) for each in (row.before, row.after))
    return AuditEntry(row, f"{name} ({kind})" if name else kind, change_in_words(before, after))
