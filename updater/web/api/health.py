"""How the service does."""

from __future__ import annotations

import asyncio
import resource
from datetime import timedelta
from typing import Any

from aiohttp import web

import updater.web.api.client_schemas as schemas
from updater import __version__
from updater.access.limits import Traffic
from updater.access.principals import Permission
from updater.clock import utc_now
from updater.services import Services
from updater.times import rfc3339
from updater.web.gate.context import CONTEXT
from updater.web.gate.routing import Contract, endpoint
from updater.web.messages.answers import json_answer


class Health:
    """Answers `/health`. The basic answer for everybody, figures for a valid key."""

    def __init__(self, services: Services) -> None:
        self._services = services

    @endpoint(
        Contract(
            "Health",
            traffic=Traffic.FREE,
            answers={200: schemas.HealthAnswer(), 503: schemas.HealthAnswer()},
        )
    )
    async def get_health(self, request: web.Request) -> web.Response:
        """Tell how the parts do; 503 when the service cannot do its work."""
        now = utc_now()
        health = await self._services.health.check()
        answer: dict[str, Any] = {"status": health.status, "timestamp": rfc3339(now)}
        principal = request[CONTEXT].principal
        if principal is not None and principal.level >= Permission.READ:
            answer |= {
                "version": __version__,
                "uptime": _duration(now - self._services.started_at),
                "components": {
                    name: {"status": part.status, "message": part.message, "timestamp": rfc3339(now)}
                    for name, part in health.components.items()
                },
                "metrics": {"goroutines": len(asyncio.all_tasks()), "memory_alloc_mb": _memory_mb()},
            }
        return json_answer(answer, 503 if health.status == "unhealthy" else 200)


def _duration(span: timedelta) -> str:
    """Render as the document does: `48h32m15s`."""
    minutes, seconds = divmod(int(span.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes}m{seconds}s" if hours else f"{minutes}m{seconds}s" if minutes else f"{seconds}s"


def _memory_mb() -> float:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)
