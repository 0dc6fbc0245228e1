"""A service whose every answer in these tests is held to its OpenAPI document, and what it stored and logged."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from aiohttp import ClientResponse
from sqlalchemy import text

from tests.conftest import Service, StartService
from tests.web.api.description import Description
from updater.logs import PROCESSORS
from updater.services import Services
from updater.web import api, ops
from updater.web.links import Links
from updater.web.metrics import Metrics
from updater.web.openapi import build_document

TABLES = ("application", "release", "build", "blob", "report", "pinned_digest")


class DescribedService(Service):
    """A service whose answers are held to the document it serves."""

    description: Description | None = None

    async def exchange(
        self, method: str, path: str, *, key: str | None = None, status: int | None = None, **kwargs: Any
    ) -> tuple[ClientResponse, bytes]:
        response, body = await super().exchange(method, path, key=key, status=status, **kwargs)
        if self.description is not None:
            asked = response.request_info.url.raw_path
            self.description.hold(method, asked, response.status, response.content_type, body)
        return response, body

    async def stored(self) -> dict[str, int]:
        """Count what is kept: rows, and files of the store."""
        root = Path(self.services.settings.storage.root)
        async with self.services.catalog._database.read() as connection:
            counts = {name: await connection.scalar(text(f"select count(*) from {name}")) or 0 for name in TABLES}
        counts["files"] = sum(
            each.is_file() for folder in ("blobs", "incoming") for each in (root / folder).rglob("*") if each.exists()
        )
        return counts


def describe(services: Services) -> dict[str, Any]:
    """Return the document without a request, which would count against a limit."""
    metrics = Metrics()
    surfaces = (api.build(services, Links(None, None), metrics), ops.build(metrics, dict))
    return build_document(route for surface in surfaces for route in surface.routes)


@pytest.fixture
async def start_service(start_service: StartService) -> AsyncIterator[StartService]:
    async def start(**sections: Any) -> Service:
        plain = await start_service(**sections)
        described = DescribedService(plain.services, plain.session, plain.url)
        described.description = Description(describe(plain.services))
        return described

    yield start


@pytest.fixture
def log_lines() -> Iterator[io.BytesIO]:
    """Give what is logged meanwhile, rendered as in production."""
    lines = io.BytesIO()
    structlog.configure(processors=list(PROCESSORS), logger_factory=structlog.BytesLoggerFactory(file=lines))
    yield lines
    structlog.reset_defaults()


@pytest.fixture
async def logged_service(start_service: StartService, log_lines: io.BytesIO) -> Any:
    """Return a service with `my-app` and its access log switched on."""
    started = await start_service(logging={"access": True})
    await started.application()
    return started
