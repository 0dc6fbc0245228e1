"""Status reports: what became of an update on a client."""

from __future__ import annotations

from typing import Any

from aiohttp import web

import updater.web.desktop.schemas as schemas
from updater.access.principals import Permission
from updater.clock import utc_now
from updater.services import Services
from updater.telemetry.model import Report
from updater.web.desktop.words import TARGETS
from updater.web.gate.context import CONTEXT
from updater.web.gate.identity import IdentityReader
from updater.web.gate.routing import Contract, endpoint
from updater.web.messages.answers import json_answer


class Reports:
    """Takes reports of installed clients."""

    def __init__(self, services: Services, application: str, identities: IdentityReader) -> None:
        self._telemetry = services.telemetry
        self._application = application
        self._identities = identities

    @endpoint(
        Contract(
            "Report an installation",
            Permission.FEED,
            body=schemas.StatusBody(),
            answers={200: schemas.Recorded()},
            failures=(400, 404, 413, 503),
        )
    )
    async def report_status(self, request: web.Request, body: dict[str, Any]) -> web.Response:
        """Keep a report, with the hash of the key it came with; the answer means that it is on disk."""
        context = request[CONTEXT]
        target = TARGETS[body["platform"]]
        stated = self._identities.stated(request, None)
        await self._telemetry.report(
            Report(
                application_id=self._application,
                current_version=body["current_version"],
                target_version=body["target_version"],
                platform=target.platform,
                architecture=target.architecture,
                status=body["status"],
                received_at=utc_now(),
                error_message=body["error_message"],
                install_time_seconds=body["install_time_seconds"],
                key_hash=context.principal.key_hash if context.principal else None,
                client_id=stated.value if stated else None,
                address=self._identities.address(request),
            )
        )
        context.outcome = "recorded"
        return json_answer({"recorded": True, "message": "Update status recorded successfully"})
