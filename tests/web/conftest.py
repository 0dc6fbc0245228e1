"""Services whose every answer is held to their OpenAPI document, and a site for those that deploy."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import ClientResponse
from sqlalchemy import text

from tests.conftest import Service, StartService
from tests.deployments.site import Site
from tests.web.description import Description
from updater.app import build_app
from updater.services import Services

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


async def describe(services: Services) -> Any:
    """Return the document without a request, which would count against a limit."""
    routes = build_app(services).router.routes()
    handler: Any = next(each.handler for each in routes if "openapi.json" in str(each.resource))
    return orjson.loads((await handler(None)).body)


@pytest.fixture
async def start_service(start_service: StartService) -> AsyncIterator[StartService]:
    async def start(**sections: Any) -> Service:
        plain = await start_service(**sections)
        described = DescribedService(plain.services, plain.session, plain.url)
        described.description = Description(await describe(plain.services))
        return described

    yield start


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Return a site whose service runs version `one`."""
    site = Site(tmp_path / "site")
    site.start()
    yield site
    site.stop()
