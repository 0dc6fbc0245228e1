"""Figures: adoption, failures, downloads and where update requests come from."""

from __future__ import annotations

from typing import Any

import orjson
from aiohttp import web

import updater.web.api.answer_schemas as answers
import updater.web.api.schemas as schemas
from updater.access.principals import Permission
from updater.telemetry.service import TelemetryService
from updater.web.gate.routing import Contract, endpoint
from updater.web.messages.answers import JSON


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
        )
    )
    async def get_figures(self, request: web.Request, query: dict[str, Any]) -> web.Response:
        """Return all figures between two moments, by the hour or by the day."""
        application_id = request.match_info["app_id"]
        window, figures = await self._telemetry.figures(
            application_id, query.get("first"), query.get("last"), query["bucket"]
        )
        answer = {
            "application_id": application_id,
            "from": window.starts_at,
            "to": window.ends_at,
            "bucket": window.bucket.value,
            **{name: getattr(figures, name) for name in figures.__slots__},
        }
        return web.Response(body=orjson.dumps(answer, option=orjson.OPT_UTC_Z), content_type=JSON)
