"""Installation reports: what became of an update on a client."""

from __future__ import annotations

from typing import Any

from aiohttp import web

import updater.web.api.client_schemas as schemas
from updater.clock import utc_now
from updater.services import Services
from updater.telemetry.model import Report
from updater.web.api.report_fields import read_report
from updater.web.gate.identity import IdentityReader
from updater.web.gate.routing import Contract, endpoint
from updater.web.messages.answers import json_answer


class Reports:
    """Takes reports of installed clients."""

    def __init__(self, services: Services, identities: IdentityReader) -> None:
        self._offers = services.offers
        self._telemetry = services.telemetry
        self._identities = identities

    @endpoint(
        Contract(
            "Report an installation",
            body=schemas.ReportBody(),
            quickly=read_report,
            answers={200: schemas.Recorded()},
            failures=(400, 404, 413, 415, 422, 503),
        )
    )
    async def report_status(self, request: web.Request, body: dict[str, Any]) -> web.Response:
        """Keep a report; the answer means that it is on disk."""
        application_id = request.match_info["app_id"]
        for field in ("current_version", "target_version"):
            self._offers.parse(application_id, body[field], field)
        stated = self._identities.stated(request, body["client_id"])
        await self._telemetry.report(
            Report(
                application_id=application_id,
                current_version=body["current_version"],
                target_version=body["target_version"],
                platform=body["platform"],
                architecture=body["architecture"],
                status=body["status"],
                received_at=utc_now(),
                error_message=body.get("error_message"),
                install_time_seconds=body.get("install_time_seconds"),
                report_id=body.get("report_id"),
                channel=body["channel"],
                client_id=stated.value if stated else None,
                address=self._identities.address(request),
            )
        )
        return json_answer({"recorded": True, "message": "Update status recorded successfully"})
