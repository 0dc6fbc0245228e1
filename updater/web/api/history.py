"""The history of an application: who changed what, newest first."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from aiohttp import web

import updater.web.api.answer_schemas as answers
import updater.web.api.schemas as schemas
from updater.access.principals import Permission
from updater.audit.model import AuditRow
from updater.catalog.model import Page
from updater.catalog.service import CatalogService
from updater.times import rfc3339
from updater.web.api.rendering import page_keys
from updater.web.gate.listings import list_answer
from updater.web.gate.routing import Contract, endpoint


class History:
    """What the audit tells of one application."""

    def __init__(self, catalog: CatalogService) -> None:
        self._catalog = catalog

    @endpoint(
        Contract(
            "History of an application",
            Permission.READ,
            query=schemas.HistoryQuery(),
            answers={200: answers.HistoryAnswer()},
            failures=(404, 422),
        )
    )
    async def list_history(self, request: web.Request, query: dict[str, Any]) -> web.StreamResponse:
        """Return one page of changes to releases and builds, newest first."""
        page = Page(query["limit"], query["offset"])

        async def read(page: Page) -> tuple[list[dict[str, Any]], int]:
            rows, total = await self._catalog.list_history(request.match_info["app_id"], query.get("version"), page)
            return [_entry(row) for row in rows], total

        return await list_answer(request, "entries", page, read, partial(page_keys, page))


def _entry(row: AuditRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "at": rfc3339(row.at),
        "actor": {"kind": row.actor.kind.value, "name": row.actor.name},
        "action": row.action,
        "version": row.version,
        "reason": row.reason,
        "before": None if row.before is None else json.loads(row.before),
        "after": None if row.after is None else json.loads(row.after),
    }
