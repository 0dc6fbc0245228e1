"""Figures: adoption, failures, downloads and where update requests come from."""

from __future__ import annotations

from typing import Any

import orjson
from aiohttp import web

import updater.web.api.answer_schemas as answers
import updater.web.api.schemas as schemas
from updater.access.principals import Permission
from updater.errors import Invalid
from updater.telemetry.figure_tables import TABLES, as_csv, table_of
from updater.telemetry.figures import Figures
from updater.telemetry.service import TelemetryService
from updater.telemetry.spans import Window
from updater.web.gate.routing import Contract, endpoint
from updater.web.messages.answers import JSON

CSV = "text/csv"


class ApplicationFigures:
    """What publishers learn from reports, downloads and checks."""

    def __init__(self, telemetry: TelemetryService) -> None:
        self._telemetry = telemetry

    @endpoint(
        Contract(
            "Figures of an application",
            Permission.READ,
            query=schemas.FiguresQuery(),
            answers={200: answers.FiguresAnswer()},
            failures=(404, 422, 503),
            media_types=(CSV,),
        )
    )
    async def get_figures(self, request: web.Request, query: dict[str, Any]) -> web.Response:
        """Return all figures between two moments, or over a range that ends at the last one, by a bucket.

        With `format=csv`, or `Accept: text/csv`, the answer is one of their tables.
        """
        application_id = request.match_info["app_id"]
        table = _wanted_table(request, query)
        window, figures = await self._telemetry.figures(
            application_id, query.get("first"), query.get("last"), query["bucket"], span=query["range"]
        )
        return _json(application_id, window, figures) if table is None else _csv(application_id, figures, table)


def _wanted_table(request: web.Request, query: dict[str, Any]) -> str | None:
    """Return the name of the table that is asked for; None for JSON. Raises Invalid: none is named."""
    wanted = query["format"] or ("csv" if request.headers.get("Accept", "").lower().startswith(CSV) else "json")
    if wanted == "json":
        return None
    if query["table"] is None:
        raise Invalid({"table": f"a CSV file holds one table; expected one of {', '.join(TABLES)}"})
    return str(query["table"])


def _json(application_id: str, window: Window, figures: Figures) -> web.Response:
    answer = {
        "application_id": application_id,
        "from": window.starts_at,
        "to": window.ends_at,
        "bucket": window.bucket.value,
        **{name: getattr(figures, name) for name in figures.__slots__},
    }
    return web.Response(body=orjson.dumps(answer, option=orjson.OPT_UTC_Z), content_type=JSON, headers=_VARY)


def _csv(application_id: str, figures: Figures, table: str) -> web.Response:
    headers = {"Content-Disposition": f'attachment; filename="{application_id}-{table}.csv"', **_VARY}
    text = as_csv(table_of(figures, table))
    return web.Response(text=text, content_type=CSV, charset="utf-8", headers=headers)


_VARY = {"Vary": "Accept"}
