"""The history of an application: who changed what, in words."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from aiohttp import web
from marshmallow import Schema, fields

import updater.web.messages.fields as own
from updater.access.principals import Permission
from updater.audit.model import AuditRow
from updater.catalog.model import Page
from updater.errors import Invalid
from updater.rollouts.words import change_in_words
from updater.services import Services
from updater.web.dashboard.page import HTML, PageKit, Problem
from updater.web.dashboard.paging import older_and_newer
from updater.web.gate.routing import Contract, endpoint

PAGE_ROWS: Final = 50


class HistoryQuery(Schema):
    """Of which version, in any spelling; empty for all."""

    version = fields.String(load_default="")
    offset = own.QueryInteger(0, 10**9, load_default=0)


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """An entry as pages show it: who did what to which release, why, and what it changed, in words."""

    at: datetime
    who: str
    action: str
    version: str | None
    reason: str | None
    words: str


class History:
    """What a browser shows of an application's history."""

    def __init__(self, kit: PageKit, services: Services) -> None:
        self._kit = kit
        self._catalog = services.catalog

    @endpoint(
        Contract(
            "The history of an application",
            Permission.WRITE,
            query=HistoryQuery(),
            answers={200: None},
            failures=(404, 422),
            media_types=HTML,
        )
    )
    async def show_history(self, request: web.Request, query: dict[str, Any]) -> web.Response:
        """Show a page of changes to releases and builds, the newest first."""
        version, page = query["version"].strip(), Page(PAGE_ROWS, query["offset"])
        rows: list[AuditRow] = []
        total, problem = 0, None
        try:
            rows, total = await self._catalog.list_history(request.match_info["app_id"], version or None, page)
        except Invalid as failure:
            problem = Problem.of(failure)
        context = {
            "rows": changes_of(rows),
            "wanted": version,
            "total": total,
            "problem": problem,
            "way": older_and_newer(request, page.offset, PAGE_ROWS, total),
        }
        return self._kit.render(request, "history.html", context, status=200 if problem is None else problem.status)


def changes_of(rows: Iterable[AuditRow]) -> list[ChangeRow]:
    """Return entries of the history as pages show them."""
    return [_change(each) for each in rows]


def _change(row: AuditRow) -> ChangeRow:
    kind, name = row.actor.kind.value, row.actor.name
    before, after = (None if each is None else json.loads(each) for each in (row.before, row.after))
    words = change_in_words(before, after)
    return ChangeRow(row.at, f"{name} ({kind})" if name else kind, row.action, row.version, row.reason, words)
